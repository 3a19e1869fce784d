"""Accuracies of simple classifiers in ten unshuffled stratified folds of the training part: pymfe's group "landmarking".

The folds and one full tree per fold are shared: the trees rank the columns, and their first split is the best node. The other
classifiers are scikit-learn's, written out: on small tables its checks of the input would take most of the time.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tabbench.metafeatures.registry import metafeature, shared
from tabbench.metafeatures.table import Table

FOLDS = 10
BLOCK_CELLS = 2**24  # distances held at a time
ROUNDING = 1e-12  # distances that differ by less, in the largest squares they are made of, are equal
SAME_VALUE = 1e-7  # scikit-learn's trees do not split between values that are closer
RANK_TOLERANCE, SMOOTHING = 1e-4, 1e-9  # scikit-learn's defaults for linear discriminants and naive Bayes

# from training values (n, p), classes (n,) of k, and values (m, p) to their predicted classes (m,)
Classifier = Callable[[np.ndarray, np.ndarray, int, np.ndarray], np.ndarray]


@shared
def _folds(table: Table) -> list[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import StratifiedKFold

    return list(StratifiedKFold(FOLDS).split(table.N, table.y))


@shared
def _trees(table: Table) -> list[Any]:
    from sklearn.tree import DecisionTreeClassifier

    N, y = table.N.astype(np.float32), table.y
    return [DecisionTreeClassifier(random_state=0).fit(N[train], y[train], check_input=False) for train, _ in _folds(table)]


@shared
def _rankings(table: Table) -> list[np.ndarray]:
    """Columns from the least to the most important, by fold."""
    return [np.argsort(tree.feature_importances_) for tree in _trees(table)]


def _accuracies(table: Table, classify: Classifier, columns: Callable[[int], Any] = lambda _: slice(None)) -> np.ndarray:
    """(10,) accuracy in each fold, on the columns of that fold."""
    found = []
    for fold, (train, test) in enumerate(_folds(table)):
        N = table.N[:, columns(fold)]
        there, codes = np.unique(table.y[train], return_inverse=True)  # a class of few rows may not be there
        found.append(np.mean(there[classify(N[train], codes, len(there), N[test])] == table.y[test]))
    return np.array(found)


def _stump(N: np.ndarray, y: np.ndarray, k: int, new: np.ndarray) -> np.ndarray:
    """Best split of one column by Gini impurity; among equal ones the lowest."""
    values = N[:, 0].astype(np.float32)
    order = np.argsort(values, kind="stable")
    values = values[order]
    left = np.cumsum(np.eye(k)[y[order]], axis=0)
    right = left[-1] - left[:-1]
    left, n_left = left[:-1], np.arange(1, len(y))
    purity = np.sum(left**2, axis=1) / n_left + np.sum(right**2, axis=1) / (len(y) - n_left)
    purity[values[1:] <= values[:-1] + np.float32(SAME_VALUE)] = -1
    at = int(np.argmax(purity))
    if purity[at] < 0 or (left[at] + right[at]).max() == len(y):
        return np.full(len(new), np.argmax(left[at] + right[at]))
    threshold = values[at] / 2.0 + values[at + 1] / 2.0
    goes_left = new[:, 0].astype(np.float32) <= threshold
    return np.where(goes_left, np.argmax(left[at]), np.argmax(right[at]))


def _nearest(N: np.ndarray, y: np.ndarray, k: int, new: np.ndarray) -> np.ndarray:
    """Class of the nearest row; among equally near ones of several classes scikit-learn's k-d tree chooses."""
    from sklearn.neighbors import KDTree

    found, unsure = np.zeros(len(new), dtype=np.int64), np.ones(len(new), dtype=bool)
    if len(N) * len(new) <= BLOCK_CELLS:
        centre = N.mean(axis=0)
        near, far = N - centre, new - centre
        squares, lengths = np.sum(near**2, axis=1), np.sum(far**2, axis=1)
        distances = squares - 2 * far @ near.T  # squared, less the length of the new row
        limit = distances.min(axis=1) + ROUNDING * (lengths + squares.max())
        found = y[distances.argmin(axis=1)]
        unsure = ((distances <= limit[:, None]) & (y != found[:, None])).any(axis=1)
    if unsure.any():
        found[unsure] = y[KDTree(N, leaf_size=30).query(new[unsure], return_distance=False)[:, 0]]
    return found


