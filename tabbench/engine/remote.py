"""What a Dask worker does for a run: it keeps tables in its scratch folder and does jobs in child processes under limits."""

import multiprocessing.process
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distributed import get_worker

from tabbench.engine import seal
from tabbench.engine.assignment import NO_TABLE, Assignment, start_child
from tabbench.engine.cgroup import held_by
from tabbench.engine.sandbox import POLL_SECONDS, Child, Outcome, start_server, wait_for_any
from tabbench.errors import UserError
from tabbench.files import replace_file
from tabbench.models import get_model, missing_imports
from tabbench.store.manifest import environment

_lock = threading.Lock()  # a worker has a thread for each job; starting a child is not made for threads
_running: set[Child] = set()


def describe(models: Sequence[str]) -> dict[str, Any]:
    """Environment of this worker (see `manifest.environment`), what holds limits there (`cgroup.held_by`), and what the store.

    As "trouble" it says why one of the models cannot run here, or "".
    """
    return {
        **environment(),
        "limits": held_by(),
        "store": seal.held_by(),
        "trouble": next(filter(None, map(_trouble, models)), ""),
    }


def _trouble(name: str) -> str:
    try:
        missing = missing_imports(get_model(name))
    except UserError as error:
        return str(error)
    return f"model {name!r}: package {missing[0]!r} is not installed" if missing else ""


def keep_table(name: str, content: bytes) -> str:
    """Write a prepared table into the scratch folder, which ends with the worker; return its path."""
    path = Path(get_worker().local_directory) / "tabbench" / name
    with _lock:
        if not path.exists():
            replace_file(path, lambda temporary: temporary.write_bytes(content))
    return str(path)


def do_job(given: Assignment, path: str, limits: Mapping[str, float], closed: Path, modules: Sequence[str]) -> Outcome:
    """Do a job in a child process and say how that ended; it is given up when the run that asked for it is gone.

    closed : the result folder, where this machine has it. modules : what the fork server imports. Raises FileNotFoundError if the
    table has gone with an earlier worker of this address, ChildProcessError if the child was lost, see `Outcome`.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: the table is not on this worker any more")  # it is sent again
    worker = get_worker()
    task = worker.state.tasks[worker.get_current_task()]
    child = _start(given, Path(path), limits, closed, modules)
    try:
        while (outcome := child.poll()) is None and task.state != "cancelled":
            wait_for_any([child], POLL_SECONDS)
    finally:
        child.kill()
        _running.discard(child)
    if outcome and outcome.status == "lost":
        raise ChildProcessError(outcome.reason)  # the job is begun again
    if outcome and outcome.answer == NO_TABLE:
        Path(path).unlink(missing_ok=True)
        raise FileNotFoundError(f"{path}: the table was damaged on this worker")  # it is sent again
    return outcome or Outcome("failed", "nobody waits for it any more")


def _start(given: Assignment, path: Path, limits: Mapping[str, float], closed: Path, modules: Sequence[str]) -> Child:
    with _lock:
        # Dask's nanny makes its workers daemons, which multiprocessing forbids children. Ours end with the worker all the same.
        multiprocessing.process.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
        if not _running:  # else it might start anew, under the jobs of another run
            start_server(modules)
        child = start_child(given, path, limits, closed)
        _running.add(child)
        return child
