"""What jobs will cost, learned from runs that are stored.

The seconds of a model are taken as a power of the table's sizes: log seconds = a + b·log(rows, columns, classes). b is shrunk
to common growth (ridge regression), so that a handful of runs is enough to begin with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

SIZES = ["n_train", "n_features", "n_classes"]
GROWTH = np.array([1.0, 0.8, 0.5])  # usual exponents of rows, columns and classes
STIFFNESS = 2.0  # how many runs a deviation from them takes
BYTES_PER_RUN = 1400  # of a stored run without its predictions


@dataclass(frozen=True)
class Costs:
    """By entrant: offset and exponents of its seconds, and its largest resident memory (MB). n_runs : how many taught it."""

    seconds_of: Mapping[str, tuple[float, np.ndarray]]
    memory_of: Mapping[str, float]
    n_runs: int

    def seconds(self, entrant: str, sizes: Sequence[float]) -> float:
        """Seconds of a job on (rows, columns, classes); those of the median entrant if it is new, NaN if nothing is known."""
        x = np.log(np.maximum(np.asarray(sizes, float), 1))
        known = [self.seconds_of[entrant]] if entrant in self.seconds_of else list(self.seconds_of.values())
        return float(np.exp(np.median([offset + growth @ x for offset, growth in known]))) if known else float("nan")


def learn(results: pd.DataFrame) -> Costs:
    """Costs from a results table; only runs that ended ok teach."""
    ok = results[results["status"].eq("ok") & results["fit_seconds"].notna() & results["n_train"].gt(0)]
    seconds_of = {}
    for entrant, runs in ok.groupby("model"):
        x = np.log(np.maximum(runs[SIZES].to_numpy(np.float64), 1))
        y = np.log(np.maximum(runs["fit_seconds"] + runs["predict_seconds"], 1e-4)).to_numpy() - x @ GROWTH
        centred = x - x.mean(axis=0)
        change = np.linalg.solve(centred.T @ centred + STIFFNESS * np.eye(len(SIZES)), centred.T @ (y - y.mean()))
        seconds_of[str(entrant)] = (float(y.mean() - change @ x.mean(axis=0)), GROWTH + change)
    memory_of = {str(name): float(value) for name, value in ok.groupby("model")["peak_rss_mb"].max().items()}
    return Costs(seconds_of, memory_of, len(ok))
