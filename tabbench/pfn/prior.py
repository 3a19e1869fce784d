"""The synthetic prior: random classification tables on which the network is pretrained.

A table is drawn in four steps: a family of functions (prior_functions.py) gives features and scores, scores become classes,
overlays (prior_overlays.py) make the features look like real ones, and a cheap check redraws tables that nobody could learn.
Only numpy is needed. A batch is a pure function of its arguments, so that training can resume anywhere.
"""

from typing import NamedTuple

import numpy as np

from tabbench.pfn.prior_functions import FAMILIES, Rng, standardize
from tabbench.pfn.prior_overlays import add_junk, drop_cells, make_categorical, warp

MAX_CLASSES = 10
MAX_DRAWS = 4
_NAMES = list(FAMILIES)
_SHARES = np.array([share for _, share in FAMILIES.values()])


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
    tables = [sample_table(np.random.default_rng([seed, step, i]), n_rows, n_context, n_features) for i in range(n_tasks)]
    x, y, categorical = (np.stack(parts) for parts in zip(*tables, strict=True))
    return Batch(x, y, categorical, y.max(axis=1) + 1)


def sample_table(
    rng: Rng, n_rows: int, n_context: int, n_features: int, family: str | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One table: x (n_rows, n_features) float32, y (n_rows,) int64, categorical (n_features,) bool."""
    for _ in range(MAX_DRAWS):
        name = family or rng.choice(_NAMES, p=_SHARES / _SHARES.sum())
        k = 2 if rng.random() < 0.55 else int(rng.integers(3, MAX_CLASSES + 1))
        k = min(k, n_context // 4)
        by_rank = k == 2 or rng.random() < 0.5
        x, scores = FAMILIES[name][0](rng, n_rows, n_features, 1 if by_rank else k)
        y = _classes_by_rank(rng, scores[:, 0], k) if by_rank else _classes_by_argmax(rng, scores)
        x, y = np.array(x, np.float32), _flip(rng, y)
        add_junk(rng, x)
        warp(rng, x)
        if _learnable(x, y):
            break
    categorical = make_categorical(rng, x)
    drop_cells(rng, x)
    columns = rng.permutation(n_features)
    y = _fill_context(rng, y, n_context)
    return x.take(columns, axis=1), y, categorical[columns]  # take: in row-major order, like what comes from another process


def _noisy(rng: Rng, scores: np.ndarray) -> np.ndarray:
    """Standardised scores with noise, so that the best possible accuracy varies between tables."""
    amount = 0.0 if rng.random() < 0.25 else np.exp(rng.uniform(np.log(0.02), np.log(1.2)))
    return standardize(scores) + np.float32(amount) * rng.standard_normal(scores.shape, np.float32)


def _shares(rng: Rng, k: int) -> np.ndarray:
    """Class shares: about even in half of the tables, else one class down to a hundredth."""
    if rng.random() < 0.5:
        return rng.dirichlet(np.full(k, 12.0))
    shares = rng.dirichlet(np.full(k, 2.0))
    shares[rng.integers(k)] = np.exp(rng.uniform(np.log(0.01), np.log(0.5))) / k
    return shares / shares.sum()


def _classes_by_rank(rng: Rng, score: np.ndarray, k: int) -> np.ndarray:
    """Cut one score at the quantiles of random class shares; the classes in order, or shuffled along the score."""
    score = _noisy(rng, score[:, None])[:, 0]
    cuts = np.quantile(score, np.cumsum(_shares(rng, k))[:-1])
    bins = np.searchsorted(cuts, score)
    if k > 2 and rng.random() < 0.3:  # one class in several stretches of the score
        n_bins = int(rng.integers(k, 3 * k + 1))
        cuts = np.quantile(score, np.sort(rng.random(n_bins - 1)))
        bins = np.concatenate([np.arange(k), rng.integers(0, k, n_bins - k)])[np.searchsorted(cuts, score)]
    return rng.permutation(k)[bins]


def _classes_by_argmax(rng: Rng, scores: np.ndarray) -> np.ndarray:
    """The class with the highest noisy score, with offsets that make some classes rarer."""
    offsets = rng.normal(0, rng.choice([0.0, 0.5]), scores.shape[1])
    return np.argmax(_noisy(rng, scores) + offsets, axis=1)


def _flip(rng: Rng, y: np.ndarray) -> np.ndarray:
    """In three tables of ten up to 15% of the labels are drawn anew from the labels of the table."""
    if rng.random() > 0.3:
        return y
    return np.where(rng.random(len(y)) < rng.uniform(0, 0.15), y[rng.integers(0, len(y), len(y))], y)


def _learnable(x: np.ndarray, y: np.ndarray, n: int = 192) -> bool:
    """Whether nearest neighbours or a single column tell something about y; much cheaper than fitting trees.

    Half of the first rows vote for the other half: 5 nearest neighbours must beat the majority class by .02, or one column's
    between-class share of variance (of its value or of its distance from the middle) must exceed what chance gives.
    """
    x, y = standardize(np.clip(standardize(x[:n]), -4, 4)), y[:n]
    one_hot = np.eye(y.max() + 1, dtype=np.float32)[y]
    counts = one_hot.sum(axis=0)
    bent = np.concatenate([x, standardize(np.abs(x))], axis=1)
    means = one_hot.T @ bent / np.maximum(counts, 1)[:, None]
    explained = counts @ (means * means) / len(y)
    if explained.max() > 0.06 + 3 * (len(counts) - 1) / len(y):
        return True
    half = len(y) // 2
    votes, asked = x[:half], x[half:]
    distance = (votes * votes).sum(axis=1) - 2 * asked @ votes.T
    near = np.argpartition(distance, 5, axis=1)[:, :5]
    said = one_hot[:half][near].sum(axis=1).argmax(axis=1)
    return bool(np.mean(said == y[half:]) > counts.max() / len(y) + 0.02)


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
