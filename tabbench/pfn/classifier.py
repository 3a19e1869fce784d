"""The network as a scikit-learn classifier."""

import warnings
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import Tags, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d, validate_data

from tabbench.errors import UserError
from tabbench.pfn.encode import NormalForm, as_table
from tabbench.pfn.ensemble import Ensemble
from tabbench.pfn.hierarchy import HierarchicalClassifier
from tabbench.pfn.limits import MAX_CLASSES, MAX_ROWS
from tabbench.prepare.subsample import COLUMN_POLICIES, ROW_POLICIES, Contexts, Cut, check_limits
from tabbench.resources import torch_threads


class PFNClassifier(ClassifierMixin, BaseEstimator):
    """Prior-data fitted network: classifies small tables in one forward pass, without training on them.

    Takes arrays and DataFrames with numbers, text, booleans, categories, dates and missing values (NaN, None, pd.NA) as
    they are. Beyond its limits it uses a part of the rows or columns, warns, and says which in `subsample_`; every ensemble
    member then draws rows of its own. More than ten classes are predicted by a tree of groups (`HierarchicalClassifier`).

    The same seed gives the same predictions. Probabilities of a row do not depend on the other rows of the test table, up
    to rounding: 1e-5 at most between any two orders or batch sizes.

    Parameters
    ----------
    n_members : ensemble members; more is slower and a little better.
    max_rows : rows of a context, of which attention sees 512. row_policy : how they are chosen.
    max_columns : columns used. column_policy : how they are chosen. The policies are those of tabbench.prepare.subsample.
    max_cache_mb : memory for what the network made of the training rows; what exceeds it is computed at each prediction.
    weights : a file of weights; None: those of the package.
    random_state : seed of members and subsamples. n_jobs : threads; None: as many as torch has; -1: all cores.

    Attributes
    ----------
    classes_ : (k,) labels. subsample_ : Cut (n_rows, n_columns, note), what was used of the training table.
    n_features_in_, feature_names_in_ : as in scikit-learn.

    References
    ----------
    Müller et al. 2022, Transformers Can Do Bayesian Inference; Hollmann et al. 2023, TabPFN.

    Examples
    --------
    >>> from tabbench import PFNClassifier
    >>> proba = PFNClassifier().fit(X_train, y_train).predict_proba(X_test)  # doctest: +SKIP
    """

    def __init__(  # noqa: PLR0913 - all of an estimator's parameters are arguments
        self,
        n_members: int = 3,
        *,
        max_rows: int = MAX_ROWS,
        row_policy: str = "stratified",
        max_columns: int = 100,
        column_policy: str = "importance",
        max_cache_mb: float = 600,
        weights: str | Path | None = None,
        random_state: Any = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.n_members = n_members
        self.max_rows = max_rows
        self.row_policy = row_policy
        self.max_columns = max_columns
        self.column_policy = column_policy
        self.max_cache_mb = max_cache_mb
        self.weights = weights
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any) -> Self:
        """Read the training table X (n, d) with labels y (n,).

        Raises ValueError for infinite values and for a target that is not one of classes, UserError for bad parameters and
        missing weights.
        """
        check_limits(self.max_rows, self.row_policy, self.max_columns, self.column_policy)
        if not isinstance(self.n_members, int | np.integer) or isinstance(self.n_members, bool) or self.n_members < 1:
            raise UserError(f"n_members must be a whole number from 1, got {self.n_members!r}")
        X, y = _checked(self, X, y)
        self._form = NormalForm()
        frame = self._form.fit_transform(X)
        self.classes_, codes = np.unique(y, return_inverse=True)
        seed = int(check_random_state(self.random_state).randint(2**31))
        with torch_threads(self.n_jobs):
            self._fit_codes(frame, codes, seed)
        if self.subsample_.note:
            warnings.warn(f"PFNClassifier uses {self.subsample_.note}", stacklevel=2)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """(n, k) float64 probabilities in the order of `classes_`; raises ValueError if the columns are not those of `fit`."""
        check_is_fitted(self)
        X = as_table(X, self)
        validate_data(self, X, reset=False, skip_check_array=True)
        frame = self._form.transform(X)
        with torch_threads(self.n_jobs):
            return self._proba(frame)

    def predict(self, X: Any) -> np.ndarray:
        """(n,) most probable labels."""
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _fit_codes(self, frame: pd.DataFrame, codes: np.ndarray, seed: int) -> None:
        self._reduce: Any = None
        self._model: Any = None
        self.subsample_ = Cut(len(frame), frame.shape[1], "")
        if len(self.classes_) > MAX_CLASSES:
            node = clone(self).set_params(random_state=seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # one warning, for the groups, comes from here
                self._model = HierarchicalClassifier(node, MAX_CLASSES).fit(frame, codes)
            self.subsample_ = self._model.top_.subsample_
        elif len(self.classes_) > 1:
            self._fit_ensemble(frame, codes, seed)

    def _fit_ensemble(self, frame: pd.DataFrame, codes: np.ndarray, seed: int) -> None:
        note = []
        if frame.shape[1] > self.max_columns:
            rng = np.random.default_rng([seed, 0])
            self._reduce = COLUMN_POLICIES[self.column_policy](frame, codes, self.max_columns, rng)
            note.append(f"{self.max_columns} of {frame.shape[1]} columns ({self.column_policy})")
            frame = self._reduce(frame)
        contexts = [Contexts([np.arange(len(frame))])] * self.n_members
        if len(frame) > self.max_rows:
            rngs = (np.random.default_rng([seed, 1, i]) for i in range(self.n_members))
            contexts = [ROW_POLICIES[self.row_policy](frame, codes, self.max_rows, rng) for rng in rngs]
            note.append(f"{self.max_rows} of {len(frame)} rows per member ({self.row_policy})")
        self.subsample_ = Cut(min(self.max_rows, len(frame)), frame.shape[1], ", ".join(note))
        cache_bytes = self.max_cache_mb * 2**20
        self._model = Ensemble(frame, codes, contexts, seed=seed, weights=self.weights, cache_bytes=cache_bytes)
        self._model.read_contexts()

    def _proba(self, frame: pd.DataFrame) -> np.ndarray:
        if self._model is None:
            return np.ones((len(frame), 1))
        if isinstance(self._model, HierarchicalClassifier):
            return self._model.predict_proba(frame)
        return self._model.proba(frame if self._reduce is None else self._reduce(frame))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = True
        return tags


def _checked(estimator: BaseEstimator, X: Any, y: Any) -> tuple[Any, np.ndarray]:
    """X with its names noted, and y (n,); raises ValueError as scikit-learn does."""
    X = as_table(X, estimator)
    validate_data(estimator, X, y, skip_check_array=True)
    y = _labels(y)
    check_classification_targets(y)
    check_consistent_length(X, y)
    return X, y


def _labels(y: Any) -> np.ndarray:
    """(n,) labels as they were given; raises ValueError for missing ones, and for a list that NumPy would turn into others."""
    given = y.to_numpy() if isinstance(y, pd.Series | pd.Index) else y  # else nullable integers and booleans become floats
    labels = column_or_1d(given, warn=True)
    if pd.isna(labels).any():
        raise ValueError("Input y contains NaN: drop the rows without a label")
    if isinstance(y, list) and labels.tolist() != y:
        raise ValueError("y holds labels of several types, which would become others: give texts only, or whole numbers only")
    return labels
