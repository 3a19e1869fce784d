"""Preprocessing: from a DataFrame in normal form to what a model needs, learned from the training rows alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler

from tabbench.prepare.needs import Needs

MAX_LEVELS = 30  # one-hot columns for the levels of one column; beyond that, rarer levels share the last of them
MISSING = "missing"
UNSEEN = -1


class Preprocessor(TransformerMixin, BaseEstimator):
    """Encode, impute and scale a DataFrame of float64 and `category` columns (missing = NaN).

    Columns that are constant in the training rows (missing counts as a value) are dropped; if none is left, a column of
    zeros stands in. Numbers: the median or mean replaces missing values if `needs.complete`, then mean 0 and variance 1 if
    `needs.scaled`. Categories, by `needs.categories`:

    - "native": DataFrame of float64 and `category` columns named x0, x1, ... (boosters refuse some names). The
      categories are the sorted training levels; unseen levels become NaN. With `complete`, NaN is the level "missing".
    - "ordinal": (n, d) float64, columns in the order of X; a category is its rank among the sorted training levels, NaN
      if it is missing or unseen (-1 with `complete`).
    - "onehot": (n, m) float64: the numbers; one 0/1 column per training level, at most `MAX_LEVELS` per column (the
      rarer levels share one), and one for missing if it occurs in training; an unseen level is all zeros. `complete`
      adds a 0/1 column per numeric column with missing training values, 1 where the value was missing.

    Attributes
    ----------
    columns_, numeric_, categorical_ : the columns kept, and which of them hold numbers and categories.
    levels_ : the sorted training levels by categorical column.
    """

    def __init__(self, needs: Needs) -> None:
        self.needs = needs

    def fit(self, X: pd.DataFrame, y: Any = None) -> Preprocessor:
        """Learn levels, medians, means and scales from the training rows `X` (n, d); `y` is ignored."""
        self.columns_ = [c for c in X if varies(X[c])]
        self.categorical_ = [c for c in self.columns_ if isinstance(X[c].dtype, pd.CategoricalDtype)]
        categorical = set(self.categorical_)
        self.numeric_ = [c for c in self.columns_ if c not in categorical]
        self.levels_ = {c: _levels(X[c]) for c in self.categorical_}
        self._fit_numbers(X[self.numeric_].to_numpy(np.float64))
        if self.needs.categories == "onehot":
            self._fit_one_hot(self._level_codes(X))
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame | np.ndarray:
        """Encode `X` (n, d); see the class for the three forms."""
        if not self.columns_:
            return pd.DataFrame({"x0": np.zeros(len(X))}) if self.needs.categories == "native" else np.zeros((len(X), 1))
        numbers, codes = X[self.numeric_].to_numpy(np.float64), self._level_codes(X)
        encoded = numbers
        for step in self.number_steps_:
            encoded = step.transform(encoded)
        if self.needs.categories == "native":
            return self._native(encoded, codes)
        if self.needs.categories == "ordinal":
            return self._ordinal(encoded, codes)
        gaps = np.isnan(numbers[:, self.gaps_]).astype(np.float64)
        return np.hstack([encoded, self._one_hot(codes), gaps])

    def _fit_numbers(self, numbers: np.ndarray) -> None:
        self.gaps_ = np.isnan(numbers).any(axis=0) & self.needs.complete
        self.number_steps_: list[Any] = []
        if self.numeric_ and self.needs.complete:
            self.number_steps_.append(SimpleImputer(strategy=self.needs.impute, keep_empty_features=True))
            numbers = self.number_steps_[-1].fit_transform(numbers)
        if self.numeric_ and self.needs.scaled:
            self.number_steps_.append(StandardScaler().fit(numbers))

    def _level_codes(self, X: pd.DataFrame) -> np.ndarray:
        """(n, c) integers: rank of the level in `levels_`, the number of levels if missing, UNSEEN if new."""
        codes = np.empty((len(X), len(self.categorical_)), dtype=np.int64)
        for j, column in enumerate(self.categorical_):
            rank = {level: i for i, level in enumerate(self.levels_[column])}
            table = [rank.get(level, UNSEEN) for level in X[column].cat.categories]
            codes[:, j] = np.array([*table, len(rank)])[_codes(X[column])]  # pandas' code -1 (missing) takes the last entry
        return codes

    def _fit_one_hot(self, codes: np.ndarray) -> None:
        self.positions_, self.n_hot_ = [], 0
        for code, levels in zip(codes.T, self.levels_.values(), strict=True):
            position = _positions(np.bincount(code, minlength=len(levels) + 1))
            self.positions_.append(np.where(position < 0, -1, position + self.n_hot_))
            self.n_hot_ += int(position.max()) + 1

    def _one_hot(self, codes: np.ndarray) -> np.ndarray:
        hot = np.zeros((len(codes), self.n_hot_ + 1))
        for code, position in zip(codes.T, self.positions_, strict=True):
            hot[np.arange(len(codes)), position[code]] = 1.0
        return hot[:, : self.n_hot_]  # the last column took what has none of its own

    def _ordinal(self, numbers: np.ndarray, codes: np.ndarray) -> np.ndarray:
        absent = -1.0 if self.needs.complete else np.nan
        n_levels = np.array([len(levels) for levels in self.levels_.values()])
        is_category = np.isin(self.columns_, self.categorical_)
        encoded = np.empty((len(numbers), len(self.columns_)))
        encoded[:, ~is_category] = numbers
        encoded[:, is_category] = np.where((codes == UNSEEN) | (codes == n_levels), absent, codes)
        return encoded

    def _native(self, numbers: np.ndarray, codes: np.ndarray) -> pd.DataFrame:
        series: dict[str, Any] = dict(zip(self.numeric_, numbers.T, strict=True))
        for column, code in zip(self.categorical_, codes.T, strict=True):
            levels = self.levels_[column]
            absent = UNSEEN
            if self.needs.complete:
                levels = levels if MISSING in levels else [*levels, MISSING]
                absent = levels.index(MISSING)
            known = (code != UNSEEN) & (code != len(self.levels_[column]))
            series[column] = pd.Categorical.from_codes(np.where(known, code, absent), categories=levels)
        return pd.DataFrame({f"x{i}": series[column] for i, column in enumerate(self.columns_)})


def _codes(column: pd.Series) -> np.ndarray:
    return column.cat.codes.to_numpy()


def _levels(column: pd.Series) -> list[str]:
    present = np.unique(_codes(column))
    return sorted(column.cat.categories[present[present >= 0]])


def _positions(counts: np.ndarray) -> np.ndarray:
    """0/1 column of each level code, -1 for none, from the training counts of the levels and, last, of missing.

    The result has one entry more than `counts`: the last, at index UNSEEN, is -1.
    """
    n_levels = len(counts) - 1
    n_own = n_levels if n_levels <= MAX_LEVELS else MAX_LEVELS - 1
    own = np.sort(np.argsort(-counts[:-1], kind="stable")[:n_own])
    position = np.full(n_levels + 2, -1)
    position[:n_levels] = n_own  # the shared column, if there is one
    position[own] = np.arange(n_own)
    if counts[-1]:
        position[n_levels] = min(n_levels, MAX_LEVELS)
    return position


def varies(column: pd.Series) -> bool:
    """Whether a column holds at least two distinct values, missing counting as one."""
    values = _codes(column) if isinstance(column.dtype, pd.CategoricalDtype) else column.to_numpy(np.float64)
    return bool(np.any((values != values[0]) & ~(np.isnan(values) & np.isnan(values[0]))))
