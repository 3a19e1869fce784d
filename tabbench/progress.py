"""A progress bar with an estimate of the time left; plain lines where there is no terminal."""

import time
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

from tabbench.execute import Run
from tabbench.job import Job

LINE_SECONDS = 15.0


class Progress:
    """Context manager; `advance(job, run)` is called once per finished job."""

    def __init__(self, jobs: Sequence[Job], *, quiet: bool) -> None:
        self.n_jobs, self.n_done, self.counts = len(jobs), 0, Counter[str]()
        self.console = Console(stderr=True, quiet=quiet)
        self.started = self.last_line = time.monotonic()
        columns = (
            SpinnerColumn(),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            TextColumn("{task.description}"),
        )
        self.bar = RichProgress(*columns, console=self.console, speed_estimate_period=120, disable=not self.console.is_terminal)
        self.item = self.bar.add_task("", total=self.n_jobs)

    def __enter__(self) -> "Progress":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()
        if self.n_jobs:
            self.console.print(
                f"{self.n_done} of {self.n_jobs} jobs done in {time.monotonic() - self.started:.0f} s{self._troubles()}"
            )

    def advance(self, job: Job, run: Run) -> None:
        """Count a finished job."""
        self.n_done += 1
        self.counts[run.status] += 1
        self.bar.update(self.item, advance=1, description=f"{job.entrant} on {job.task}{self._troubles()}")
        now = time.monotonic()
        if not self.console.is_terminal and now - self.last_line > LINE_SECONDS:
            self.last_line = now
            left = (now - self.started) / self.n_done * (self.n_jobs - self.n_done)
            self.console.print(f"{self.n_done}/{self.n_jobs} jobs, about {left:.0f} s left{self._troubles()}", highlight=False)

    def _troubles(self) -> str:
        parts = [f"{count} {status}" for status, count in sorted(self.counts.items()) if status != "ok"]
        return f" ({', '.join(parts)})" if parts else ""
