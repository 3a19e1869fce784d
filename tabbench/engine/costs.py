"""What jobs will cost, learned from runs that are stored.

The seconds of a model are a floor and a power of the table's sizes: seconds = floor + exp(a + b·log(rows, columns, classes)).
Small tables lie on the floor and tell nothing of growth, which a power alone would take for none. b is shrunk to common growth,
so that a handful of runs is enough to begin with, and the whole is scaled so that the seconds seen add up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

SIZES = ["n_train", "n_features", "n_classes"]
GROWTH = np.array([1.0, 0.8, 0.5])  # usual exponents of rows, columns and classes
STIFFNESS = 2.0  # how many runs a deviation from them takes
LOWEST = 1e-4  # seconds
FLOOR_SHARE = 0.5  # of the least seconds seen, which the floor is thought to be where nothing else tells
BYTES_PER_RUN = 1400  # of a stored run without its predictions


@dataclass(frozen=True, eq=False)
class Law:
    """Seconds of an entrant: factor · (floor + exp(offset + growth · log sizes))."""

    factor: float
    floor: float
    offset: float
    growth: np.ndarray

    def seconds(self, x: np.ndarray) -> np.ndarray:
        """Seconds for logarithms of sizes (…, 3)."""
        return np.asarray(self.factor * (self.floor + np.exp(self.offset + x @ self.growth)))


@dataclass(frozen=True)
class Costs:
    """By entrant: the law of its seconds, and its largest resident memory (MB). n_runs : how many taught it."""

    law_of: Mapping[str, Law]
    memory_of: Mapping[str, float]
    n_runs: int

    def seconds(self, entrant: str, sizes: Sequence[float]) -> float:
        """Seconds of a job on (rows, columns, classes); those of the median entrant if it is new, NaN if nothing is known."""
        x = _logs(np.asarray(sizes, np.float64))
        laws = [self.law_of[entrant]] if entrant in self.law_of else list(self.law_of.values())
        return float(np.median([law.seconds(x) for law in laws])) if laws else float("nan")


def learn(results: pd.DataFrame) -> Costs:
    """Costs from a results table; only runs that ended ok teach."""
    ok = results[results["status"].eq("ok") & results["fit_seconds"].notna() & results["n_train"].gt(0)]
    law_of = {
        str(entrant): _law(
            _logs(runs[SIZES].to_numpy(np.float64)),
            np.maximum((runs["fit_seconds"] + runs["predict_seconds"]).to_numpy(np.float64), LOWEST),
        )
        for entrant, runs in ok.groupby("model")
    }
    memory_of = {str(name): float(value) for name, value in ok.groupby("model")["peak_rss_mb"].max().items()}
    return Costs(law_of, memory_of, len(ok))


def _logs(sizes: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(sizes, 1))


def _law(x: np.ndarray, seconds: np.ndarray) -> Law:
    """The law that fits the logarithms of seconds (n,) at logarithms of sizes (n, 3) best, not far from the usual growth."""
    from scipy.optimize import least_squares

    low = np.log(seconds.min() * FLOOR_SHARE)
    start = np.array([low, float(np.median(np.log(seconds) - x @ GROWTH)), *np.zeros(len(GROWTH))])

    def misfit(p: np.ndarray) -> np.ndarray:
        expected = np.logaddexp(p[0], p[1] + x @ (GROWTH + p[2:]))
        return np.concatenate([np.log(seconds) - expected, np.sqrt(STIFFNESS) * p[2:], [(p[0] - low) / 2]])

    floor, offset, *change = least_squares(misfit, start, method="lm", max_nfev=200).x
    law = Law(1.0, float(np.exp(floor)), float(offset), GROWTH + change)
    factor = float(np.clip(seconds.sum() / law.seconds(x).sum(), 0.5, 2.0))
    return Law(factor, law.floor, law.offset, law.growth)
