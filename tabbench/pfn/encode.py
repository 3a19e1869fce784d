"""From what people pass to scikit-learn classifiers to the network's input.

`NormalForm` brings any table to the form that the whole house relies on (see tabbench.data.task); `View` turns it into the matrix
that one ensemble member reads.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from sklearn.preprocessing import QuantileTransformer
from sklearn.utils.validation import check_array

from tabbench.data.columns import known_levels, known_numbers, normal_column
from tabbench.data.frames import as_frame
from tabbench.errors import UserError

TRANSFORMS = ("none", "quantile")
FARTHEST = 1e6  # interquartile ranges from the median; what lies beyond is moved there


class NormalForm:
    """Brings tables to normal form: columns x0, x1, ... of float64, or `category` with the training table's levels.

    What a column is, its training cells decide, as for `tabbench run` (docs/data.md): numbers, dates and durations become
    float64, text, booleans and categories levels. Later cells are read as what their column is: 1 for True, True for 1. A level
    that training did not have counts as missing, and so do all cells of a column that had none in training.
    """

    def fit_transform(self, X: pd.DataFrame | np.ndarray) -> pd.DataFrame:
        """Learn kinds and levels of the columns of a table (n, d); raises ValueError for infinite, nested and binary values."""
        columns = {}
        self.levels_: dict[str, pd.Index | None] = {}
        self.kinds_: dict[str, str] = {}
        self.empty_: set[str] = set()
        for name, label, column in _columns(X):
            with _value_errors():
                decided = normal_column(column, f"column {label!r}")
            values = columns[name] = decided.values
            self.kinds_[name] = decided.kind
            if decided.remark:
                warnings.warn(f"column {label!r}: {decided.remark}", stacklevel=4)
            self.levels_[name] = values.cat.categories if isinstance(values.dtype, pd.CategoricalDtype) else None
            if values.isna().all():
                self.empty_.add(name)
        return pd.DataFrame(columns)

    def transform(self, X: pd.DataFrame | np.ndarray) -> pd.DataFrame:
        """Table like the training table; raises ValueError for infinite values, or what is no number in a column of numbers.

        Warns of a column in which no cell is known from training.
        """
        columns = {}
        for name, label, column in _columns(X):
            levels = self.levels_[name]
            with _value_errors():
                if name in self.empty_:
                    values = pd.Series(np.nan, column.index, np.float64)
                elif levels is None:
                    values = known_numbers(column, self.kinds_[name], f"column {label!r}")
                else:
                    values = known_levels(column, levels, f"column {label!r}")
            if values.isna().all() and not column.isna().all():
                warnings.warn(f"column {label!r} holds nothing that was there when fitted: taken as missing", stacklevel=4)
            columns[name] = values.astype(pd.CategoricalDtype(levels)) if levels is not None else values
        return pd.DataFrame(columns)


@contextmanager
def _value_errors() -> Iterator[None]:
    """What is wrong with a value as scikit-learn's users expect it."""
    try:
        yield
    except UserError as error:
        raise ValueError(str(error)) from None


def as_table(X: Any, estimator: Any) -> pd.DataFrame | np.ndarray:
    """DataFrame as it is, Arrow and polars tables as one, anything else as an array (n, d).

    Raises ValueError, as scikit-learn does, if it is none of these.
    """
    if isinstance(X, pd.DataFrame):
        if 0 in X.shape:
            raise ValueError(f"X has shape {X.shape}: at least one row and one column are needed")
        return X
    if not isinstance(X, pd.Series) and (hasattr(X, "to_arrow") or hasattr(X, "__arrow_c_stream__")):
        with _value_errors():
            return as_table(as_frame(X)[0], estimator)
    X = np.array(X, dtype=object) if isinstance(X, list) else X  # else numbers beside text become text
    return check_array(X, dtype=None, ensure_all_finite=False, estimator=estimator, input_name="X")


def _columns(X: pd.DataFrame | np.ndarray) -> Iterator[tuple[str, Any, pd.Series]]:
    """Internal name, the user's name and content of every column."""
    X = pd.DataFrame(X)
    for i, label in enumerate(X.columns):
        yield f"x{i}", label, X.iloc[:, i].reset_index(drop=True)


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
