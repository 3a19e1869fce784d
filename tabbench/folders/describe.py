"""The metafeatures of a result folder: those it has, and those it lacks."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from tabbench.border.parquet import read_parquet
from tabbench.data.columns import value_number
from tabbench.data.reader import read_typed
from tabbench.data.spec import TaskSpec
from tabbench.data.split import Split, load_splits, make_splits, splits_file
from tabbench.data.suite import load_spec
from tabbench.data.task import Task, load_task
from tabbench.engine.extract import extract
from tabbench.errors import UserError
from tabbench.files import data_folder, file_name, replace_file
from tabbench.metafeatures.analysis import (
    METAFEATURES_FILE,
    MIN_DATASETS,
    by_dataset,
)
from tabbench.metafeatures.groups import METAFEATURES
from tabbench.resources import Resources

BRIEF_GROUPS = ("general", "statistical", "info-theory", "tabular")  # TabZilla's irregularity is among them
BRIEF_SECONDS = 10.0
OPENML_TASK = re.compile(r"openml__.+__(\d+)")  # how TabZilla names the tasks of OpenML


def read_parts(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Metafeatures of training parts from a file (docs/data.md): column task, and values under pymfe's names; and remarks.

    TabZilla's published table is one: dataset_name or dataset_fold_id, and names like f__pymfe.statistical.cor.mean. Raises
    UserError for a file that cannot be read, has neither datasets nor known names, or text for a value.
    """
    table, remarks = read_typed(path, ("task", "dataset_name", "dataset_fold_id"))
    table = table.rename(columns=lambda name: re.sub(r"^f__pymfe\.[^.]+\.", "", str(name)))
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise UserError(f"{path}: two columns are called {twice[0]!r}: leave one of them out")
    if "task" not in table:
        named = next((table[name] for name in ("dataset_name", "dataset_fold_id") if name in table), None)
        if named is None:
            raise UserError(f"{path}: no column task (or dataset_name) says which dataset a row describes")
        table["task"] = named.astype(str).str.replace(r"__fold_\d+$", "", regex=True)
    if table["task"].isna().any():
        raise UserError(f"{path}: {table['task'].isna().sum()} rows do not say which dataset they describe")
    numbers = table.select_dtypes("number").assign(task=table["task"].astype(str))
    if by_dataset(numbers).empty:
        raise UserError(f"{path}: no metafeatures in it: `tabbench metafeatures` writes such a file")
    texts = table.drop(columns=numbers.columns)
    wrong = [name for name in texts if name in {name for entry in METAFEATURES.values() for name in entry.names}]
    if wrong:
        cell = next(cell for cell in texts[wrong[0]] if isinstance(cell, str) and value_number(cell) is None)
        raise UserError(f"{path}: the metafeature {wrong[0]!r} holds {cell[:40]!r}, which is no number")
    return numbers, remarks


def describe_results(
    folder: Path,
    manifest: dict[str, Any],
    tasks: Sequence[str],
    resources: Resources,
    on_part: Callable[[str], None] = lambda _: None,
) -> pd.DataFrame:
    """Metafeatures of every training part of a run (`extract`), also written to its metafeatures.parquet.

    Imported results are described by the first official fold of the datasets that were fetched from OpenML. tasks : the datasets
    that have results. Raises UserError if the prepared tables are not there any more, or no imported one was fetched.
    """
    frame = extract(_parts(folder, manifest, tasks), data_folder(), resources, on_part)
    replace_file(folder / METAFEATURES_FILE, lambda temporary: frame.to_parquet(temporary, index=False))
    return frame


