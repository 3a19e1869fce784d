"""How hard the classes are to tell apart by columns, lines and counts (Lorena et al. 2019): pymfe's group "complexity".

Its measures of neighbourhoods are in `neighbourhood.py`. Classes are looked at in pairs; the pairs' support vector machines
are fitted once for l1, l2 and l3.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tabbench.metafeatures.registry import metafeature, shared
from tabbench.metafeatures.statistical import covariance
from tabbench.metafeatures.table import Table

EXPLAINED = 0.95
SVM = {"penalty": "l2", "loss": "hinge", "C": 2.0, "tol": 0.01, "max_iter": 100_000, "random_state": 0}


@shared
def _pairs(table: Table) -> np.ndarray:
    """(m, 2) pairs of classes."""
    return np.array(list(combinations(range(len(table.class_counts)), 2)))


@shared
def _centres(table: Table) -> np.ndarray:
    """(k, p) means of the classes."""
    return np.array([table.N[rows].mean(axis=0) for rows in table.by_class])


@shared
def _ends(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Minimum and maximum of every column in every class, each (k, p)."""
    parts = [table.N[rows] for rows in table.by_class]
    return np.array([part.min(axis=0) for part in parts]), np.array([part.max(axis=0) for part in parts])


@metafeature("complexity")
def f1(table: Table) -> np.ndarray:
    """1 / (1 + Fisher's discriminant ratio) of every column."""
    between = table.class_counts @ (_centres(table) - table.N.mean(axis=0)) ** 2
    within = ((table.N - _centres(table)[table.y]) ** 2).sum(axis=0)
    return 1 / (1 + between / within)


@metafeature("complexity")
def f1v(table: Table) -> np.ndarray:
    """1 / (1 + Fisher's ratio along the discriminant) of every pair of classes."""
    from scipy.linalg import pinv

    counts, centres = table.class_counts, _centres(table)
    scatters = [np.atleast_2d(np.cov(table.N[rows], rowvar=False)) for rows in table.by_class]
    ratios = []
    for a, b in _pairs(table):
        within = (counts[a] * scatters[a] + counts[b] * scatters[b]) / (counts[a] + counts[b])
        difference = centres[a] - centres[b]
        direction = pinv(within) @ difference
        ratios.append((direction @ difference) ** 2 / (direction @ within @ direction))
    return 1 / (1 + np.array(ratios))


@metafeature("complexity")
def f2(table: Table) -> np.ndarray:
    """Volume in which both classes of a pair lie, over the volume of both."""
    low, high = _ends(table)
    a, b = _pairs(table).T
    overlap = np.maximum(0, np.minimum(high[a], high[b]) - np.maximum(low[a], low[b]))
    return np.prod(overlap / (np.maximum(high[a], high[b]) - np.minimum(low[a], low[b])), axis=1)


def _in_overlap(N: np.ndarray, is_first: np.ndarray) -> np.ndarray:
    """(n, p) whether a value is where both classes have values; nowhere if a class has no rows."""
    if is_first.all() or not is_first.any():
        return np.zeros(N.shape, dtype=bool)
    first, second = N[is_first], N[~is_first]
    low = np.maximum(first.min(axis=0), second.min(axis=0))
    return (low <= N) & (np.minimum(first.max(axis=0), second.max(axis=0)) >= N)


@metafeature("complexity")
def f3(table: Table) -> np.ndarray:
    """Share of a pair's rows that its best column leaves undecided."""
    return np.array([_in_overlap(N, is_first).sum(axis=0).min() / len(N) for N, is_first in _pair_rows(table)])


@metafeature("complexity")
def f4(table: Table) -> np.ndarray:
    """Share of a pair's rows that all columns, the best first, leave undecided."""
    shares = []
    for N, is_first in _pair_rows(table):
        rows = len(N)
        while N.size:
            inside = _in_overlap(N, is_first)
            best = int(np.argmin(inside.sum(axis=0)))
            N, is_first = np.delete(N[inside[:, best]], best, axis=1), is_first[inside[:, best]]
        shares.append(len(N) / rows)
    return np.array(shares)


