"""Table: the training part of a task in the three forms that metafeatures are computed on."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from tabbench.errors import UserError
from tabbench.metafeatures.summaries import quantiles

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
    def _complete(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        numbers, levels = {}, {}
        for name, column in self.raw.items():
            if isinstance(column.dtype, pd.CategoricalDtype):
                levels[name] = _level_codes(column.array)
            else:
                numbers[name] = _filled(column.to_numpy(np.float64))
        numeric, categorical = self._varying(numbers, np.float64), self._varying(levels, np.int64)
        if not (numeric.shape[1] or categorical.shape[1]):
            raise UserError("no column varies in the training rows")
        return numeric, categorical

    def _varying(self, columns: dict[Hashable, np.ndarray], dtype: type) -> pd.DataFrame:
        kept = {name: values for name, values in columns.items() if (values != values[0]).any()}
        return pd.DataFrame(np.array([*kept.values()], dtype=dtype).reshape(-1, len(self.raw)).T, columns=[*kept])

    @cached_property
    def numeric(self) -> pd.DataFrame:
        """(n, ·) float64: the complete numeric columns that vary."""
        return self._complete[0]

    @cached_property
    def categorical(self) -> pd.DataFrame:
        """(n, ·) int64: the complete categorical columns that vary, as codes of their sorted levels."""
        return self._complete[1]

    @cached_property
    def n_columns(self) -> int:
        """Columns that vary."""
        return self.numeric.shape[1] + self.categorical.shape[1]

    @cached_property
    def n_distinct(self) -> np.ndarray:
        """(n_columns,) distinct values of the numeric columns, then of the categorical ones."""
        ordered = self.ordered[:, : self.numeric.shape[1]]
        of_levels = 1 + self.categorical.to_numpy(np.int64).max(axis=0, initial=0)
        return np.append(1 + np.count_nonzero(ordered[1:] != ordered[:-1], axis=0), of_levels)

    @cached_property
    def N(self) -> np.ndarray:
        """(n, p) float64: the numeric columns, then 0/1 columns of levels.

        Of the first category all levels have one, of the others all but the first: treatment coding without an intercept,
        which pymfe takes from patsy.
        """
        codes = self.categorical.to_numpy(np.int64)
        dummies = [codes[:, [i]] == np.arange(min(i, 1), codes[:, i].max() + 1) for i in range(codes.shape[1])]
        return np.column_stack([self.numeric.to_numpy(np.float64), *dummies])

    @cached_property
    def ordered(self) -> np.ndarray:
        """(n, p) float64: N with every column sorted."""
        return np.sort(self.N, axis=0)

    @cached_property
    def C(self) -> np.ndarray:
        """(n, c) int64 codes: the levels, then the numeric columns in ⌊n^⅓⌋ bins of equal frequency."""
        bins = int(len(self.y) ** (1 / 3))
        values = self.numeric.to_numpy(np.float64)
        edges = quantiles(self.ordered[:, : values.shape[1]], np.linspace(0, 1, bins + 1)[1:])
        binned = [_consecutive(_bins(*column)) for column in zip(values.T, edges.T, strict=True)]
        return np.column_stack([self.categorical.to_numpy(np.int64), *binned])

    @cached_property
    def by_class(self) -> list[np.ndarray]:
        """Row numbers of each class."""
        return [np.flatnonzero(self.y == code) for code in range(len(self.class_counts))]


def _filled(values: np.ndarray) -> np.ndarray:
    """Numbers with their median in the gaps; zeros if there are only gaps."""
    gaps = np.isnan(values)
    if not gaps.any():
        return values
    return np.where(gaps, 0 if gaps.all() else np.median(values[~gaps]), values)


def _level_codes(column: pd.Categorical) -> np.ndarray:
    """Codes of the levels there are, in the order of their texts; equal texts are one level."""
    names = [*map(str, column.categories.tolist()), MISSING]
    place = {name: i for i, name in enumerate(sorted(set(names)))}
    return _consecutive(np.array([place[name] for name in names])[column.codes])  # a missing cell's code is -1, the last place


def _consecutive(codes: np.ndarray) -> np.ndarray:
    """Codes ≥ 0 renumbered 0, 1, … in their order, without gaps."""
    there = np.bincount(codes) > 0
    return (np.cumsum(there) - 1)[codes]


def _bins(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    edges = edges[np.append(True, np.diff(edges) > QUANTILE_TOLERANCE)]
    return np.searchsorted(edges, values)
