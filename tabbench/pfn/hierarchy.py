"""Many classes by a tree of classifiers that take few."""

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone

from tabbench.prepare.preprocess import Preprocessor
from tabbench.prepare.subsample import NUMERIC


class HierarchicalClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Splits the classes into groups of neighbours, predicts the group, then the class within it.

    P(class) = P(group) · P(class | group): one classifier answers for the groups, and one per group, fitted to the rows of
    the group alone, for its classes (nested as deep as needed). The groups are equal pieces of the classes in the order of
    the first principal component of their means, so that each is a connected region rather than scattered ones.

    Parameters
    ----------
    estimator : classifier with `predict_proba`. max_classes : the most classes it takes.

    Attributes
    ----------
    classes_ : (k,) labels. group_ : (k,) group of each class. top_ : classifier of groups. branches_ : classifier by group,
    None where the group is a single class.
    """

    def __init__(self, estimator: Any, max_classes: int = 10) -> None:
        self.estimator = estimator
        self.max_classes = max_classes

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> Self:
        """Fit to X (n, d) in normal form and y (n,) with more than `max_classes` labels."""
        self.classes_, codes = np.unique(y, return_inverse=True)
        n_groups = min(self.max_classes, -(-len(self.classes_) // self.max_classes))
        self.group_ = np.empty(len(self.classes_), np.int64)
        for g, members in enumerate(np.array_split(_by_neighbourhood(X, codes), n_groups)):
            self.group_[members] = g
        group = self.group_[codes]
        self.top_ = clone(self.estimator).fit(X, group)
        self.branches_ = [self._branch(X[group == g], codes[group == g]) for g in range(n_groups)]
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """(n, k) probabilities."""
        proba = self.top_.predict_proba(X)[:, self.group_]
        for g, branch in enumerate(self.branches_):
            if branch is not None:
                proba[:, self.group_ == g] *= branch.predict_proba(X)
        return proba

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """(n,) most probable labels."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _branch(self, X: pd.DataFrame, codes: np.ndarray) -> Any:
        n_classes = len(np.unique(codes))
        if n_classes == 1:
            return None
        if n_classes <= self.max_classes:
            return clone(self.estimator).fit(X, codes)
        return HierarchicalClassifier(self.estimator, self.max_classes).fit(X, codes)


def _by_neighbourhood(X: pd.DataFrame, codes: np.ndarray) -> np.ndarray:
    """Class codes in the order of the first principal component of the classes' means."""
    values = Preprocessor(NUMERIC).fit(X).transform(X)
    means = np.stack([values[codes == code].mean(axis=0) for code in range(codes.max() + 1)])
    centred = means - means.mean(axis=0)
    component = np.linalg.svd(centred, full_matrices=False)[2][0]
    return np.argsort(centred @ component, kind="stable")
