"""Ranks, normalised scores and wins."""

from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from tabbench.errors import UserError

TOLERANCE = 1e-9  # scores that differ by less are equal: float noise is no victory


def check_table(scores: pd.DataFrame) -> np.ndarray:
    """Values of a complete (dataset × model) table as float64; raises UserError if it is empty, repeats a name or has gaps."""
    if scores.shape[0] == 0 or scores.shape[1] == 0:
        raise UserError("the table of scores is empty: it needs at least one dataset and one model")
    for what, names in (("dataset", scores.index), ("model", scores.columns)):
        if names.has_duplicates:
            raise UserError(f"{what} {str(names[names.duplicated()][0])!r} occurs twice in the table of scores")
    values = scores.to_numpy(np.float64)
    if np.isnan(values).any():
        row, column = np.argwhere(np.isnan(values))[0]
        raise UserError(f"no score of {str(scores.columns[column])!r} on {str(scores.index[row])!r}: fill or drop it first")
    return values


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


def rank_table(
    scores: pd.DataFrame,
    greater_is_better: bool,
    tolerance: float = TOLERANCE,
    ties: Literal["average", "min"] = "average",
) -> pd.DataFrame:
    """Rank of every model on every dataset, 1 = best; equal scores share the mean (TabZilla: the best) of their ranks."""
    values = check_table(scores)
    ranks = rankdata(levels(-values if greater_is_better else values, tolerance), method=ties, axis=1)
    return pd.DataFrame(ranks, scores.index, scores.columns)


def mean_ranks(
    scores: pd.DataFrame,
    greater_is_better: bool,
    tolerance: float = TOLERANCE,
    ties: Literal["average", "min"] = "average",
) -> pd.Series:
    """Mean rank of every model over the datasets."""
    return rank_table(scores, greater_is_better, tolerance, ties).mean()


def normalized_scores(scores: pd.DataFrame, greater_is_better: bool) -> pd.DataFrame:
    """Scores mapped to [0, 1] on every dataset, 1 = best model, 0 = worst; all 1 where the models are equal.

    Also known as average distance to the minimum, ADTM (Wistuba et al. 2015).
    """
    values = check_table(scores) * (1 if greater_is_better else -1)
    low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
    equal = high - low <= TOLERANCE
    scaled = np.where(equal, 1.0, (values - low) / np.where(equal, 1.0, high - low))
    return pd.DataFrame(scaled, scores.index, scores.columns)


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
