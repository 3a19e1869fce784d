"""A child process with a wall-clock limit and limits on memory and processes, which ends with everything it has started.

The child is a keeper (`tabbench.engine.keeper`) and its worker, forked from a server that has the heavy imports behind it
(multiprocessing's forkserver), so they start in milliseconds; the worker answers with bytes over a pipe (nothing it sends is
unpickled). They die with the server, and the server dies with us, so that killing the runner leaves no orphan.
"""

import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, Pipe, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

from tabbench.engine import seal
from tabbench.engine.cgroup import home, ran_out_of_memory, remove_group
from tabbench.engine.keeper import GRACE_SECONDS, descendants, end_descendants, is_dead, keep

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
POLL_SECONDS = 0.1  # between two looks at children that say nothing
WARM = "tabbench.engine.warm"  # a module that every fork server for jobs imports
TREE_SECONDS = 0.3  # how often new descendants are looked for
KEEPER_SECONDS = 10.0  # time for the keeper to end a crowd, and for the fork server to say how a child has ended
CROWD = 8  # from so many processes on they are looked for every time
MAX_PROCESSES = 256  # of one job; more is a fork bomb
HEAD = 8  # bytes before an answer that say how many it has
RECEIVE_SECONDS = 0.1  # at a time, for a large answer
NO_EXIT_CODE = 255  # what multiprocessing says of a child if there is no fork server to ask
STOPPED_SECONDS, LOOK_SECONDS = 5.0, 0.5  # patience with a fork server that somebody has stopped
START_TRIES = 3  # fork servers that are asked for a child; a job that runs beside it may kill the first


@dataclass(frozen=True)
class Outcome:
    """How a child ended: status "done" (with its answer), "failed", "timeout", "memory" or "lost"; reason is one line.

    lost : by SIGKILL from elsewhere, or with the fork server; this may or may not be its own fault.
    """

    status: str
    reason: str = ""
    answer: bytes = b""


_server: Any = forkserver._forkserver  # the methods for stopping it are not public
_watched: dict[str, int] = {}  # the fork server that `_watch` looks at
_imported: set[str] = set()  # by the server that runs
_importer = os.getpid()  # in a child: the server that it was forked from


def start_server(preload: Sequence[str]) -> None:
    """Start the fork server with these modules imported, anew if the one that runs lacks some; no child may be running.

    Its libraries start with one thread each.
    """
    home()  # before there is a server: only who is alone in a cgroup can hand its controllers down
    if not _imported.issuperset(preload):
        needed = _imported.union(preload)
        stop_server()
        _imported.update(needed)
    _ensure_server()


def stop_server() -> None:
    """End the fork server; the next child has a new one, with environment and imports of then. No child may be running."""
    _server._stop()
    _imported.clear()


def _ensure_server() -> None:
    """Start the fork server if none runs."""
    modules = sorted(_imported, key=lambda module: (module == WARM, module))  # what it puts into large pages is there by then
    multiprocessing.get_context("forkserver").set_forkserver_preload([__name__, *modules])
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        _server.ensure_running()
        if _watched.get("server") != _server._forkserver_pid:
            _watched["server"] = _server._forkserver_pid
            threading.Thread(target=_watch, args=(_server._forkserver_pid,), daemon=True).start()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _watch(server: int) -> None:
    """End a fork server that somebody has stopped: asked for a child, it would keep us waiting for ever, and its jobs with us."""
    looks = 0
    while _server._forkserver_pid == server and not is_dead(server):
        looks = looks + 1 if _is_stopped(server) else 0
        if looks * LOOK_SECONDS > STOPPED_SECONDS:  # not the moment in which a shell lets us all go on
            os.kill(server, signal.SIGKILL)
        time.sleep(LOOK_SECONDS)


