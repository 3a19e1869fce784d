"""The metafeatures of a result folder: those it has, and those it lacks."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

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
)
from tabbench.resources import Resources

BRIEF_GROUPS = ("general", "statistical", "info-theory", "tabular")  # TabZilla's irregularity is among them
BRIEF_SECONDS = 10.0
OPENML_TASK = re.compile(r"openml__.+__(\d+)")  # how TabZilla names the tasks of OpenML


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
        pairs += [(task, split) for split in load_splits(folder / splits_file(task.name, task.digest))]
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
    with suppress(OSError, ValueError):
        return pd.read_parquet(folder / METAFEATURES_FILE)
    return pd.DataFrame({"task": [], "repeat": [], "fold": []})


def _write_parts(folder: Path, frames: Sequence[pd.DataFrame]) -> None:
    parts = pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)
    parts = parts.drop_duplicates(["task", "repeat", "fold"]).sort_values(["task", "repeat", "fold"], kind="stable")
    if len(parts):
        replace_file(folder / METAFEATURES_FILE, lambda temporary: parts.to_parquet(temporary, index=False))
