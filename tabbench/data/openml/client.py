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
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import arff
import numpy as np
import openml
import pandas as pd

from tabbench.data.openml.patience import Damaged, FetchError, Line, patient_requests

_SCRATCH: ContextVar[str] = ContextVar("scratch")
ROWS_AT_A_TIME = 20_000
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
        task: Any = openml.tasks.get_task(number, download_data=False, download_qualities=False)
        if task.task_type_id != openml.tasks.TaskType.SUPERVISED_CLASSIFICATION:
            raise FetchError(f"is {task.task_type!r}, and tabbench does supervised classification")
        procedure = task.estimation_procedure or {}
        if "type" not in procedure:
            raise FetchError("has no estimation procedure, so no official splits: take its dataset (data/<number>) instead")
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
    "string", "date"), number of distinct values and role ("", "row_id" or "ignore"). Raises FetchError.
    """
    with _call(f"OpenML dataset {number}"):
        dataset = openml.datasets.get_dataset(
            number, download_data=True, download_qualities=False, download_features_meta_data=True
        )
        features = [dataset.features[index] for index in sorted(dataset.features)]
        frame = _read_arff(Path(str(dataset.data_file)), [(f.name, f.data_type) for f in features])
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
        }
        return facts, frame


def _names(stated: str | list[str] | None, frame: pd.DataFrame) -> list[str]:
    """Columns named in the description, one by one or separated by commas."""
    texts = [stated] if isinstance(stated, str) else stated or []
    names = [name for text in texts for name in ([text] if text in frame else text.split(","))]
    return [name.strip().strip("'\"") for name in names]


def _read_arff(path: Path, features: list[tuple[str, str]]) -> pd.DataFrame:
    """Dense or sparse ARFF in the types stated, its columns in the order of the metadata and spelt as there."""
    with path.open(encoding="utf-8") as file:
        sparse = _is_sparse(path)
        content = arff.load(file, return_type=arff.LOD_GEN if sparse else arff.DENSE_GEN)
        attributes = content["attributes"]
        if len(attributes) != len(features):
            raise Damaged(f"the file has {len(attributes)} columns, its description {len(features)}")
        order = _order([name for name, _ in attributes], [name for name, _ in features])
        by_place = [features[place] for place in order]
        empty = [kind[0] if isinstance(kind, list) else 0.0 for _, kind in attributes]  # what a sparse row leaves out
        rows = content["data"]
        parts = []
        while batch := list(islice(rows, ROWS_AT_A_TIME)):
            dense = [[row.get(i, value) for i, value in enumerate(empty)] for row in batch] if sparse else batch
            parts.append([_column(values, kind) for values, (_, kind) in zip(zip(*dense, strict=True), by_place, strict=True)])
    if not parts:
        raise Damaged("the file has no rows")
    columns = [pd.concat(pieces, ignore_index=True) for pieces in zip(*parts, strict=True)]
    frame = pd.concat(columns, axis=1)
    frame.columns = [name for name, _ in by_place]
    frame = frame[[name for name, _ in features]]
    return frame.astype({name: "category" for name, kind in features if kind != "numeric"})


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


def _is_sparse(path: Path) -> bool:
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.strip().lower() == "@data":
                break
        return next((line.lstrip().startswith("{") for line in file if line.strip() and not line.startswith("%")), False)


def _column(values: tuple[Any, ...], kind: str) -> pd.Series:
    if kind == "numeric":
        return pd.Series(np.array([np.nan if value is None else value for value in values], dtype=np.float64))
    return pd.Series([None if value is None else _text(value) for value in values], dtype="str")


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
