"""The runner: jobs that are still missing → child processes under limits → result store."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tabbench.data.split import Split
from tabbench.data.task import Task, load_task, save_task
from tabbench.engine import seal
from tabbench.engine.assignment import NO_TABLE, Assignment, assign, read_outcome, start_child
from tabbench.engine.cgroup import held_by
from tabbench.engine.sandbox import POLL_SECONDS, WARM, Child, Outcome, start_server, wait_for_any
from tabbench.engine.scoring import reason_unsupported
from tabbench.errors import UserError
from tabbench.job import Job, Run
from tabbench.models import Model, get_model, missing_imports
from tabbench.resources import Resources
from tabbench.store.claims import Claims
from tabbench.store.runs import ResultStore


@dataclass(frozen=True, eq=False)
class Work:
    """What the jobs refer to: every task with its stored copy and its splits by (repeat, fold)."""

    task: Task
    path: Path
    splits: Mapping[tuple[int, int], Split]

    def assign(self, job: Job) -> Assignment:
        """What a child is given of a job."""
        return assign(job, self.task, self.splits[job.repeat, job.fold])

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Rows, columns and classes."""
        return len(self.task.y), self.task.X.shape[1], len(self.task.classes)


@dataclass(frozen=True)
class Shared:
    """A store that other runners may be filling, too. mark : `store.mark()` of the moment the jobs were found missing."""

    claims: Claims
    mark: int


class Engine(Protocol):
    """Where jobs are done.

    resources : as the engine has them; limits : of one job, seconds and memory_mb; facts : what the manifest says of it;
    warnings : what a user should know, one line each. running : jobs that have begun and not ended; free : how many more it
    takes.
    """

    @property
    def resources(self) -> Resources: ...  # noqa: D102
    @property
    def facts(self) -> dict[str, Any]: ...  # noqa: D102
    @property
    def warnings(self) -> list[str]: ...  # noqa: D102
    @property
    def limits(self) -> dict[str, float]: ...  # noqa: D102
    @property
    def free(self) -> int: ...  # noqa: D102
    @property
    def running(self) -> int: ...  # noqa: D102

    def prepare(self, models: Iterable[str], closed: Path, *, stop: bool = False) -> None:
        """Get ready, once, for jobs of these models, which may not write to the folder `closed` if the system can hold that.

        stop : whether their fits may be ended early.
        """

    def start(self, job: Job, work: Work) -> None:
        """Begin a job."""

    def finished(self) -> Iterator[tuple[Job, Run]]:
        """Jobs that have ended, after a short wait for one."""

    def stop(self) -> None:
        """End what is still running."""


def run_jobs(
    jobs: Iterable[Job],
    works: Mapping[str, Work],
    store: ResultStore,
    engine: Engine,
    on_run: Callable[[Job, Run], Iterable[Job]],
    shared: Shared,
) -> None:
    """Run the jobs on an engine and store each Run as it arrives.

    `on_run` is told of every one, and answers with the jobs that are wanted because of it. `works` is keyed by task digest.
    A job that another runner has claimed is waited for, and done here if that one dies.
    On KeyboardInterrupt the jobs that run are killed and what is stored stays.
    """

    def able(jobs: Iterable[Job]) -> list[Job]:
        """Those that can be tried, last first; the others are stored as unsupported."""
        able, waiting = [], deque(jobs)
        while waiting:
            job = waiting.popleft()
            work = works[job.task_digest]
            reason = reason_unsupported(job, work.task, work.splits[job.repeat, job.fold])
            if reason is None:
                able.append(job)
            else:
                run = Run("unsupported", reason)
                store.add(job, run, engine.limits)
                waiting.extend(on_run(job, run))
        return able[::-1]

    queue = able(jobs)
    if not queue:
        return
    engine.prepare({job.model for job in queue}, store.path.parent, stop=any(job.stop for job in queue))
    try:
        while queue or engine.running:
            mine, theirs = _claim(queue, engine.free, store, shared)
            for job in mine:
                engine.start(job, works[job.task_digest])
            for job, run in theirs:
                queue += able(on_run(job, run))
            for job, run in engine.finished():
                store.add(job, run, engine.limits)
                shared.claims.release(job.key)
                queue += able(on_run(job, run))
    finally:
        engine.stop()