def known_metafeatures(
    folder: Path,
    manifest: dict[str, Any],
    tasks: Sequence[str],
    resources: Resources,
    on_part: Callable[[str], None] = lambda _: None,
) -> pd.DataFrame:
    """The metafeatures that a run or `analyze` has left in a folder, if they are of all `tasks`.

    Else the quick groups, of the first training part of every dataset; nothing is written into the folder. Raises UserError as
    `describe_results` does.
    """
    known = _described(folder)
    if set(tasks) <= set(known["task"]):
        return known
    first = {task.digest: (task, split) for task, split in reversed(_parts(folder, manifest, tasks))}
    return extract(list(first.values()), data_folder(), resources, on_part, BRIEF_GROUPS)


def _parts(folder: Path, manifest: dict[str, Any], tasks: Sequence[str]) -> list[tuple[Task, Split]]:
    return _recorded(folder, manifest) if manifest["tasks"] else _fetched(folder, tasks)


def _recorded(folder: Path, manifest: dict[str, Any]) -> list[tuple[Task, Split]]:
    pairs, stored = [], data_folder() / "tasks"
    for entry in manifest["tasks"]:
        path = stored / f"{file_name(entry['digest'])}.parquet"
        if not path.exists():
            raise UserError(f"{folder}: the table of {entry['name']!r} is not in {stored}: run the same command again")
        task = load_task(path)
        pairs += [(task, split) for split in load_splits(folder / splits_file(task.name, task.digest), len(task.y))]
    return pairs


def _fetched(folder: Path, tasks: Sequence[str]) -> list[tuple[Task, Split]]:
    pairs = []
    for name in tasks:
        number = OPENML_TASK.fullmatch(name)
        if number:
            with suppress(UserError):  # not fetched: one dataset fewer
                task = load_spec(TaskSpec(name, "openml", f"task/{number[1]}"))
                pairs.append((task, make_splits(task, None, 1, 0)[0]))
    if not pairs:
        raise UserError(
            f"{folder}: its results were imported without their tables: give metafeatures with --metafeatures FILE, or fetch the "
            "tables of TabZilla with `tabbench fetch tabzilla`"
        )
    return pairs


def describe_briefly(folder: Path, first_parts: Sequence[tuple[Task, Split]], resources: Resources) -> None:
    """Give a run the metafeatures of its report: the quick groups, on one training part of every dataset, within seconds each.

    What is there already, as of `tabbench analyze`, stays; too few datasets have none.
    """
    known = _described(folder)
    lacking = [(task, split) for task, split in first_parts if task.name not in set(known["task"])]
    if lacking and len(first_parts) >= MIN_DATASETS:
        frame = extract(lacking, data_folder(), replace(resources, time_limit=BRIEF_SECONDS), groups=BRIEF_GROUPS)
        _write_parts(folder, [known, frame])


def describe_merged(folders: Sequence[Path], out: Path, manifest: dict[str, Any]) -> None:
    """Give a merged run the metafeatures of its parts, and what its report lacks then if the tables are at hand.

    Of a training part that several have described, what has most values is kept.
    """
    parts = pd.concat([_described(folder) for folder in folders], ignore_index=True)
    _write_parts(out, [parts.loc[parts.notna().sum(axis=1).sort_values(ascending=False, kind="stable").index]])
    if {entry["name"] for entry in manifest["tasks"]} - set(parts["task"]):
        with suppress(UserError):  # a table is not at hand
            first = {task.digest: (task, split) for task, split in reversed(_recorded(out, manifest))}
            describe_briefly(out, list(first.values()), Resources())


def _described(folder: Path) -> pd.DataFrame:
    """The metafeatures of training parts that a folder has; none if there is no file, or a damaged one."""
    with suppress(ValueError):
        return read_parquet(folder / METAFEATURES_FILE)
    return pd.DataFrame({"task": [], "repeat": [], "fold": []})


def _write_parts(folder: Path, frames: Sequence[pd.DataFrame]) -> None:
    parts = pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)
    parts = parts.drop_duplicates(["task", "repeat", "fold"]).sort_values(["task", "repeat", "fold"], kind="stable")
    if len(parts):
        replace_file(folder / METAFEATURES_FILE, lambda temporary: parts.to_parquet(temporary, index=False))
