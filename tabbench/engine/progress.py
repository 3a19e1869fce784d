"""What a run shows while it runs: a live view in a terminal, plain lines elsewhere, JSON lines for machines."""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tabbench.border.texts import printable
from tabbench.engine.costs import SIZES, Costs, learn
from tabbench.engine.standings import Standings
from tabbench.errors import UserError
from tabbench.job import Job, Run

LINE_SECONDS = 15.0
VIEW_SECONDS = 1.0
N_SLOWEST = 3
LEARN_AGAIN = 1.05  # when so many times as many jobs have ended
MOST_BESIDE = 1.0  # seconds of a job beside its fit and predictions


class Progress:
    """Context manager: `begin(jobs, sizes)` once, `advance(job, run)` once per finished job, `note(text)` at any time.

    After every dataset (of one table: every fold) it says who leads so far.
    """

    def __init__(
        self, *, quiet: bool, log: Path | None = None, workers: int = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.log, self.workers, self.clock = log, workers, clock
        self.console = Console(stderr=True, quiet=quiet)
        self.started = self.last_shown = self.clock()
        self.left = Counter[tuple[str, str]]()  # contender, task digest
        self.sizes: Mapping[str, Sequence[int]] = {}
        self.done: list[dict[str, object]] = []
        self.standings = Standings()
        self.costs: Costs | None = None
        self.n_learned = 0
        self.live = Live(console=self.console, auto_refresh=False, transient=True)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()
        seconds = self.clock() - self.started
        self._record("end", done=len(self.done), seconds=round(seconds, 3), **self._counts())
        if self.done or self.left:
            n_jobs = len(self.done) + self.left.total()
            self.console.print(f"{len(self.done)} of {n_jobs} jobs done in {seconds:.0f} s{self._troubles()}", highlight=False)

    def note(self, text: str) -> None:
        """Say what the user should know."""
        self._record("note", text=text)
        self.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def begin(
        self, jobs: Sequence[Job], sizes: Mapping[str, Sequence[int]], stored: Sequence[tuple[Job, str, Mapping[str, Any]]] = ()
    ) -> None:
        """Show that these jobs are to be done; sizes : rows, columns and classes by task digest.

        stored : job, status and facts of what is done already, for the standings.
        """
        self.standings = Standings([*(job for job, _, _ in stored), *jobs])
        for outcome in stored:
            self.standings.add(*outcome)
        self.left, self.sizes = Counter((job.contender, job.task_digest) for job in jobs), sizes
        self.started = self.clock()
        self._record("begin", jobs=len(jobs))
        if jobs and self.console.is_terminal:
            self.live.start()

    def advance(self, job: Job, run: Run, more: Sequence[Job] = ()) -> bool:
        """Count a finished job, and those that are to be done because of it; return whether a dataset or fold is complete."""
        self.left.update((other.contender, other.task_digest) for other in more)
        self.left[job.contender, job.task_digest] -= 1
        facts = {name: run.facts.get(name) for name in ("fit_seconds", "predict_seconds", "peak_rss_mb")}
        place = {"key": job.key, "task": job.task, "repeat": job.repeat, "fold": job.fold, "model": job.contender}
        self._record("job", **place, status=run.status, reason=run.reason, **facts)
        sizes = dict(zip(SIZES, self.sizes[job.task_digest], strict=True))
        self.done.append({**place, "status": run.status, **facts, **sizes})
        is_complete = self.standings.add(job, run.status, run.facts)
        if is_complete and self.standings.n_folds and not self.console.is_terminal:
            self.console.print(str(self.standings), markup=False, highlight=False, soft_wrap=True)
        now = self.clock()
        if now - self.last_shown < (VIEW_SECONDS if self.console.is_terminal else LINE_SECONDS):
            return is_complete
        self.last_shown = now
        if self.console.is_terminal:
            self.live.update(self._view(), refresh=True)
        else:
            n_jobs = len(self.done) + self.left.total()
            self.console.print(f"{len(self.done)}/{n_jobs} jobs, {self._time_left()}{self._troubles()}", highlight=False)
        return is_complete

    def _time_left(self) -> str:
        seconds = self.seconds_left()
        return "time left unknown" if seconds is None else f"about {_span(seconds)} left"

    def seconds_left(self) -> float | None:
        """Seconds until the last job has ended, by the costs learned so far; None if nothing is known of them.

        What all jobs take is shared by the workers; what these have done so far, in jobs that still run, too, is behind us. What
        a job takes beside fit and predictions is taken from those done, up to a second.
        """
        if not self.done:
            return None
        frame, costs = pd.DataFrame(self.done), self.costs
        if costs is None or len(frame) > LEARN_AGAIN * self.n_learned:
            costs = self.costs = learn(frame)
            self.n_learned = len(frame)
        if not costs.n_runs:
            return None
        ahead = [(n, costs.seconds(contender, self.sizes[digest])) for (contender, digest), n in self.left.items() if n]
        passed = self.clock() - self.started
        spent = float(frame[["fit_seconds", "predict_seconds"]].astype(float).sum(axis=None))
        beside = min(MOST_BESIDE, max(0.0, passed * self.workers - spent) / len(frame))
        n_left = sum(n for n, _ in ahead)
        total = spent + sum(n * seconds for n, seconds in ahead) + beside * (len(frame) + n_left)
        least = max((seconds for _, seconds in ahead), default=0.0) if n_left > self.workers else 0.0
        return max(total / self.workers - passed, least, 0.0)

    def _view(self) -> Group:
        """A bar, a line for each model (with its mean rank so far, best first), and the slowest jobs."""
        n_done, n_left = len(self.done), self.left.total()
        models = Table.grid(padding=(0, 2))
        left = Counter[str]()
        for (contender, _), n in self.left.items():
            left[contender] += n
        by_model = Counter((row["model"], row["status"] == "ok") for row in self.done)
        ranks = dict(self.standings.mean_ranks)
        for model in sorted(left, key=lambda name: ranks.get(name, len(ranks))):
            ok, bad = by_model[model, True], by_model[model, False]
            total = ok + bad + left[model]
            rank = f"rank {ranks[model]:.2f}" if model in ranks else ""
            models.add_row(
                model, rank, ProgressBar(total, ok + bad, width=20), f"{ok + bad}/{total}", f"{bad} not ok" if bad else ""
            )
        slow = pd.DataFrame(self.done).astype({"fit_seconds": float}).nlargest(N_SLOWEST, "fit_seconds")
        slowest = "; ".join(f"{row.fit_seconds:.1f} s {row.model} on {row.task}" for row in slow.itertuples())
        elapsed = _span(self.clock() - self.started)
        head = f"{n_done}/{n_done + n_left} jobs, {elapsed} so far, {self._time_left()}{self._troubles()}"
        return Group(ProgressBar(n_done + n_left, n_done), Text(head), models, Text(f"slowest: {slowest}"))

    def _record(self, event: str, **facts: object) -> None:
        """Append an event to the log: one JSON object a line."""
        if self.log is not None:
            moment = datetime.now(UTC).isoformat(timespec="milliseconds")
            try:
                with self.log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"time": moment, "event": event, **facts}) + "\n")
            except OSError as error:
                raise UserError(f"{self.log}: cannot be written ({error.strerror})") from None

    def _counts(self) -> dict[str, int]:
        return dict(Counter(str(row["status"]) for row in self.done))

    def _troubles(self) -> str:
        parts = [f"{count} {status}" for status, count in sorted(self._counts().items()) if status != "ok"]
        return f" ({', '.join(parts)})" if parts else ""


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
