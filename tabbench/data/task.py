"""Task: one table with its classification target, in the normal form that every later room relies on.

Normal form: a feature is either float64 (missing = NaN) or `category` with string categories (missing = NaN); the target is
int64 codes 0..k-1 into `classes`. What a column is, `columns` decides by its cells.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tabbench.data.columns import Absent, normal_column, text_number
from tabbench.data.spec import Scheme
from tabbench.data.target import encode_folds, encode_groups, encode_target, encode_time
from tabbench.errors import UserError
from tabbench.files import replace_file


@dataclass(frozen=True, eq=False)
class Task:
    """A classification table.

    X : (n, d) DataFrame in normal form, default index, unique string column names.
    y : (n,) int64 codes into `classes`, read-only.
    classes : the k class labels as strings, sorted.
    groups : (n,) int64 or None; rows of one group are never split.
    time : (n,) float64 or None; when a row was (dates: seconds since 1970). gap : of times, between training and test rows.
    test_fold : (n,) or (n, repeats) int64 or None; the predefined test fold of every row (-1: always in training).
    scheme : how its splits are made unless a run says otherwise.
    info : plain facts for people: title, source, licence, openml_id, url, notes, remarks (what was not taken as written).
    """

    name: str
    X: pd.DataFrame
    y: np.ndarray
    classes: tuple[str, ...]
    groups: np.ndarray | None = None
    test_fold: np.ndarray | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    time: np.ndarray | None = None
    gap: float = 0.0
    scheme: Scheme = field(default_factory=Scheme)

    @cached_property
    def categorical(self) -> list[str]:
        """Names of the categorical columns."""
        return [column for column in self.X if isinstance(self.X[column].dtype, pd.CategoricalDtype)]

    @property
    def size(self) -> int:
        """Number of cells."""
        return int(self.X.size)

    @property
    def digest(self) -> str:
        """SHA-256 over names, types and values of features, target, groups, folds and times (not over name, scheme and info)."""
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
        if self.time is not None:
            sha.update(b"time" + np.array([self.gap, *self.time], np.float64).tobytes())
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
            **({} if self.scheme == Scheme() else {"scheme": {k: v for k, v in asdict(self.scheme).items() if v is not None}}),
            **self.info,
        }


def make_task(  # noqa: PLR0913 - all that can be known of a table
    frame: pd.DataFrame,
    target: Any,
    *,
    name: str,
    categorical: Sequence[Any] = (),
    numeric: Sequence[Any] = (),
    na: Sequence[Any] = (),
    groups: str | None = None,
    time: str | None = None,
    gap: str | float | None = None,
    test_fold: str | Sequence[str] | None = None,
    scheme: Scheme = Scheme(),
    info: Mapping[str, Any] | None = None,
    remarks: Sequence[str] = (),
) -> Task:
    """Bring a raw DataFrame to a Task.

    `categorical` names columns to take as labels although they hold numbers, the target among them; `numeric` those to take as
    numbers although they are written with currency, commas or per-cent signs. `na` : cells that mean missing, by value, before
    types are decided. `groups`, `time` and `test_fold` (one column, or one a repeat) steer the splits and are no features. What
    was dropped, left out or taken in another way than written is said in `info["remarks"]`, after the given `remarks`.

    Raises UserError: empty table, duplicate or unknown columns, one class only, a regression-like target, infinite values,
    nested or binary cells, folds, groups, times or a gap that are none.
    """
    frame = frame.reset_index(drop=True)
    frame.columns = [str(column) for column in frame.columns]
    target, labels, numbers = str(target), {str(column) for column in categorical}, {str(column) for column in numeric}
    folds = [test_fold] if isinstance(test_fold, str) else list(test_fold or [])
    steering = [*([groups] if groups else []), *([time] if time else []), *folds]
    if target in steering or len(set(steering)) < len(steering):
        raise UserError(f"{name}: one column is named for two things among target {target!r}, groups, time and test folds")
    _check_columns(frame, name, [target, *categorical, *numeric, *steering])
    info, said, absent = dict(info or {}), list(remarks), Absent.of(na)
    said += _repeated_header(frame)
    y, classes = encode_target(frame[target], name, absent, declared=target in labels)
    if (y < 0).any():
        said.append(f"{(y < 0).sum()} rows without a target were dropped.")
        info["notes"] = f"{info.get('notes', '')} {said[-1]}".strip()
        frame, y = frame[y >= 0].reset_index(drop=True), y[y >= 0]
    features = frame.drop(columns=[target, *steering])
    if features.shape[1] == 0:
        raise UserError(f"{name}: no feature column is left beside the target {target!r}: add at least one")
    columns = {}
    for c in features:
        column = normal_column(
            features[c], f"{name}, column {c!r}", absent=absent, as_category=c in labels, as_number=c in numbers
        )
        columns[c] = column.values
        said += [f"column {c!r}: {column.remark}"] if column.remark else []
    if said:
        info["remarks"] = said
    times = encode_time(frame[time], f"{name}: time column {time!r}", gap) if time else None
    if gap is not None and times is None:
        raise UserError(f"{name}: a gap of {gap} is between times: name the column of times, too")
    named = {"groups_column": groups, "time_column": time, "gap": None if gap is None else str(gap)}
    return Task(
        name,
        pd.DataFrame(columns),
        _freeze(y),
        classes,
        groups=_freeze(encode_groups(frame[groups], f"{name}: group column {groups!r}")) if groups else None,
        test_fold=_freeze(encode_folds(frame[folds], name)) if folds else None,
        time=_freeze(times[0], np.float64) if times else None,
        gap=times[1] if times else 0.0,
        scheme=scheme,
        info={**info, **{key: value for key, value in named.items() if value is not None}},
    )


def _check_columns(frame: pd.DataFrame, name: str, wanted: Sequence[Any]) -> None:
    if frame.empty:
        raise UserError(f"{name}: the table is empty: it needs rows, features and a target")
    duplicates = frame.columns[frame.columns.duplicated()].unique().tolist()
    if duplicates:
        raise UserError(f"{name}: duplicate column names {duplicates}: rename or drop them")
    missing = [str(column) for column in wanted if str(column) not in frame]
    if missing:
        raise UserError(f"{name}: no column {missing[0]!r}: {_near(missing[0], list(frame.columns))}")


def _near(wanted: str, columns: list[str]) -> str:
    """What may have been meant: a name with a blank, in another case, or close; else the columns there are."""
    alike = [column for column in columns if column.strip().lower() == wanted.strip().lower()]
    near = alike or get_close_matches(wanted, columns, n=1)
    if near:
        return f"did you mean {near[0]!r}{' (with the blank)' if near[0].strip() == wanted.strip() else ''}?"
    shown = f"the columns are {', '.join(columns[:12])}{', …' if len(columns) > 12 else ''}"
    headless = all(text_number(column) is not None for column in columns[:-1]) and len(columns) > 1
    return shown + (": the first line looks like data: give the file a header" if headless else "")


def _repeated_header(frame: pd.DataFrame) -> list[str]:
    """A remark on rows whose cells are the names of their columns."""
    texts = frame.select_dtypes(["object", "string"])
    if texts.shape[1] < frame.shape[1] or not len(frame):
        return []
    rows = np.arange(len(frame))
    for column in texts:
        rows = rows[(texts[column].iloc[rows] == column).to_numpy(bool, na_value=False)]
    shown = ", ".join(str(row + 1) for row in rows[:3])
    return [f"{len(rows)} rows repeat the header (row {shown}): remove them from the file"] if len(rows) else []


def _freeze(array: np.ndarray, dtype: type = np.int64) -> np.ndarray:
    array = np.ascontiguousarray(array, dtype=dtype)
    array.flags.writeable = False
    return array


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
    if task.time is not None:
        frame["time"] = task.time
    if task.test_fold is not None:
        repeats = task.test_fold.reshape(len(frame), -1).T
        frame = pd.concat([frame, pd.DataFrame({f"test_fold{r}": fold for r, fold in enumerate(repeats)})], axis=1)
    meta: dict[str, Any] = {"name": task.name, "columns": list(task.X.columns), "classes": list(task.classes)}
    meta |= {"info": dict(task.info)}
    if task.gap:
        meta["gap"] = task.gap
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
        time = _freeze(frame.pop("time"), np.float64) if "time" in frame else None
        folds = [column for column in frame if column.startswith("test_fold")]
        test_fold = _freeze(np.squeeze(frame[folds].to_numpy(np.int64), axis=1 if len(folds) == 1 else ())) if folds else None
        frame = frame.drop(columns=folds)
        y = _freeze(frame.pop("y"))
        X = frame.set_axis(meta["columns"], axis=1)
        task = Task(meta["name"], X, y, tuple(meta["classes"]), groups, test_fold, meta["info"], time, meta.get("gap", 0.0))
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
