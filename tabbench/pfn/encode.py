"""From what people pass to scikit-learn classifiers to the network's input.

`NormalForm` brings any table to the form that the whole house relies on (see tabbench.data.task); `View` turns it into the matrix
that one ensemble member reads.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.preprocessing import QuantileTransformer
from sklearn.utils.validation import check_array

from tabbench.data.task import normal_column

TRANSFORMS = ("none", "quantile")
FARTHEST = 1e6  # interquartile ranges from the median; what lies beyond is moved there
NUMBERS = {"integer", "floating", "mixed-integer-float", "decimal"}


class NormalForm:
    """Brings tables to normal form: columns x0, x1, ... of float64, or `category` with the training table's levels.

    Numbers, and objects that are all numbers, become float64; dates and durations seconds; text, booleans and categories
    levels. At prediction a level that training did not have counts as missing.
    """

    def fit_transform(self, X: pd.DataFrame | np.ndarray) -> pd.DataFrame:
        """Learn kinds and levels of the columns of a table (n, d); raises ValueError for infinite values."""
        columns = {name: _normal(column, False, label) for name, label, column in _columns(X)}
        self.levels_ = {
            name: column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else None
            for name, column in columns.items()
        }
        return pd.DataFrame(columns)

    def transform(self, X: pd.DataFrame | np.ndarray) -> pd.DataFrame:
        """Table like the training table; raises ValueError for infinite values, or text in a column of numbers."""
        columns = {}
        for name, label, column in _columns(X):
            levels = self.levels_[name]
            values = _normal(column, levels is not None, label)
            if levels is not None:
                values = values.cat.set_categories(levels)
            elif isinstance(values.dtype, pd.CategoricalDtype):
                raise ValueError(f"column {label!r} held numbers when fitted and now holds {values.cat.categories[0]!r}")
            columns[name] = values
        return pd.DataFrame(columns)


def as_table(X: Any, estimator: Any) -> pd.DataFrame | np.ndarray:
    """DataFrame as it is, anything else as an array (n, d); raises ValueError, as scikit-learn does, if it is neither."""
    if isinstance(X, pd.DataFrame):
        if 0 in X.shape:
            raise ValueError(f"X has shape {X.shape}: at least one row and one column are needed")
        return X
    X = np.array(X, dtype=object) if isinstance(X, list) else X  # else numbers beside text become text
    return check_array(X, dtype=None, ensure_all_finite=False, estimator=estimator, input_name="X")


def _columns(X: pd.DataFrame | np.ndarray) -> Iterator[tuple[str, Any, pd.Series]]:
    """Internal name, the user's name and content of every column."""
    X = pd.DataFrame(X)
    for i, label in enumerate(X.columns):
        yield f"x{i}", label, X.iloc[:, i].reset_index(drop=True)


def _normal(column: pd.Series, as_category: bool, label: Any) -> pd.Series:
    if column.dtype == object and not as_category:
        kind = pd.api.types.infer_dtype(column, skipna=True)
        if kind in NUMBERS or column.isna().all():
            column = pd.to_numeric(column.where(column.notna(), np.nan))
    if pd.api.types.is_complex_dtype(column.dtype):
        raise ValueError(f"Complex data not supported: column {label!r}")
    if pd.api.types.is_timedelta64_dtype(column.dtype):
        column = column / pd.Timedelta(seconds=1)
    if pd.api.types.is_float_dtype(column.dtype) and np.isinf(column.to_numpy(np.float64, na_value=np.nan)).any():
        raise ValueError(f"Input X contains infinity in column {label!r}: replace it by a number or leave the cell empty")
    return normal_column(column, as_category, f"column {label!r}")


class View:
    """What one ensemble member sees: its order of the columns, its codes of the levels, its transform of the numbers.

    Learned from the rows of the member's context alone. Columns that are constant there are left out (missing counts as a
    value); if none is left, a column of zeros stands in.

    Parameters
    ----------
    order : (d,) positions of the columns. transform : one of TRANSFORMS. rng : draws the codes of the levels.

    Attributes
    ----------
    categorical : (m,) bool, of the columns of the matrix.
    """

    def __init__(self, context: pd.DataFrame, order: np.ndarray, transform: str, rng: np.random.Generator) -> None:
        varied = context.nunique(dropna=False).to_numpy() > 1
        self.columns = [context.columns[i] for i in order if varied[i]]
        is_category = [isinstance(context[name].dtype, pd.CategoricalDtype) for name in self.columns]
        self.categorical = np.array(is_category or [False])
        self.codes = {
            name: rng.permutation(len(context[name].cat.categories)).astype(np.float32)
            for name, category in zip(self.columns, is_category, strict=True)
            if category
        }
        self.numbers = [name for name in self.columns if name not in self.codes]
        self.quantiles = None
        values = self._values(context)
        if transform == "quantile" and self.numbers:
            seed, n = int(rng.integers(2**31)), min(1000, len(context))
            self.quantiles = QuantileTransformer(n_quantiles=n, output_distribution="normal", random_state=seed)
            self.quantiles.fit(values)
            values = self.quantiles.transform(values)
        self.centre, self.scale = _location(values)

    def matrix(self, frame: pd.DataFrame) -> np.ndarray:
        """(n, m) float32 with NaN for missing; `frame` is in normal form."""
        values = self._values(frame)
        if self.quantiles is not None:
            values = self.quantiles.transform(values)
        scaled = np.clip((values - self.centre) / self.scale, -FARTHEST, FARTHEST)
        parts = dict(zip(self.numbers, scaled.T, strict=True))
        for name, codes in self.codes.items():
            parts[name] = np.append(codes, np.nan)[frame[name].cat.codes]  # pandas' code -1 (missing) takes the last
        x = np.zeros((len(frame), len(self.categorical)), np.float32)
        for j, name in enumerate(self.columns):
            x[:, j] = parts[name]
        return x

    def _values(self, frame: pd.DataFrame) -> np.ndarray:
        return np.clip(frame[self.numbers].to_numpy(np.float64), -1e150, 1e150)


def _location(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median and interquartile range of each column; if that is 0, the largest distance from the median."""
    if values.size == 0:
        return np.zeros(values.shape[1]), np.ones(values.shape[1])
    low, centre, high = np.nanquantile(values, [0.25, 0.5, 0.75], axis=0)
    scale = np.where(high > low, high - low, np.nanmax(np.abs(values - centre), axis=0))
    return centre, np.where(scale > 0, scale, 1.0)
