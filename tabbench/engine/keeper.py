"""The keeper: a process between the runner and a job that lets nothing the job has started outlive it.

It forks the worker that does the job, waits for it, ends whatever the worker left behind and then ends as the worker did. On
Linux it is the subreaper of the job (`prctl(2)`): a process that forks twice and starts a session of its own to become a daemon
stays the keeper's descendant. Elsewhere such a daemon escapes; children and grandchildren are still ended.
"""

import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import psutil

from tabbench.engine.cgroup import enter, kill_group
from tabbench.engine.seal import seal

GRACE_SECONDS = 1.0
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


class _StopError(BaseException):
    """SIGTERM has come: from the runner, or from the kernel because our parent has died."""


def keep(work: Callable[[], object], group: Path | None, closed: Path | None, parent: int) -> NoReturn:
    """Do `work()` in a worker process and end, with all its descendants, as the worker ends; on SIGTERM end them at once.

    group : the cgroup for the worker and what it starts. closed : a folder that they may not write to. parent : that we were
    forked from; if it has died, nothing is done.
    """
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the runner's to handle
    signal.signal(signal.SIGTERM, _stop)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    _end_with(parent, signal.SIGTERM)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    keeper, status = os.getpid(), 0
    try:
        worker = os.fork()
        if worker == 0:
            _be_the_worker(work, group, closed, keeper)
        status = _wait_for(worker)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    except _StopError:
        ask_descendants(keeper, GRACE_SECONDS)
    if _has_children():
        if group:
            kill_group(group)
        end_descendants(keeper)
    if os.WIFSIGNALED(status):
        with suppress(OSError):  # of SIGKILL there is no other handler
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


def _be_the_worker(work: Callable[[], object], group: Path | None, closed: Path | None, keeper: int) -> NoReturn:
    code = 1
    try:
        if group:
            enter(group)
        os.setsid()
        if closed:
            with suppress(OSError):  # the folder has gone: the runner notices
                seal(closed)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _end_with(keeper, signal.SIGKILL)
        work()
        code = 0
    finally:
        os._exit(code)


def _stop(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
    raise _StopError


def _wait_for(worker: int) -> int:
    """Status of the worker; orphans that become our children are reaped on the way."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == worker:
            return status


def _has_children() -> bool:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def ask_descendants(pid: int, grace: float) -> None:
    """SIGTERM to every descendant of `pid`; wait until none is left, at most `grace` seconds."""
    deadline = time.monotonic() + grace
    asked: set[psutil.Process] = set()
    while time.monotonic() < deadline and (left := _left(pid)):
        _signal_all([process for process in left if process not in asked], signal.SIGTERM)  # a fork bomb goes on meanwhile
        asked.update(left)
        time.sleep(0.01)


def end_descendants(pid: int) -> None:
    """SIGKILL to every descendant of `pid`, until none is left.

    They are stopped before they are killed, so that processes which fork all the time cannot outrun us.
    """
    stopped: set[int] = set()
    while fresh := [process for process in descendants(pid) if process.pid not in stopped]:
        _signal_all(fresh, signal.SIGSTOP)
        stopped |= {process.pid for process in fresh}
    while left := _left(pid):
        _signal_all(left, signal.SIGKILL)
        time.sleep(0.002)


def _left(pid: int) -> list[psutil.Process]:
    """Descendants that are left, after those of our own that have ended are reaped."""
    if pid != os.getpid():
        return [process for process in descendants(pid) if not is_dead(process.pid)]
    _has_children()
    return descendants(pid)


def is_dead(pid: int) -> bool:
    """Whether a process has ended, be it that nobody has asked how; not before its last thread has, when it can be asked."""
    try:
        process = psutil.Process(pid)
        return bool(process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1)
    except psutil.Error:
        return True


def descendants(pid: int) -> list[psutil.Process]:
    """All processes that a process has started and that are not lost to another parent."""
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.Error:
        return []


def _signal_all(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.Error, ProcessLookupError):
            process.send_signal(number)


def _end_with(parent: int, number: signal.Signals) -> None:
    """Have the kernel send us this signal when our parent dies; end now if it has died before."""
    _prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)
