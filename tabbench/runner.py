"""The runner: jobs that are still missing → child processes under limits → result store."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil

from tabbench.errors import UserError
from tabbench.execute import Run, execute, reason_unsupported
from tabbench.job import Job
from tabbench.models import get_model, missing_imports
from tabbench.sandbox import Child, Outcome, start_server, wait_for_any
from tabbench.split import Split
from tabbench.store import ResultStore
from tabbench.task import Task, load_task

POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Resources:
    """Limits of every job and the number of jobs at a time. time_limit : wall seconds; memory_limit : MB, per process tree."""

    workers: int = 1
    threads: int = 1
    time_limit: float = 600.0
    memory_limit: float = 0.0  # 0: four fifths of the machine's memory, shared by the workers

    def __post_init__(self) -> None:
        cores = psutil.cpu_count() or 1
        if self.workers < 1 or self.threads < 1 or self.time_limit <= 0 or self.memory_limit < 0:
            raise UserError("workers, threads and limits must be positive")
        if self.workers * self.threads > cores:
            raise UserError(f"{self.workers} workers × {self.threads} threads exceed the {cores} cores: lower one of them")

    @property
    def limits(self) -> dict[str, float]:
        """Limits of one job as they are recorded: seconds, memory_mb."""
        share = 0.8 * psutil.virtual_memory().total / 2**20 / self.workers
        return {"seconds": self.time_limit, "memory_mb": self.memory_limit or round(share)}


def spare_workers(threads: int) -> int:
    """As many workers of so many threads as the cores allow, at least one."""
    return max(1, (psutil.cpu_count() or 1) // max(1, threads))


@dataclass(frozen=True, eq=False)
class Work:
    """What the jobs refer to: every task with its stored copy and its splits by (repeat, fold)."""

    task: Task
    path: Path
    splits: Mapping[tuple[int, int], Split]


def run_jobs(
    jobs: Iterable[Job],
    work: Mapping[str, Work],
    store: ResultStore,
    resources: Resources,
    on_run: Callable[[Job, Run], None],
) -> None:
    """Run the jobs, `resources.workers` at a time, and store each Run as it arrives; `on_run` is told of every one.

    `work` is keyed by task digest. On KeyboardInterrupt the children are killed and what is stored stays.
    """
    limits = resources.limits
    queue = []
    for job in jobs:
        part = work[job.task_digest]
        reason = reason_unsupported(job, part.task, part.splits[job.repeat, job.fold])
        if reason is None:
            queue.append(job)
        else:
            run = Run("unsupported", reason)
            store.add(job, run, limits)
            on_run(job, run)
    if not queue:
        return
    start_server(_preload(queue))
    queue.reverse()
    running: dict[Job, Child] = {}
    try:
        while queue or running:
            while queue and len(running) < resources.workers:
                job = queue.pop()
                running[job] = _start(job, work[job.task_digest], resources)
            wait_for_any(list(running.values()), POLL_SECONDS)
            for job, child in list(running.items()):
                outcome = child.poll()
                if outcome is not None:
                    del running[job]
                    run = _decode(outcome)
                    store.add(job, run, limits)
                    on_run(job, run)
    finally:
        for child in running.values():
            child.kill()


def _preload(jobs: Iterable[Job]) -> list[str]:
    """Modules worth importing once in the fork server."""
    models = [get_model(name) for name in sorted({job.model for job in jobs})]
    packages = {package for model in models if not missing_imports(model) for package in model.imports}
    return ["tabbench.execute", "pyarrow.parquet", *sorted(packages)]


def _start(job: Job, part: Work, resources: Resources) -> Child:
    limits = resources.limits
    args = (asdict(job), str(part.path), part.splits[job.repeat, job.fold])
    return Child(_run_in_child, args, seconds=limits["seconds"], memory_mb=limits["memory_mb"], threads=job.threads)


def _run_in_child(job: dict[str, object], path: str, split: Split) -> bytes:
    """Answer: one line of JSON (the Run without its predictions), then the predictions as raw float64."""
    run = execute(Job(**job), load_task(Path(path)), split)  # type: ignore[arg-type]
    head = {
        "status": run.status,
        "reason": run.reason,
        "details": run.details,
        "facts": run.facts,
        "shape": run.proba.shape,
    }
    return json.dumps(head).encode() + b"\n" + np.ascontiguousarray(run.proba, np.float64).tobytes()


def _decode(outcome: Outcome) -> Run:
    if outcome.status != "done":
        return Run(outcome.status, outcome.reason)
    head, proba = outcome.answer.split(b"\n", 1)
    fields = json.loads(head)
    return Run(proba=np.frombuffer(proba).reshape(fields.pop("shape")), **fields)
