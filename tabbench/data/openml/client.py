"""The only module that talks to openml-python (pinned below 0.16, which changes everything), and how it is tamed.

The client removes the cache folder of whatever fails: every call gets an empty scratch folder of its own, in which nothing of
ours can be lost. It reads pickles from its cache: here it finds and writes none. It waits for ever: see `patience`. It reads
one server and one folder from module globals: `connected` sets them, for threads as well. Parquet carries no checksum, so the
ARFF file is taken, checked against the description's MD5 by the client, and parsed by its own ARFF library.
"""

import logging
import os
import re
import shutil
import tempfile
import xml.parsers.expat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import arff
import numpy as np
import openml
import pandas as pd

from tabbench.data.arff import read_arff
from tabbench.data.columns import text_number
from tabbench.data.openml.patience import Damaged, FetchError, Line, patient_requests
from tabbench.errors import UserError

_SCRATCH: ContextVar[str] = ContextVar("scratch")
LACKS = "has no estimation procedure, so no official splits: take its dataset (openml:data/<number>) instead"
HASH_TRIES = 3  # the client itself repeats a download whose checksum is wrong
_SILENT = logging.getLogger("tabbench.data.openml")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


@contextmanager
def connected(line: Line) -> Iterator[None]:
    """Inside, the functions of this module may be called, from any thread."""
    with ExitStack() as undo:
        undo.enter_context(patient_requests(line))
        undo.enter_context(_set(openml.config, "server", line.server))
        undo.enter_context(_set(openml.config, "connection_n_retries", HASH_TRIES))
        undo.enter_context(_set(openml.config, "retry_policy", "human"))
        undo.enter_context(_set(openml.config, "get_cache_directory", _SCRATCH.get))
        undo.enter_context(_set(openml.datasets.dataset, "pickle", _NO_PICKLE))
        undo.enter_context(_set(openml.tasks.split, "pickle", _NO_PICKLE))
        undo.enter_context(_set(openml._api_calls, "logging", _SILENT))
        undo.callback(_restore_environment, os.environ.get("OPENML_SKIP_PARQUET"))
        os.environ["OPENML_SKIP_PARQUET"] = "true"
        log = logging.getLogger("openml")
        undo.callback(log.setLevel, log.level)
        log.setLevel(logging.CRITICAL)
        yield


