"""Whether differences between models are more than chance (Demšar 2006; García and Herrera 2008; Benavoli et al. 2016)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import pandas as pd
from scipy import special

from tabbench.errors import UserError
from tabbench.stats.corrections import Correction, adjust, holm
from tabbench.stats.effects import rank_biserial
from tabbench.stats.ranks import TOLERANCE, check_table, levels, mean_ranks, rank_table, ranked

EXACT_UP_TO = 50  # pairs
WIDEST_RANGE = 40.0  # of normal numbers, at any level
LARGEST = (-9.0, 9.0, 361)  # from, to and number of the points at which the largest of normal numbers is looked at
Zeros = Literal["pratt", "zsplit", "drop"]  # what becomes of pairs without a difference


@dataclass(frozen=True)
class Friedman:
    """chi2, p : Friedman's statistic with tie correction. f, f_p : Iman and Davenport's (F distributed, less conservative).

    f_p is at least the chance that all datasets rank the models alike, k!^(1 - n): of two models on three datasets nothing can be
    significant, where F is infinite.
    kendall_w : agreement of the datasets on the order, from 0 (none) to 1 (all rank alike): the effect size of the test.
    """

    chi2: float
    p: float
    f: float
    f_p: float
    kendall_w: float
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
    alike = np.exp((1 - n) * special.gammaln(k + 1))
    p, f_p = float(special.chdtrc(k - 1, chi2)), float(max(alike, special.fdtrc(k - 1, (k - 1) * (n - 1), f)))
    return Friedman(chi2, p, float(f), f_p, chi2 / (n * (k - 1)), n, k)


@cache
def nemenyi_q(n_models: int, alpha: float = 0.05) -> float:
    """Critical value of Nemenyi's test: of the studentised range, infinite degrees of freedom, over √2 (Demšar 2006, Table 5)."""
    low, high = 0.0, WIDEST_RANGE
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if _range_exceeds(np.array(middle), n_models) > alpha else (low, middle)
    return high / float(np.sqrt(2))


def _range_exceeds(q: np.ndarray, n: int) -> np.ndarray:
    """Chance that n standard normal numbers have a range of more than q, for every q (…).

    The integral of n φ(z) (Φ(z) - Φ(z - q))^(n-1) over the largest, z, by the trapezoidal rule: all its derivatives vanish at
    both ends, so that it is exact but for rounding.
    """
    z, step = np.linspace(*LARGEST, retstep=True)
    inside = (special.ndtr(z) - special.ndtr(z - q[..., None])) ** (n - 1)
    return 1 - n * step / np.sqrt(2 * np.pi) * inside @ np.exp(-(z**2) / 2)


def nemenyi_cd(n_models: int, n_datasets: int, alpha: float = 0.05) -> float:
    """Least difference of two mean ranks that is significant among all pairs (Demšar 2006, §3.2.2, eq. for CD)."""
    return float(nemenyi_q(n_models, alpha) * np.sqrt(n_models * (n_models + 1) / (6 * n_datasets)))


def bonferroni_dunn_cd(n_models: int, n_datasets: int, alpha: float = 0.05) -> float:
    """Least difference of a mean rank from a control's that is significant (Demšar 2006, §3.2.2)."""
    z = -special.ndtri(alpha / (2 * (n_models - 1)))
    return float(z * np.sqrt(n_models * (n_models + 1) / (6 * n_datasets)))


def nemenyi(scores: pd.DataFrame, greater_is_better: bool, tolerance: float = TOLERANCE) -> pd.DataFrame:
    """(k, k) p-values of Nemenyi's test, corrected for all pairs; 1 on the diagonal (Demšar 2006, §3.2.2).

    They depend on which other models are in the table: for a verdict on a pair take `pairwise_wilcoxon`.
    """
    means = mean_ranks(scores, greater_is_better, tolerance)
    z = _rank_gaps(means, len(scores), np.abs(np.subtract.outer(means.to_numpy(), means.to_numpy())))
    p = _range_exceeds(z * np.sqrt(2), len(means))
    np.fill_diagonal(p, 1.0)
    return pd.DataFrame(np.clip(p, 0.0, 1.0), means.index, means.index)


