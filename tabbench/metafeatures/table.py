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
    def _columns(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Complete columns that vary: numbers (float64), and categories (texts)."""
        numbers, categories = {}, {}
        for name in self.raw:
            column = self.raw[name]
            if isinstance(column.dtype, pd.CategoricalDtype):
                texts = column.astype(object).where(column.notna(), MISSING).to_numpy().astype(str)
                if (texts != texts[0]).any():
                    categories[name] = texts
                continue
            values = column.to_numpy(np.float64)
            if not np.isnan(values).all():
                values = np.where(np.isnan(values), np.nanmedian(values), values)
                if (values != values[0]).any():
                    numbers[name] = values
        if not numbers and not categories:
            raise UserError("no column varies in the training rows")
        return numbers, categories

    @property
    def numeric(self) -> list[str]:
        """Names of the numeric columns."""
        return list(self._columns[0])

    @property
    def categorical(self) -> list[str]:
        """Names of the categorical columns."""
        return list(self._columns[1])

    @cached_property
    def complete(self) -> pd.DataFrame:
        """(n, c) the columns in their order: float64 and text."""
        numbers, categories = self._columns
        both = numbers | categories
        return pd.DataFrame({name: both[name] for name in self.raw if name in both})

    @cached_property
    def n_distinct(self) -> np.ndarray:
        """(c,) distinct values of each column of `complete`."""
        return np.array([len(np.unique(self.complete[name].to_numpy())) for name in self.complete])

    @cached_property
    def _levels(self) -> list[np.ndarray]:
        """(n,) codes of the sorted levels of each categorical column."""
        return [np.unique(texts, return_inverse=True)[1] for texts in self._columns[1].values()]

    @cached_property
    def N(self) -> np.ndarray:
        """(n, p) float64: the numeric columns, then 0/1 columns of levels.

        Of the first category all levels have one, of the others all but the first: treatment coding without an intercept,
        which pymfe takes from patsy.
        """
        dummies = [np.eye(codes.max() + 1)[codes][:, min(i, 1) :] for i, codes in enumerate(self._levels)]
        return np.column_stack([*self._columns[0].values(), *dummies])

    @cached_property
    def C(self) -> np.ndarray:
        """(n, c) int64 codes: the levels, then the numeric columns in ⌊n^⅓⌋ bins of equal frequency."""
        bins = int(len(self.y) ** (1 / 3))
        binned = [np.unique(_equal_frequency(values, bins), return_inverse=True)[1] for values in self._columns[0].values()]
        return np.column_stack([*self._levels, *binned])

    @cached_property
    def by_class(self) -> list[np.ndarray]:
        """Row numbers of each class."""
        return [np.flatnonzero(self.y == code) for code in range(len(self.class_counts))]


def _equal_frequency(values: np.ndarray, bins: int) -> np.ndarray:
    edges = np.quantile(values, np.linspace(0, 1, bins + 1)[1:])
    return np.digitize(values, edges[np.append(True, np.diff(edges) > QUANTILE_TOLERANCE)], right=True)
