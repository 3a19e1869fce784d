"""`tabbench plan`: what a run would do and cost, without doing it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tabbench.border.texts import printable
from tabbench.data.gather import remarks_on
from tabbench.data.spec import Scheme
from tabbench.data.split import DEFAULT_FOLDS, Split
from tabbench.data.suite import load_suite
from tabbench.data.task import Task
from tabbench.engine import seal
from tabbench.engine.cgroup import held_by
from tabbench.engine.costs import BYTES_PER_RUN, learn
from tabbench.engine.scoring import reason_unsupported
from tabbench.folders.results import Results, open_results
from tabbench.folders.run import Request
from tabbench.job import Job
from tabbench.models import get_model
from tabbench.request import Spec
from tabbench.store.runs import NAME as STORE
from tabbench.store.runs import ResultStore
from tabbench.tuning.schedule import Schedule, series_of, settled_losses

N_LONGEST = 10
OFFICIAL_FOLDS = 10  # of nearly all of OpenML's tasks, where a suite does not say it


@dataclass(frozen=True)
class Published:
    """A table that is not here, by its suite. sizes : training rows, features, classes; n_test : rows that one fold tests."""

    name: str
    sizes: tuple[int, int, int]
    n_jobs: int
    n_test: int


def _published(request: Request) -> list[Published]:
    """What is known of the tables of a suite that are not here."""
    spec, missing = request.spec, {entry["name"] for entry in request.missing}
    found = []
    for table in load_suite(spec.suite).tasks if spec.suite and missing else ():
        if table.name not in missing or not (table.rows and table.features and table.classes):
            continue
        scheme = Scheme(spec.folds, spec.repeats, spec.holdout).over(table.scheme)
        official = OFFICIAL_FOLDS if table.path.startswith("task/") else DEFAULT_FOLDS
        folds, repeats = 1 if scheme.holdout else scheme.folds or official, scheme.repeats or 1
        n_test = round(table.rows * (scheme.holdout or 1 / folds))
        n_jobs = folds * repeats * (spec.configs or 1) * len(spec.subsamples) // spec.part[1]
        found.append(Published(table.name, (table.rows - n_test, table.features, table.classes), n_jobs, n_test))
    return found


def forecast(request: Request, folder: Path, teachers: Sequence[Path]) -> str:
    """Job count, estimated core-hours, memory, store size and the longest jobs, as text.

    Costs are learned from the runs in `folder`, if it holds any, and in the result folders `teachers`.
    """
    tasks, spec = request.tasks, request.spec
    splits = {task.digest: spec.splits(task) for task in tasks}
    by_digest = {task.digest: task for task in tasks}
    split_of = {(digest, split.repeat, split.fold): split for digest, those in splits.items() for split in those}
    resources = spec.resources
    settled = _settled(folder, spec)
    schedule = Schedule(series_of(spec, [(task, splits[task.digest]) for task in tasks]), settled)
    jobs, todo = schedule.jobs, schedule.missing()
    more = f", then what search {spec.search or 'random'} makes of them" if todo and (spec.search or spec.stop) else ""
    frames = [Results(path).frame for path in (*teachers, *([folder] if settled else []))]
    costs = learn(pd.concat(frames)) if frames else None
    rows, n_unsupported, n_bytes = [], 0, 0
    for job in todo:
        task, split = by_digest[job.task_digest], split_of[job.task_digest, job.repeat, job.fold]
        if reason_unsupported(job, task, split):
            n_unsupported += 1
            continue
        n_bytes += BYTES_PER_RUN + 8 * len(split.test) * len(task.classes)
        seconds = costs.seconds(job.entrant, _sizes(job, task, split)) if costs else np.nan
        rows.append((min(seconds, resources.time_limit), str(job)))
    published, n_known = _published(request), len(tasks)
    for table in published:
        for model in spec.models:
            if any(limit is not None and size > limit for size, limit in zip(table.sizes, _limits(model), strict=True)):
                n_unsupported += table.n_jobs
                continue
            n_bytes += table.n_jobs * (BYTES_PER_RUN + 8 * table.n_test * table.sizes[2])
            seconds = min(costs.seconds(model, table.sizes) if costs else np.nan, resources.time_limit)
            rows += [(seconds, f"{model} on {table.name}")] * table.n_jobs
    n_jobs = len(jobs) + sum(table.n_jobs for table in published) * len(spec.models)
    lines = [
        f"jobs    {n_jobs:,}: {n_known + len(published)} datasets, {len(spec.models)} models; {len(jobs) - len(todo):,} are "
        f"stored, {n_unsupported:,} unsupported, {len(rows):,} to do{more}",
        *_not_here(request, published),
        f"store   about {n_bytes / 2**20:,.1f} MB",
        f"memory  at most {resources.limits['memory_mb']:,.0f} MB a job, {resources.workers} at a time",
        f"limits  held by: {held_by()}; to jobs the result folder is {seal.held_by()}",
        *(f"remark  {remark}" for remark in remarks_on(tasks)),
    ]
    if costs is None or not costs.n_runs:
        lines.append("time    not known: name result folders of this machine to learn from (--learn)")
        return "\n".join(map(printable, lines))
    memory = max((costs.memory_of.get(entrant, 0.0) for entrant in {job.entrant for job in todo} | {*spec.models}), default=0.0)
    total = sum(seconds for seconds, _ in rows)
    lines += [
        f"        {memory:,.0f} MB is the most that one of these models has taken so far",
        f"time    about {total * resources.threads / 3600:,.2f} core-hours by {costs.n_runs:,} stored runs: "
        f"{total / resources.workers / 3600:,.2f} h with {resources.workers} workers",
        *(f"        {seconds:8,.1f} s  {job}" for seconds, job in _longest(rows)),
    ]
    return "\n".join(map(printable, lines))


def _limits(model: str) -> tuple[int | None, int | None, int | None]:
    limits = get_model(model).limits
    return limits.rows, limits.features, limits.classes


def _not_here(request: Request, published: Sequence[Published]) -> list[str]:
    known = {table.name for table in published}
    others = [entry for entry in request.missing if entry["name"] not in known]
    lines = [f"        {len(published)} datasets are not on this machine: their sizes are as published"] if published else []
    more = f" and {len(others) - 1} more are" if len(others) > 1 else " is"
    first = [f"        {others[0]['name']}{more} not to be had, and left out: {others[0]['reason']}"] if others else []
    return [*lines, *first]


def _sizes(job: Job, task: Task, split: Split) -> tuple[int, int, int]:
    n, d = len(split.train), task.X.shape[1]
    return min(n, job.max_rows or n), min(d, job.max_columns or d), len(task.classes)


def _longest(rows: list[tuple[float, str]]) -> list[tuple[float, str]]:
    return sorted(rows, key=lambda row: -row[0])[:N_LONGEST]


def _settled(folder: Path, spec: Spec) -> dict[str, float]:
    if not (folder / STORE).exists():
        return {}
    open_results(folder)
    with ResultStore(folder / STORE) as store:
        return settled_losses(spec, store, spec.resources.limits)
