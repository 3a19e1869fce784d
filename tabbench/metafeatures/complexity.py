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
HINGE_DUAL, C, TOLERANCE, MAX_ITER = 3, 2.0, 0.01, 100_000  # liblinear's number of the solver, and its settings
LIBLINEAR_SEED = 209652396  # what scikit-learn draws for random_state=0


@shared
def _pairs(table: Table) -> np.ndarray:
    """(m, 2) pairs of classes."""
    return np.array(list(combinations(range(len(table.class_counts)), 2)))


@shared
def _classes(table: Table) -> list[np.ndarray]:
    """Rows of every class."""
    return [table.N[rows] for rows in table.by_class]


@shared
def _centres(table: Table) -> np.ndarray:
    """(k, p) means of the classes."""
    return np.array([rows.mean(axis=0) for rows in _classes(table)])


@metafeature("complexity")
def f1(table: Table) -> np.ndarray:
    """1 / (1 + Fisher's discriminant ratio) of every column."""
    between = table.class_counts @ (_centres(table) - table.N.mean(axis=0)) ** 2
    within = ((table.N - _centres(table)[table.y]) ** 2).sum(axis=0)
    return 1 / (1 + between / within)


@metafeature("complexity")
def f1v(table: Table) -> np.ndarray:
    """1 / (1 + Fisher's ratio along the discriminant) of every pair of classes."""
    counts, centres, p = table.class_counts, _centres(table), table.N.shape[1]
    scatters = [len(rows) * np.atleast_2d(np.cov(rows, rowvar=False)) for rows in _classes(table)]
    ratios = []
    for a, b in _pairs(table):
        within = (scatters[a] + scatters[b]) / (counts[a] + counts[b])
        difference = centres[a] - centres[b]
        direction = np.linalg.pinv(within, rcond=p * np.finfo(np.float64).eps, hermitian=True) @ difference
        ratios.append((direction @ difference) ** 2 / (direction @ within @ direction))
    return 1 / (1 + np.array(ratios))


@metafeature("complexity")
def f2(table: Table) -> np.ndarray:
    """Volume in which both classes of a pair lie, over the volume of both."""
    low, high = (np.array([end(rows, axis=0) for rows in _classes(table)]) for end in (np.min, np.max))
    a, b = _pairs(table).T
    overlap = np.maximum(0, np.minimum(high[a], high[b]) - np.maximum(low[a], low[b]))
    return np.prod(overlap / (np.maximum(high[a], high[b]) - np.minimum(low[a], low[b])), axis=1)


def _undecided_rows(first: np.ndarray, second: np.ndarray) -> list[int]:
    """Rows of two classes that the best column leaves undecided, then the best of the others, until that changes nothing.

    A column leaves those undecided whose value is where both classes have values.
    """
    N, split = np.concatenate([first, second]), len(first)
    left: list[int] = []
    taken = np.zeros(N.shape[1], dtype=np.int64)
    for _ in taken:
        if not 0 < split < len(N):
            return [*left, 0]
        low = np.maximum(N[:split].min(axis=0), N[split:].min(axis=0))
        high = np.minimum(N[:split].max(axis=0), N[split:].max(axis=0))
        inside = (low <= N) & (high >= N)
        counts = np.count_nonzero(inside, axis=0)
        best = int((counts + taken).argmin())
        left.append(int(counts[best]))
        if left[-1] == len(N):
            break
        taken[best] = len(N) + 1  # more than any count to come
        kept = inside[:, best]
        N, split = N[kept], int(np.count_nonzero(kept[:split]))
    return left


@shared
def _undecided(table: Table) -> np.ndarray:
    """(m, 2) share of a pair's rows that its best column leaves undecided, and that all do, the best first."""
    left = [_undecided_rows(_classes(table)[a], _classes(table)[b]) for a, b in _pairs(table)]
    return np.array([[rows[0], rows[-1]] for rows in left]) / table.class_counts[_pairs(table)].sum(axis=1)[:, None]


