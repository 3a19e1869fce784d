"""The synthetic prior: random classification tables on which the network is pretrained.

A table is drawn in four steps: a family of functions (prior_functions.py, prior_formulas.py) gives features and scores, scores
become classes, overlays (prior_overlays.py) make the features look like real ones, and a cheap check redraws tables that nobody
could learn.
Only numpy is needed. A batch is a pure function of its arguments, so that training can resume anywhere.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tabbench.pfn.prior_formulas import distances, formulas, interactions, readings
from tabbench.pfn.prior_functions import Drawn, Rng, causal, clusters, linear, quantile_cuts, rules, smooth, standardize, trees
from tabbench.pfn.prior_overlays import add_junk, drop_cells, make_categorical, repeat_rows, tie_values, warp

MAX_CLASSES = 10
MAX_DRAWS = 4
FAMILIES: dict[str, tuple[Callable[[Rng, int, int, int], Drawn], float]] = {  # name → function and share of the tables
    "causal": (causal, 0.30),
    "trees": (trees, 0.22),
    "rules": (rules, 0.07),
    "smooth": (smooth, 0.07),
    "clusters": (clusters, 0.05),
    "linear": (linear, 0.06),
    "formulas": (formulas, 0.06),
    "interactions": (interactions, 0.04),
    "distances": (distances, 0.04),
    "readings": (readings, 0.09),
}


class Batch(NamedTuple):
    """Tables of one shape; the first `n_context` rows of each hold every class.

    x : (n_tasks, n_rows, n_features) float32, NaN = missing, categorical columns hold shuffled integer codes.
    y : (n_tasks, n_rows) int64 in 0..n_classes-1. categorical : (n_tasks, n_features) bool. n_classes : (n_tasks,) int64.
    """

    x: np.ndarray
    y: np.ndarray
    categorical: np.ndarray
    n_classes: np.ndarray


def sample_batch(seed: int, step: int, n_tasks: int, n_rows: int, n_context: int, n_features: int) -> Batch:
    """Draw `n_tasks` tables; the same arguments give the same bytes."""
    tables = [
        sample_table(np.random.Generator(np.random.SFC64([seed, step, i])), n_rows, n_context, n_features) for i in range(n_tasks)
    ]
    x, y, categorical = (np.stack(parts) for parts in zip(*tables, strict=True))
    return Batch(x, y, categorical, y.max(axis=1) + 1)


def sample_table(
    rng: Rng, n_rows: int, n_context: int, n_features: int, family: str | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One table: x (n_rows, n_features) float32, y (n_rows,) int64, categorical (n_features,) bool."""
    for _ in range(MAX_DRAWS):
        x, y = _draw(rng, n_rows, n_context, n_features, family or _pick(rng))
        repeat_rows(rng, x, y)
        y = _flip(rng, y)
        add_junk(rng, x)
        tie_values(rng, x)
        warp(rng, x)
        if _learnable(x, y):
            break
    categorical = make_categorical(rng, x)
    drop_cells(rng, x)
    columns = rng.permutation(n_features)
    y = _fill_context(rng, y, n_context)
    return x.take(columns, axis=1), y, categorical[columns]  # take: in row-major order, like what comes from another process


def _pick(rng: Rng) -> str:
    """A family, as often as its share says."""
    ends = np.cumsum([share for _, share in FAMILIES.values()])
    return list(FAMILIES)[int(np.searchsorted(ends, rng.random() * ends[-1], side="right"))]


