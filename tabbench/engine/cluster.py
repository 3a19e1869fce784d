"""The distributed engine: jobs on the workers of a Dask cluster, each in a child process under limits there (`remote.py`).

Every job is placed on a worker by us: as many as it has threads for, and while jobs are short one ahead, so that it need not wait
for the next. So we know what a worker that dies takes along. Its jobs are done again elsewhere; a job that has lost two workers
has its third try when nothing else runs, so that no job is blamed for its neighbour, and if that worker dies, too, it has failed.
Dask moves tables, jobs and answers between machines by pickle, as any Dask program does: the cluster has to be trusted.
"""

import queue
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distributed import Future

from tabbench.engine.assignment import read_outcome
from tabbench.engine.remote import do_job, keep_table
from tabbench.engine.runner import Work, preload
from tabbench.engine.sandbox import POLL_SECONDS, Outcome
from tabbench.engine.workers import Workers, connect
from tabbench.errors import UserError
from tabbench.job import Job, Run
from tabbench.models import get_model, missing_imports
from tabbench.resources import Resources

LOOK_SECONDS = 0.5  # how often workers are counted
PATIENCE_SECONDS = 60.0  # without a worker that could do what is left
SHORT_SECONDS, N_RECENT = 1.0, 20  # a job goes ahead to wait on its worker while the latest were so short
MAX_LOSSES = 3  # workers that a job may take along
GPU = "GPU"  # the label of Dask's resources
AGAIN = "run the same command again to go on"


@dataclass(frozen=True)
class Place:
    """A worker: jobs it does at a time, and those of them on a GPU; whether it takes new ones. memory_mb : 0 if unknown."""

    slots: int
    gpus: int
    open: bool
    memory_mb: float


@dataclass(frozen=True, eq=False)
class Flight:
    """A job that is on a worker."""

    job: Job
    work: Work
    address: str
    future: Future
    begun: float


