"""Early stopping on validation rows: preprocessing is learned from the training part, the model is told of both."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin

from tabbench.prepare.preprocess import Preprocessor


class EarlyStopping(ClassifierMixin, BaseEstimator):
    """A classifier for tables in normal form that trains until validation rows have not been predicted better for a while.

    preprocessor, classifier : unfitted. stop : `models.Steps.stop` of its model. validation : X (n, d) and y (n,), of classes
    that are trained on. patience : steps without a better value; None: the model's own number.
    """

    def __init__(
        self,
        preprocessor: Preprocessor,
        classifier: Any,
        stop: Callable[..., object],
        validation: tuple[pd.DataFrame, np.ndarray],
        patience: int | None,
    ) -> None:
        self.preprocessor = preprocessor
        self.classifier = classifier
        self.stop = stop
        self.validation = validation
        self.patience = patience

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> Self:
        """Fit to `X` (n, d) and `y` (n,)."""
        self.classes_ = np.unique(y)
        train = self.preprocessor.fit_transform(X, y), y
        X_val, y_val = self.validation
        self.stop(self.classifier, train, (self.preprocessor.transform(X_val), y_val), self.patience)
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Class probabilities (n, k)."""
        return np.asarray(self.classifier.predict_proba(self.preprocessor.transform(X)))
