"""Support vector classifier with probabilities that survives rare classes."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

N_FOLDS = 3


class CalibratedSVC(ClassifierMixin, BaseEstimator):
    """RBF support vector machines, one per class against the rest, with sigmoids for probabilities (Platt 1999).

    The sigmoids are fitted to out-of-fold decision values, then the machines to all rows. Values of one machine per
    class calibrate far better than the pairwise votes that `SVC` gives for many classes. The rows of a class with fewer
    than `N_FOLDS` of them are repeated until every fold has one, so no class is left out.
    """

    def __init__(self, C: float = 1.0, gamma: Any = "scale", random_state: int | None = None) -> None:
        self.C = C
        self.gamma = gamma
        self.random_state = random_state

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Fit to `X` (n, d) without missing values and `y` (n,)."""
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.model_selection import StratifiedKFold
        from sklearn.multiclass import OneVsRestClassifier
        from sklearn.svm import SVC

        rows = _repeat_rare(np.asarray(y))
        folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=self.random_state)
        machines = OneVsRestClassifier(SVC(C=self.C, gamma=self.gamma, random_state=self.random_state))
        self.model_ = CalibratedClassifierCV(machines, method="sigmoid", cv=folds, ensemble=False)
        self.model_.fit(np.asarray(X)[rows], np.asarray(y)[rows])
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Class probabilities (n, k)."""
        return self.model_.predict_proba(X)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Most probable class (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def _repeat_rare(y: np.ndarray) -> np.ndarray:
    """Row numbers, those of a class with fewer than `N_FOLDS` rows repeated up to that."""
    _, code, counts = np.unique(y, return_inverse=True, return_counts=True)
    return np.repeat(np.arange(len(y)), np.maximum(1, -(-N_FOLDS // counts))[code])
