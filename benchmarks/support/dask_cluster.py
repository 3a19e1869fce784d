"""A Dask cluster of this machine's processes, for tests and benchmarks: a scheduler, and workers under nannies."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]


class Cluster:
    """Context manager; `address` is that of the scheduler. place : a folder for what it writes, on the workers' module path."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._processes: list[subprocess.Popen] = []
        self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(place / "scheduler"))
        deadline = time.monotonic() + 600
        while not (address := _address_in(place / "scheduler")):
            assert time.monotonic() < deadline, "the scheduler does not start"
            time.sleep(0.05)
        self.address = address

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        workers = self.workers()
        for process in self._processes:
            process.kill()
            process.wait()
        psutil.wait_procs(workers, timeout=60)  # they end with their nannies

    def add_workers(self, number: int, *options: str, variables: Mapping[str, str] = {}) -> None:
        """Start workers of one thread each, and wait until the scheduler has heard of them."""
        count = len(self.workers()) + number
        common = ("--nthreads", "1", "--memory-limit", "3GiB", "--local-directory", str(self._place))
        self._start("worker", self.address, "--nworkers", str(number), *common, *options, variables=variables)
        self.wait_for_workers(count)

    def wait_for_workers(self, count: int) -> None:
        """Wait until the scheduler has so many workers."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=600)

    def kill_scheduler(self) -> None:
        """SIGKILL to the scheduler."""
        self._processes[0].kill()

    def workers(self) -> list[psutil.Process]:
        """The worker processes that are alive, without their nannies."""
        return [child for process in self._processes for child in _children(process.pid) if "spawn_main" in _command(child)]

    def own(self) -> set[int]:
        """Process ids of all that is not a job: scheduler, nannies, workers and their fork servers."""
        first = [child for process in self._processes for child in _children(process.pid)]
        second = [grandchild for child in first for grandchild in _children(child.pid)]
        return {process.pid for process in (*self._processes, *first, *second)}

    def _start(self, what: str, *arguments: str, variables: Mapping[str, str] = {}) -> None:
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *arguments, "--no-dashboard"]
        environment = {**os.environ, "PYTHONPATH": f"{self._place}{os.pathsep}{ROOT}", **variables}
        self._processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))


def _address_in(file: Path) -> str:
    """What the scheduler has written; "" before it has written all of it."""
    try:
        return json.loads(file.read_text())["address"]
    except (FileNotFoundError, ValueError):
        return ""


def _children(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children())
    except psutil.Error:
        return []


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
