"""Task: one table with its classification target, in the normal form that every later room relies on.

Normal form: a feature is either float64 (missing = NaN) or `category` with string categories (missing = NaN); the target is
int64 codes 0..k-1 into `classes`. Text, boolean, integer, extension and object columns are brought to it here and nowhere else.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tabbench.errors import UserError
from tabbench.files import replace_file

MAX_CLASSES = 1000


@dataclass(frozen=True, eq=False)
class Task:
    """A classification table.

    X : (n, d) DataFrame in normal form, default index, unique string column names.
    y : (n,) int64 codes into `classes`, read-only.
    classes : the k class labels as strings, sorted.
    groups : (n,) int64 or None; rows of one group are never split.
    test_fold : (n,) or (n, repeats) int64 or None; the predefined test fold of every row (-1: always in training).
    info : plain facts for people: title, source, licence, openml_id, url, notes.
    """

    name: str
    X: pd.DataFrame
    y: np.ndarray
    classes: tuple[str, ...]
    groups: np.ndarray | None = None
    test_fold: np.ndarray | None = None
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def categorical(self) -> list[str]:
        """Names of the categorical columns."""
        return [column for column in self.X if isinstance(self.X[column].dtype, pd.CategoricalDtype)]

    @property
    def size(self) -> int:
        """Number of cells."""
        return int(self.X.size)

    @property
    def digest(self) -> str:
        """SHA-256 over names, types and values of features, target, groups and folds (not over name and info)."""
        return self._digests[0]

    @property
    def features_digest(self) -> str:
        """SHA-256 over names, types and values of the features, and the names of the classes."""
        return self._digests[1]

    @cached_property
    def _digests(self) -> tuple[str, str]:
        sha = hashlib.sha256(json.dumps([list(self.X.columns), list(self.classes)]).encode())
        for column in self.X:
            series = self.X[column]
            if isinstance(series.dtype, pd.CategoricalDtype):
                sha.update(json.dumps(list(series.cat.categories)).encode())
                sha.update(series.cat.codes.to_numpy(np.int32).tobytes())
            else:
                values = series.to_numpy(np.float64)
                sha.update(np.where(np.isnan(values), np.nan, values).tobytes())
        of_features = sha.hexdigest()
        for part in (self.y, self.groups, self.test_fold):
            sha.update(b"-" if part is None else part.astype(np.int64).tobytes())
        return sha.hexdigest(), of_features

    def summary(self) -> dict[str, Any]:
        """Facts for manifests and reports: sizes, missing cells, class counts, digest and `info`."""
        counts = np.bincount(self.y, minlength=len(self.classes))
        return {
            "name": self.name,
            "n_rows": len(self.X),
            "n_features": self.X.shape[1],
            "n_categorical": len(self.categorical),
            "n_missing": int(self.X.isna().to_numpy().sum()),
            "n_classes": len(self.classes),
            "minority_share": float(counts.min() / counts.sum()),
            "digest": self.digest,
            **self.info,
        }


def make_task(
    frame: pd.DataFrame,
    target: str,
    *,
    name: str,
    categorical: Sequence[str] = (),
    groups: str | None = None,
    test_fold: str | Sequence[str] | None = None,
    info: Mapping[str, Any] | None = None,
) -> Task:
    """Bring a raw DataFrame to a Task.

    `categorical` names columns to take as categories although they hold numbers; text and boolean columns always are.
    `groups` and `test_fold` (one column, or one a repeat) steer the splits and are no features. Rows without a target are
    dropped, and `info["notes"]` says so.

    Raises UserError: empty table, duplicate or unknown columns, one class only, a regression-like target, infinite values.
    """
    frame = frame.reset_index(drop=True)
    frame.columns = [str(column) for column in frame.columns]
    folds = [test_fold] if isinstance(test_fold, str) else list(test_fold or [])
    steering = [*([groups] if groups else []), *folds]
    _check_columns(frame, name, [target, *categorical, *steering])
    info = dict(info or {})
    labelled = frame[target].notna()
    if not labelled.all():
        info["notes"] = f"{info.get('notes', '')} {(~labelled).sum()} rows without a target were dropped.".strip()
        frame = frame[labelled].reset_index(drop=True)
    y, classes = _encode_target(frame[target], name)
    features = frame.drop(columns=[target, *steering])
    if features.shape[1] == 0:
        raise UserError(f"{name}: no feature column is left beside the target {target!r}: add at least one")
    X = pd.DataFrame({c: normal_column(features[c], c in categorical, f"{name}, column {c!r}") for c in features})
    return Task(
        name,
        X,
        y,
        classes,
        groups=_freeze(pd.factorize(frame[groups])[0]) if groups else None,
        test_fold=_freeze(frame[folds[0] if len(folds) == 1 else folds].to_numpy(np.int64)) if folds else None,
        info=info,
    )


def _check_columns(frame: pd.DataFrame, name: str, wanted: Sequence[str]) -> None:
    if frame.empty:
        raise UserError(f"{name}: the table is empty: it needs rows, features and a target")
    duplicates = frame.columns[frame.columns.duplicated()].unique().tolist()
    if duplicates:
        raise UserError(f"{name}: duplicate column names {duplicates}: rename or drop them")
    missing = [column for column in wanted if column not in frame]
    if missing:
        raise UserError(f"{name}: no column {missing[0]!r}: the columns are {', '.join(frame.columns[:12])}")


def _encode_target(target: pd.Series, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    if pd.api.types.is_float_dtype(target.dtype):
        values = target.to_numpy(np.float64)
        if np.any(values != np.round(values)):
            raise UserError(
                f"{name}: target {target.name!r} holds {len(np.unique(values))} distinct real numbers, which is regression: "
                "tabbench does classification; bin the target or choose another column"
            )
        target = target.astype(np.int64)
    labels = target.astype(str)
    classes, y = np.unique(labels.to_numpy(object).astype(str), return_inverse=True)
    if pd.api.types.is_integer_dtype(target.dtype):  # "10" must not sort before "2"
        order = np.argsort(classes.astype(np.int64), kind="stable")
        classes, y = classes[order], np.argsort(order)[y]
    if len(classes) < 2:
        raise UserError(f"{name}: target {target.name!r} has {len(classes)} class: classification needs at least two")
    if len(classes) > max(2, min(MAX_CLASSES, len(y) // 2)):
        raise UserError(
            f"{name}: target {target.name!r} has {len(classes)} classes in {len(y)} rows: it looks like a number or an id; "
            "bin it or choose another column"
        )
    return _freeze(y.astype(np.int64)), tuple(classes.tolist())


def normal_column(column: pd.Series, as_category: bool, where: str) -> pd.Series:
    """A column as float64, or as text categories in sorted order; raises UserError, with `where`, for infinite values."""
    dtype = column.dtype
    is_text = not (pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_datetime64_any_dtype(dtype))
    if as_category or is_text or pd.api.types.is_bool_dtype(dtype):
        known = column.notna()
        text = [_label(value) if there else None for value, there in zip(column.astype(object), known, strict=True)]
        levels = sorted({value for value in text if value is not None})
        return pd.Series(pd.Categorical(text, categories=pd.Index(levels, dtype=str)), name=column.name)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        seconds = (column - pd.Timestamp(0, tz=column.dt.tz)) / pd.Timedelta(seconds=1)
        return seconds.astype(np.float64)
    numbers = column.astype("Float64").to_numpy(np.float64, na_value=np.nan)
    if np.isinf(numbers).any():
        raise UserError(f"{where}: infinite values: replace them by numbers or leave the cells empty")
    return pd.Series(numbers, name=column.name)


def _label(value: Any) -> str:
    """One spelling for a category, whatever the type it arrived in (1, 1.0 and "1" are the same level)."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _freeze(array: np.ndarray) -> np.ndarray:
    array = np.ascontiguousarray(array, dtype=np.int64)
    array.flags.writeable = False
    return array


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV or Parquet file; raises UserError if it is missing, empty, not UTF-8 or cannot be parsed."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        if path.suffix in {".parquet", ".pq"}:
            return pd.read_parquet(path)
        header = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False)
        names = [str(value) for value in header.iloc[0]]
        # pandas renames a second "a" to "a.1" in silence: set the names ourselves so that make_task can refuse
        frame = pd.read_csv(path, low_memory=False)
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text: convert it, e.g. iconv -f latin1 -t utf-8") from None
    except pd.errors.EmptyDataError:
        raise UserError(f"{path}: the file is empty") from None
    except (pd.errors.ParserError, OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as a table: {str(error).splitlines()[0]}") from None
    if len(names) == frame.shape[1]:
        frame.columns = names
    return frame


def save_task(task: Task, folder: Path) -> Path:
    """Write a task to `folder/<digest>.parquet` (with its facts in the file's metadata) unless it is there; return the path."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / f"{task.digest}.parquet"
    if path.exists():
        return path
    frame = task.X.set_axis([f"x{i}" for i in range(task.X.shape[1])], axis=1)
    frame = frame.assign(y=task.y)
    if task.groups is not None:
        frame["groups"] = task.groups
    if task.test_fold is not None:
        repeats = task.test_fold.reshape(len(frame), -1).T
        frame = pd.concat([frame, pd.DataFrame({f"test_fold{r}": fold for r, fold in enumerate(repeats)})], axis=1)
    meta = {"name": task.name, "columns": list(task.X.columns), "classes": list(task.classes), "info": dict(task.info)}
    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), b"tabbench": json.dumps(meta).encode()})
    replace_file(path, lambda temporary: pq.write_table(table, temporary))
    return path


def load_task(path: Path) -> Task:
    """Read what `save_task` wrote; raises UserError if the content is not what the file name promises."""
    import pyarrow.parquet as pq

    try:
        # in one thread, as a job has one: starting pyarrow's would take longer than reading
        table = pq.ParquetFile(path, pre_buffer=False).read(use_threads=False)
        meta = json.loads(table.schema.metadata[b"tabbench"])
        frame = table.to_pandas(use_threads=False)
        groups = _freeze(frame.pop("groups")) if "groups" in frame else None
        folds = [column for column in frame if column.startswith("test_fold")]
        test_fold = _freeze(np.squeeze(frame[folds].to_numpy(np.int64), axis=1 if len(folds) == 1 else ())) if folds else None
        frame = frame.drop(columns=folds)
        y = _freeze(frame.pop("y"))
        X = frame.set_axis(meta["columns"], axis=1)
        task = Task(meta["name"], X, y, tuple(meta["classes"]), groups, test_fold, meta["info"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: damaged task file ({str(error).splitlines()[0]}): delete it and run again") from None
    if task.digest != path.stem:
        raise UserError(f"{path}: the content does not match its digest: delete the file and run again")
    return task


def load_features(path: Path, digest: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Features and classes, without the labels, of what `save_task` wrote; raises UserError if they have another digest."""
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path, pre_buffer=False)
        meta = json.loads(file.schema_arrow.metadata[b"tabbench"])
        names = [f"x{i}" for i in range(len(meta["columns"]))]
        X = file.read(names, use_threads=False).to_pandas(use_threads=False)[names].set_axis(meta["columns"], axis=1)
        found = Task("", X, np.empty(0, np.int64), tuple(meta["classes"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: damaged task file ({str(error).splitlines()[0]}): delete it and run again") from None
    if found.features_digest != digest:
        raise UserError(f"{path}: the content does not match its digest: delete the file and run again")
    return found.X, found.classes
