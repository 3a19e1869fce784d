"""`tabbench plan`: what a run would do and cost, without doing it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tabbench.data.split import Split
from tabbench.data.task import Task
from tabbench.engine.cgroup import held_by
from tabbench.engine.costs import BYTES_PER_RUN, learn
from tabbench.engine.execute import reason_unsupported
from tabbench.folders.results import Results, open_results
from tabbench.folders.run import Request
from tabbench.job import Job
from tabbench.request import Spec
from tabbench.store.runs import NAME as STORE
from tabbench.store.runs import ResultStore
from tabbench.tuning.schedule import Schedule, series_of, settled_losses

N_LONGEST = 10


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
    more = f", then what search {spec.search} makes of them" if todo and spec.search else ""
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
        rows.append((min(seconds, resources.time_limit), job))
    lines = [
        f"jobs    {len(jobs):,}: {len(tasks)} datasets, {len(spec.models)} models; {len(jobs) - len(todo):,} are stored, "
        f"{n_unsupported:,} unsupported, {len(rows):,} to do{more}",
        f"store   about {n_bytes / 2**20:,.1f} MB",
        f"memory  at most {resources.limits['memory_mb']:,.0f} MB a job, {resources.workers} at a time",
        f"limits  held by: {held_by()}",
    ]
    if costs is None or not costs.n_runs:
        return "\n".join([*lines, "time    not known: name result folders of this machine to learn from (--learn)"])
    memory = max((costs.memory_of.get(job.entrant, 0.0) for _, job in rows), default=0.0)
    total = sum(seconds for seconds, _ in rows)
    lines += [
        f"        {memory:,.0f} MB is the most that one of these models has taken so far",
        f"time    about {total * resources.threads / 3600:,.2f} core-hours by {costs.n_runs:,} stored runs: "
        f"{total / resources.workers / 3600:,.2f} h with {resources.workers} workers",
        *(f"        {seconds:8,.1f} s  {job}" for seconds, job in _longest(rows)),
    ]
    return "\n".join(lines)


def _sizes(job: Job, task: Task, split: Split) -> tuple[int, int, int]:
    n, d = len(split.train), task.X.shape[1]
    return min(n, job.max_rows or n), min(d, job.max_columns or d), len(task.classes)


def _longest(rows: list[tuple[float, Job]]) -> list[tuple[float, Job]]:
    return sorted(rows, key=lambda row: -row[0])[:N_LONGEST]


def _settled(folder: Path, spec: Spec) -> dict[str, float]:
    if not (folder / STORE).exists():
        return {}
    open_results(folder)
    with ResultStore(folder / STORE) as store:
        return settled_losses(spec, store, spec.resources.limits)
