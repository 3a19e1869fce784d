"""Bayesian comparison of two models: how probable it is that one is better, the other, or that they are practically equal.

Benavoli, Corani, Demšar and Zaffalon (2017), Time for a change, §4. The region of practical equivalence ("rope") is the largest
difference that nobody would care about, in units of the score. Differences are a minus b of scores where greater is better.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.special import stdtr

from tabbench.errors import UserError
from tabbench.stats.corrections import holm
from tabbench.stats.ranks import check_table

N_SAMPLES = 50_000
AT_ONCE = 500  # of the samples
MOST_DATASETS = 1000  # of the signed-rank test: two seconds a pair of models


@dataclass(frozen=True)
class Posterior:
    """Probabilities, which sum to 1, that model a is better, that the two are practically equal, and that b is better."""

    a: float
    equal: float
    b: float


def sign_test(differences: np.ndarray, rope: float, prior: float = 1.0, seed: int = 0) -> Posterior:
    """Bayesian sign test over datasets, differences (n,): only the side counts, not the size (Benavoli et al. 2017, §4.2.1).

    prior : weight, in datasets, of one imagined dataset within the rope. Raises UserError for a negative rope or no dataset.
    """
    d = _checked(differences, rope)
    counts = np.array([np.sum(d > rope), np.sum(np.abs(d) <= rope), np.sum(d < -rope)]) + np.array([0, prior, 0])
    return _most_probable(np.random.default_rng(seed).dirichlet(counts + 1e-4, N_SAMPLES))  # 0 is no parameter of it


def signed_rank_test(differences: np.ndarray, rope: float, prior: float = 0.5, seed: int = 0) -> Posterior:
    """Bayesian signed-rank test over datasets, differences (n,): a Dirichlet process (Benavoli et al. 2014; 2017, §4.2.2).

    prior : weight, in datasets, of one imagined dataset without difference. Raises UserError as `sign_test`.
    """
    d = np.concatenate([[0.0], _checked(differences, rope)])
    order = np.argsort(d, kind="stable")
    sums = np.add.outer(d, d[order])  # rising along a row: what is below an edge is its beginning
    edges = [((sums < edge).sum(axis=1), (sums <= edge).sum(axis=1)) for edge in (-2 * rope, 2 * rope)]
    rng, alpha, parts = np.random.default_rng(seed), [prior, *np.ones(len(d) - 1)], []
    for _ in range(0, N_SAMPLES, AT_ONCE):
        weights = rng.dirichlet(alpha, AT_ONCE)
        mass = np.pad(np.cumsum(weights[:, order], axis=1), [(0, 0), (1, 0)])
        b, not_a = (np.einsum("sn,sn->s", weights, mass[:, below] + mass[:, upto]) / 2 for below, upto in edges)
        parts.append(np.stack([1 - not_a, not_a - b, b], axis=1))
    return _most_probable(np.concatenate(parts))


def correlated_t(differences: np.ndarray, rope: float, test_share: float) -> Posterior:
    """Bayesian correlated t-test on the folds of one dataset, differences (n,) (Corani and Benavoli 2015): exact.

    test_share : share of the rows that a fold scores, 1/10 for ten-fold cross-validation; it is taken as the correlation of
    folds. Raises UserError for fewer than two folds, a share outside (0, 1), or a negative rope.
    """
    d = _checked(differences, rope)
    mean, error = float(d.mean()), nadeau_bengio_error(d, test_share)
    if error == 0:
        return Posterior(float(mean > rope), float(abs(mean) <= rope), float(mean < -rope))
    a, b = (float(stdtr(len(d) - 1, side)) for side in ((mean - rope) / error, (-rope - mean) / error))
    return Posterior(a, 1 - a - b, b)


def nadeau_bengio_error(differences: np.ndarray, test_share: float) -> float:
    """Standard error of a mean over folds whose training parts overlap (Nadeau and Bengio 2003, eq. 9)."""
    n = len(differences)
    if n < 2 or not 0 < test_share < 1:
        raise UserError(f"folds of one dataset: at least 2, with a test share between 0 and 1; got {n} and {test_share:g}")
    return float(np.sqrt((1 / n + test_share / (1 - test_share)) * np.var(differences, ddof=1)))


def nadeau_bengio(differences: np.ndarray, test_share: float) -> tuple[float, float]:
    """Corrected resampled t-test on the folds of one dataset, differences (n,): t and its two-sided p (Nadeau and Bengio 2003).

    The plain t-test takes overlapping folds for independent and finds what is not there. No spread: t is 0 or infinite.
    Raises UserError as `correlated_t`.
    """
    d = np.asarray(differences, np.float64)
    mean, error = float(d.mean()) if len(d) else 0.0, nadeau_bengio_error(d, test_share)
    t = mean / error if error > 0 else float(np.sign(mean)) * np.inf if mean else 0.0
    return t, float(2 * stdtr(len(d) - 1, -abs(t)))


def pairs_of_folds(folds: pd.DataFrame, greater_is_better: bool, rope: float, test_share: float) -> pd.DataFrame:
    """Every pair of models on the folds (rows) of one dataset, the better mean first; models that lack a fold are left out.

    Columns: model_a, model_b, mean_difference (of a, signed so that more is better), t and p of the corrected resampled t-test,
    p_holm (over all pairs), and p_a, p_equal, p_b of the correlated t-test. Empty for one fold or one model. Raises UserError as
    `correlated_t`.
    """
    scores = folds.dropna(axis=1) * (1 if greater_is_better else -1)
    if min(scores.shape) < 2:
        return pd.DataFrame()
    rows = []
    for a, b in combinations(scores.mean().sort_values(ascending=False, kind="stable").index, 2):
        gap = (scores[a] - scores[b]).to_numpy()
        t, p = nadeau_bengio(gap, test_share)
        posterior = correlated_t(gap, rope, test_share)
        row = {"model_a": a, "model_b": b, "mean_difference": gap.mean(), "t": t, "p": p}
        rows.append({**row, "p_a": posterior.a, "p_equal": posterior.equal, "p_b": posterior.b})
    table = pd.DataFrame(rows)
    return table.assign(p_holm=holm(table["p"]))


def compare_with(scores: pd.DataFrame, greater_is_better: bool, model: str, rope: float, seed: int = 0) -> pd.DataFrame:
    """One model against every other of a complete (dataset × model) table, by the signed-rank test and by the sign test.

    Index: the other model. Columns: p_model, p_equal, p_other of the signed-rank test, which are left out beyond 1,000 datasets;
    s_model, s_equal, s_other of the sign test. Raises UserError for an incomplete table or a negative rope.
    """
    values = pd.DataFrame(check_table(scores) * (1 if greater_is_better else -1), columns=scores.columns)
    tests = {"p": signed_rank_test, "s": sign_test} if len(scores) <= MOST_DATASETS else {"s": sign_test}
    others = [name for name in scores.columns if name != model]
    found = pd.DataFrame(index=others)
    for letter, test in tests.items():
        posteriors = [test((values[model] - values[other]).to_numpy(), rope, seed=seed) for other in others]
        found[[f"{letter}_model", f"{letter}_equal", f"{letter}_other"]] = [(p.a, p.equal, p.b) for p in posteriors]
    return found


def _checked(differences: np.ndarray, rope: float) -> np.ndarray:
    d = np.asarray(differences, np.float64)
    if d.ndim != 1 or len(d) == 0 or not np.isfinite(d).all():
        raise UserError("a Bayesian comparison needs one finite difference by dataset or fold, at least one")
    if rope < 0:
        raise UserError(f"the region of practical equivalence cannot be negative, got {rope:g}")
    return d


def _most_probable(samples: np.ndarray) -> Posterior:
    """How often each of the three, (n, 3), is the most probable one in the posterior."""
    shares = np.bincount(samples.argmax(axis=1), minlength=3) / len(samples)
    return Posterior(*shares.tolist())
