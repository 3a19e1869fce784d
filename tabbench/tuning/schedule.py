"""Schedule: the jobs of a run, as far as they are known; a search asks for more when it has seen how these ended."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tabbench.data.split import Split
from tabbench.errors import UserError
from tabbench.job import Job, TaskLike, plan
from tabbench.models import get_model
from tabbench.models.space import Space
from tabbench.request import Spec
from tabbench.store.runs import ResultStore
from tabbench.tuning.protocols import PROTOCOLS, Protocol, search_space
from tabbench.tuning.search import Rounds, Series, check_search, loss

Searched = tuple[Mapping[str, Any], Space]  # defaults that differ from the model's own, and what is searched


class Schedule:
    """The jobs of many series, each as far as the losses that are known determine it.

    losses : by key, of the trials that are done. jobs : all that are determined so far, done or not.
    """

    def __init__(self, series: Iterable[Series], losses: Mapping[str, float]) -> None:
        self.jobs: list[Job] = []
        self._losses = dict(losses)
        self._awaited: dict[str, tuple[Rounds, list[Job]]] = {}
        for one in {one.first.key: one for one in series}.values():
            self._go_on(one.rounds(), None)

    def missing(self) -> list[Job]:
        """Those that are not done."""
        return [job for job in self.jobs if job.key in self._awaited]

    def ended(self, job: Job, value: float) -> list[Job]:
        """Take the loss of a job; return the jobs that it is now known are wanted."""
        self._losses[job.key] = value
        rounds, jobs = self._awaited.pop(job.key)
        if any(other.key in self._awaited for other in jobs):
            return []
        return self._go_on(rounds, [self._losses[other.key] for other in jobs])

    def _go_on(self, rounds: Rounds, losses: list[float] | None) -> list[Job]:
        """Go through the rounds as far as losses are known; return what is missing of the next one."""
        while True:
            try:
                jobs = next(rounds) if losses is None else rounds.send(losses)
            except StopIteration:
                return []
            self.jobs += jobs
            missing = [job for job in jobs if job.key not in self._losses]
            if missing:
                self._awaited |= {job.key: (rounds, jobs) for job in missing}
                return missing
            losses = [self._losses[job.key] for job in jobs]


def series_of(
    spec: Spec, tasks: Sequence[tuple[TaskLike, Sequence[Split]]], space_of: Callable[[Protocol, str], Searched] = search_space
) -> Iterator[Series]:
    """The series of trials that a run is asked for on these tasks, or those of its shard.

    Without a protocol, or with one configuration, a series is one job. space_of : as `search_space`, which imports the models.
    Raises UserError for what cannot be searched here.
    """
    protocol, search = spec.protocol or "", spec.search or "random"
    check_search(search)
    rules = PROTOCOLS[protocol] if protocol else None
    spaces = {name: space_of(rules, name) if rules else ({}, {}) for name in spec.models}
    entrants = [(name, default) for name, (default, _) in spaces.items()]
    if rules and not rules.refit:
        _check_next(protocol, tasks)
    n_rows = {(task.digest, split.repeat, split.fold): len(split.train) for task, splits in tasks for split in splits}
    number, of = spec.part
    for job in plan(tasks, entrants, spec.subsamples, spec.seed, spec.resources.threads, protocol):
        first = rules.cut(job, n_rows[job.task_digest, job.repeat, job.fold]) if rules else job
        if int(first.key[:8], 16) % of == number - 1:
            space = spaces[job.model][1]
            if spec.stop and space and _is_watched(first):
                first = replace(first, stop=spec.stop)
            yield Series(first, space, (spec.configs or 1) if space else 1, search, spec.limits)


def _is_watched(job: Job) -> bool:
    """Whether fits of a job can be ended early: its model is trained in steps that can be watched, on all rows and columns."""
    steps = get_model(job.model).steps
    return steps is not None and steps.watch is not None and job.max_rows is None and job.max_columns is None


def _check_next(protocol: str, tasks: Sequence[tuple[TaskLike, Sequence[Split]]]) -> None:
    """Raise UserError where a protocol that validates on the next fold has none that is not tested, or yet to come."""
    for task, splits in tasks:
        if not all(len(split.next_test) for split in splits):
            raise UserError(
                f"{task.name}: protocol {protocol} validates on the rows of the next fold, and here these are none to train on "
                "(one fold, or folds in time): take protocol tabbench"
            )


def losses_of(spec: Spec, store: ResultStore) -> dict[str, float]:
    """By key, what the search of a run goes by."""
    metric = PROTOCOLS[spec.protocol or "tabbench"].search_by
    return {key: loss(status, facts, metric) for key, status, facts in store.outcomes()}


def settled_losses(spec: Spec, store: ResultStore, limits: dict[str, float], *, retry_failed: bool = False) -> dict[str, float]:
    """By key, the losses of the runs that need no new attempt under these limits.

    A search has gone on from how its trials ended: they stay as they are, whatever the limits are now. Raises UserError if
    failed ones are to be tried again.
    """
    if not spec.search and not spec.stop:
        return dict.fromkeys(store.settled(limits, retry_failed), math.inf)
    if retry_failed:
        asked = f"search {spec.search}" if spec.search else f"stop {spec.stop}"
        raise UserError(f"--retry-failed: {asked} has gone on from its failures: give --out a new folder")
    losses = losses_of(spec, store)
    return {key: losses[key] for key in store.settled(dict.fromkeys(limits, 0.0), retry_failed=False)}
