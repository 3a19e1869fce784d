"""Whether differences between models are more than chance (Demšar 2006; García and Herrera 2008; Benavoli et al. 2016)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from tabbench.errors import UserError
from tabbench.stats.ranks import TOLERANCE, check_table, levels, rank_table

Zeros = Literal["pratt", "zsplit"]  # what becomes of pairs without a difference


@dataclass(frozen=True)
class Friedman:
    """chi2, p : Friedman's statistic with tie correction. f, f_p : Iman and Davenport's (F distributed, less conservative)."""

    chi2: float
    p: float
    f: float
    f_p: float
    n_datasets: int
    n_models: int


def friedman(scores: pd.DataFrame, greater_is_better: bool, tolerance: float = TOLERANCE) -> Friedman:
    """Test that all models have the same mean rank (Demšar 2006, §3.2.2).

    All ties give chi2 = 0, p = 1. Raises UserError for fewer than two datasets or models.
    """
    n, k = scores.shape
    if n < 2 or k < 2:
        raise UserError(f"Friedman's test needs at least 2 datasets and 2 models, got {n} and {k}")
    ranks = rank_table(scores, greater_is_better, tolerance).to_numpy()
    between = n * np.sum((ranks.mean(axis=0) - (k + 1) / 2) ** 2)
    within = np.sum((ranks - (k + 1) / 2) ** 2) / (n * (k - 1))  # k (k + 1) / 12 without ties
    chi2 = float(between / within) if within > 0 else 0.0
    rest = n * (k - 1) - chi2
    f = (n - 1) * chi2 / rest if rest > 1e-9 else np.inf
    return Friedman(chi2, float(stats.chi2.sf(chi2, k - 1)), float(f), float(stats.f.sf(f, k - 1, (k - 1) * (n - 1))), n, k)


def nemenyi_cd(n_models: int, n_datasets: int, alpha: float = 0.05) -> float:
    """Least difference of two mean ranks that is significant among all pairs (Demšar 2006, §3.2.2, eq. for CD)."""
    q = stats.studentized_range.isf(alpha, n_models, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(n_models * (n_models + 1) / (6 * n_datasets)))


def bonferroni_dunn_cd(n_models: int, n_datasets: int, alpha: float = 0.05) -> float:
    """Least difference of a mean rank from a control's that is significant (Demšar 2006, §3.2.2)."""
    z = stats.norm.isf(alpha / (2 * (n_models - 1)))
    return float(z * np.sqrt(n_models * (n_models + 1) / (6 * n_datasets)))


def holm(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's adjusted p-values, in the order given (Holm 1979); they never fall as p rises and stay at most 1."""
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    factors = len(values) - np.arange(len(values))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * factors))
    return adjusted


def signed_rank(
    differences: np.ndarray,
    zeros: Zeros = "pratt",
    tolerance: float = TOLERANCE,
    exact_up_to: int = 50,
) -> tuple[np.ndarray, np.ndarray]:
    """Wilcoxon's signed-rank statistics (the smaller rank sums) and two-sided p of m samples of n paired differences (m, n).

    "pratt": zeros are ranked and then dropped (Pratt 1959); "zsplit": their ranks are shared between the signs (Demšar 2006).
    Differences, and their sizes, are equal when they agree within `tolerance`. Up to `exact_up_to` pairs p is exact, ties
    and zeros included (the normal approximation calls five wins in five significant, which they cannot be); all zero: p = 1.
    """
    differences = np.where(np.abs(differences) <= tolerance, 0.0, differences)
    ranks = stats.rankdata(levels(np.abs(differences), tolerance), axis=1)
    smaller = np.minimum(np.sum(ranks * (differences > 0), axis=1), np.sum(ranks * (differences < 0), axis=1))
    kept = np.where(differences == 0, 0.0, ranks)
    shared = (ranks - kept).sum(axis=1) / 2 if zeros == "zsplit" else 0.0
    if differences.shape[1] <= exact_up_to:
        p = np.array([_exact_p(*sample) for sample in zip(kept, smaller, strict=True)])
    else:
        variance = np.sum((ranks if zeros == "zsplit" else kept) ** 2, axis=1) / 4
        z = (smaller - kept.sum(axis=1) / 2) / np.sqrt(np.where(kept.any(axis=1), variance, 1.0))
        p = np.minimum(1.0, 2 * stats.norm.cdf(z))
    return smaller + shared, p


def _exact_p(ranks: np.ndarray, smaller: float) -> float:
    """Two-sided p of a rank sum, every assignment of signs to the given ranks (0: no difference) being equally likely."""
    chance = np.ones(1)  # of every sum of the ranks so far, in halves, since tied ranks are multiples of 1/2
    for size in np.rint(2 * ranks[ranks > 0]).astype(np.int64):
        rest = np.zeros(size)
        chance = (np.concatenate([chance, rest]) + np.concatenate([rest, chance])) / 2
    return min(1.0, 2 * float(chance[: round(2 * smaller) + 1].sum()))


def pairwise_wilcoxon(
    scores: pd.DataFrame,
    greater_is_better: bool,
    zeros: Zeros = "pratt",
    tolerance: float = TOLERANCE,
    exact_up_to: int = 50,
) -> pd.DataFrame:
    """Signed-rank test of every pair of models with Holm's correction over the pairs.

    Its verdict on two models does not depend on which others took part, but for the correction (Benavoli et al. 2016).
    Columns: model_a, model_b, n (datasets), median_difference (positive: a is better), statistic, p, p_adjusted.
    """
    values = check_table(scores).T * (1 if greater_is_better else -1)
    a, b = np.triu_indices(len(values), 1)
    differences = values[a] - values[b]
    statistic, p = signed_rank(differences, zeros, tolerance, exact_up_to)
    return pd.DataFrame(
        {
            "model_a": scores.columns[a],
            "model_b": scores.columns[b],
            "n": len(scores),
            "median_difference": np.median(differences, axis=1),
            "statistic": statistic,
            "p": p,
            "p_adjusted": holm(p),
        }
    )


def different(tests: pd.DataFrame, models: Sequence[str], alpha: float = 0.05) -> pd.DataFrame:
    """(k, k) whether two models differ at level alpha, from the adjusted p-values of `pairwise_wilcoxon`."""
    index = pd.Index(models)
    found = tests[tests["p_adjusted"] < alpha]
    a, b = index.get_indexer(found["model_a"]), index.get_indexer(found["model_b"])
    table = np.zeros((len(index), len(index)), dtype=bool)
    table[a, b] = table[b, a] = True
    return pd.DataFrame(table, index, index)


def cliques(ranks: pd.Series, differ: pd.DataFrame) -> list[tuple[str, ...]]:
    """Maximal runs of models in the order of `ranks` without a pair that differs; runs of one model are left out."""
    order = ranks.sort_values(kind="stable").index
    apart = differ.loc[order, order].to_numpy()
    runs: list[tuple[str, ...]] = []
    end_before = 0
    for start in range(len(order)):
        end = start + 1
        while end < len(order) and not apart[start:end, end].any():
            end += 1
        if end - start > 1 and end > end_before:
            runs.append(tuple(order[start:end]))
        end_before = max(end_before, end)
    return runs