@shared
def _pair_rows(table: Table) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows of every pair of classes, in the table's order, and which are of the first."""
    taken = [np.flatnonzero((table.y == a) | (table.y == b)) for a, b in _pairs(table)]
    return [(table.N[rows], table.y[rows] == a) for rows, (a, _) in zip(taken, _pairs(table), strict=True)]


@dataclass(frozen=True, eq=False)
class _Line:
    """What a pair's linear classifier does on its rows: errors of rows, sum of the errors' distances, errors of new rows."""

    errors: float
    distance: float
    errors_between: float


@shared
def _lines(table: Table) -> list[_Line]:
    from sklearn.svm import LinearSVC

    lines = []
    for i, (N, is_first) in enumerate(_pair_rows(table)):
        centre, spread = N.mean(axis=0), N.std(axis=0)
        spread[spread**2 <= _variance_noise(N, centre, spread)] = 1
        svm = LinearSVC(**SVM).fit((N - centre) / spread, is_first)
        slope = svm.coef_[0] / spread
        margins = (N - centre) @ slope + svm.intercept_
        right = (margins > 0) == is_first
        order = [np.flatnonzero(is_first), np.flatnonzero(~is_first)]
        between, labels = interpolate(N, is_first, order, seed=i + 1)
        right_between = ((between - centre) @ slope + svm.intercept_ > 0) == labels
        lines.append(_Line(1 - np.mean(right), np.abs(margins[~right]).sum() / len(N), 1 - np.mean(right_between)))
    return lines


def _variance_noise(N: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Variance that rounding alone may give a constant column; scikit-learn's scaler does not divide by less."""
    noise = len(N) * np.finfo(np.float64).eps
    return noise * spread**2 + (noise * centre) ** 2


def interpolate(N: np.ndarray, y: np.ndarray, by_class: list[np.ndarray], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """As many new rows as old ones, class after class, each between two rows of its class; the draws are pymfe's."""
    random = np.random.RandomState(seed)
    parts = []
    for rows in by_class:
        a, b = N[rows[random.choice(len(rows), len(rows))]], N[rows[random.choice(len(rows), len(rows))]]
        parts.append(a + (b - a) * random.random_sample(a.shape))
    return np.concatenate(parts), np.concatenate([y[rows] for rows in by_class])


@metafeature("complexity")
def l1(table: Table) -> np.ndarray:
    """1 - 1 / (1 + mean distance of the errors from a pair's line)."""
    return 1 - 1 / (1 + np.array([line.distance for line in _lines(table)]))


@metafeature("complexity")
def l2(table: Table) -> np.ndarray:
    """Errors of a pair's line."""
    return np.array([line.errors for line in _lines(table)])


@metafeature("complexity")
def l3(table: Table) -> np.ndarray:
    """Errors of a pair's line on rows drawn between those of a class."""
    return np.array([line.errors_between for line in _lines(table)])


@metafeature("complexity")
def c1(table: Table) -> float:
    """Entropy of the classes over its maximum."""
    shares = table.class_counts / len(table.y)
    return float(-np.sum(shares * np.log(shares)) / np.log(len(shares)))


@metafeature("complexity")
def c2(table: Table) -> float:
    """1 - 1 / (imbalance ratio of all classes)."""
    counts, k = table.class_counts, len(table.class_counts)
    return float(1 - 1 / ((k - 1) / k * np.sum(counts / (len(table.y) - counts))))


@shared
def _components(table: Table) -> int:
    """Principal components that explain 95% of the variance."""
    variances = np.linalg.eigvalsh(covariance(table))[::-1]
    variances = np.maximum(variances[: min(table.N.shape)], 0)
    return int(np.searchsorted(np.cumsum(variances / variances.sum()), EXPLAINED, side="right")) + 1


@metafeature("complexity")
def t2(table: Table) -> float:
    """Dimensions per row."""
    return table.N.shape[1] / table.N.shape[0]


@metafeature("complexity")
def t3(table: Table) -> float:
    """Principal components for 95% of the variance, per row."""
    return _components(table) / table.N.shape[0]


@metafeature("complexity")
def t4(table: Table) -> float:
    """Principal components for 95% of the variance, per dimension."""
    return _components(table) / table.N.shape[1]
