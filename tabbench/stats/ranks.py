"""Ranks, normalised scores and wins."""

from typing import Literal

import numpy as np
import pandas as pd

from tabbench.errors import UserError

TOLERANCE = 1e-9  # scores that differ by less are equal: float noise is no victory


def check_table(scores: pd.DataFrame) -> np.ndarray:
    """Values of a complete (dataset × model) table as float64; raises UserError if it is empty, repeats a name or has gaps."""
    check_names(scores)
    values = scores.to_numpy(np.float64)
    if np.isnan(values).any():
        row, column = np.argwhere(np.isnan(values))[0]
        raise UserError(f"no score of {str(scores.columns[column])!r} on {str(scores.index[row])!r}: fill or drop it first")
    return values


def check_names(scores: pd.DataFrame) -> None:
    """Raise UserError if a (dataset × model) table is empty or repeats a name."""
    if scores.shape[0] == 0 or scores.shape[1] == 0:
        raise UserError("the table of scores is empty: it needs at least one dataset and one model")
    for what, names in (("dataset", scores.index), ("model", scores.columns)):
        if names.has_duplicates:
            raise UserError(f"{what} {str(names[names.duplicated()][0])!r} occurs twice in the table of scores")


def levels(values: np.ndarray, tolerance: float) -> np.ndarray:
    """Replace every value by the number of distinct smaller levels in its row; a step of at most `tolerance` is no new level."""
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    with np.errstate(invalid="ignore"):  # inf - inf
        steps = np.diff(ordered, axis=1) > tolerance
    numbers = np.concatenate([np.zeros((len(values), 1)), np.cumsum(steps, axis=1)], axis=1)
    result = np.empty_like(numbers)
    np.put_along_axis(result, order, numbers, axis=1)
    return result


def ranked(values: np.ndarray, ties: Literal["average", "min"] = "average") -> np.ndarray:
    """Rank of every value in its row, 1 = smallest; equal ones share the mean, or the least, of their ranks."""
    return pd.DataFrame(values).rank(axis=1, method=ties).to_numpy(np.float64)


def rank_table(
    scores: pd.DataFrame,
    greater_is_better: bool,
    tolerance: float = TOLERANCE,
    ties: Literal["average", "min"] = "average",
) -> pd.DataFrame:
    """Rank of every model on every dataset, 1 = best; equal scores share the mean (TabZilla: the best) of their ranks."""
    values = check_table(scores)
    ranks = ranked(levels(-values if greater_is_better else values, tolerance), ties)
    return pd.DataFrame(ranks, scores.index, scores.columns)


def mean_ranks(
    scores: pd.DataFrame,
    greater_is_better: bool,
    tolerance: float = TOLERANCE,
    ties: Literal["average", "min"] = "average",
) -> pd.Series:
    """Mean rank of every model over the datasets.

    >>> scores = pd.DataFrame({"forest": [0.9, 0.8], "line": [0.7, 0.8]})
    >>> mean_ranks(scores, greater_is_better=True).to_dict()
    {'forest': 1.25, 'line': 1.75}
    """
    return rank_table(scores, greater_is_better, tolerance, ties).mean()


def normalized_scores(scores: pd.DataFrame, greater_is_better: bool, floor: float = 0.0) -> pd.DataFrame:
    """Scores mapped to [0, 1] on every dataset, 1 = best model, 0 = worst; all 1 where the models are equal.

    floor : quantile of the models that is mapped to 0 instead of the worst, lower ones being cut to 0, so that one broken model
    does not squeeze the others together (Grinsztajn et al. 2022, §4.1, with 0.1). `adtm` is the same as a distance.
    """
    values = check_table(scores) * (1 if greater_is_better else -1)
    low, high = np.quantile(values, floor, axis=1, keepdims=True), values.max(axis=1, keepdims=True)
    equal = high - low <= TOLERANCE
    scaled = np.where(equal, values >= low - TOLERANCE, (values - low) / np.where(equal, 1.0, high - low))
    return pd.DataFrame(np.clip(scaled, 0.0, 1.0), scores.index, scores.columns)


def adtm(scores: pd.DataFrame, greater_is_better: bool) -> pd.Series:
    """Average distance to the minimum of every model (Wistuba et al. 2015): 0 = best on every dataset, 1 = worst on every one."""
    return 1.0 - normalized_scores(scores, greater_is_better).mean()


def champion_delta(scores: pd.DataFrame, greater_is_better: bool) -> pd.DataFrame:
    """By how much every model is behind the best one on the dataset, in units of the score; 0 = best."""
    values = check_table(scores) * (1 if greater_is_better else -1)
    return pd.DataFrame(values.max(axis=1, keepdims=True) - values, scores.index, scores.columns)


def improvability(scores: pd.DataFrame, greater_is_better: bool, perfect: float | None = None) -> pd.DataFrame:
    """Share of a model's error that the best model on the dataset would spare it, in [0, 1]; 0 = best (Erickson et al. 2025).

    perfect : the score of no error; None: 1 where greater is better, 0 otherwise. Raises UserError for a better score than that.
    """
    sign = 1 if greater_is_better else -1
    perfect = float(greater_is_better) if perfect is None else perfect
    error = sign * (perfect - check_table(scores))
    if error.min() < -TOLERANCE:
        raise UserError(f"improvability needs an error: a score is better than {perfect:g}, which was to be perfect")
    error = np.maximum(error, 0.0)
    spared = (error - error.min(axis=1, keepdims=True)) / np.where(error > 0, error, 1.0)
    return pd.DataFrame(spared, scores.index, scores.columns)


def outcomes(scores: pd.DataFrame, greater_is_better: bool, tolerance: float = TOLERANCE) -> tuple[np.ndarray, np.ndarray]:
    """(k, k) numbers of datasets on which the row model beats the column model, and on which they tie."""
    values = check_table(scores) * (1 if greater_is_better else -1)
    difference = values[:, :, None] - values[:, None, :]
    return (difference > tolerance).sum(axis=0), (np.abs(difference) <= tolerance).sum(axis=0)


def win_tie_loss(scores: pd.DataFrame, greater_is_better: bool, tolerance: float = TOLERANCE) -> pd.DataFrame:
    """Columns wins, ties, losses of every model against every other on every dataset."""
    wins, ties = outcomes(scores, greater_is_better, tolerance)
    np.fill_diagonal(ties, 0)
    counts = {"wins": wins.sum(axis=1), "ties": ties.sum(axis=1), "losses": wins.sum(axis=0)}
    return pd.DataFrame(counts, index=scores.columns)


def win_rates(scores: pd.DataFrame, greater_is_better: bool, tolerance: float = TOLERANCE) -> pd.DataFrame:
    """(k, k) share of datasets on which the row model beats the column model, ties counted half; 0.5 on the diagonal."""
    wins, ties = outcomes(scores, greater_is_better, tolerance)
    return pd.DataFrame((wins + ties / 2) / len(scores), scores.columns, scores.columns)
