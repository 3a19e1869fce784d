"""Searches: which configurations of a model are tried on a fold, given what came of those before.

A search is a generator of rounds. It yields the jobs of a round, whose results it needs before it can go on, and is sent their
losses. It draws from seeds and losses alone, so that the same losses always lead to the same jobs, whatever ran beside them,
and an interrupted run goes on where it was. `schedule.Schedule` keeps many of them going.
"""

import json
import math
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from tabbench.errors import UserError
from tabbench.job import Job
from tabbench.metrics import METRICS
from tabbench.models import get_model
from tabbench.models.space import Choice, Range, Space, configurations
from tabbench.pfn.card import CURVES, SURROGATE
from tabbench.registry import Registry
from tabbench.resources import Bounds
from tabbench.tuning.proposal import Tried, propose
from tabbench.tuning.protocols import Protocol

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

N_RANDOM = 10  # configurations besides the default that TPE begins with
SHARES = (1 / 9, 1 / 3, 1.0)  # of its steps that a configuration is given, rung by rung
KEEP_ONE_IN = 3
COSTS = ("fit_seconds", "model_mb", "peak_rss_mb")  # what limits may name
STOPS = ("pfn",)  # what may end fits early

Rounds = Generator[list[Job], list[float], None]
Search = Callable[["Series"], Rounds]
SEARCHES: Registry[Search] = Registry("search")


def search(function: Search) -> Search:
    """Register a search under its name."""
    return SEARCHES.add(function.__name__, function)


@dataclass(frozen=True)
class Series:
    """The trials of one model on one fold.

    first : the job of the default configuration; the others differ from it in configuration and number alone.
    n : configurations, the default included. search : a name in SEARCHES. limits : of what may be chosen in the end.
    """

    first: Job
    space: Space
    n: int
    search: str
    limits: Bounds = field(default_factory=Bounds)

    def rounds(self) -> Rounds:
        """The jobs, a round at a time; no two of them have the same key."""
        rounds = SEARCHES[self.search](self)
        return _one_by_one(rounds) if self.first.stop else rounds

    def random(self, n: int) -> list[Job]:
        """Trials of the default and the first random configurations, the same for every fold; no configuration twice."""
        default = json.loads(self.first.config)
        configs = configurations(self.first.model, default, self.space, n, self.first.seed)
        return _unique(self.trial(number, config) for number, config in enumerate(configs))

    def trial(self, number: int, config: Mapping[str, Any], rung: int = 0) -> Job:
        """The job that tries a configuration."""
        return replace(self.first, config=json.dumps(dict(config), sort_keys=True), trial=number, rung=rung)


@search
def random(series: Series) -> Rounds:
    """Random search (Bergstra and Bengio 2012): one round of the default and n - 1 random configurations."""
    yield series.random(series.n)


@search
def tpe(series: Series) -> Rounds:
    """Tree-structured Parzen estimator (Bergstra et al. 2011), Optuna's: after `N_RANDOM` random trials, one trial a round.

    The default is not told of, as it may lie outside the space. It ends if nothing of the first round has a value. Where it asks
    for a configuration that has been tried, the loss of then counts again.
    """
    known: dict[str, float] = {}
    trials = series.random(min(series.n, 1 + N_RANDOM))
    yield from _try(trials, known)
    if not any(map(math.isfinite, known.values())):
        return
    for number in range(1 + N_RANDOM, series.n):
        trial = series.trial(number, _ask(series, [(job, known[job.key]) for job in trials[1:]], number))
        yield from _try([trial], known)
        trials.append(trial)


@search
def pfn(series: Series) -> Rounds:
    """A network that has learned to regress, as surrogate (Müller et al. 2023): after `N_RANDOM` random trials, one a round.

    Each is the candidate of most promise, see `proposal`. As for TPE, the default is not told of, and it ends if nothing of the
    first round has a value; also where a small space has nothing new.
    """
    known: dict[str, float] = {}
    trials = series.random(min(series.n, 1 + N_RANDOM))
    yield from _try(trials, known)
    if not any(map(math.isfinite, known.values())):
        return
    for number in range(1 + N_RANDOM, series.n):
        tried = [_tried(json.loads(job.config), known[job.key], series.limits) for job in trials[1:]]
        values = propose(series.space, tried, replace(series.first, trial=number).search_seed)
        if values is None:
            return
        trial = series.trial(number, {**json.loads(series.first.config), **values})
        yield from _try([trial], known)
        trials.append(trial)


@search
def halving(series: Series) -> Rounds:
    """Successive halving (Jamieson and Talwalkar 2016), one bracket of Hyperband (Li et al. 2018).

    Random configurations get a ninth of their boosting rounds or epochs, the best third of them a third, the best third of these
    all; the default gets all at once. Every rung is a fit from the start, so that each trial is a job like any other.
    For a model that is not trained in steps this is random search.
    """
    steps = get_model(series.first.model).steps
    if steps is None:
        yield from random(series)
        return
    default, *alive = series.random(series.n)
    known: dict[str, float] = {}
    for rung, share in enumerate(SHARES):
        trials = [_shortened(series, job, steps.parameter, share, rung) for job in alive]
        yield from _try([default, *trials], known)
        best = survivors([known[job.key] for job in trials])
        alive = [alive[place] for place in best]


