"""What a result folder was made from, found again from what its manifest says: its tables, and the jobs it should hold."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tabbench.data.gather import gather
from tabbench.data.openml.pull import offline
from tabbench.data.spec import Scheme
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


def recorded_tasks(manifest: Mapping[str, Any], *, fetch: bool) -> tuple[dict[str, Task], list[str]]:
    """Tasks of the run by digest, and what is wrong, one line a dataset that has changed or is not to be had.

    Each dataset is loaded from its source. If that has changed or gone, the prepared table of the recorded digest is taken
    from the data folder where there is one. fetch : whether OpenML may be asked for what is not on this machine.
    """
    sources: dict[str, Task | str] = {}
    with nullcontext() if fetch else offline():
        for spec in specs_of(manifest):
            sources |= _from_source(spec)
    tasks, problems = {}, []
    for facts in manifest["tasks"]:
        name, digest = facts["name"], facts["digest"]
        found = sources.get(name, "its source is not recorded")
        scheme = Scheme(**facts.get("scheme", {}))  # that of the run, whatever its suite says now
        if isinstance(found, Task) and found.digest == digest:
            tasks[digest] = replace(found, scheme=scheme)
            continue
        kept = _prepared(digest)
        if kept is not None:
            tasks[digest] = replace(kept, scheme=scheme)
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
        tasks, missing = gather(spec.suite, spec.file, spec.target, classes=spec.classes, steering=spec.steering)
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


def recorded_jobs(folder: Path, manifest: Mapping[str, Any], *, trust: bool = False) -> Iterator[Job]:
    """The jobs that the requests of a folder ask for, a search as far as it has come.

    Without trust a model that the folder names by its module is not imported, for it may be anything: its trials are those that
    are stored.
    Raises UserError if the splits or the store are damaged, or a search cannot be followed here.
    """
    described = [_Described(facts["name"], facts["digest"], facts["n_rows"] * facts["n_features"]) for facts in manifest["tasks"]]
    n_rows = {facts["digest"]: facts["n_rows"] for facts in manifest["tasks"]}
    pairs = [(task, load_splits(folder / splits_file(task.name, task.digest), n_rows[task.digest])) for task in described]
    for spec in specs_of(manifest):
        losses: dict[str, float] = {}
        if spec.search or spec.stop:
            with ResultStore(folder / STORE) as store:
                losses = losses_of(spec, store)
        those = [(task, splits) for task, splits in pairs if spec.includes(task.name)]
        known = tuple(name for name in spec.models if trust or not is_code(name))
        yield from Schedule(series_of(replace(spec, models=known), those), losses).jobs
        named = replace(spec, models=tuple(name for name in spec.models if name not in known))
        yield from _stored_trials(folder, [one.first for one in series_of(named, those, _no_space)])


def is_code(model: str) -> bool:
    """Whether the name of a model says where its program is, "module:Attribute", so that asking for it imports that."""
    return ":" in model


def programs(manifest: Mapping[str, Any]) -> list[str]:
    """The models of a folder that are program code of somebody's, each once."""
    return list(dict.fromkeys(name for spec in specs_of(manifest) for name in spec.models if is_code(name)))


def check_trust(manifest: Mapping[str, Any], trust: bool, what: str) -> None:
    """Raise UserError if something would import models that a folder names and the user has not said that they may run."""
    names = programs(manifest)
    if names and not trust:
        raise UserError(f"{what} imports and runs {', '.join(names)[:200]}: give --trust if you trust this code")


def _no_space(*_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    return {}, {}


def _stored_trials(folder: Path, firsts: Sequence[Job]) -> Iterator[Job]:
    """The first jobs of series, and what is stored of their other trials."""
    yield from firsts
    if not any(first.protocol for first in firsts) or not (folder / STORE).exists():
        return
    by_series = {_series_key(first): first for first in firsts}
    with ResultStore(folder / STORE) as store:
        for _, job, _ in store.runs():
            first = by_series.get(_series_key(job))
            if first and job.key != first.key:
                yield job


def _series_key(job: Job) -> str:
    return replace(job, config="{}", trial=0, rung=0).key
