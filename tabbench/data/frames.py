"""Whatever people hold a table in, as a DataFrame."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tabbench.data.reader import Table, from_table, read_file
from tabbench.errors import UserError

TARGET = "target"  # what y of (X, y) is called
TAKEN = "give a file, a DataFrame, an array, a dict of columns, an Arrow or polars table, or (X, y) of these"


def as_frame(data: Any) -> Table:
    """A table and remarks, of a path, DataFrame, 2-d array, dict of columns, Arrow or polars table, or a pair (X, y) of these.

    Columns of an array are 0, 1, …; y is the column "target". An index is no column. Raises UserError for anything else.
    """
    if isinstance(data, str | Path):
        return read_file(Path(data))
    if isinstance(data, tuple) and len(data) == 2:
        return _pair(*data)
    if isinstance(data, pd.DataFrame):
        return _without_index(data)
    try:
        return _converted(data)
    except (ValueError, TypeError, NotImplementedError) as error:
        raise UserError(f"data cannot be made a table: {' '.join(str(error).split())[:200]}: {TAKEN}") from None


def _converted(data: Any) -> Table:
    if hasattr(data, "collect") and hasattr(data, "collect_schema"):  # a lazy frame of polars
        data = data.collect()
    if isinstance(data, pd.Series | pd.Index):
        raise UserError(f"data is of type {type(data).__name__}: {TAKEN}")
    if isinstance(data, np.ndarray) and (data.ndim == 2 or data.dtype.names):
        return pd.DataFrame(data), []
    if isinstance(data, dict) or (isinstance(data, list) and data):
        return pd.DataFrame(data), []
    if hasattr(data, "to_arrow") or hasattr(data, "__arrow_c_stream__"):
        import pyarrow as pa

        table = data.to_arrow() if hasattr(data, "to_arrow") else pa.table(data)
        if isinstance(table, pa.Table):  # not a column alone
            return from_table(table)
    shape = f" of shape {data.shape}" if hasattr(data, "shape") else ""
    raise UserError(f"data is of type {type(data).__name__}{shape}: {TAKEN}")


def _pair(X: Any, y: Any) -> Table:
    if isinstance(X, str | bytes):
        raise UserError(f"data is a pair of texts: {TAKEN}")
    frame, remarks = as_frame(X)
    labels = _labels(y)
    if len(labels) != len(frame):
        raise UserError(f"X has {len(frame)} rows and y {len(labels)}: they must have one row each")
    if isinstance(X, pd.DataFrame) and isinstance(y, pd.Series) and not X.index.equals(y.index) and set(X.index) == set(y.index):
        raise UserError("the index of y is that of X in another order: align them, or reset both")
    if TARGET in frame.columns.astype(str):
        raise UserError(f"X has a column {TARGET!r}, which is what y is called: rename it, or name the target and leave y out")
    return frame.reset_index(drop=True).assign(**{TARGET: labels.reset_index(drop=True)}), remarks


def _labels(y: Any) -> pd.Series:
    """One label a row, of anything one- or two-dimensional with one column."""
    if isinstance(y, pd.DataFrame) or getattr(y, "ndim", 1) == 2:
        if y.shape[1] != 1:
            raise UserError(f"y has {y.shape[1]} columns: give one label a row")
        y = y.iloc[:, 0] if isinstance(y, pd.DataFrame) else np.asarray(y)[:, 0]
    if isinstance(y, pd.Series):
        return y
    try:
        return pd.Series(y.to_list() if hasattr(y, "to_list") else list(y))
    except TypeError:
        raise UserError(f"y is of type {type(y).__name__}: give one label a row") from None


def _without_index(frame: pd.DataFrame) -> Table:
    """An index that only numbers rows is no loss; one with a name or with texts is said to be left out."""
    index = frame.index
    names = [str(name) for name in index.names if name is not None]
    if names or not (pd.api.types.is_integer_dtype(index.dtype) or index.empty):
        what = f" ({', '.join(map(repr, names))})" if names else ""
        return frame, [f"the index{what} is no column: left out (reset_index() makes it one)"]
    return frame, []