def _is_stopped(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def _has_died(server: int) -> bool:
    """Whether a fork server that does not answer has died: a large process takes its time to."""
    deadline = time.monotonic() + GRACE_SECONDS
    while _server._forkserver_pid == server and not is_dead(server):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _start_process(args: tuple[Any, ...]) -> BaseProcess:
    """A child that runs `_child_main(*args)`, of a new fork server if the old one has been killed or is just dying."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")  # else the child would run the caller's script once more
    try:
        for tries_left in reversed(range(START_TRIES)):
            _ensure_server()
            process = multiprocessing.get_context("forkserver").Process(target=_child_main, args=args, daemon=True)
            try:
                process.start()
                return process
            except (EOFError, OSError):
                if not tries_left or not _has_died(_server._forkserver_pid):
                    raise
        raise AssertionError("the last try returns or raises")
    finally:
        sys.modules["__main__"] = main


class Child:
    """One running call of `function(*args) -> bytes` under limits.

    Parameters
    ----------
    seconds : wall-clock limit. memory_mb : limit on the resident memory of the process tree. threads : cap for its libraries.
    closed : a folder that it may not write to, if the system can hold that, see `seal.held_by`.
    """

    def __init__(
        self,
        function: Callable[..., bytes],
        args: tuple[Any, ...],
        *,
        seconds: float,
        memory_mb: float,
        threads: int,
        closed: Path | None = None,
    ) -> None:
        self.connection, theirs = Pipe(duplex=False)
        self.seconds, self.memory_mb = seconds, memory_mb
        place = home()
        self.group = place.new_group(memory_mb) if place else None
        closed = closed if closed and seal.held_by() != "open" else None
        with theirs:
            self.process = _start_process((theirs, function, args, threads, self.group, closed))
        self._server_pid = _server._forkserver_pid
        self.started = time.monotonic()
        self.tree_found = 0.0
        self.tree: list[psutil.Process] = []
        self._received = bytearray()
        self._answered = False

    def poll(self) -> Outcome | None:
        """The outcome if the child has ended or broke a limit, else None; after an outcome `kill` it."""
        ended = not self.process.is_alive()  # asked first: an answer comes before the end
        closed = self._receive()
        if self._is_whole():
            self._answered = True
            return Outcome("done", answer=bytes(self._received[HEAD : HEAD + self._size]))
        if self._size > self.memory_mb * 2**20:  # a model has written into the pipe
            return Outcome("failed", "the process sent an answer that cannot be read")
        if closed or (ended and not self.connection.poll()):  # something that has got away may still hold the pipe open
            return self._unanswered()
        now = time.monotonic()
        if now - self.tree_found > TREE_SECONDS or len(self.tree) > CROWD:
            self.tree, self.tree_found = _tree(self.process.pid or 0), now
        if len(self.tree) > MAX_PROCESSES:
            return Outcome("failed", f"stopped at {len(self.tree)} processes, over the limit of {MAX_PROCESSES}")
        used = rss_mb(self.tree)
        if used > self.memory_mb and len(self.tree) > 1:
            used = pss_mb(self.tree)
        if used > self.memory_mb:
            return Outcome("memory", f"stopped at {used:.0f} MB, over the memory limit of {self.memory_mb:g} MB")
        if now - self.started > self.seconds:
            return Outcome("timeout", f"stopped after the time limit of {self.seconds:g} s")
        return None

    def _receive(self) -> bool:
        """Take what has come of the answer, for a moment, for others have to be looked after; whether no more can come."""
        until = time.monotonic() + RECEIVE_SECONDS
        while not self._is_whole() and self.connection.poll(0.005 if self._received else 0.0) and time.monotonic() < until:
            part = os.read(self.connection.fileno(), 2**20)
            if not part:
                return True
            self._received += part
        return False

    @property
    def _size(self) -> int:
        return int.from_bytes(self._received[:HEAD], "little")

    def _is_whole(self) -> bool:
        return len(self._received) >= HEAD + self._size

    def _unanswered(self) -> Outcome:
        self.process.join(KEEPER_SECONDS)
        if self.group and ran_out_of_memory(self.group):
            return Outcome("memory", f"stopped by the kernel at the memory limit of {self.memory_mb:g} MB")
        code = self.process.exitcode
        if code == NO_EXIT_CODE and _has_died(self._server_pid):
            return Outcome("lost", "its fork server died")
        return Outcome("lost" if code == -signal.SIGKILL else "failed", _death(code))

    def terminate(self) -> None:
        """Ask the keeper to end the worker and all it has started: SIGTERM, a grace period, SIGKILL."""
        if self.process.is_alive():
            self.process.terminate()

    def kill(self) -> None:
        """See to it that the keeper, the worker and all it has started are gone."""
        if self._answered:
            self.process.join(GRACE_SECONDS)  # it is about to end
        self.terminate()
        pid = self.process.pid or 0
        self.process.join(GRACE_SECONDS + KEEPER_SECONDS)
        if self.process.is_alive():  # stopped or stuck: do its work from here
            end_descendants(pid)
            self.process.kill()
            self.process.join()
        if self.group:
            remove_group(self.group)
        self.connection.close()


def wait_for_any(children: Sequence[Child], seconds: float) -> None:
    """Sleep until one of the children has something to say, at most `seconds`."""
    wait([source for child in children for source in (child.connection, child.process.sentinel)], timeout=seconds)


def _tree(pid: int) -> list[psutil.Process]:
    """All descendants but perhaps the newest: by the kernel's lists of children (proc(5)), else by a look at every process."""
    found, fresh = [], [pid]
    try:
        while fresh:
            fresh = [child for parent in fresh for child in _children(parent)]
            found += fresh
    except (FileNotFoundError, ProcessLookupError):  # a system without such lists, or one of them has ended
        return descendants(pid)
    return [process for child in found if (process := _process(child))]


def _children(pid: int) -> list[int]:
    lists = [Path(task, "children").read_text() for task in os.scandir(f"/proc/{pid}/task")]
    return [int(child) for text in lists for child in text.split()]


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def rss_mb(processes: Sequence[psutil.Process]) -> float:
    """Resident memory of these processes in MB; pages that they share count for each of them."""
    return sum(map(_rss, processes)) / 2**20


def pss_mb(processes: Sequence[psutil.Process]) -> float:
    """The same with shared pages counted once: slower to tell (their resident memory where the system cannot tell)."""
    return sum(map(_pss, processes)) / 2**20


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _pss(process: psutil.Process) -> int:
    try:
        info = process.memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(info, "pss", info.rss))


