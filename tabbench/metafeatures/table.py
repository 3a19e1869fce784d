"""Table: the training part of a task in the three forms that metafeatures are computed on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from tabbench.errors import UserError

MISSING = "missing"
QUANTILE_TOLERANCE = 1e-8  # edges of bins that are closer are one edge


@dataclass(frozen=True, eq=False)
class Table:
    """Training rows of a task.

    raw : (n, d) DataFrame in normal form (`task.py`), with its missing values.
    labels : (n,) class codes; classes without a row are no classes.
    memo : what metafeatures share, by the function that made it.

    Everything else is seen without missing values (the median for a number, a level of its own for a category; both
    from these rows) and without constant columns, which no model sees either.
    """

    raw: pd.DataFrame
    labels: np.ndarray
    memo: dict[Callable[..., Any], Any] = field(default_factory=dict, repr=False)

    @cached_property
    def y(self) -> np.ndarray:
        """(n,) class codes 0..k-1."""
        return np.unique(self.labels, return_inverse=True)[1]

    @cached_property
    def class_counts(self) -> np.ndarray:
        """(k,) rows of each class."""
        return np.bincount(self.y)

    @cached_property
    def complete(self) -> pd.DataFrame:
        """(n, c) complete columns that vary, in order: numbers (float64), categories as codes of their sorted levels (int64)."""
        columns = {}
        for name in self.raw:
            column = self.raw[name]
            is_categorical = isinstance(column.dtype, pd.CategoricalDtype)
            values = _level_codes(column) if is_categorical else _filled(column.to_numpy(np.float64))
            if (values != values[0]).any():
                columns[name] = values
        if not columns:
            raise UserError("no column varies in the training rows")
        return pd.DataFrame(columns)

    @cached_property
    def numeric(self) -> list[str]:
        """Names of the numeric columns."""
        return [name for name in self.complete if self.complete[name].dtype == np.float64]

    @cached_property
    def categorical(self) -> list[str]:
        """Names of the categorical columns."""
        return [name for name in self.complete if self.complete[name].dtype == np.int64]

    @cached_property
    def _numbers(self) -> np.ndarray:
        return self.complete[self.numeric].to_numpy(np.float64)

    @cached_property
    def _levels(self) -> np.ndarray:
        return self.complete[self.categorical].to_numpy(np.int64)

    @cached_property
    def n_distinct(self) -> pd.Series:
        """Distinct values by column of `complete`."""
        ordered = np.sort(self._numbers, axis=0)
        counts = dict(zip(self.numeric, 1 + np.sum(ordered[1:] != ordered[:-1], axis=0), strict=True))
        counts |= dict(zip(self.categorical, 1 + self._levels.max(axis=0, initial=0), strict=True))
        return pd.Series([counts[name] for name in self.complete], self.complete.columns)

    @cached_property
    def N(self) -> np.ndarray:
        """(n, p) float64: the numeric columns, then 0/1 columns of levels.

        Of the first category all levels have one, of the others all but the first: treatment coding without an intercept,
        which pymfe takes from patsy.
        """
        dummies = [np.eye(codes.max() + 1)[codes][:, min(i, 1) :] for i, codes in enumerate(self._levels.T)]
        return np.column_stack([self._numbers, *dummies])

    @cached_property
    def C(self) -> np.ndarray:
        """(n, c) int64 codes: the levels, then the numeric columns in ⌊n^⅓⌋ bins of equal frequency."""
        bins = int(len(self.y) ** (1 / 3))
        binned = [_consecutive(_equal_frequency(values, bins)) for values in self._numbers.T]
        return np.column_stack([self._levels, *binned])

    @cached_property
    def by_class(self) -> list[np.ndarray]:
        """Row numbers of each class."""
        return [np.flatnonzero(self.y == code) for code in range(len(self.class_counts))]


def _filled(values: np.ndarray) -> np.ndarray:
    """Numbers with their median in the gaps; constant if there are only gaps."""
    gaps = np.isnan(values)
    if not gaps.any():
        return values
    return np.zeros(len(values)) if gaps.all() else np.where(gaps, np.median(values[~gaps]), values)


def _level_codes(column: pd.Series) -> np.ndarray:
    """Codes of the levels there are, in the order of their texts; equal texts are one level."""
    names = np.array([*column.cat.categories.astype(str), MISSING])
    used, codes = np.unique(column.cat.codes.to_numpy(np.int64), return_inverse=True)
    return np.unique(names[used], return_inverse=True)[1][codes].astype(np.int64)


def _consecutive(codes: np.ndarray) -> np.ndarray:
    """Codes ≥ 0 renumbered 0, 1, … in their order, without gaps."""
    there = np.bincount(codes) > 0
    return (np.cumsum(there) - 1)[codes]


def _equal_frequency(values: np.ndarray, bins: int) -> np.ndarray:
    edges = np.quantile(values, np.linspace(0, 1, bins + 1)[1:])
    return np.digitize(values, edges[np.append(True, np.diff(edges) > QUANTILE_TOLERANCE)], right=True)