def _draw(rng: Rng, n_rows: int, n_context: int, n_features: int, family: str) -> tuple[np.ndarray, np.ndarray]:
    """Features and classes; in an eighth of the tables without the quarter of the rows that is nearest to another class."""
    k = 2 if rng.random() < 0.55 else int(rng.integers(3, MAX_CLASSES + 1))
    k = max(2, min(k, n_context // 4))
    by_rank = k == 2 or rng.random() < 0.5
    apart = rng.random() < 0.125
    n_drawn = -(-4 * n_rows // 3) if apart else n_rows
    x, scores = FAMILIES[family][0](rng, n_drawn, n_features, 1 if by_rank else k)
    scores = standardize(scores) if apart else _noisy(rng, scores)
    y, margin = _classes_by_rank(rng, scores[:, 0], k) if by_rank else _classes_by_argmax(rng, scores)
    if apart:
        rows = np.sort(np.argpartition(margin, n_drawn - n_rows)[n_drawn - n_rows :])
        x, y = x[rows], y[rows]
    return np.array(x, np.float32), y


def _noisy(rng: Rng, scores: np.ndarray) -> np.ndarray:
    """Standardised scores with noise, so that the best possible accuracy varies between tables."""
    scores = standardize(scores)
    if rng.random() < 0.2:
        return scores
    return scores + np.float32(np.exp(rng.uniform(np.log(0.02), np.log(1.6)))) * rng.standard_normal(scores.shape, np.float32)


def _shares(rng: Rng, k: int, n: int) -> np.ndarray:
    """Class shares: about even, or one class down to a hundredth, or a few frequent classes and a tail of rare ones."""
    kind, least = rng.random(), max(0.01, 3 / n)
    if kind < 0.45:
        return rng.dirichlet(np.full(k, 12.0))
    if kind < 0.75 or k == 2:
        rare = np.exp(rng.uniform(np.log(least), np.log(1 / k)))
        return rng.permutation(np.append((1 - rare) * rng.dirichlet(np.full(k - 1, 3.0)), rare))
    shares = np.exp(-rng.uniform(0.3, 1.3) * np.arange(k)) + least
    return rng.permutation(shares / shares.sum())


def _classes_by_rank(rng: Rng, score: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut one score, and how far each row is from a cut; a class is one stretch of the score or, at times, several.

    Cuts are at the quantiles of random class shares or, for ordinal classes with rare ends, at equal steps of the score.
    """
    kind = rng.random() if k > 2 else 1.0
    codes = np.arange(k)
    if kind < 0.3:
        n_bins = int(rng.integers(k, 3 * k + 1))
        codes = np.concatenate([codes, rng.integers(0, k, n_bins - k)])
        cuts = quantile_cuts(score, np.sort(rng.random(n_bins - 1)))
    elif kind < 0.5:
        low, high = quantile_cuts(score, np.array([0.02, 0.98]))
        cuts = np.linspace(low, high, k + 1)[1:-1].astype(np.float32)
    else:
        cuts = quantile_cuts(score, np.cumsum(_shares(rng, k, len(score)))[:-1])
    return rng.permutation(k)[codes[np.searchsorted(cuts, score)]], np.abs(score[:, None] - cuts).min(axis=1)


def _classes_by_argmax(rng: Rng, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The class with the highest score, with offsets that make some classes rarer, and how far the second is behind."""
    scores = scores + rng.normal(0, rng.choice((0.0, 0.5, 1.0)), scores.shape[1]).astype(np.float32)
    highest = np.partition(scores, -2, axis=1)[:, -2:]
    return np.argmax(scores, axis=1), highest[:, 1] - highest[:, 0]


def _flip(rng: Rng, y: np.ndarray) -> np.ndarray:
    """In three tables of ten up to 15% of the labels are drawn anew from the labels of the table."""
    if rng.random() > 0.3:
        return y
    return np.where(rng.random(len(y)) < rng.uniform(0, 0.15), y[rng.integers(0, len(y), len(y))], y)


def _learnable(x: np.ndarray, y: np.ndarray, n: int = 192) -> bool:
    """Whether nearest neighbours or a single column tell something about y; much cheaper than fitting trees.

    Of the first rows: one column's between-class share of variance (of its value or of its distance from the middle) must exceed
    what chance gives, or half of the rows, as 5 nearest neighbours, must vote for the classes of the other half by more than
    chance, classes counting alike however rare.
    """
    x, y = standardize(np.clip(standardize(x[:n]), -4, 4)), y[:n]
    one_hot = np.eye(y.max() + 1, dtype=np.float32)[y]
    one_hot = one_hot[:, one_hot.any(axis=0)]
    counts = one_hot.sum(axis=0)
    if len(counts) < 2:
        return False
    bent = np.concatenate([x, standardize(np.abs(x))], axis=1)
    means = one_hot.T @ bent / counts[:, None]
    explained = counts @ (means * means) / len(y)
    if explained.max() > 0.06 + 3 * (len(counts) - 1) / len(y):
        return True
    half = len(y) // 2
    votes, asked = x[:half], x[half:]
    distance = (votes * votes).sum(axis=1) - 2 * asked @ votes.T
    near = np.argpartition(distance, 5, axis=1)[:, :5]
    said = one_hot[:half][near].mean(axis=1)
    lift = (((said - said.mean(axis=0)) * one_hot[half:]).mean(axis=0) * len(y) / counts).sum()
    return bool(lift > 0.05 + 2 * (len(counts) - 1) / np.sqrt(5 * half * len(counts)))


def _fill_context(rng: Rng, y: np.ndarray, n_context: int) -> np.ndarray:
    """Number the classes 0..k-1 at random and see that the context has each: a few labels are exchanged where it has not.

    A class without any row disappears; if only one is left, a tenth of the rows is drawn into a second.
    """
    present = np.unique(y)
    if len(present) == 1:
        y = np.where(np.arange(len(y)) % 10 == 0, present[0] + 1, y)
        present = np.unique(y)
    code = np.empty(present.max() + 1, np.int64)
    code[present] = rng.permutation(len(present))
    y = code[y]
    counts = np.bincount(y[:n_context], minlength=len(present))
    for absent in np.flatnonzero(counts == 0):
        rich = int(counts.argmax())
        row = rng.choice(np.flatnonzero(y[:n_context] == rich))
        y[row] = absent
        counts[rich] -= 1
        counts[absent] = 1
    return y
