"""Accuracies of simple classifiers in ten unshuffled stratified folds of the training part: pymfe's group "landmarking".

The folds and one full tree per fold are shared: the trees rank the columns, and their first split is the best node.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tabbench.metafeatures.registry import metafeature, shared
from tabbench.metafeatures.table import Table

if TYPE_CHECKING:
    from sklearn.tree import DecisionTreeClassifier

FOLDS = 10
Fold = tuple[np.ndarray, np.ndarray]


@shared
def _folds(table: Table) -> list[Fold]:
    from sklearn.model_selection import StratifiedKFold

    return list(StratifiedKFold(FOLDS).split(table.N, table.y))


@shared
def _trees(table: Table) -> "list[DecisionTreeClassifier]":
    from sklearn.tree import DecisionTreeClassifier

    return [DecisionTreeClassifier(random_state=0).fit(table.N[train], table.y[train]) for train, _ in _folds(table)]


@shared
def _rankings(table: Table) -> list[np.ndarray]:
    """Columns from the least to the most important, by fold."""
    return [np.argsort(tree.feature_importances_) for tree in _trees(table)]


def _accuracies(table: Table, predict: Callable[[int, np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """(10,) accuracy of `predict(fold number, training rows, test rows)` in each fold."""
    folds = enumerate(_folds(table))
    return np.array([np.mean(predict(i, train, test) == table.y[test]) for i, (train, test) in folds])


def _of_classifier(table: Table, classifier: Any, columns: Callable[[int], Any] = lambda _: slice(None)) -> np.ndarray:
    def predict(fold: int, train: np.ndarray, test: np.ndarray) -> np.ndarray:
        N = table.N[:, columns(fold)]
        return classifier.fit(N[train], table.y[train]).predict(N[test])

    return _accuracies(table, predict)


def _of_neighbour(table: Table, columns: Callable[[int], Any] = lambda _: slice(None)) -> np.ndarray:
    """Accuracies of the nearest neighbour; among equally near ones it is scikit-learn's k-d tree that chooses."""
    from sklearn.neighbors import KDTree

    def predict(fold: int, train: np.ndarray, test: np.ndarray) -> np.ndarray:
        N = table.N[:, columns(fold)]
        return table.y[train][KDTree(N[train], leaf_size=30).query(N[test], return_distance=False)[:, 0]]

    return _accuracies(table, predict)


def _stump() -> "DecisionTreeClassifier":
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(max_depth=1, random_state=0)


@metafeature("landmarking")
def best_node(table: Table) -> np.ndarray:
    """Tree of the best split alone."""

    def predict(fold: int, _: np.ndarray, test: np.ndarray) -> np.ndarray:
        tree = _trees(table)[fold].tree_
        classes = tree.value[:, 0].argmax(axis=1)
        if tree.node_count == 1:
            return np.full(len(test), classes[0])
        goes_left = table.N[test, tree.feature[0]].astype(np.float32) <= tree.threshold[0]
        return classes[np.where(goes_left, tree.children_left[0], tree.children_right[0])]

    return _accuracies(table, predict)


@metafeature("landmarking")
def random_node(table: Table) -> np.ndarray:
    """Tree of the best split of a random column."""
    column = np.random.RandomState(0).randint(0, table.N.shape[1], size=1)
    return _of_classifier(table, _stump(), lambda _: column)


@metafeature("landmarking")
def worst_node(table: Table) -> np.ndarray:
    """Tree of the best split of the least important column."""
    return _of_classifier(table, _stump(), lambda fold: _rankings(table)[fold][:1])


@metafeature("landmarking")
def linear_discr(table: Table) -> np.ndarray:
    """Linear discriminant analysis."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return _of_classifier(table, LinearDiscriminantAnalysis())


@metafeature("landmarking")
def naive_bayes(table: Table) -> np.ndarray:
    """Naive Bayes with normal columns."""
    from sklearn.naive_bayes import GaussianNB

    return _of_classifier(table, GaussianNB())


@metafeature("landmarking")
def one_nn(table: Table) -> np.ndarray:
    """Nearest neighbour."""
    return _of_neighbour(table)


@metafeature("landmarking")
def elite_nn(table: Table) -> np.ndarray:
    """Nearest neighbour in the most important column."""
    return _of_neighbour(table, lambda fold: _rankings(table)[fold][-1:])