def _claim(queue: list[Job], n: int, store: ResultStore, shared: Shared) -> tuple[list[Job], list[tuple[Job, Run]]]:
    """Take up to `n` jobs from the end of the queue that are neither done nor being done by another runner; and those done.

    Those being done go to its front, to be looked at again.
    """
    mine: list[Job] = []
    done: list[tuple[Job, Run]] = []
    elsewhere = []
    while queue and len(mine) < n:
        job = queue.pop()
        if not shared.claims.take(job.key):
            elsewhere.append(job)
        elif (theirs := store.stored_since(shared.mark, job.key)) is not None:
            shared.claims.release(job.key)
            done.append((job, theirs))
        else:
            mine.append(job)
    queue[:0] = elsewhere
    return mine, done


def preload(models: Iterable[Model], *, stop: bool = False) -> list[str]:
    """Modules worth importing once in the fork server, for jobs of these models, whose fits may be ended early or not.

    `WARM` has those of scikit-learn.
    """
    modules = {module for model in models if not missing_imports(model) for module in model.imports}
    ours = ["tabbench.pfn.curves"] if stop else []
    return [*ours, *sorted(module for module in modules if module.split(".")[0] != "sklearn"), WARM]


class LocalEngine:
    """Child processes of this one, `resources.workers` at a time."""

    def __init__(self, resources: Resources) -> None:
        self.resources, self.limits = resources, resources.limits
        self.warnings: list[str] = []
        self._children: dict[Job, tuple[Child, Work]] = {}
        self._lost: dict[Job, Work] = {}  # see `Outcome`; done again, one at a time with nothing beside it
        self._pool = ThreadPoolExecutor(2 * resources.workers)  # ends children, while the others are watched
        self._answered: list[Future[None]] = []  # tearing a large process down takes as long as starting one
        self._stopped: list[Future[None]] = []  # these may take longer, and their processes count until they are gone

    @property
    def facts(self) -> dict[str, Any]:
        """What the manifest says of it."""
        return {"name": "local", "limits": held_by(), "store": seal.held_by()}

    @property
    def running(self) -> int:
        """Number of jobs that have begun and not ended."""
        return len(self._children.keys() | self._lost.keys())

    @property
    def free(self) -> int:
        """Number of jobs it takes now."""
        return 0 if self._lost else self.resources.workers - self.running - len(self._stopped)

    def prepare(self, models: Iterable[str], closed: Path, *, stop: bool = False) -> None:
        """Start the fork server, with what these models import."""
        self._closed = closed.resolve()
        start_server(preload(map(get_model, models), stop=stop))

    def start(self, job: Job, work: Work) -> None:
        """Begin a job."""
        if not work.path.exists():  # somebody has removed it: no fault of the job
            write_again(work)
        self._children[job] = start_child(work.assign(job), work.path, self.limits, self._closed), work

    def finished(self) -> Iterator[tuple[Job, Run]]:
        """Jobs that have ended, after a short wait for one."""
        if self._lost and not self._children and not self._stopped:
            self.start(*next(iter(self._lost.items())))
        wait_for_any([child for child, _ in self._children.values()], POLL_SECONDS)
        self._answered, self._stopped = _pending(self._answered), _pending(self._stopped)
        for job, (child, work) in list(self._children.items()):
            outcome = child.poll()
            if outcome is None:
                continue
            del self._children[job]
            ending = self._answered if outcome.status == "done" else self._stopped
            ending.append(self._pool.submit(child.kill))
            if outcome.status == "lost":
                if job not in self._lost:
                    self._lost[job] = work
                    continue
                outcome = Outcome("failed", f"{outcome.reason} twice, at last with nothing beside it")
            self._lost.pop(job, None)
            if outcome.answer == NO_TABLE and write_again(work):
                self.start(job, work)
                continue
            yield job, read_outcome(outcome, job, work.task, work.splits[job.repeat, job.fold])

    def stop(self) -> None:
        """End what is still running."""
        for child, _ in self._children.values():
            child.terminate()
            self._stopped.append(self._pool.submit(child.kill))
        self._children, self._lost = {}, {}
        self._pool.shutdown()
        self._answered, self._stopped = _pending(self._answered), _pending(self._stopped)


def _pending(futures: Sequence[Future[None]]) -> list[Future[None]]:
    """Those that go on; raises what one of the others has raised."""
    pending = [future for future in futures if not future.done()]
    for future in futures:
        if future not in pending:
            future.result()
    return pending


def write_again(work: Work) -> bool:
    """Write the prepared table of a task again if it has gone or is damaged; whether it was.

    Raises UserError if it cannot be written.
    """
    try:
        load_task(work.path)
    except UserError:
        work.path.unlink(missing_ok=True)
        save_task(work.task, work.path.parent)
        return True
    return False
