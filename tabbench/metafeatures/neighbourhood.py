"""How hard the classes are to tell apart by neighbourhoods (Lorena et al. 2019): the other half of the group "complexity".

All of it looks at the Gower distances of all pairs of rows (Manhattan distances of columns scaled to [0, 1], over their number),
in float32 as pymfe has them: which of several equally near rows is the nearest depends on that. Of few rows they are held; of
more they are made again, some rows at a time, whenever they are looked at, so that memory does not grow with their square.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tabbench.metafeatures.complexity import interpolate
from tabbench.metafeatures.registry import metafeature, shared
from tabbench.metafeatures.table import Table

HELD_CELLS = 2**25  # distances, or joins of a graph, that are held: those of 5,792 rows
BLOCK_CELLS = 2**18  # distances looked at together: they stay in a core's cache
BLOCK_ROWS = 64  # of a matrix of which only one half is computed, or at least of a block
GRAPH_BYTES = 2**29  # of a graph: that of 65,536 rows of one class
FAR = np.float32(1e30)  # more than any distance; to raise distances to it takes less time than to replace them
PRECISION = 1e-10  # of an eigenvector
SHORT_EDGES = 8, 64  # of a row, among which many, and most, edges of the minimum spanning tree are
GRAPH_SHARE = 0.15  # of the rows that are neighbours in the graph


@shared
def _scaled(table: Table) -> np.ndarray:
    """(n, p) columns from 0 to 1."""
    low, high = table.N.min(axis=0), table.N.max(axis=0)
    if np.allclose(1, high) and np.allclose(0, low):
        return table.N
    scale = 1 / (high - low)
    return table.N * scale - low * scale


@dataclass(frozen=True, eq=False)
class _Side:
    """Rows of which distances are made.

    numbers : (n, ·) in units of the columns' reach. bits : (n, ·) made ready to be multiplied by those of the other side.
    """

    numbers: np.ndarray
    bits: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: np.ndarray | slice) -> "_Side":
        return _Side(self.numbers[rows], self.bits[rows])


@dataclass(frozen=True, eq=False)
class _Distances:
    """(n, n) float32 distances of the rows of a and b; of a's row i and b's row j only where i ≤ j, the rest is mirrored.

    Mirroring is right if a is b. pymfe's n4 comes to compare two tables of equal length, and package gower mirrors those too.
    columns : of the two tables. same : whether they are one. held : the distances, if they are.
    """

    a: _Side
    b: _Side
    columns: int
    same: bool
    held: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.a)

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Numbers of some of the rows from start to stop, and these rows."""
        stop = len(self) if stop is None else stop
        for first in range(start, stop, self._step):
            rows = np.arange(first, min(first + self._step, stop))
            yield rows, self._made(rows) if self.held is None else self.held[first : rows[-1] + 1]

    def some(self, wanted: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Numbers of some of the wanted rows, and these rows, to be written to."""
        for first in range(0, len(wanted), self._step):
            rows = wanted[first : first + self._step]
            yield rows, self._made(rows) if self.held is None else self.held[rows]

    @property
    def _step(self) -> int:
        return max(BLOCK_ROWS, BLOCK_CELLS // len(self))

    def _made(self, rows: np.ndarray) -> np.ndarray:
        found = np.empty((len(rows), len(self)), dtype=np.float32)
        _means(self.a[rows], self.b, self.columns, found)
        if not self.same:
            mirrored = np.empty((len(self), len(rows)), dtype=np.float32)
            _means(self.a, self.b[rows], self.columns, mirrored)
            np.copyto(found, mirrored.T, where=np.arange(len(self)) < rows[:, None])
        return found


def _gower(a: np.ndarray, b: np.ndarray) -> _Distances:
    """The distances of two tables (n, p), held if they are few."""
    both = a if a is b else np.concatenate([a, b])
    high, low = both.max(axis=0).astype(np.float32), both.min(axis=0).astype(np.float32)
    reach = np.divide(low, high, out=np.ones_like(high), where=high != 0)
    unit = high.astype(np.float64) * np.abs(1 - reach)
    unit[unit == 0] = np.inf
    first, second = a / unit, b / unit
    is_bit = ((second == 0) | (second == 1)).all(axis=0)
    bits = first[:, is_bit]  # |a - b| = a + b - 2ab where a is from 0 to 1 and b either
    left = _Side(first[:, ~is_bit], np.column_stack([1 - 2 * bits, bits.sum(axis=1)]))
    right = _Side(second[:, ~is_bit], np.column_stack([second[:, is_bit], np.ones(len(b))]))
    found = _Distances(left, right, a.shape[1], a is b)
    return replace(found, held=_matrix(found)) if len(a) ** 2 <= HELD_CELLS else found


def _matrix(distances: _Distances) -> np.ndarray:
    """All of them; one half is computed."""
    n, step = len(distances), 4 * BLOCK_ROWS
    found = np.empty((n, n), dtype=np.float32)
    for start in range(0, n, step):
        stop = min(start + step, n)
        for first in range(start, stop, BLOCK_ROWS):
            rows = slice(first, min(first + BLOCK_ROWS, stop))
            _means(distances.a[rows], distances.b[start:], distances.columns, found[rows, start:])
        corner = found[start:stop, start:stop]
        np.copyto(corner, corner.T, where=np.tri(len(corner), k=-1, dtype=bool))
        found[stop:, start:stop] = found[start:stop, stop:].T
    return found


def _means(a: _Side, b: _Side, columns: int, out: np.ndarray) -> None:
    """Write the mean distances of the columns (rows of a, rows of b)."""
    from scipy.spatial.distance import cdist

    sums = cdist(a.numbers, b.numbers, "cityblock") if a.numbers.shape[1] else 0.0
    if a.bits.shape[1] > 1:
        sums = sums + a.bits @ b.bits.T
    np.divide(sums, columns, out=out, casting="same_kind")


@dataclass(frozen=True, eq=False)
class _Order:
    """The rows class after class: each class is then a range of rows and of columns of the distances.

    row : (n,) number of each in the table. place : (n,) of each row of the table. y : (n,) classes. starts : (k,) of the classes.
    """

    row: np.ndarray
    place: np.ndarray
    y: np.ndarray
    starts: np.ndarray


@shared
def _order(table: Table) -> _Order:
    row, counts = np.concatenate(table.by_class), table.class_counts
    return _Order(row, np.argsort(row), np.repeat(np.arange(len(counts)), counts), np.cumsum(counts) - counts)


@shared
def _distances(table: Table) -> _Distances:
    """The distances of the rows class after class."""
    rows = _scaled(table)[_order(table).row]
    return _gower(rows, rows)


@dataclass(frozen=True, eq=False)
class _Nearest:
    """Of every row (n,), class after class: what is nearest, and how many distances are below that of the nearest enemy.

    friend, enemy : distances of the nearest other row of its class and of the nearest of another. enemy_row : the first such row
    in the table. nearer : a sum over all rows.
    """

    friend: np.ndarray
    enemy: np.ndarray
    enemy_row: np.ndarray
    nearer: int


@shared
def _nearest_rows(table: Table) -> _Nearest:
    order, n = _order(table), len(table.y)
    friend, enemy = np.empty(n, dtype=np.float32), np.empty(n, dtype=np.float32)
    enemy_row, nearer = np.full(n, n), 0
    for rows, block in _distances(table).blocks():
        own, here = order.y[rows], np.arange(len(rows))
        block[here, rows] = FAR
        of_class = np.minimum.reduceat(block, order.starts, axis=1)
        block[here, rows] = 0
        friend[rows], of_class[here, own] = of_class[here, own], FAR
        enemy[rows] = of_class.min(axis=1)
        nearer += int(np.count_nonzero(block < enemy[rows, None]))
        i, j = _where(block == enemy[rows, None])
        of_enemy = own[i] != order.y[j]
        np.minimum.at(enemy_row, rows[i[of_enemy]], order.row[j[of_enemy]])
    return _Nearest(friend, enemy, np.where(enemy_row < n, enemy_row, 0), nearer)


def _where(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of what is found in a block; faster than numpy's of two dimensions."""
    return np.divmod(np.flatnonzero(found), found.shape[1])


def _nearest(distances: np.ndarray, count: int) -> np.ndarray:
    """(n, count) columns of the smallest distances of each row; scikit-learn chooses and orders equal ones like this."""
    near = np.argpartition(distances, count - 1, axis=1)[:, :count]
    return np.take_along_axis(near, np.argsort(np.take_along_axis(distances, near, axis=1)), axis=1)


def _are_near(distances: np.ndarray, count: int, order: _Order, wanted: slice) -> np.ndarray:
    """Of the wanted columns, whether a distance is among the `count` smallest of its row.

    Of equal ones scikit-learn chooses like this, among the rows as they are in the table.
    """
    parted = np.partition(distances, count - 1, axis=1)
    limit = parted[:, count - 1]
    inside = distances[:, wanted] <= limit[:, None]
    tied = np.flatnonzero(parted[:, count:].min(axis=1, initial=FAR) == limit)
    chosen = np.zeros((len(tied), distances.shape[1]), dtype=bool)
    near = np.argpartition(distances[tied][:, order.place], count - 1, axis=1)[:, :count]
    chosen[np.arange(len(tied))[:, None], order.place[near]] = True
    inside[tied] = chosen[:, wanted]
    return inside


@metafeature("complexity")
def n1(table: Table) -> float:
    """Share of the rows that the minimum spanning tree joins to another class."""
    a, b = _spanning_tree(_distances(table), _order(table))
    crossing = table.y[a] != table.y[b]
    return len(np.unique([a[crossing], b[crossing]])) / len(table.y)


def _spanning_tree(distances: _Distances, order: _Order) -> tuple[np.ndarray, np.ndarray]:
    """Both ends, in the table, of the edges of the minimum spanning tree, some of them twice, a distance of 0 being no edge.

    Among equally long edges scipy's tree, by Kruskal after a stable sort, has those with the lowest rows, as has this: Kruskal's
    tree of the short edges, which is a part of it, and by Borůvka what joins its parts. The largest of them joins nothing, but
    is joined to.
    """
    n = len(distances)
    edges, tree = ([np.empty((2, 0), dtype=np.int64)], np.arange(n)) if n * n <= BLOCK_CELLS else _short_edges(distances, order)
    length, end = np.empty(n, dtype=np.float32), np.empty(n, dtype=np.int64)
    found = np.array([True])
    while found.any() and tree.any():
        rows = np.flatnonzero(tree != np.bincount(tree).argmax())
        end[rows] = n
        for some, block in distances.some(rows):
            if np.count_nonzero(equal := block == 0) > len(some):  # more than the rows themselves
                np.maximum(block, _far(equal), out=block)
            np.maximum(block, _far(tree[some, None] == tree), out=block)
            length[some] = block.min(axis=1)
            i, j = _where(block == length[some, None])
            np.minimum.at(end, some[i], order.row[j])
        a, b = order.row[rows], end[rows]
        ordered = np.lexsort((np.maximum(a, b), np.minimum(a, b), length[rows], tree[rows]))
        shortest = rows[ordered[np.append(True, np.diff(tree[rows[ordered]]) > 0)]]  # row of the shortest edge of every tree
        found = length[shortest] < FAR  # what has none are rows equal to those of a tree
        shortest = shortest[found]
        edges.append(np.array([order.row[shortest], end[shortest]]))
        target = np.arange(tree.max() + 1)
        target[tree[shortest]] = tree[order.place[end[shortest]]]
        tree = _joined(target)[tree]
    a, b = np.concatenate(edges, axis=1)
    return a, b


def _far(rows: np.ndarray) -> np.ndarray:
    """FAR where there is True, 0 elsewhere."""
    return np.multiply(rows, FAR, dtype=np.float32)


def _short_edges(distances: _Distances, order: _Order) -> tuple[list[np.ndarray], np.ndarray]:
    """Those edges of the spanning tree that are among the shortest of all pairs, and the numbers (n,) of the trees they make."""
    shorter, short = _reaches(distances)
    ends, lengths = [], []
    for rows, block in distances.blocks():
        part = block[:, rows[0] :]
        i, j = _where(part <= short)
        length = part[i, j]
        kept = (i < j) & (length > 0)
        ends.append(rows[0] + np.array([i[kept], j[kept]]))
        lengths.append(length[kept])
    edges, length = np.concatenate(ends, axis=1), np.concatenate(lengths)
    edges, n = np.sort(order.row[edges], axis=0), len(distances)
    chosen, tree = _kruskal(edges, length, np.flatnonzero(length <= shorter), n)
    chosen, tree = _kruskal(edges, length, np.append(chosen, np.flatnonzero(tree[edges[0]] != tree[edges[1]])), n)
    return [edges[:, chosen]], tree[order.row]


def _kruskal(edges: np.ndarray, length: np.ndarray, some: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of some edges are those of the minimum spanning trees of n rows that they make, and the number of each row's tree.

    edges : (2, m) their rows, the lower one first, by which equally long ones are ordered.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

    some = some[np.argsort(edges[0, some] * n + edges[1, some])]
    some = some[np.argsort(length[some], kind="stable")]
    graph = coo_array((np.arange(1.0, len(some) + 1), edges[:, some]), shape=(n, n)).tocsr()
    joined = minimum_spanning_tree(graph)
    return some[joined.data.astype(np.int64) - 1], connected_components(joined, directed=False)[1]


def _reaches(distances: _Distances) -> list[np.float32]:
    """Distances within which some SHORT_EDGES edges of every row are, by those of a few rows; shorter if too many are as long."""
    n = len(distances)
    few = np.unique(np.linspace(0, n - 1, BLOCK_ROWS).astype(np.int64))
    lengths = np.sort(np.concatenate([block[block > 0] for _, block in distances.some(few)]))
    if not len(lengths):
        return [FAR, FAR]
    places = [min(count * len(few), len(lengths) - 1) for count in SHORT_EDGES]
    return [
        lengths[place]
        if lengths[min(2 * place, len(lengths) - 1)] > lengths[place]
        else lengths[max(np.searchsorted(lengths, lengths[place]) - 1, 0)]
        for place in places
    ]


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
    friend, enemy, order = _nearest_rows(table).friend, _nearest_rows(table).enemy, _order(table)
    is_enemy, unsure = enemy < friend, np.flatnonzero(enemy == friend)
    for rows, block in _distances(table).some(unsure):
        near = _nearest(block[:, order.place], 2)
        other = np.where(near[:, 1] == order.row[rows], near[:, 0], near[:, 1])
        is_enemy[rows] = table.y[other] != order.y[rows]
    return is_enemy


@metafeature("complexity")
def n4(table: Table) -> np.ndarray:
    """Whether the nearest row of a new one, drawn between two of a class, is of another class."""
    between, labels = interpolate(_scaled(table), table.y, table.by_class, np.random.RandomState(0))
    found = np.empty(len(labels), dtype=np.int64)
    for rows, block in _gower(between, _scaled(table)).blocks():
        i, j = _where(block == block.min(axis=1, keepdims=True))
        found[rows[i]] = table.y[j]
        tied = np.flatnonzero(np.bincount(i, minlength=len(rows)) > 1)
        found[rows[tied]] = table.y[_nearest(block[tied], 1)[:, 0]]
    return found != labels


@metafeature("complexity")
def t1(table: Table) -> float:
    """Share of the rows whose sphere, reaching towards the nearest enemy, no other sphere holds."""
    distances, order = _distances(table), _order(table)
    radii = _rounded_down(_radii(_nearest_rows(table), order))
    sizes = np.empty(len(radii), dtype=np.int64)
    for rows, block in distances.blocks():
        sizes[rows] = np.count_nonzero(block <= radii[rows, None], axis=1)
    left = np.ones(len(radii), dtype=bool)
    largest = order.place[np.argsort(-sizes[order.place])][: np.count_nonzero(sizes > 1)]  # the others hold themselves
    for rows, block in distances.some(largest):
        for row, outside in zip(rows, block > radii[rows, None], strict=True):
            if left[row]:
                left &= outside
                left[row] = True
    return float(np.mean(left))


def _radii(nearest: _Nearest, order: _Order) -> np.ndarray:
    """Radius of the sphere of each row: half way to a mutual nearest enemy, else as far as the enemy's sphere."""
    enemies, lengths = nearest.enemy_row[order.place].tolist(), nearest.enemy[order.place].astype(np.float64).tolist()
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
    return np.array(radii)[order.row]


def _rounded_down(values: np.ndarray) -> np.ndarray:
    """The largest float32 that are not above; comparing float32 with those is quicker than with float64, and the same."""
    near = values.astype(np.float32)
    return np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near)


@metafeature("complexity")
def lsc(table: Table) -> float:
    """1 - mean share of the rows that are nearer than the nearest enemy."""
    return 1 - _nearest_rows(table).nearer / len(table.y) ** 2


class _Graph:
    """Which rows of a class are joined, the adjacency matrix, a bit a pair, and how many each is joined to.

    bits : (n, ⌈n/8⌉) of each row, whether it is joined to another; two are joined if either is to the other.
    """

    def __init__(self, bits: np.ndarray, n: int) -> None:
        self.bits, self.degrees = bits, np.empty(n)
        step = 8 * BLOCK_ROWS
        for left in range(0, n, step):  # and the rows of these columns, from the diagonal on
            wide = slice(left // 8, -(-min(left + step, n) // 8))
            for top in range(left, n, step):
                tall = slice(top // 8, -(-min(top + step, n) // 8))
                lower = np.unpackbits(bits[top : top + step, wide], axis=1, count=min(step, n - left))
                lower |= np.unpackbits(bits[left : left + step, tall], axis=1, count=min(step, n - top)).T
                bits[top : top + step, wide] = np.packbits(lower, axis=1)
                bits[left : left + step, tall] = np.packbits(lower.T, axis=1)
        for top in range(0, n, step):
            self.degrees[top : top + step] = self.part(top, top + step, 0, n).sum(axis=1, dtype=np.int64)
        self._held = self.part(0, n, 0, n).astype(np.float32) if n * n <= HELD_CELLS else None

    def __len__(self) -> int:
        return len(self.degrees)

    def part(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        """A part of the matrix, uint8 of 0 and 1. left : a multiple of 8."""
        return np.unpackbits(self.bits[top:bottom, left // 8 : -(-right // 8)], axis=1, count=min(right, len(self)) - left)

    def floats(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        """A part of the matrix, float32. left : a multiple of 8."""
        if self._held is not None:
            return self._held[top:bottom, left:right]
        return self.part(top, bottom, left, right).astype(np.float32)

    def matrix(self) -> Any:
        """The adjacency matrix, float64, by which vectors are multiplied."""
        from scipy.sparse import csr_array
        from scipy.sparse.linalg import LinearOperator

        n = len(self)
        if n * n > HELD_CELLS:
            return LinearOperator((n, n), matvec=self._times, dtype=np.float64)
        ends = np.append(0, np.cumsum(self.degrees, dtype=np.int64))
        joined = np.flatnonzero(self.part(0, n, 0, n).view(bool)) - np.repeat(np.arange(n) * n, np.diff(ends))
        return csr_array((np.ones(len(joined)), joined, ends), shape=(n, n))

    def _times(self, vector: np.ndarray) -> np.ndarray:
        step = BLOCK_ROWS
        return np.concatenate([self.part(top, top + step, 0, len(self)) @ vector for top in range(0, len(self), step)])


@shared
def _graph(table: Table) -> list[_Graph]:
    """Of every class, the graph of near rows of one class, equal rows not being joined.

    Raises ValueError if it is too large.
    """
    counts = table.class_counts
    if (needed := int(np.sum(counts**2)) // 8) > GRAPH_BYTES:
        raise ValueError(f"the graph of so many rows takes {needed / 1e6:,.0f} MB, more than {GRAPH_BYTES / 1e6:,.0f}")
    count, order = max(round(len(table.y) * GRAPH_SHARE), 1), _order(table)
    bits = [np.empty((n, -(-n // 8)), dtype=np.uint8) for n in counts]
    for start, n, own in zip(order.starts, counts, bits, strict=True):
        for rows, block in _distances(table).blocks(start, start + n):
            # the row itself is not joined either; without it in the count + 1 nearest, all of them are at 0
            joined = _are_near(block, count + 1, order, slice(start, start + n)) & (block[:, start : start + n] > 0)
            own[rows - start] = np.packbits(joined, axis=1)
    return [_Graph(own, int(n)) for own, n in zip(bits, counts, strict=True)]


@metafeature("complexity")
def density(table: Table) -> float:
    """1 - share of the pairs of rows that the graph joins."""
    n = len(table.y)
    return float(1 - sum(graph.degrees.sum() for graph in _graph(table)) / (n * (n - 1)))


@metafeature("complexity")
def cls_coef(table: Table) -> float:
    """1 - share of the graph's paths of two edges that a third closes."""
    closed, paths = 0.0, 0.0
    for graph in _graph(table):
        closed += _closed_paths(graph)
        paths += np.sum(graph.degrees * (graph.degrees - 1))
    return float(1 - closed / paths) if paths else 1.0


def _closed_paths(graph: _Graph) -> float:
    """Paths of two edges of a graph that a third closes, six to a triangle: of the lower half, by blocks."""
    n, step, triangles = len(graph), 2 * BLOCK_ROWS, 0.0
    for left in range(0, n, step):
        strip = graph.floats(left, n, left, left + step).copy()
        strip[:step] = np.tril(strip[:step])
        for top in range(left, n, step):
            rows = strip[top - left : top + step - left]
            corner = np.tril(graph.floats(top, top + step, top, top + step))
            paths = corner @ rows
            if top > left:
                paths += graph.floats(top, top + step, left, top) @ strip[: top - left]
            triangles += float(np.vdot(paths, rows))
    return 6 * triangles


@metafeature("complexity")
def hubs(table: Table) -> np.ndarray:
    """1 - hub score of every row (Kleinberg 1999), the largest being 1."""
    scores, largest = np.zeros(len(table.y)), 0.0
    graphs = sorted(zip(table.by_class, _graph(table), strict=True), key=lambda pair: -pair[1].degrees.max())
    for own, graph in graphs:
        if graph.degrees.max() < largest:  # no eigenvalue exceeds the largest degree
            break
        value, vector = _leading(graph)
        if value > largest:
            scores, largest = np.zeros(len(table.y)), value
        if value == largest:
            scores[own] = vector / vector.max() if value else 1
    return 1 - scores


def _leading(graph: _Graph) -> tuple[float, np.ndarray]:
    """Largest eigenvalue of a graph's adjacency matrix and its eigenvector, which has no negative entry."""
    from scipy.sparse.linalg import eigsh

    n = len(graph)
    if not graph.degrees.any():
        return 0.0, np.zeros(n)
    if n < 10:
        values, vectors = np.linalg.eigh(graph.part(0, n, 0, n).astype(np.float64))
    else:
        values, vectors = eigsh(graph.matrix(), k=1, which="LA", v0=graph.degrees, tol=PRECISION)
    return float(values[-1]), np.abs(vectors[:, -1])