def against_control(means: pd.Series, n_datasets: int, control: str) -> pd.DataFrame:
    """Test every other model against a control by mean ranks, with Holm's correction (Demšar 2006, §3.2.2, Table 7).

    means : mean rank by model. Columns, by model: z (positive: the model ranks better than the control), p, p_adjusted.
    Raises UserError if there is no such model.
    """
    if control not in means.index:
        raise UserError(f"no model {control!r} to compare with: known: {', '.join(map(str, means.index))}")
    others = means.drop(control)
    z = _rank_gaps(means, n_datasets, means[control] - others.to_numpy())
    p = 2 * special.ndtr(-np.abs(z))
    return pd.DataFrame({"z": z, "p": p, "p_adjusted": holm(p)}, index=others.index)


def _rank_gaps(means: pd.Series, n_datasets: int, gaps: np.ndarray) -> np.ndarray:
    """Differences of mean ranks in standard errors."""
    k = len(means)
    return gaps / np.sqrt(k * (k + 1) / (6 * n_datasets))


def sign_test(wins: np.ndarray | int, ties: np.ndarray | int, losses: np.ndarray | int) -> np.ndarray:
    """Two-sided p of wins against losses; ties are shared between the two, an odd one being left out (Demšar 2006, §3.1.4)."""
    w, t, v = (np.asarray(part, np.int64) for part in (wins, ties, losses))
    n = w + v + t // 2 * 2
    return np.minimum(1.0, 2 * special.bdtr((np.minimum(w, v) + t // 2).astype(np.float64), n, 0.5))


def signed_rank(
    differences: np.ndarray,
    zeros: Zeros = "pratt",
    tolerance: float = TOLERANCE,
    exact_up_to: int = EXACT_UP_TO,
) -> tuple[np.ndarray, np.ndarray]:
    """Wilcoxon's signed-rank statistics (the smaller rank sums) and two-sided p of m samples of n paired differences (m, n).

    "pratt": zeros are ranked and then dropped (Pratt 1959); "zsplit": their ranks are shared between the signs (Demšar 2006);
    "drop": they are dropped before anything is ranked (Wilcoxon 1945).
    Differences, and their sizes, are equal when they agree within `tolerance`. Up to `exact_up_to` pairs p is exact, ties
    and zeros included (the normal approximation calls five wins in five significant, which they cannot be); all zero: p = 1.
    """
    differences = np.where(np.abs(differences) <= tolerance, 0.0, differences)
    ranks = ranked(levels(np.abs(differences), tolerance))
    if zeros == "drop":  # zeros have the lowest ranks
        ranks = ranks - np.sum(differences == 0, axis=1, keepdims=True)
    smaller = np.minimum(np.sum(ranks * (differences > 0), axis=1), np.sum(ranks * (differences < 0), axis=1))
    kept = np.where(differences == 0, 0.0, ranks)
    shared = (ranks - kept).sum(axis=1) / 2 if zeros == "zsplit" else 0.0
    if differences.shape[1] <= exact_up_to:
        p = np.array([_exact_p(*sample) for sample in zip(kept, smaller, strict=True)])
    else:
        variance = np.sum((ranks if zeros == "zsplit" else kept) ** 2, axis=1) / 4
        z = (smaller - kept.sum(axis=1) / 2) / np.sqrt(np.where(kept.any(axis=1), variance, 1.0))
        p = np.minimum(1.0, 2 * special.ndtr(z))
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
    exact_up_to: int = EXACT_UP_TO,
    correction: Correction = "holm",
) -> pd.DataFrame:
    """Signed-rank test of every pair of models, corrected over the pairs: the rows of a multi-comparison matrix.

    Its verdict on two models does not depend on which others took part, but for the correction (Benavoli et al. 2016;
    Ismail-Fawaz et al. 2023). Columns: model_a, model_b, n (datasets), wins, ties, losses (of a), mean_difference and
    median_difference (positive: a is better), rank_biserial (see `effects`), statistic, p, p_adjusted.
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
            "wins": np.sum(differences > tolerance, axis=1),
            "ties": np.sum(np.abs(differences) <= tolerance, axis=1),
            "losses": np.sum(differences < -tolerance, axis=1),
            "mean_difference": differences.mean(axis=1),
            "median_difference": np.median(differences, axis=1),
            "rank_biserial": rank_biserial(differences, tolerance),
            "statistic": statistic,
            "p": p,
            "p_adjusted": adjust(p, correction),
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
