"""A child process with a wall-clock limit and a memory limit, whose whole process group ends with it.

The child is forked from a server that has the heavy imports behind it (multiprocessing's forkserver), so it starts in
milliseconds; it answers with bytes over a pipe (nothing it sends is unpickled). It dies with the server, and the server
dies with us, so that killing the runner leaves no orphan.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import ModuleType
from typing import Any

import psutil

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
GRACE_SECONDS = 1.0
TREE_SECONDS = 1.0  # how often the whole tree is measured; finding the descendants takes milliseconds, the child itself none
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Outcome:
    """How a child ended: status "done" (with its answer), "failed", "timeout" or "memory"; reason is one line."""

    status: str
    reason: str = ""
    answer: bytes = b""


def start_server(preload: Sequence[str]) -> None:
    """Choose what the fork server imports; call it before the first child. Its libraries start with one thread each."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tabbench.sandbox", *preload])
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        from multiprocessing import forkserver

        forkserver.ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Child:
    """One running call of `function(*args) -> bytes` under limits.

    Parameters
    ----------
    seconds : wall-clock limit. memory_mb : limit on the resident memory of the process tree. threads : cap for its libraries.
    """

    def __init__(
        self, function: Callable[..., bytes], args: tuple[Any, ...], *, seconds: float, memory_mb: float, threads: int
    ) -> None:
        context = multiprocessing.get_context("forkserver")
        self.connection, theirs = context.Pipe(duplex=False)
        self.seconds, self.memory_mb = seconds, memory_mb
        self.process = context.Process(target=_child_main, args=(theirs, function, args, threads), daemon=True)
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")  # else the child would run the caller's script once more
        try:
            self.process.start()
        finally:
            sys.modules["__main__"] = main
            theirs.close()
        self.started = self.tree_measured = time.monotonic()

    def poll(self) -> Outcome | None:
        """The outcome if the child has ended or broke a limit (then it is killed first), else None."""
        outcome = self._outcome()
        if outcome is not None:
            self.kill()
        return outcome

    def _outcome(self) -> Outcome | None:
        if self.connection.poll():
            try:
                return Outcome("done", answer=self.connection.recv_bytes())
            except EOFError:
                self.process.join(GRACE_SECONDS)
                return Outcome("failed", _death(self.process.exitcode))
        now = time.monotonic()
        if now - self.started > self.seconds:
            return Outcome("timeout", f"stopped after the time limit of {self.seconds:g} s")
        whole_tree = now - self.tree_measured > TREE_SECONDS
        if whole_tree:
            self.tree_measured = now
        used = rss_mb(self.process.pid, whole_tree)
        if used > self.memory_mb:
            return Outcome("memory", f"stopped at {used:.0f} MB, over the memory limit of {self.memory_mb:g} MB")
        return None

    def kill(self) -> None:
        """End the child's process group: SIGTERM, a grace period, SIGKILL."""
        pid = self.process.pid
        if self.process.is_alive():
            _signal_group(pid, signal.SIGTERM)
            self.process.join(GRACE_SECONDS)
        _signal_group(pid, signal.SIGKILL)  # whatever it left behind
        self.process.join()
        self.connection.close()


def wait_for_any(children: Sequence[Child], seconds: float) -> None:
    """Sleep until one of the children has something to say, at most `seconds`."""
    wait([child.connection for child in children], timeout=seconds)


def rss_mb(pid: int | None, whole_tree: bool) -> float:
    """Resident memory of a process, with its descendants or without, in MB (0 if it is gone)."""
    try:
        root = psutil.Process(pid)
        descendants = root.children(recursive=True) if whole_tree else []
        return sum(_rss(process) for process in (root, *descendants)) / 2**20
    except psutil.Error:
        return 0.0


def _rss(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0


def _signal_group(pid: int | None, number: signal.Signals) -> None:
    try:
        os.killpg(pid or 0, number) if pid else None
    except (ProcessLookupError, PermissionError):
        pass


def _death(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        return f"the process was killed by {signal.Signals(-exitcode).name}"
    return f"the process ended by itself with exit code {exitcode}"


def _child_main(connection: Connection, function: Callable[..., bytes], args: tuple[Any, ...], threads: int) -> None:
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the runner's to handle
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    limit_threads(threads)
    connection.send_bytes(function(*args))


def limit_threads(threads: int) -> None:
    """Cap the thread pools that are already loaded (BLAS, OpenMP, torch); later ones read the environment."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)