@contextmanager
def _set(holder: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(holder, name)
    setattr(holder, name, value)
    try:
        yield
    finally:
        setattr(holder, name, before)


def _restore_environment(before: str | None) -> None:
    if before is None:
        os.environ.pop("OPENML_SKIP_PARQUET", None)
    else:
        os.environ["OPENML_SKIP_PARQUET"] = before


def _refuse_pickle(*_: Any, **__: Any) -> None:
    raise FileNotFoundError("no pickle is read here")


_NO_PICKLE = SimpleNamespace(load=_refuse_pickle, dump=lambda *_, **__: None, HIGHEST_PROTOCOL=0)


@contextmanager
def _call(what: str) -> Iterator[None]:
    """An empty scratch folder, and whatever the client raises as a FetchError of one line."""
    folder = tempfile.mkdtemp(prefix="tabbench-openml-")
    token = _SCRATCH.set(folder)
    try:
        yield
    except FetchError as error:
        raise type(error)(f"{what}: {error}") from None
    except (openml.exceptions.OpenMLHashException, xml.parsers.expat.ExpatError, arff.ArffException) as error:
        raise Damaged(f"{what}: damaged on the way or on the server: {_brief(error)}") from None
    except openml.exceptions.OpenMLServerException as error:
        raise FetchError(f"{what}: the server says: {' '.join(str(error.message).split())[:200]}") from None
    except (openml.exceptions.PyOpenMLError, ValueError, KeyError, TypeError, AssertionError, OverflowError, OSError) as error:
        raise Damaged(f"{what}: not understood: {type(error).__name__}: {_brief(error)}") from None
    finally:
        _SCRATCH.reset(token)
        shutil.rmtree(folder, ignore_errors=True)


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def get_suite(number: int) -> dict[str, Any]:
    """Name and task ids of a benchmark suite. Raises FetchError."""
    with _call(f"OpenML suite {number}"):
        suite = openml.study.get_suite(number)
        return {"name": suite.name, "tasks": [int(task) for task in suite.tasks or []]}


def get_task(number: int) -> tuple[dict[str, Any], np.ndarray]:
    """Facts of a classification task (name of target, dataset id, estimation procedure) and its official splits.

    Splits are (n, repeats): the test fold of every row, -1 where it always trains. Raises FetchError if it is no
    classification task, or if its folds are not of that form.
    """
    with _call(f"OpenML task {number}"):
        try:
            task: Any = openml.tasks.get_task(number, download_data=False, download_qualities=False)
        except KeyError as error:  # so says the client of an input that is not there
            lacks = "estimation_procedure" in str(error) or "splits" in str(error)
            raise FetchError(LACKS if lacks else f"has no {error}: it cannot be run") from None
        if task.task_type_id != openml.tasks.TaskType.SUPERVISED_CLASSIFICATION:
            raise FetchError(f"is {task.task_type!r}, and tabbench does supervised classification")
        procedure = task.estimation_procedure or {}
        if not procedure.get("type") or not procedure.get("data_splits_url"):
            raise FetchError(LACKS)
        facts = {
            "dataset": int(task.dataset_id),
            "target": task.target_name,
            "procedure": procedure["type"],
            "parameters": dict(procedure.get("parameters") or {}),
        }
        return facts, _test_folds(task.download_split().split)


def _test_folds(splits: dict[int, Any]) -> np.ndarray:
    """(n, repeats) test folds from the client's nested dictionaries: repeat → fold → sample → (train, test)."""
    parts = {(repeat, fold): samples[0] for repeat, folds in splits.items() for fold, samples in folds.items()}
    n_rows = 1 + max(int(rows.max()) for pair in parts.values() for rows in pair if len(rows))
    if n_rows > sum(len(rows) for pair in parts.values() for rows in pair):
        raise Damaged(f"its folds are incomplete: they name row {n_rows - 1}, and fewer rows than that")
    fold_of = np.full((n_rows, len(splits)), -1, dtype=np.int64)
    for (repeat, fold), (_, test) in parts.items():
        fold_of[test, repeat] = fold
    for (repeat, fold), (train, test) in parts.items():
        if not np.array_equal(np.sort(train), np.flatnonzero(fold_of[:, repeat] != fold)) or len(np.unique(test)) != len(test):
            raise Damaged("its folds are incomplete: a training part is not what the test part leaves")
    return fold_of


def get_dataset(number: int) -> tuple[dict[str, Any], pd.DataFrame]:
    """Facts and all columns of a dataset, in the types of OpenML's metadata: float64, or category with text labels.

    Facts: name, version, licence, url, target, md5 (as checked) and features, each with name, type ("nominal", "numeric",
    "string", "date"), number of distinct values and role ("", "row_id" or "ignore"); remarks on what is not as it should be.
    Raises FetchError.
    """
    with _call(f"OpenML dataset {number}"):
        dataset = openml.datasets.get_dataset(
            number, download_data=True, download_qualities=False, download_features_meta_data=True
        )
        features = [dataset.features[index] for index in sorted(dataset.features)]
        declared = {f.name: f.nominal_values for f in features if f.data_type == "nominal" and f.nominal_values}
        frame, remarks = _read_arff(Path(str(dataset.data_file)), [(f.name, f.data_type) for f in features], declared)
        status = _status(Path(_SCRATCH.get()))
        if status not in ("active", ""):
            remarks.insert(0, f"OpenML lists the dataset as {status}: mostly for a fault in it, look at {dataset.openml_url}")
        row_ids, ignored = _names(dataset.row_id_attribute, frame), _names(dataset.ignore_attribute, frame)
        roles = {**dict.fromkeys(ignored, "ignore"), **dict.fromkeys(row_ids, "row_id")}
        facts = {
            "name": dataset.name,
            "version": dataset.version,
            "licence": dataset.licence,
            "url": dataset.openml_url,
            "target": dataset.default_target_attribute,
            "md5": dataset.md5_checksum,
            "features": [
                {"name": f.name, "type": f.data_type, "distinct": frame[f.name].nunique(), "role": roles.get(f.name, "")}
                for f in features
            ],
            "remarks": remarks,
        }
        return facts, frame


def _status(scratch: Path) -> str:
    """What the description that the client has just stored says of the dataset: active, deactivated, in_preparation, or ""."""
    for file in scratch.rglob("description.xml"):
        found = re.search(r"<oml:status>\s*(\w+)\s*</oml:status>", file.read_text(encoding="utf-8", errors="replace"))
        if found:
            return found[1]
    return ""


def _names(stated: str | list[str] | None, frame: pd.DataFrame) -> list[str]:
    """Columns named in the description, one by one or separated by commas."""
    texts = [stated] if isinstance(stated, str) else stated or []
    names = [name for text in texts for name in ([text] if text in frame else text.split(","))]
    return [name.strip().strip("'\"") for name in names]


def _read_arff(
    path: Path, features: list[tuple[str, str]], declared: Mapping[str, Sequence[str]]
) -> tuple[pd.DataFrame, list[str]]:
    """Dense or sparse ARFF in the types stated, its columns in the order of the metadata and spelt as there, and remarks.

    declared : the levels that the metadata state. Raises Damaged if file and metadata are of other columns.
    """
    try:
        content = read_arff(path.read_text(encoding="utf-8"))
    except UserError as error:
        raise Damaged(str(error)) from None
    if len(content.names) != len(features):
        raise Damaged(f"the file has {len(content.names)} columns, its description {len(features)}")
    if not len(content.frame):
        raise Damaged("the file has no rows")
    columns, remarks = {}, []
    for i, place in enumerate(_order(content.names, [name for name, _ in features])):
        name, kind = features[place]
        columns[name], said = _typed(content.frame[i], content.kinds[i], name, kind, declared.get(name))
        remarks += [f"column {name!r}: {said}"] if said else []
    return pd.DataFrame({name: columns[name] for name, _ in features}), remarks


def _typed(column: pd.Series, found: str, name: str, kind: str, declared: Sequence[str] | None) -> tuple[pd.Series, str]:
    """A column in the type that the metadata state, and what is to be said of it; dates stay dates."""
    if found == "date" or kind == found == "numeric":
        return column, ""
    texts = column.map(_text, na_action="ignore") if found == "numeric" else column.astype("str")
    if kind == "numeric":
        try:
            return pd.to_numeric(texts).astype(np.float64), ""
        except ValueError:
            raise Damaged(f"column {name!r} is numeric in its description, and not in the file") from None
    known = {_bare(level) for level in declared or texts.dropna().unique()}
    strange = [level for level in sorted(texts.dropna().unique()) if _bare(level) not in known]
    shown = ", ".join(map(repr, strange[:3]))
    said = f"{len(strange)} levels that OpenML's description does not declare ({shown})" if strange else ""
    return texts.astype("category"), said


def _bare(level: str) -> str:
    """A level without what XML and ARFF may put around it."""
    text = level.strip().strip("'\"").strip()
    number = text_number(text)
    return text if number is None else repr(number)


def _order(found: list[str], stated: list[str]) -> list[int]:
    """The place in the metadata of every column of the file; names may be spelt otherwise where they stand at their place.

    Raises Damaged if the two do not name the same columns.
    """
    plain = [[re.sub(r"[\W_]+", "", name).lower() for name in names] for names in (found, stated)]
    if plain[0] == plain[1]:
        return list(range(len(found)))
    places = {name: place for place, name in enumerate(plain[1])}
    if len(places) == len(stated) and set(plain[0]) == set(places):
        return [places[name] for name in plain[0]]
    wrong = next(i for i, (a, b) in enumerate(zip(*plain, strict=True)) if a != b)
    raise Damaged(f"column {wrong + 1} is {found[wrong]!r} in the file and {stated[wrong]!r} in its description")


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