def check_search(name: str) -> None:
    """Raise UserError for an unknown search, or one whose package is not installed."""
    needs = {tpe: "optuna", pfn: "torch"}.get(SEARCHES[name])
    if needs and find_spec(needs) is None:
        raise UserError(f"search {name} needs the package {needs}, which is not installed: pip install {needs}")
    if SEARCHES[name] is pfn and not SURROGATE.is_file():
        raise UserError("search pfn: this copy of tabbench holds no weights of the surrogate: take another search")


def check_stop(name: str | None, search: str, protocol: Protocol) -> None:
    """Raise UserError for an unknown way to end fits early, or one that does not go with search or protocol."""
    if not name:
        return
    if name not in STOPS:
        raise UserError(f"stop {name!r}: there is {', '.join(STOPS)}")
    if not protocol.refit:
        raise UserError(f"protocol {protocol.name} ends fits by its patience: leave --stop out, or take protocol tabbench")
    if SEARCHES[search] is halving:
        raise UserError("search halving ends trials by itself: leave --stop out, or take another search")
    if find_spec("torch") is None:
        raise UserError("stop pfn needs the package torch, which is not installed: pip install torch")
    if not CURVES.is_file():
        raise UserError("stop pfn: this copy of tabbench holds no weights of the network of curves: leave --stop out")


def survivors(losses: Sequence[float]) -> list[int]:
    """Places of the best third (rounded up) that have a value, the earlier of equals, in their order."""
    n = -(-len(losses) // KEEP_ONE_IN)
    by_loss = sorted(range(len(losses)), key=lambda place: losses[place])
    return sorted(place for place in by_loss[:n] if math.isfinite(losses[place]))


class Outcome(float):
    """The loss of a trial, which remembers more of it.

    costs : the facts that limits may name. watched : the least loss of its fit that was watched; infinite if none was.
    """

    costs: Mapping[str, float]
    watched: float

    def __new__(cls, value: float, costs: Mapping[str, float], watched: float = math.inf) -> "Outcome":
        """Make a float that has costs."""
        outcome = super().__new__(cls, value)
        outcome.costs, outcome.watched = costs, watched
        return outcome

    def __getnewargs__(self) -> tuple[float, Mapping[str, float], float]:  # type: ignore[override]
        """What a copy is made of."""
        return float(self), self.costs, self.watched


def loss(status: str, facts: Mapping[str, Any], metric: str) -> float:
    """What a search minimises: the validation value of a metric, negative where more is better; infinite without one."""
    value = facts.get(f"val_{metric}", math.nan)
    if status != "ok" or not isinstance(value, int | float) or not math.isfinite(value):
        return math.inf
    costs = {name: float(facts[name]) for name in COSTS if name in facts}
    watched = float(facts.get("watched_loss", math.inf))
    return Outcome(-value if METRICS[metric].greater_is_better else value, costs, watched)


def _one_by_one(rounds: Rounds) -> Rounds:
    """The jobs of a search one a round, each told what the best of those before it had when it was watched.

    So the incumbent hangs on the order of the trials alone, and not on which of them happen to have ended.
    """
    best, losses = math.inf, None
    while True:
        try:
            jobs = next(rounds) if losses is None else rounds.send(losses)
        except StopIteration:
            return
        losses = []
        for job in jobs:
            losses += yield [job if math.isinf(best) else replace(job, incumbent=best)]
            best = min(best, round(getattr(losses[-1], "watched", math.inf), 6))


def _tried(config: Mapping[str, Any], value: float, limits: Bounds) -> Tried:
    """A trial as a surrogate is told of it; what was not measured teaches nothing."""
    costs = getattr(value, "costs", {})
    return Tried(config, float(value), tuple(costs.get(name, math.nan) / bound for name, bound in limits.facts.items()))


def _unique(jobs: Iterable[Job]) -> list[Job]:
    """The first job of every key."""
    first: dict[str, Job] = {}
    for job in jobs:
        first.setdefault(job.key, job)
    return list(first.values())


def _try(jobs: Sequence[Job], known: dict[str, float]) -> Rounds:
    """A round of those jobs whose loss is not known; afterwards it is."""
    new = _unique(job for job in jobs if job.key not in known)
    if new:
        known.update(zip([job.key for job in new], (yield new), strict=True))


def _shortened(series: Series, job: Job, parameter: str, share: float, rung: int) -> Job:
    config = json.loads(job.config)
    full = config.get(parameter, get_model(job.model).defaults[parameter])
    return series.trial(job.trial, {**config, parameter: max(1, round(share * full))}, rung)


def _ask(series: Series, history: Sequence[tuple[Job, float]], number: int) -> dict[str, Any]:
    """The next configuration by Optuna's TPE, from a study made anew of the trials so far, in their order."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would announce every study
    space = {name: distribution(values) for name, values in series.space.items()}
    seed = replace(series.first, trial=number).search_seed
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    for job, value in history:
        if math.isfinite(value):
            params = {name: json.loads(job.config)[name] for name in space}
            study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=value))
    return {**json.loads(series.first.config), **study.ask(space).params}


def distribution(values: Range | Choice) -> "BaseDistribution":
    """What Optuna takes for the values of a parameter."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(values, Choice):
        return CategoricalDistribution(values.values)
    if values.whole:
        return IntDistribution(int(values.low), int(values.high), log=values.log)
    return FloatDistribution(values.low, values.high, log=values.log)
