"""Training curves: validation loss by boosting round or epoch, and what the best step of every curve is worth.

A curve contains all shorter ones, so that the number of steps needs no search: of each trial its best step could be kept.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tabbench.report import plots

FOLD = ["model", "task", "repeat", "fold"]
TRIAL = [*FOLD, "trial", "rung"]
SHARES = np.linspace(0.02, 1.0, 50)  # of the steps, where curves of any length are laid over each other
N_KNOWN = 10  # of these, from which the rest is foretold


@dataclass(frozen=True)
class Training:
    """What the curves of a model say, mostly as means over its folds.

    at_end, at_best : the least validation log loss of all trials at their ends and at their best steps. share : of its steps
    after which the latter is reached. seconds, seconds_to_best : CPU, of the inner fits of all trials, and up to each best step.
    """

    model: str
    n_curves: int
    at_end: float
    at_best: float
    share: float
    seconds: float
    seconds_to_best: float


def best_points(points: pd.DataFrame) -> pd.DataFrame:
    """The point of least loss of every curve, the earlier of equals; of a curve without any loss none.

    points : as `tuning.replay.curve_points` gives them; besides, the result has last_step, last_loss and last_seconds.
    """
    ends = points.groupby(TRIAL).last(skipna=False)[["step", "val_log_loss", "cpu_seconds"]]
    ends.columns = ["last_step", "last_loss", "last_seconds"]
    known = points.dropna(subset="val_log_loss").reset_index(drop=True)
    best = known.loc[known.groupby(TRIAL)["val_log_loss"].idxmin()]
    return best.join(ends, on=TRIAL).reset_index(drop=True)


def trainings(points: pd.DataFrame) -> list[Training]:
    """What the curves of every model say, by name; nothing without a curve that has a loss."""
    best = best_points(points)
    return [_training(str(model), of_model) for model, of_model in best.groupby("model")]


def _training(model: str, best: pd.DataFrame) -> Training:
    folds = best.groupby(FOLD)
    chosen = best.loc[folds["val_log_loss"].idxmin()]
    seconds = folds[["last_seconds", "cpu_seconds"]].sum().mean()
    return Training(
        model,
        len(best),
        float(folds["last_loss"].min().mean()),
        float(chosen["val_log_loss"].mean()),
        float((chosen["step"] / chosen["last_step"]).mean()),
        float(seconds["last_seconds"]),
        float(seconds["cpu_seconds"]),
    )


@dataclass(frozen=True)
class Stopped:
    """What ending fits early has done for a model.

    n_watched, n_stopped : trials that could have been stopped, and were. share : of their steps that the stopped ones were given,
    mean. seconds : that the watched trials took. saved : that the stopped ones would have taken besides, were all steps equal.
    """

    model: str
    n_watched: int
    n_stopped: int
    share: float
    seconds: float
    saved: float


def stopped_trials(trials: pd.DataFrame) -> list[Stopped]:
    """By model, from the table of trials (`tuning.replay.trials_table`); nothing of a run that stops no fits."""
    if "stopped_at" not in trials:
        return []
    watched = trials[trials["n_steps"].notna()]
    found = []
    for model, of_model in watched.groupby("model"):
        stopped = of_model[of_model["stopped_at"].notna()]
        shares = (stopped["stopped_at"] / stopped["n_steps"]).astype(float)
        saved = float((stopped["seconds"] * (1 / shares - 1)).sum())
        counts = len(of_model), len(stopped)
        found.append(Stopped(str(model), *counts, float(shares.mean()), float(of_model["seconds"].sum()), saved))
    return found


def training_figure(points: pd.DataFrame, foretell: Callable[[np.ndarray, int], np.ndarray] | None = None) -> str:
    """Of each model the curve of its best trial, above its least loss and by share of its steps, mean over folds; "" without.

    foretell : from the first losses of a curve, and how many it has in all, the .05, .5 and .95 quantiles (q, 3) of the later
    ones, which are drawn besides.
    """
    best = best_points(points)
    if best.empty:
        return ""
    chosen = best.loc[best.groupby(FOLD)["val_log_loss"].idxmin()].set_index(TRIAL)
    lines: dict[str, list[tuple[np.ndarray, float]]] = {}
    for trial, curve in points.dropna(subset="val_log_loss").groupby(TRIAL):
        if trial in chosen.index:
            shares = curve["step"] / chosen.loc[[trial], "last_step"].iloc[0]
            line = np.interp(SHARES, shares, curve["val_log_loss"])
            lines.setdefault(str(trial[0]), []).append((line, float(curve["val_log_loss"].min())))
    series: dict[str, np.ndarray] = {}
    bands: dict[str, np.ndarray] = {}
    for model, found in lines.items():
        mean, least = np.mean([line for line, _ in found], axis=0), np.mean([least for _, least in found])
        series[model] = mean - least
        if foretell:
            bands[model] = foretell(mean[:N_KNOWN], len(SHARES)) - least
    return plots.training(SHARES, series, bands)
