"""How the classes do as clusters, by Euclidean distances of the numeric form: pymfe's group "clustering".

The distances are looked at in blocks of rows, so that memory does not grow with the square of the rows.
"""

from dataclasses import dataclass

import numpy as np

from tabbench.metafeatures.registry import metafeature, shared
from tabbench.metafeatures.table import Table

BLOCK_CELLS = 2**17  # distances held at a time: they stay in a core's cache
CANCELLED = 1e-7  # of a squared length: smaller squared distances that are made of such have lost too many digits
SMALL_CLASS = 15


@dataclass(frozen=True, eq=False)
class _Distances:
    """Of rows (n, sorted by class) to classes (k): sums, smallest and largest distances, each (n, k)."""

    sums: np.ndarray
    smallest: np.ndarray
    largest: np.ndarray


@shared
def _sorted(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Class of each row, in order, and where each class begins."""
    return np.repeat(np.arange(len(table.class_counts)), table.class_counts), np.cumsum(table.class_counts) - table.class_counts


@shared
def _distances(table: Table) -> _Distances:
    """By products of rows; where these nearly cancel each other, by differences of rows."""
    N, starts = (table.N - table.N.mean(axis=0))[np.concatenate(table.by_class)], _sorted(table)[1]
    squares, ones = np.sum(N**2, axis=1), np.ones(len(N))
    rights = np.vstack([-2 * N.T, ones, squares])
    found = _Distances(*(np.empty((len(N), len(starts))) for _ in range(3)))
    step = max(1, BLOCK_CELLS // len(N))
    held = np.empty((step, len(N)))
    for start in range(0, len(N), step):
        rows = slice(start, start + step)
        left = np.column_stack([N[rows], squares[rows], ones[rows]])
        block = np.matmul(left, rights, out=held[: len(left)])
        i, j = np.divmod(np.flatnonzero(block <= CANCELLED * squares[rows, None]), len(N))
        for first in range(0, len(i), step):
            some = slice(first, first + step)
            block[i[some], j[some]] = np.sum((N[start + i[some]] - N[j[some]]) ** 2, axis=1)
        np.sqrt(block, out=block)
        for of, values in ((np.add, found.sums), (np.minimum, found.smallest), (np.maximum, found.largest)):
            of.reduceat(block, starts, axis=1, out=values[rows])
    return found


@shared
def _centres(table: Table) -> np.ndarray:
    """(k, p) means of the classes."""
    return np.array([table.N[rows].mean(axis=0) for rows in table.by_class])


@shared
def _own(table: Table) -> np.ndarray:
    """(n, k) whether the class is the row's own."""
    return _sorted(table)[0][:, None] == np.arange(len(table.class_counts))


@metafeature("clustering")
def vdu(table: Table) -> float:
    """Dunn's index: smallest distance between classes, over the number of such pairs, by the largest within one."""
    found, counts = _distances(table), table.class_counts
    between = np.where(_own(table), np.inf, found.smallest) / (counts[_sorted(table)[0]][:, None] * counts)
    return float(between.min() / found.largest[_own(table)].max())


@metafeature("clustering")
def vdb(table: Table) -> float:
    """Davies and Bouldin's (1979) index: mean over the classes of the worst ratio of two radii to the distance of the centres."""
    radii = np.array([np.linalg.norm(table.N[rows] - _centres(table)[i], axis=1).mean() for i, rows in enumerate(table.by_class)])
    apart = np.linalg.norm(_centres(table)[:, None] - _centres(table), axis=2)
    if np.allclose(radii, 0) or np.allclose(apart, 0):
        return 0.0
    return float(((radii[:, None] + radii) / np.where(apart == 0, np.inf, apart)).max(axis=1).mean())


@metafeature("clustering")
def int_(table: Table) -> float:
    """Mean distance between classes, each pair of classes counting alike."""
    counts, starts = table.class_counts, _sorted(table)[1]
    means = np.add.reduceat(_distances(table).sums, starts, axis=0) / np.outer(counts, counts)
    return float(means[np.triu_indices(len(counts), k=1)].mean())


@metafeature("clustering")
def sil(table: Table) -> float:
    """Mean silhouette (Rousseeuw 1987)."""
    sums, counts, own = _distances(table).sums, table.class_counts, _own(table)
    with_own = sums[own] / np.maximum(counts[_sorted(table)[0]] - 1, 1)
    with_others = np.where(own, np.inf, sums / counts).min(axis=1)
    widths = (with_others - with_own) / np.maximum(with_own, with_others)
    return float(np.nan_to_num(np.where(counts[_sorted(table)[0]] == 1, 0, widths)).mean())


@metafeature("clustering")
def pb(table: Table) -> float:
    """Correlation, over pairs of rows, of being of one class and of the distance."""
    found, own, n = _distances(table), _own(table), len(table.y)
    pairs, same = n * (n - 1) / 2, float(np.sum(table.class_counts * (table.class_counts - 1)) / 2)
    mean, mean_square = found.sums.sum() / 2 / pairs, n * np.sum((table.N - table.N.mean(axis=0)) ** 2) / pairs
    covariance = found.sums[own].sum() / 2 / pairs - same / pairs * mean
    return float(covariance / np.sqrt((mean_square - mean**2) * (same / pairs) * (1 - same / pairs)))


@metafeature("clustering")
def ch(table: Table) -> float:
    """Caliński and Harabasz' (1974) index: variance between the classes over variance within."""
    n, k = len(table.y), len(table.class_counts)
    within = float(np.sum((table.N - _centres(table)[table.y]) ** 2))
    between = float(np.sum(table.class_counts @ (_centres(table) - table.N.mean(axis=0)) ** 2))
    return between / within * (n - k) / (k - 1) if within else 1.0


@metafeature("clustering")
def nre(table: Table) -> float:
    """Entropy of the classes, in nats."""
    shares = table.class_counts / len(table.y)
    return float(-np.sum(shares * np.log(shares)))


@metafeature("clustering")
def sc(table: Table) -> float:
    """Classes of fewer than fifteen rows."""
    return float(np.sum(table.class_counts < SMALL_CLASS))
