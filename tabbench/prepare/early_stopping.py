"""Fits that validation rows may end: preprocessing is learned from the training part, the model is told of both."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin

from tabbench.prepare.preprocess import Preprocessor
from tabbench.prepare.subsample import class_probabilities


class EarlyStopping(ClassifierMixin, BaseEstimator):
    """A classifier for tables in normal form that trains until validation rows say that it is enough.

    preprocessor, classifier : unfitted. fit_until : `models.Steps.stop` or `watch` of its model. validation : X (n, d) and y
    (n,), of classes that are trained on. until : what the former is told besides, a patience or who is asked after each step.
    """

    def __init__(
        self,
        preprocessor: Preprocessor,
        classifier: Any,
        fit_until: Callable[..., object],
        validation: tuple[pd.DataFrame, np.ndarray],
        until: Any,
    ) -> None:
        self.preprocessor = preprocessor
        self.classifier = classifier
        self.fit_until = fit_until
        self.validation = validation
        self.until = until

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> Self:
        """Fit to `X` (n, d) and `y` (n,)."""
        self.classes_ = np.unique(y)
        train = self.preprocessor.fit_transform(X, y), y
        X_val, y_val = self.validation
        self.fit_until(self.classifier, train, (self.preprocessor.transform(X_val), y_val), self.until)
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Class probabilities (n, k)."""
        return class_probabilities(self.classifier, self.preprocessor.transform(X), len(self.classes_))
