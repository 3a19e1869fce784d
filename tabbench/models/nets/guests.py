"""RealMLP and xRFM of other packages, held to what is asked of ours: one held-out part, own draws, and no file."""

from collections.abc import Mapping
from threading import RLock
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, ClassifierMixin

from tabbench.models.nets.trainer import inner_split, own_torch


class Guest(ClassifierMixin, BaseEstimator):
    """A classifier that learns from training rows and picks its best state by a held-out stratified fifth, or by given rows.

    config : by the names of its package. Torch's own generator and thread count are left as found. `_fit` and `_proba` are the
    guest's part of the work.
    """

    def __init__(self, config: Mapping[str, Any], random_state: int = 0, n_threads: int = 1) -> None:
        self.config = config
        self.random_state = random_state
        self.n_threads = n_threads

    def fit(self, X: Any, y: np.ndarray, validation: tuple[Any, np.ndarray] | None = None) -> Self:
        """Fit to `X` (n, d) and `y` (n,); `validation`: X and y of the rows that pick the best state, of the same classes."""
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) == 1:
            return self
        with own_torch(self.n_threads, int(self.random_state)):
            if validation is None:
                train, held_out = (rows.numpy() for rows in inner_split(codes))
                take = X.iloc.__getitem__ if isinstance(X, pd.DataFrame) else X.__getitem__
                self._fit(take(train), codes[train], take(held_out), codes[held_out])
            else:
                self._fit(X, codes, validation[0], np.searchsorted(self.classes_, validation[1]))
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Class probabilities (n, k) float64."""
        if len(self.classes_) == 1:
            return np.ones((len(X), 1))
        with own_torch(self.n_threads, 0):
            proba = np.asarray(self._proba(X), dtype=np.float64)
        return proba / proba.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """Most probable class (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _fit(self, X: Any, codes: np.ndarray, X_val: Any, codes_val: np.ndarray) -> None:
        raise NotImplementedError

    def _proba(self, X: Any) -> np.ndarray:
        raise NotImplementedError


class RealMLP(Guest):
    """RealMLP (Holzmüller et al. 2024) as `pytabkit` has it, the best of its epochs by held-out log loss.

    Takes frames of float64 and `category` columns without gaps. All epochs are done, since its learning rate swings up and down
    over them; they are fewer than `n_epochs` where these would be more than `MAX_STEPS` batches of 256 rows.
    """

    MAX_STEPS = 2000

    def _fit(self, X: Any, codes: np.ndarray, X_val: Any, codes_val: np.ndarray) -> None:
        from pytabkit import RealMLP_TD_Classifier

        n_epochs = max(1, min(self.config["n_epochs"], self.MAX_STEPS * 256 // len(codes)))
        self.model_ = RealMLP_TD_Classifier(
            **{**self.config, "n_epochs": n_epochs},
            hidden_sizes="rectangular",
            val_metric_name="cross_entropy",
            device="cpu",
            random_state=int(self.random_state),
            n_threads=self.n_threads,
        )
        self.model_.fit(_numbered(X), codes, _numbered(X_val), codes_val)

    def _proba(self, X: Any) -> np.ndarray:
        return self.model_.predict_proba(_numbered(X))


class XRFM(Guest):
    """xRFM (Beaglehole et al. 2025), trees of kernel machines that learn which columns matter; complete numbers alone.

    config : `rfm_params`, of the machine in a leaf. The best of its rounds is picked by held-out log loss. A leaf has at most
    `MAX_LEAF` rows, which bounds its kernel matrix to 64 MB; larger tables are split along principal components (the paper's own
    way needs a kernel of 50,000 rows).
    """

    MAX_LEAF, CHUNK = 4000, 256

    def _fit(self, X: Any, codes: np.ndarray, X_val: Any, codes_val: np.ndarray) -> None:
        from tqdm import tqdm
        from xrfm import xRFM

        # Its own bars are off, but it would take a semaphore of the system, which a killed job would leave.
        tqdm.set_lock(RLock())
        self.model_ = xRFM(
            self.config,
            max_leaf_size=self.MAX_LEAF,
            split_method="pca",
            device=torch.device("cpu"),
            tuning_metric="logloss",
            classification_mode="prevalence",
            verbose=False,
        )
        self.model_.fit(np.asarray(X, np.float32), codes, np.asarray(X_val, np.float32), codes_val)

    def _proba(self, X: Any) -> np.ndarray:
        """In chunks of one size, since float32 distances are rounded otherwise for another number of rows."""
        rows = np.asarray(X, np.float32)
        places = np.minimum(np.arange(-(-len(rows) // self.CHUNK) * self.CHUNK), len(rows) - 1).reshape(-1, self.CHUNK)
        return np.concatenate([self.model_.predict_proba(rows[some]) for some in places])[: len(rows)]


def _numbered(X: Any) -> pd.DataFrame:
    """A frame whose columns have unique text names."""
    frame = pd.DataFrame(X)
    return frame.set_axis([f"c{i}" for i in range(frame.shape[1])], axis=1)
