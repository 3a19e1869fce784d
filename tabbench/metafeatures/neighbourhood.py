"""How hard the classes are to tell apart by neighbourhoods (Lorena et al. 2019): the other half of the group "complexity".

All of it looks at one matrix of Gower distances (Manhattan distances of columns scaled to [0, 1], over their number), in
float32 as pymfe has it: which of several equally near rows is the nearest depends on that.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tabbench.metafeatures.complexity import interpolate
from tabbench.metafeatures.registry import metafeature, shared
from tabbench.metafeatures.table import Table

BLOCK_CELLS = 2**18  # distances looked at together: they stay in a core's cache
BLOCK_ROWS = 64  # of a matrix of which only one half is computed, or at least of a block
FAR = np.float32(1e30)  # more than any distance; to raise distances to it takes less time than to replace them
PRECISION = 1e-10  # of an eigenvector
GRAPH_SHARE = 0.15  # of the rows that are neighbours in the graph


@shared
def _scaled(table: Table) -> np.ndarray:
    """(n, p) columns from 0 to 1."""
    low, high = table.N.min(axis=0), table.N.max(axis=0)
    if np.allclose(1, high) and np.allclose(0, low):
        return table.N
    scale = 1 / (high - low)
    return table.N * scale - low * scale


def _gower(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n, n) float32 distances of the rows of a and b; of a's row i and b's row j only where i ≤ j, the rest is mirrored.

    Mirroring is right if a is b. pymfe's n4 comes to compare two tables of equal length, and package gower mirrors those too.
    """
    n = len(a)
    both = np.concatenate([a, b])
    high, low = both.max(axis=0).astype(np.float32), both.min(axis=0).astype(np.float32)
    reach = np.divide(low, high, out=np.ones_like(high), where=high != 0)
    unit = high.astype(np.float64) * np.abs(1 - reach)
    unit[unit == 0] = np.inf
    a, b = a / unit, b / unit
    is_bit = ((b == 0) | (b == 1)).all(axis=0)
    a, a_bits, b, b_bits = a[:, ~is_bit], a[:, is_bit], b[:, ~is_bit], b[:, is_bit]
    distances = np.empty((n, n), dtype=np.float32)
    for start in range(0, n, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, n)
        sums = _manhattan(a[start:stop], b[start:]) + _manhattan_to_bits(a_bits[start:stop], b_bits[start:])
        sums /= len(is_bit)
        distances[start:stop, start:] = sums
        corner = distances[start:stop, start:stop]
        np.copyto(corner, corner.T, where=np.tri(len(corner), k=-1, dtype=bool))
        distances[stop:, start:stop] = distances[start:stop, stop:].T
    return distances


def _manhattan(a: np.ndarray, b: np.ndarray) -> np.ndarray | float:
    from scipy.spatial.distance import cdist

    return cdist(a, b, "cityblock") if a.shape[1] else 0.0


def _manhattan_to_bits(a: np.ndarray, b: np.ndarray) -> np.ndarray | float:
    """|a - b| = a + b - 2ab where a is from 0 to 1 and b either."""
    return (1 - 2 * a) @ b.T + a.sum(axis=1)[:, None] if a.shape[1] else 0.0


@shared
def _distances(table: Table) -> np.ndarray:
    return _gower(_scaled(table), _scaled(table))


