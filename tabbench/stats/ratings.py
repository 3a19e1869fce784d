"""Ratings: strengths of models from who beats whom, and intervals for them that know that datasets are the unit.

The Bradley–Terry model, on Elo's scale: 400 points are odds of ten to one. A tie is half a win for either. As a prior every pair
of models has tied once more: with W wins in N meetings the odds of two models are (W + ½) : (N - W + ½), Jeffreys' estimate. So
total dominance has a finite rating that grows with the number of datasets, and 20 datasets outweigh the prior 20 to 1.
"""

import numpy as np
import pandas as pd

from tabbench.stats.draws import N_DRAWS, posterior
from tabbench.stats.ranks import TOLERANCE, check_names

PRIOR = 1.0  # tied meetings of every pair
FINITE = 0.02  # the same in a draw of an interval, whose unseen dataset is prior enough: a win in every game stays finite
CENTRE = 1000.0
POINTS = 400 / np.log(10)


def pair_wins(scores: pd.DataFrame, greater_is_better: bool, tolerance: float = TOLERANCE) -> np.ndarray:
    """(n, k, k) by dataset: 1 where the row model beats the column model, ½ where they tie, 0 otherwise or without a meeting.

    Two models meet where both have a score. Raises UserError for an empty table or names that occur twice.
    """
    check_names(scores)
    values = scores.to_numpy(np.float64) * (1 if greater_is_better else -1)
    with np.errstate(invalid="ignore"):
        difference = values[:, :, None] - values[:, None, :]
        wins = (difference > tolerance) + 0.5 * (np.abs(difference) <= tolerance)
    wins[:, np.arange(wins.shape[1]), np.arange(wins.shape[1])] = 0.0
    return wins


def bradley_terry(wins: np.ndarray, prior: float = PRIOR) -> np.ndarray:
    """Log strengths (…, k), of mean 0, that make the wins (…, k, k) of row over column most likely; by Newton's method.

    prior : tied meetings of every pair that are added; with 0, a model that never loses has no finite strength.
    """
    k = wins.shape[-1]
    wins = wins + prior / 2 * (1 - np.eye(k))
    meetings = wins + np.swapaxes(wins, -1, -2)
    strengths = np.zeros(wins.shape[:-1])
    for _ in range(100):
        expected = meetings / (1 + np.exp(strengths[..., None, :] - strengths[..., :, None]))
        slope = (wins - expected).sum(axis=-1)
        curvature = np.divide(expected * (meetings - expected), meetings, out=np.zeros_like(meetings), where=meetings > 0)
        hessian = np.eye(k) * curvature.sum(axis=-1)[..., None] - curvature + 1  # + 1 keeps the mean at 0
        step = np.linalg.solve(hessian, slope[..., None])[..., 0]
        largest = np.abs(step).max(axis=-1, keepdims=True, initial=0.0)
        strengths = strengths + step * np.minimum(1.0, 2.0 / np.maximum(largest, 1e-300))
        if largest.max(initial=0.0) < 1e-10:
            break
    return strengths - strengths.mean(axis=-1, keepdims=True)


def ratings(
    scores: pd.DataFrame,
    greater_is_better: bool,
    *,
    n_draws: int = N_DRAWS,
    level: float = 0.95,
    seed: int = 0,
    prior: float = PRIOR,
) -> pd.DataFrame:
    """Elo rating of every model, best first, of mean 1000, with an interval from draws of the datasets.

    scores : (dataset × model); gaps are meetings that did not take place. Columns: rating, low, high. Folds of a dataset are no
    independent evidence, so whole datasets are drawn, by `draws.posterior`: six datasets that agree leave an interval as wide as
    six games allow. One dataset tells nothing of others, nor does one model: NaN. Raises UserError as `pair_wins`.
    """
    wins = pair_wins(scores, greater_is_better)
    points = CENTRE + POINTS * bradley_terry(wins.sum(axis=0), prior)
    n, k = wins.shape[:2]
    flat = wins.reshape(n, -1)
    drawn = []
    for draw in posterior(n, k, n_draws, seed):
        seen = (draw.seen @ flat).reshape(-1, k, k)
        games = (draw.orders[..., :, None] < draw.orders[..., None, :]).astype(np.float64)
        drawn.append(CENTRE + POINTS * bradley_terry(seen + np.einsum("bt,btij->bij", draw.unseen, games), FINITE))
    low, high = _interval(drawn, level, points, n)
    table = pd.DataFrame({"rating": points, "low": low, "high": high}, index=scores.columns)
    return table.sort_values("rating", ascending=False, kind="stable")


def rank_intervals(
    ranks: pd.DataFrame, n_draws: int = N_DRAWS, level: float = 0.95, seed: int = 0
) -> tuple[pd.Series, pd.Series]:
    """Ends of the interval of every model's mean rank, by the draws that `ratings` uses; ranks : (dataset × model).

    NaN for one dataset or one model.
    """
    table = ranks.to_numpy(np.float64)
    n, k = table.shape
    drawn = [
        (draw.seen @ table + np.einsum("bt,btk->bk", draw.unseen, draw.orders)) / (n + 1)
        for draw in posterior(n, k, n_draws, seed)
    ]
    low, high = _interval(drawn, level, table.mean(axis=0), n)
    return pd.Series(low, ranks.columns), pd.Series(high, ranks.columns)


def _interval(drawn: list[np.ndarray], level: float, estimate: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of chunks of draws (b, k) of n datasets; the estimate, which no prior moves, lies inside."""
    if n < 2 or len(estimate) < 2 or not drawn:
        return np.full(len(estimate), np.nan), np.full(len(estimate), np.nan)
    low, high = np.quantile(np.concatenate(drawn), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.minimum(low, estimate), np.maximum(high, estimate)
