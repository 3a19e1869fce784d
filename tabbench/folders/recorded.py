"""What a result folder was made from, found again from what its manifest says: its tables, and the jobs it should hold."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabbench.data.gather import gather
from tabbench.data.split import load_splits, splits_file
from tabbench.data.task import Task, load_task
from tabbench.errors import UserError
from tabbench.files import data_folder, file_name
from tabbench.job import Job
from tabbench.request import Spec
from tabbench.store.manifest import specs_of
from tabbench.store.runs import NAME as STORE
from tabbench.store.runs import ResultStore
from tabbench.tuning.schedule import Schedule, losses_of, series_of


def recorded_tasks(manifest: Mapping[str, Any]) -> tuple[dict[str, Task], list[str]]:
    """Tasks of the run by digest, and what is wrong, one line a dataset that has changed or is not to be had.

    Each dataset is loaded from its source. If that has changed or gone, the prepared table of the recorded digest is taken
    from the data folder where there is one.
    """
    sources: dict[str, Task | str] = {}
    for spec in specs_of(manifest):
        sources |= _from_source(spec)
    tasks, problems = {}, []
    for facts in manifest["tasks"]:
        name, digest = facts["name"], facts["digest"]
        found = sources.get(name, "its source is not recorded")
        if isinstance(found, Task) and found.digest == digest:
            tasks[digest] = found
            continue
        kept = _prepared(digest)
        if kept is not None:
            tasks[digest] = kept
        if isinstance(found, Task):
            problems.append(f"dataset {name}: changed: its digest is {found.digest[:12]}, the run used {digest[:12]}")
        elif kept is None:
            problems.append(f"dataset {name}: not to be had here: {found}")
    return tasks, problems


def _from_source(spec: Spec) -> dict[str, Task | str]:
    """Dataset name → table, or why there is none."""
    if not spec.suite and not spec.file:
        return {spec.data: "it was given as a DataFrame"} if spec.data else {}
    try:
        tasks, missing = gather(spec.suite, spec.file, spec.target, classes=spec.classes)
    except UserError as error:
        return {spec.data: str(error)} if spec.data else {}
    return {**{task.name: task for task in tasks}, **{entry["name"]: entry["reason"] for entry in missing}}


def _prepared(digest: str) -> Task | None:
    try:
        return load_task(data_folder() / "tasks" / f"{file_name(digest)}.parquet")
    except UserError:
        return None


@dataclass(frozen=True)
class _Described:
    """A task as the manifest knows it."""

    name: str
    digest: str
    size: int


def recorded_jobs(folder: Path, manifest: Mapping[str, Any]) -> Iterator[Job]:
    """The jobs that the requests of a folder ask for, a search as far as it has come.

    Raises UserError if the splits or the store are damaged, or a search cannot be followed here.
    """
    described = [_Described(facts["name"], facts["digest"], facts["n_rows"] * facts["n_features"]) for facts in manifest["tasks"]]
    pairs = [(task, load_splits(folder / splits_file(task.name, task.digest))) for task in described]
    for spec in specs_of(manifest):
        losses: dict[str, float] = {}
        if spec.search:
            with ResultStore(folder / STORE) as store:
                losses = losses_of(spec, store)
        those = [(task, splits) for task, splits in pairs if spec.includes(task.name)]
        yield from Schedule(series_of(spec, those), losses).jobs
