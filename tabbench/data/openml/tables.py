"""A fetched table as the rest of the house wants it: a TaskSpec that says what OpenML says, and a DataFrame."""

from dataclasses import replace

import pandas as pd

from tabbench.data.openml.cache import open_cache
from tabbench.data.openml.pull import parse_path, suite_tasks
from tabbench.data.spec import TaskSpec
from tabbench.errors import UserError

FOLD = "official test fold, repeat "


def suite_specs(reference: str) -> tuple[TaskSpec, ...]:
    """TaskSpecs of "suite/99", "task/3" or "data/31"; a table's name, when it is known, is the dataset's and the task's id.

    Raises UserError if the suite is neither in the cache nor to be had from the server.
    """
    kind, number = parse_path(reference)
    paths = [f"task/{task}" for task in suite_tasks(number)] if kind == "suite" else [reference]
    return tuple(TaskSpec(path.replace("/", "-"), "openml", path) for path in paths)


def described(spec: TaskSpec) -> TaskSpec:
    """Return `spec` with target, types, dropped columns, splits, licence and address as OpenML states them.

    Raises UserError if the table is not in the cache, or if a dataset names no single target.
    """
    cache = open_cache()
    kind, number = parse_path(spec.path)
    task = cache.meta("tasks", number) if kind == "task" else None
    dataset = cache.meta("datasets", task["dataset"] if task else number)
    target = task["target"] if task else dataset["target"]
    features = {feature["name"]: feature for feature in dataset["features"]}
    if target not in features:
        raise UserError(f"openml:{spec.path}: it names no single target column (but {target!r}): use one of its tasks")
    dropped = [name for name, feature in features.items() if feature["role"] and name != target]
    nominal = [name for name, feature in features.items() if feature["type"] == "nominal"]
    folds = [FOLD + str(i) for i in range(task["repeats"])] if task else []
    placeholder = spec.name == spec.path.replace("/", "-")
    return replace(
        spec,
        name=f"{dataset['name']}-{number}" if placeholder else spec.name,
        target=target,
        categorical=tuple(name for name in nominal if name not in (target, *dropped)),
        drop=tuple(dropped),
        test_fold=tuple(folds) or None,
        title=spec.title or f"{dataset['name']}, version {dataset['version']}",
        licence=dataset["licence"] or spec.licence,
        openml_id=dataset["id"],
        url=dataset["url"],
    )


def sizes_of(spec: TaskSpec) -> tuple[str, int, int, int]:
    """Name, rows, features and classes of a fetched table, without reading it; raises UserError if it is not in the cache."""
    spec = described(spec)
    dataset = open_cache().meta("datasets", int(spec.openml_id or 0))
    distinct = {feature["name"]: feature["distinct"] for feature in dataset["features"]}
    return spec.name, dataset["rows"], len(distinct) - len(spec.drop) - 1, distinct[spec.target]


def table(spec: TaskSpec) -> tuple[pd.DataFrame, list[str]]:
    """Every column of a fetched dataset and, for a task, a column per repeat with the official test folds; and remarks.

    Raises UserError if it is not in the cache, or is damaged.
    """
    cache = open_cache()
    kind, number = parse_path(spec.path)
    dataset = number if kind == "data" else cache.meta("tasks", number)["dataset"]
    remarks = list(cache.meta("datasets", dataset).get("remarks", []))
    if kind == "data":
        return cache.table("datasets", dataset), remarks
    folds = cache.table("tasks", number)
    folds.columns = [FOLD + str(i) for i in range(folds.shape[1])]
    return pd.concat([cache.table("datasets", dataset), folds], axis=1), remarks