@metafeature("complexity")
def f3(table: Table) -> np.ndarray:
    """Share of a pair's rows that its best column leaves undecided."""
    return _undecided(table)[:, 0]


@metafeature("complexity")
def f4(table: Table) -> np.ndarray:
    """Share of a pair's rows that all columns, the best first, leave undecided."""
    return _undecided(table)[:, 1]


@dataclass(frozen=True, eq=False)
class _Line:
    """What a pair's linear classifier does on its rows: errors of rows, sum of the errors' distances, errors of new rows."""

    errors: float
    distance: float
    errors_between: float


@shared
def pair_lines(table: Table) -> list[_Line]:
    """The line of every pair of classes."""
    random = np.random.RandomState(0)
    lines = []
    for i, (a, b) in enumerate(_pairs(table)):
        rows = np.sort(np.concatenate([table.by_class[a], table.by_class[b]]))
        N, is_first = table.N[rows], table.y[rows] == a
        centre = N.sum(axis=0) / len(N)
        centred = N - centre
        spread = np.sqrt((centred**2).sum(axis=0) / len(N))
        spread[spread**2 <= _variance_noise(N, centre, spread)] = 1
        slope, intercept = _hinge(centred / spread, is_first)
        slope /= spread
        margins = centred @ slope + intercept
        right = (margins > 0) == is_first
        random.seed(i + 1)
        between, labels = interpolate(N, is_first, [np.flatnonzero(is_first), np.flatnonzero(~is_first)], random)
        right_between = ((between - centre) @ slope + intercept > 0) == labels
        distance = np.abs(margins[~right]).sum() / len(N)
        lines.append(_Line(1 - np.count_nonzero(right) / len(N), distance, 1 - np.count_nonzero(right_between) / len(N)))
    return lines


def _hinge(N: np.ndarray, is_first: np.ndarray) -> tuple[np.ndarray, float]:
    """Slope (p,) and intercept of the linear support vector machine: scikit-learn's LinearSVC without its checks."""
    from sklearn.svm._liblinear import set_verbosity_wrap, train_wrap

    set_verbosity_wrap(0)
    settings = HINGE_DUAL, TOLERANCE, 1.0, C, np.ones(2), MAX_ITER, LIBLINEAR_SEED, 0.1, np.ones(len(N))
    found = train_wrap(N, is_first.astype(np.float64), False, *settings)[0][0]
    return found[:-1], found[-1]


def _variance_noise(N: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Variance that rounding alone may give a constant column; scikit-learn's scaler does not divide by less."""
    noise = len(N) * np.finfo(np.float64).eps
    return noise * spread**2 + (noise * centre) ** 2


def interpolate(
    N: np.ndarray, y: np.ndarray, by_class: list[np.ndarray], random: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """As many new rows as old ones, class after class, each between two rows of its class; the draws are pymfe's."""
    parts = []
    for rows in by_class:
        a, b = N[rows[random.randint(len(rows), size=len(rows))]], N[rows[random.randint(len(rows), size=len(rows))]]
        parts.append(a + (b - a) * random.random_sample(a.shape))
    return np.concatenate(parts), np.concatenate([y[rows] for rows in by_class])


@metafeature("complexity")
def l1(table: Table) -> np.ndarray:
    """1 - 1 / (1 + mean distance of the errors from a pair's line)."""
    return 1 - 1 / (1 + np.array([line.distance for line in pair_lines(table)]))


@metafeature("complexity")
def l2(table: Table) -> np.ndarray:
    """Errors of a pair's line."""
    return np.array([line.errors for line in pair_lines(table)])


@metafeature("complexity")
def l3(table: Table) -> np.ndarray:
    """Errors of a pair's line on rows drawn between those of a class."""
    return np.array([line.errors_between for line in pair_lines(table)])


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