class DaskEngine:
    """An `Engine` on the cluster of the scheduler at `address`; a context manager.

    Raises UserError if the scheduler cannot be reached, or has no worker that is fit for these models: the tabbench and Python
    of ours, their packages, enough threads, a GPU where one needs it. resources : its `workers` are those of the cluster.
    """

    def __init__(self, address: str, resources: Resources, models: Sequence[str]) -> None:
        able = [name for name in models if not missing_imports(get_model(name))]
        self.address, self.threads = address, resources.threads
        self.modules: list[str] = []
        self._on_gpu = {name for name in able if get_model(name).needs.gpu}
        self._places: dict[str, Place] = {}
        self._waiting: list[tuple[Job, Work]] = []
        self._flying: dict[str, Flight] = {}
        self._tables: dict[tuple[str, str], Future | str] = {}  # path by address and digest; a Future on the way there
        self._on_the_way: dict[str, tuple[str, str]] = {}  # tables, by the key of the Future
        self._landed: queue.SimpleQueue[tuple[str, object]] = queue.SimpleQueue()
        self._losses = Counter[str]()  # by the job's key
        self._recent = deque[float](maxlen=N_RECENT)  # seconds of the latest jobs
        self._stuck_since: float | None = None
        self._client = connect(address)
        self._workers = Workers(self._client, able)
        try:
            self._look()
            self._check_places()
        except BaseException:
            self._client.close()
            raise
        self.resources = replace(resources, workers=sum(place.slots for place in self._places.values()))
        self.limits = {**resources.limits, "memory_mb": resources.memory_limit or self._memory_share()}

    def __enter__(self) -> "DaskEngine":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @property
    def running(self) -> int:
        """Number of jobs that have begun and not ended."""
        return len(self._flying) + len(self._waiting)

    @property
    def free(self) -> int:
        """Number of jobs it takes now."""
        if self._alone():
            return 0
        ordinary = sum(not self._is_last_try(job) and job.model not in self._on_gpu for job, _ in self._waiting)
        return max(0, sum(map(self._capacity, self._places.values())) - len(self._flying) - ordinary)

    @property
    def facts(self) -> dict[str, Any]:
        """What the manifest says of it: the machines of its workers."""
        return self._workers.facts

    @property
    def warnings(self) -> list[str]:
        """What differs on a worker, one line each."""
        return self._workers.warnings

    def prepare(self, models: Iterable[str], closed: Path, *, stop: bool = False) -> None:
        """Say what the fork servers of the workers import."""
        self._closed = closed.resolve()
        self.modules = preload(map(get_model, models), stop=stop)

    def start(self, job: Job, work: Work) -> None:
        """Begin a job, or let it wait for a worker that can do it."""
        self._waiting.append((job, work))
        self._place()

    def finished(self) -> Iterator[tuple[Job, Run]]:
        """Jobs that have ended, after a short wait for one; raises UserError if the cluster has gone."""
        if time.monotonic() - self._last_looked > LOOK_SECONDS:
            for lost in self._look():
                yield from self._lose(lost, "the Dask worker has gone")
        self._place()
        for key, answer in self._next_landed():
            if getattr(answer, "reason", "") == "scheduler-connection-lost":
                raise self._gone()
            flight = self._flying.pop(key, None)  # None: given up, because its worker has gone
            if flight and isinstance(answer, Outcome):
                self._recent.append(time.monotonic() - flight.begun)
                job, work = flight.job, flight.work
                yield job, read_outcome(answer, job, work.task, work.splits[job.repeat, job.fold])
            elif flight:
                self._tables.pop((flight.address, flight.job.task_digest), None)
                yield from self._lose(flight, f"{type(answer).__name__}: {answer}")

    def stop(self) -> None:
        """End what is still running: the workers see that nobody waits for it."""
        futures = [flight.future for flight in self._flying.values()]
        self._flying, self._waiting = {}, []
        with suppress(Exception):  # the scheduler may be what has ended
            self._client.cancel(futures)

    def _look(self) -> list[Flight]:
        """Learn which workers have come and gone; return the jobs that the latter have taken along."""
        self._last_looked = time.monotonic()
        if self._client.status != "running":
            raise self._gone()
        try:
            workers = self._client.scheduler_info(n_workers=-1)["workers"]
            met = self._workers.meet(workers)
        except UserError:
            raise
        except Exception:  # noqa: BLE001 - Dask has many words for it
            raise self._gone() from None
        known = {address: facts for address, facts in workers.items() if address in met}
        self._places = {address: _place_of(facts, self.threads) for address, facts in known.items()}
        self._tables = {key: path for key, path in self._tables.items() if key[0] in known}
        lost = {key: flight for key, flight in self._flying.items() if flight.address not in known}
        self._flying = {key: flight for key, flight in self._flying.items() if key not in lost}
        if lost:
            self._client.cancel([flight.future for flight in lost.values()])
        return list(lost.values())

    def _check_places(self) -> None:
        """Raise UserError unless every model has a worker that can take it."""
        places = self._places.values()
        if not places:
            raise UserError(f"{self.address}: the cluster has no worker: start some, e.g. `dask worker {self.address}`")
        if not any(place.slots for place in places):
            raise UserError(f"{self.address}: no worker has the {self.threads} threads of a job: start them with --nthreads")
        if self._on_gpu and not any(place.gpus and place.slots for place in places):
            raise UserError(
                f"{self.address}: model {min(self._on_gpu)!r} needs a GPU and no worker is labelled with one: "
                f'start some with --resources "{GPU}=1"'
            )

    def _place(self) -> None:
        """Send what waits to workers that have room."""
        still, no_room_for = [], set()
        for job, work in self._waiting:
            kind = (self._is_last_try(job), job.model in self._on_gpu)
            address = None if kind in no_room_for else self._choose(job, work)
            if address is None:
                no_room_for.add(kind)
                still.append((job, work))
            else:
                self._send(job, work, address)
        self._waiting = still
        room = any(place.open and place.slots for place in self._places.values())
        if self._flying or (room and not still):
            self._stuck_since = None
        elif self._stuck_since is None:
            self._stuck_since = time.monotonic()
        elif time.monotonic() - self._stuck_since > PATIENCE_SECONDS:
            raise UserError(f"{self.address}: no worker for {PATIENCE_SECONDS:g} s: what is finished is stored; {AGAIN}")

    def _choose(self, job: Job, work: Work) -> str | None:
        """Worker for a job: the least busy, of these one that has the table; None if there is none now."""
        if self._alone() or (self._is_last_try(job) and self._flying):
            return None
        load = Counter(flight.address for flight in self._flying.values())
        on_gpu = Counter(flight.address for flight in self._flying.values() if flight.job.model in self._on_gpu)
        fit = [
            address
            for address, place in self._places.items()
            if load[address] < self._capacity(place) and (job.model not in self._on_gpu or on_gpu[address] < place.gpus)
        ]
        return min(
            fit,
            key=lambda address: (
                load[address] / self._places[address].slots,
                (address, work.task.digest) not in self._tables,
            ),
            default=None,
        )

    def _capacity(self, place: Place) -> int:
        """Number of jobs on a worker: with one thread a job Dask keeps the one that is ahead waiting, with more it would not."""
        if not place.open or not place.slots:
            return 0
        short = bool(self._recent) and max(self._recent) < SHORT_SECONDS
        return place.slots + (short and self.threads == 1)

    def _alone(self) -> bool:
        """Whether a job has its last try, for which it has the cluster for itself."""
        return any(self._is_last_try(flight.job) for flight in self._flying.values())

    def _is_last_try(self, job: Job) -> bool:
        return self._losses[job.key] == MAX_LOSSES - 1

    def _send(self, job: Job, work: Work, address: str) -> None:
        path = self._tables.get((address, work.task.digest)) or self._send_table(work, address)
        args = (work.assign(job), path, self.limits, self._closed, self.modules)
        resources = {GPU: 1} if job.model in self._on_gpu else None
        future = self._client.submit(do_job, *args, workers=[address], resources=resources, pure=False)
        self._flying[str(future.key)] = Flight(job, work, address, future, time.monotonic())
        future.add_done_callback(self._land)

    def _send_table(self, work: Work, address: str) -> Future:
        """Begin to bring a table to a worker."""
        content = work.path.read_bytes()
        future = self._client.submit(keep_table, work.path.name, content, workers=[address], pure=False)
        self._tables[address, work.task.digest] = future
        self._on_the_way[str(future.key)] = (address, work.task.digest)
        future.add_done_callback(self._land)
        return future

    def _land(self, done: Future) -> None:
        """Note what a Future came to, an exception included; called in the thread of Dask's callbacks."""
        try:
            answer = done.result()
        except BaseException as error:  # noqa: BLE001 - whatever a worker may raise, it was no answer
            answer = error
        self._landed.put((str(done.key), answer))

    def _next_landed(self) -> Iterator[tuple[str, object]]:
        """Jobs that have come back with their answers, after a short wait for one.

        Of a table that has arrived the path is kept and the Future dropped, so that the scheduler forgets the bytes.
        """
        with suppress(queue.Empty):
            key, answer = self._landed.get(timeout=POLL_SECONDS)
            while True:
                where = self._on_the_way.pop(key, None)
                if where is None:
                    yield key, answer
                elif isinstance(answer, str) and where in self._tables:
                    self._tables[where] = answer
                key, answer = self._landed.get_nowait()

    def _lose(self, flight: Flight, why: str) -> Iterator[tuple[Job, Run]]:
        """Let the job of a flight without an answer wait for its next try; without one left, it has failed."""
        self._losses[flight.job.key] += 1
        if self._losses[flight.job.key] < MAX_LOSSES:
            self._waiting.append((flight.job, flight.work))
        else:
            reason = f"lost {MAX_LOSSES} times, at last with nothing beside it: {why}"
            yield flight.job, Run("failed", reason[:300])

    def _memory_share(self) -> float:
        """Four fifths of a worker's memory, shared by its jobs, in MB; of the worker with the least."""
        shares = [
            (place.memory_mb or self._workers.environments[address]["memory_mb"]) / place.slots
            for address, place in self._places.items()
            if place.slots
        ]
        return round(0.8 * min(shares))

    def _gone(self) -> UserError:
        return UserError(f"{self.address}: the connection to the scheduler is lost: what is finished is stored; {AGAIN}")


def _place_of(facts: dict[str, Any], threads: int) -> Place:
    gpus = int(facts["resources"].get(GPU, 0))
    return Place(facts["nthreads"] // threads, gpus, facts["status"] == "running", (facts["memory_limit"] or 0) / 2**20)
