"""Accuracies of simple classifiers in ten unshuffled stratified folds of the training part: pymfe's group "landmarking".

The folds, their class means and one full tree per fold are shared: the trees rank the columns, and their first split is the best
node. The other classifiers are scikit-learn's, written out: on small tables its checks of the input would take most of the time.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tabbench.metafeatures.registry import metafeature, shared
from tabbench.metafeatures.table import Table
from tabbench.metafeatures.tree import grow, importances

FOLDS = 10
BLOCK_CELLS = 2**24  # distances held at a time
ROUNDING = 1e-12  # distances that differ by less, in the largest squares they are made of, are equal
RANK_TOLERANCE, SMOOTHING = 1e-4, 1e-9  # scikit-learn's defaults for linear discriminants and naive Bayes


@dataclass(frozen=True, eq=False)
class _Fold:
    """Rows to learn from and to predict, the k classes there are to learn, and the codes 0..k-1 of the rows to learn from.

    What is as large as the table is made anew whenever it is asked for: ten folds of it would take much memory.
    """

    table: Table
    train: np.ndarray
    test: np.ndarray
    classes: np.ndarray
    y: np.ndarray

    @property
    def by_class(self) -> np.ndarray:
        """(n, p) rows to learn from, class after class."""
        return self.table.N[self.train[np.argsort(self.y, kind="stable")]]

    @cached_property
    def counts(self) -> np.ndarray:
        """(k,) rows of each class."""
        return np.bincount(self.y)

    @cached_property
    def means(self) -> np.ndarray:
        """(k, p) means of the classes."""
        return self._sums(self.by_class) / self.counts[:, None]

    @property
    def deviations(self) -> np.ndarray:
        """(n, p) `by_class` less the means of the classes."""
        return self.by_class - np.repeat(self.means, self.counts, axis=0)

    @cached_property
    def squares(self) -> np.ndarray:
        """(k, p) sums of squared deviations."""
        return self._sums(self.deviations**2)

    def _sums(self, rows: np.ndarray) -> np.ndarray:
        return np.add.reduceat(rows, np.cumsum(self.counts) - self.counts, axis=0)

    def accuracy(self, found: np.ndarray) -> float:
        """Share of the rows to predict whose class was found, as a number in `classes`."""
        return np.count_nonzero(self.classes[found] == self.table.y[self.test]) / len(self.test)


@shared
def _folds(table: Table) -> list[_Fold]:
    from sklearn.model_selection import StratifiedKFold

    splits = StratifiedKFold(FOLDS).split(table.N, table.y)
    return [_Fold(table, train, test, *np.unique(table.y[train], return_inverse=True)) for train, test in splits]


@shared
def _N32(table: Table) -> np.ndarray:
    """(n, p) float32, as trees see the table."""
    return table.N.astype(np.float32)


@shared
def fold_trees(table: Table) -> list[Any]:
    """An unpruned tree of every fold."""
    return [grow(_N32(table)[fold.train], fold.y) for fold in _folds(table)]


@shared
def _rankings(table: Table) -> list[np.ndarray]:
    """Columns from the least to the most important, by fold."""
    return [np.argsort(importances(tree)) for tree in fold_trees(table)]


def _stump_accuracy(table: Table, fold: _Fold, column: int) -> float:
    """Accuracy of the best split of one column."""
    N = _N32(table)[:, [column]]
    return fold.accuracy(_first_split(grow(N[fold.train], fold.y, max_depth=1), N[fold.test]))


def _first_split(tree: Any, N: np.ndarray) -> np.ndarray:
    """Class of rows by the first split of a tree."""
    classes = tree.value[:, 0].argmax(axis=1)
    if tree.node_count == 1:
        return np.full(len(N), classes[0])
    goes_left = N[:, tree.feature[0]] <= tree.threshold[0]
    return np.where(goes_left, classes[tree.children_left[0]], classes[tree.children_right[0]])


@shared
def _centred(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """(n, p) rows less their mean, and (n,) their squared lengths."""
    rows = table.N - table.N.mean(axis=0)
    return rows, np.sum(rows**2, axis=1)


def _nearest(table: Table, fold: _Fold) -> np.ndarray:
    """Class of the nearest row; among equally near ones of several classes scikit-learn's k-d tree chooses."""
    from sklearn.neighbors import KDTree

    found, unsure = np.zeros(len(fold.test), dtype=np.int64), np.arange(len(fold.test))
    if len(fold.train) * len(fold.test) <= BLOCK_CELLS:
        rows, squares = _centred(table)
        known = fold.train[np.argsort(fold.y, kind="stable")]
        distances = (-2 * rows[fold.test]) @ rows[known].T  # squared, less the length of the new row
        distances += squares[known]
        of_class = np.minimum.reduceat(distances, np.cumsum(fold.counts) - fold.counts, axis=1)
        limit = of_class.min(axis=1) + ROUNDING * (squares[fold.test] + squares.max())
        found, are_near = of_class.argmin(axis=1), of_class <= limit[:, None]
        unsure = np.flatnonzero(np.count_nonzero(are_near, axis=1) > 1)
    if len(unsure):
        new = table.N[fold.test[unsure]]
        found[unsure] = fold.y[KDTree(table.N[fold.train], leaf_size=30).query(new, return_distance=False)[:, 0]]
    return found