def _blocks(distances: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Numbers of some rows, and these rows."""
    step = max(BLOCK_ROWS, BLOCK_CELLS // len(distances))
    for start in range(0, len(distances), step):
        yield np.arange(start, min(start + step, len(distances))), distances[start : start + step]


def _far_members(group: np.ndarray) -> np.ndarray:
    """(groups, n) float32: FAR where a row is of the group, 0 elsewhere. group : (n,) codes."""
    return np.multiply(np.arange(group.max() + 1)[:, None] == group, FAR, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class _Nearest:
    """Of every row (n,): distance of the nearest other row of its class, and distance and number of the nearest of another."""

    friend: np.ndarray
    enemy: np.ndarray
    enemy_row: np.ndarray


@shared
def _nearest_rows(table: Table) -> _Nearest:
    n, y = len(table.y), table.y
    far_friends = _far_members(y)
    found = _Nearest(np.empty(n, dtype=np.float32), np.empty(n, dtype=np.float32), np.empty(n, dtype=np.int64))
    for rows, block in _blocks(_distances(table)):
        of_friends = far_friends[y[rows]]
        enemies, friends = np.maximum(block, of_friends), np.maximum(block, FAR - of_friends)
        friends[np.arange(len(rows)), rows] = FAR
        found.friend[rows] = friends.min(axis=1)
        found.enemy[rows], found.enemy_row[rows] = enemies.min(axis=1), enemies.argmin(axis=1)
    return found


def _nearest(distances: np.ndarray, count: int) -> np.ndarray:
    """(n, count) columns of the smallest distances of each row; scikit-learn chooses and orders equal ones like this."""
    near = np.argpartition(distances, count - 1, axis=1)[:, :count]
    return np.take_along_axis(near, np.argsort(np.take_along_axis(distances, near, axis=1)), axis=1)


def _are_near(distances: np.ndarray, count: int) -> np.ndarray:
    """(n, n) whether a distance is among the `count` smallest of its row; of equal ones scikit-learn chooses like this."""
    near = np.empty(distances.shape, dtype=bool)
    for rows, block in _blocks(distances):
        inside = block <= np.partition(block, count - 1, axis=1)[:, count - 1 : count]
        tied = np.flatnonzero(np.count_nonzero(inside, axis=1) > count)
        inside[tied] = False
        inside[tied[:, None], np.argpartition(block[tied], count - 1, axis=1)[:, :count]] = True
        near[rows] = inside
    return near


@metafeature("complexity")
def n1(table: Table) -> float:
    """Share of the rows that the minimum spanning tree joins to another class."""
    a, b = _spanning_tree(_distances(table))
    crossing = table.y[a] != table.y[b]
    return len(np.unique([a[crossing], b[crossing]])) / len(table.y)


def _spanning_tree(distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of the edges of the minimum spanning tree, some of them twice, a distance of 0 being no edge, by Borůvka.

    Among equally long edges scipy's tree, by Kruskal after a stable sort, has those with the lowest rows, as has this: the first
    of a row's shortest edges is the one with the lowest rows, and so is the first of those of a tree in the order below.
    """
    n = len(distances)
    rows, edges = np.arange(n), []
    lengths = distances.copy()
    lengths[lengths == 0] = FAR
    tree, end, length = rows, lengths.argmin(axis=1), lengths.min(axis=1)
    while True:
        order = np.lexsort((np.maximum(rows, end), np.minimum(rows, end), length, tree))
        shortest = order[np.append(True, np.diff(tree[order]) > 0)]  # row of the shortest edge of every tree
        found = length[shortest] < FAR  # what has none are rows equal to those of a tree
        edges.append(np.array([shortest, end[shortest]])[:, found])
        tree = _joined(np.where(found, tree[end[shortest]], tree[shortest]))[tree]
        if not (tree.any() and found.any()):
            break
        own_rows = _far_members(tree)
        for some, block in _blocks(lengths):
            np.maximum(block, own_rows[tree[some]], out=block)
            end[some], length[some] = block.argmin(axis=1), block.min(axis=1)
    a, b = np.concatenate(edges, axis=1)
    return a, b


def _joined(target: np.ndarray) -> np.ndarray:
    """New numbers (m,) of trees, each joined to its target; the way from target to target ends in two that have each other."""
    own = np.arange(len(target))
    last = np.where(target[target] == own, np.minimum(own, target), target)
    while (last[last] != last).any():
        last = last[last]
    return np.unique(last, return_inverse=True)[1]


@metafeature("complexity")
def n2(table: Table) -> np.ndarray:
    """1 - 1 / (1 + distance of the nearest row of the class over that of another)."""
    return 1 - 1 / (1 + (_nearest_rows(table).friend / _nearest_rows(table).enemy).astype(np.float64))


@metafeature("complexity")
def n3(table: Table) -> np.ndarray:
    """Whether the nearest neighbour of a row is of another class.

    Where a friend is as near, it is as scikit-learn finds it: of the two nearest rows the one that is not the row itself.
    """
    friend, enemy = _nearest_rows(table).friend, _nearest_rows(table).enemy
    is_enemy, unsure = enemy < friend, np.flatnonzero(enemy == friend)
    near = _nearest(_distances(table)[unsure], 2)
    other = np.where(near[:, 1] == unsure, near[:, 0], near[:, 1])
    is_enemy[unsure] = table.y[other] != table.y[unsure]
    return is_enemy


@metafeature("complexity")
def n4(table: Table) -> np.ndarray:
    """Whether the nearest row of a new one, drawn between two of a class, is of another class."""
    between, labels = interpolate(_scaled(table), table.y, table.by_class, np.random.RandomState(0))
    found = np.empty(len(labels), dtype=np.int64)
    for rows, block in _blocks(_gower(between, _scaled(table))):
        found[rows] = table.y[block.argmin(axis=1)]
        tied = np.flatnonzero(np.count_nonzero(block == block.min(axis=1, keepdims=True), axis=1) > 1)
        found[rows[tied]] = table.y[_nearest(block[tied], 1)[:, 0]]
    return found != labels


@metafeature("complexity")
def t1(table: Table) -> float:
    """Share of the rows whose sphere, reaching towards the nearest enemy, no other sphere holds."""
    inside = _distances(table) <= _radii(_nearest_rows(table))[:, None]  # row: sphere
    count, sizes = np.ones(len(inside), dtype=np.int64), np.count_nonzero(inside, axis=1)
    for i in np.argsort(-sizes)[: np.count_nonzero(sizes > 1)]:  # the others hold themselves
        if count[i] > 0:
            held = np.flatnonzero(inside[i])
            total = count[held].sum()
            count[held] = 0
            count[i] = total
    return float(np.mean(count > 0))


def _radii(nearest: _Nearest) -> np.ndarray:
    """Radius of the sphere of each row: half way to a mutual nearest enemy, else as far as the enemy's sphere."""
    enemies, lengths = nearest.enemy_row.tolist(), nearest.enemy.astype(np.float64).tolist()
    radii = [-1.0] * len(enemies)
    for row in range(len(enemies)):
        path = []
        while radii[row] < 0:
            if enemies[enemies[row]] == row:
                radii[row] = radii[enemies[row]] = 0.5 * lengths[row]
            else:
                radii[row] = 0  # what a ring of enemies finds when it comes back
                path.append(row)
                row = enemies[row]
        for earlier in reversed(path):
            radii[earlier] = abs(lengths[earlier] - radii[enemies[earlier]])
    return np.array(radii)


@metafeature("complexity")
def lsc(table: Table) -> float:
    """1 - mean share of the rows that are nearer than the nearest enemy."""
    nearer = sum(np.count_nonzero(block < _nearest_rows(table).enemy[rows, None]) for rows, block in _blocks(_distances(table)))
    return 1 - nearer / len(table.y) ** 2


@shared
def _graph(table: Table) -> list[np.ndarray]:
    """Adjacency (rows, rows) of every class in the graph of near rows of one class, equal rows not being joined; float32."""
    count = max(round(len(table.y) * GRAPH_SHARE), 1)
    # the row itself is not joined either; without it in the count + 1 nearest, all of them are at 0
    joined = _are_near(_distances(table), count + 1) & (_distances(table) > 0)
    blocks = [joined[own][:, own] for own in table.by_class]
    return [(block | block.T).astype(np.float32) for block in blocks]


@metafeature("complexity")
def density(table: Table) -> float:
    """1 - share of the pairs of rows that the graph joins."""
    n = len(table.y)
    return float(1 - sum(_degrees(block).sum() for block in _graph(table)) / (n * (n - 1)))


@metafeature("complexity")
def cls_coef(table: Table) -> float:
    """1 - share of the graph's paths of two edges that a third closes."""
    closed, paths = 0.0, 0.0
    for block in _graph(table):
        closed += _closed_paths(block)
        paths += np.sum(_degrees(block) * (_degrees(block) - 1))
    return float(1 - closed / paths) if paths else 1.0


def _closed_paths(block: np.ndarray) -> float:
    """Paths of two edges of an adjacency matrix that a third closes, six to a triangle: of the lower half, by blocks."""
    half, step, triangles = np.tril(block), BLOCK_ROWS, 0.0
    for left in range(0, len(half), step):
        for top in range(left, len(half), step):
            paths = half[top : top + step, left : top + step] @ half[left : top + step, left : left + step]
            triangles += float(np.vdot(paths, half[top : top + step, left : left + step]))
    return 6 * triangles


@metafeature("complexity")
def hubs(table: Table) -> np.ndarray:
    """1 - hub score of every row (Kleinberg 1999), the largest being 1."""
    scores, largest = np.zeros(len(table.y)), 0.0
    blocks = sorted(zip(table.by_class, _graph(table), strict=True), key=lambda pair: -_degrees(pair[1]).max())
    for own, block in blocks:
        if _degrees(block).max() < largest:  # no eigenvalue exceeds the largest degree
            break
        value, vector = _leading(block)
        if value > largest:
            scores, largest = np.zeros(len(table.y)), value
        if value == largest:
            scores[own] = vector / vector.max() if value else 1
    return 1 - scores


def _degrees(block: np.ndarray) -> np.ndarray:
    return np.asarray(block.sum(axis=0), dtype=np.float64)  # float32 counts to 2^24


def _leading(block: np.ndarray) -> tuple[float, np.ndarray]:
    """Largest eigenvalue of an adjacency matrix and its eigenvector, which has no negative entry."""
    from scipy.sparse.linalg import eigsh

    if not block.any():
        return 0.0, np.zeros(len(block))
    if len(block) < 10:
        values, vectors = np.linalg.eigh(block.astype(np.float64))
    else:
        values, vectors = eigsh(block.astype(np.float64), k=1, which="LA", v0=_degrees(block), tol=PRECISION)
    return float(values[-1]), np.abs(vectors[:, -1])