def _naive_bayes(N: np.ndarray, y: np.ndarray, k: int, new: np.ndarray) -> np.ndarray:
    """Naive Bayes with normal columns."""
    smoothing = SMOOTHING * N.var(axis=0).max()
    scores = []
    for code in range(k):
        rows = N[y == code]
        mean, variance = rows.mean(axis=0), rows.var(axis=0) + smoothing
        prior = np.log(len(rows) / len(y)) - 0.5 * np.sum(np.log(2 * np.pi * variance))
        scores.append(prior - 0.5 * np.sum((new - mean) ** 2 / variance, axis=1))
    return np.argmax(scores, axis=0)


def _discriminants(N: np.ndarray, y: np.ndarray, k: int, new: np.ndarray) -> np.ndarray:
    """Linear discriminant analysis by singular values, those of the classes' deviations from their scatter matrix."""
    counts = np.bincount(y, minlength=k)
    means = np.array([N[y == code].mean(axis=0) for code in range(k)])
    priors = counts / len(y)
    deviations = N - means[y]
    spread = deviations.std(axis=0)
    spread[spread == 0] = 1
    deviations /= spread
    squares, directions = np.linalg.eigh(deviations.T @ deviations / len(y))
    kept = squares > RANK_TOLERANCE**2
    scale = directions[:, kept] / spread[:, None] / np.sqrt(squares[kept])
    centre = priors @ means
    between = np.sqrt(len(y) * priors / (k - 1))[:, None] * (means - centre)
    _, sizes, axes = np.linalg.svd(between @ scale, full_matrices=False)
    scale = scale @ axes[sizes > RANK_TOLERANCE * sizes[0]].T
    places = (means - centre) @ scale
    return np.argmax((new - centre) @ scale @ places.T - 0.5 * np.sum(places**2, axis=1) + np.log(priors), axis=1)


@metafeature("landmarking")
def best_node(table: Table) -> np.ndarray:
    """Tree of the best split alone."""
    found = []
    for fitted, (_, test) in zip(_trees(table), _folds(table), strict=True):
        tree = fitted.tree_
        classes = fitted.classes_[tree.value[:, 0].argmax(axis=1)]
        node = np.zeros(len(test), dtype=np.int64)
        if tree.node_count > 1:
            goes_left = table.N[test, tree.feature[0]].astype(np.float32) <= tree.threshold[0]
            node = np.where(goes_left, tree.children_left[0], tree.children_right[0])
        found.append(np.mean(classes[node] == table.y[test]))
    return np.array(found)


@metafeature("landmarking")
def random_node(table: Table) -> np.ndarray:
    """Tree of the best split of a random column."""
    column = np.random.RandomState(0).randint(0, table.N.shape[1], size=1)  # pymfe's draw
    return _accuracies(table, _stump, lambda _: column)


@metafeature("landmarking")
def worst_node(table: Table) -> np.ndarray:
    """Tree of the best split of the least important column."""
    return _accuracies(table, _stump, lambda fold: _rankings(table)[fold][:1])


@metafeature("landmarking")
def linear_discr(table: Table) -> np.ndarray:
    """Linear discriminant analysis."""
    return _accuracies(table, _discriminants)


@metafeature("landmarking")
def naive_bayes(table: Table) -> np.ndarray:
    """Naive Bayes with normal columns."""
    return _accuracies(table, _naive_bayes)


@metafeature("landmarking")
def one_nn(table: Table) -> np.ndarray:
    """Nearest neighbour."""
    return _accuracies(table, _nearest)


@metafeature("landmarking")
def elite_nn(table: Table) -> np.ndarray:
    """Nearest neighbour in the most important column."""
    return _accuracies(table, _nearest, lambda fold: _rankings(table)[fold][-1:])