def _nearest_value(N: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Class of the nearest value of a single column (n, 1), by sorting it; among equally near ones as `_nearest`."""
    from sklearn.neighbors import KDTree

    wanted, place = np.unique(new[:, 0], return_inverse=True)
    order = np.argsort(N[:, 0])
    values = N[order, 0]
    after = np.searchsorted(values, wanted)
    sides = values[np.maximum(after - 1, 0)], values[np.minimum(after, len(values) - 1)]
    reach = np.minimum(np.abs(wanted - sides[0]), np.abs(wanted - sides[1]))
    reach += ROUNDING * (reach + np.abs(wanted))
    counts = np.zeros((len(y) + 1, y.max() + 1), dtype=np.int64)  # of each class among the first rows
    counts[np.arange(1, len(y) + 1), y[order]] = 1
    counts = counts.cumsum(axis=0)
    near = counts[np.searchsorted(values, wanted + reach, side="right")] - counts[np.searchsorted(values, wanted - reach)]
    found, unsure = near.argmax(axis=1), np.count_nonzero(near, axis=1) > 1
    if unsure.any():
        found[unsure] = y[KDTree(N, leaf_size=30).query(wanted[unsure, None], return_distance=False)[:, 0]]
    return found[place]


def _naive_bayes(fold: _Fold, new: np.ndarray) -> np.ndarray:
    """Naive Bayes with normal columns."""
    between = fold.counts @ (fold.means - fold.counts @ fold.means / len(fold.y)) ** 2
    spread = (fold.squares.sum(axis=0) + between) / len(fold.y)
    variances = fold.squares / fold.counts[:, None] + SMOOTHING * spread.max()
    priors = np.log(fold.counts / len(fold.y)) - 0.5 * np.sum(np.log(2 * np.pi * variances), axis=1)
    scores = [
        prior - 0.5 * np.sum((new - mean) ** 2 / variance, axis=1)
        for prior, mean, variance in zip(priors, fold.means, variances, strict=True)
    ]
    return np.argmax(scores, axis=0)


def _discriminants(fold: _Fold, new: np.ndarray) -> np.ndarray:
    """Linear discriminant analysis by singular values, those of the classes' deviations from their scatter matrix."""
    n, k = len(fold.y), len(fold.counts)
    priors = fold.counts / n
    deviations = fold.deviations
    scatter = deviations.T @ deviations / n
    spread = np.sqrt(np.diag(scatter))
    spread[spread == 0] = 1
    squares, directions = np.linalg.eigh(scatter / spread / spread[:, None])
    kept = squares > RANK_TOLERANCE**2
    scale = directions[:, kept] / spread[:, None] / np.sqrt(squares[kept])
    centre = priors @ fold.means
    between = np.sqrt(n * priors / (k - 1))[:, None] * (fold.means - centre)
    _, sizes, axes = np.linalg.svd(between @ scale, full_matrices=False)
    scale = scale @ axes[sizes > RANK_TOLERANCE * sizes[0]].T
    places = (fold.means - centre) @ scale
    return np.argmax((new - centre) @ scale @ places.T - 0.5 * np.sum(places**2, axis=1) + np.log(priors), axis=1)


@metafeature("landmarking")
def best_node(table: Table) -> np.ndarray:
    """Tree of the best split alone."""
    pairs = zip(fold_trees(table), _folds(table), strict=True)
    return np.array([fold.accuracy(_first_split(tree, _N32(table)[fold.test])) for tree, fold in pairs])


@metafeature("landmarking")
def random_node(table: Table) -> np.ndarray:
    """Tree of the best split of a random column."""
    column = np.random.RandomState(0).randint(0, table.N.shape[1], size=1)[0]  # pymfe's draw
    return np.array([_stump_accuracy(table, fold, column) for fold in _folds(table)])


@metafeature("landmarking")
def worst_node(table: Table) -> np.ndarray:
    """Tree of the best split of the least important column."""
    pairs = zip(_rankings(table), _folds(table), strict=True)
    return np.array([_stump_accuracy(table, fold, ranking[0]) for ranking, fold in pairs])


@metafeature("landmarking")
def linear_discr(table: Table) -> np.ndarray:
    """Linear discriminant analysis."""
    return np.array([fold.accuracy(_discriminants(fold, table.N[fold.test])) for fold in _folds(table)])


@metafeature("landmarking")
def naive_bayes(table: Table) -> np.ndarray:
    """Naive Bayes with normal columns."""
    return np.array([fold.accuracy(_naive_bayes(fold, table.N[fold.test])) for fold in _folds(table)])


@metafeature("landmarking")
def one_nn(table: Table) -> np.ndarray:
    """Nearest neighbour."""
    return np.array([fold.accuracy(_nearest(table, fold)) for fold in _folds(table)])


@metafeature("landmarking")
def elite_nn(table: Table) -> np.ndarray:
    """Nearest neighbour in the most important column."""
    found = []
    for ranking, fold in zip(_rankings(table), _folds(table), strict=True):
        N = table.N[:, ranking[-1:]]
        found.append(fold.accuracy(_nearest_value(N[fold.train], fold.y, N[fold.test])))
    return np.array(found)