def _death(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name if -exitcode in set(signal.Signals) else f"signal {-exitcode}"
        return f"the process was killed by {name}"
    return f"the process ended by itself with exit code {exitcode}"


def _child_main(
    connection: Connection,
    function: Callable[..., bytes],
    args: tuple[Any, ...],
    threads: int,
    group: Path | None,
    closed: Path | None,
) -> None:
    _let_go_of_the_server()
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))

    def work() -> None:
        gc.freeze()  # else the collector would touch, and so copy, every object that the server has
        if threads > 1:  # the server's libraries have started with one
            limit_threads(threads)
        answer = function(*args)
        with open(connection.fileno(), "wb", closefd=False) as pipe:
            pipe.write(len(answer).to_bytes(HEAD, "little"))
            pipe.write(answer)

    own = _importer == os.getpid()  # a server that lacks our sys.path has not imported this
    keep(work, group, closed, os.getppid() if own else _importer)


def _let_go_of_the_server() -> None:
    """Close our end of the pipe that keeps the fork server alive, so that it ends with the runner and not with the last job."""
    os.close(_server._forkserver_alive_fd)
    _server._forkserver_alive_fd = None


def limit_threads(threads: int) -> None:
    """Cap the thread pools that are already loaded (BLAS, OpenMP, torch); later ones read the environment."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)
