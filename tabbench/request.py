"""Spec: what a run is asked for, in plain values. It owns the form that this has in a manifest."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Annotated, Any, Literal, Self

import msgspec

from tabbench.border.forms import Few, Folds, LongText, Seed, Text, fit
from tabbench.data.spec import Steering
from tabbench.data.split import Split, make_splits
from tabbench.data.task import Task
from tabbench.errors import UserError
from tabbench.job import Subsample
from tabbench.resources import Bounds, Resources

DEFAULT_MODELS = ("dummy", "logreg", "knn", "tree", "random_forest", "xgboost", "lightgbm", "catboost", "mlp", "pfn")
# one result folder holds runs that agree in these
SHARED = ("folds", "repeats", "holdout", "window", "seed", "threads", "protocol", "search", "stop", "limits")
UNSAID = ("stop", "tasks", "groups", "time", "gap", "test_fold", "holdout", "window")  # in a manifest only where they are given


class _Form(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The JSON of a spec; what has a default here, earlier versions did not write."""

    suite: LongText | None
    data: LongText | None = None
    file: LongText | None = None
    target: LongText | None = None
    classes: bool = False
    tasks: tuple[LongText, ...] | None = None
    models: Annotated[tuple[LongText, ...], msgspec.Meta(min_length=1, max_length=10_000)]
    groups: Text | None = None
    time: Text | None = None
    gap: Text | float | None = None
    test_fold: Text | tuple[Text, ...] | None = None
    folds: Folds | None
    repeats: Few | None
    holdout: float | None = None
    window: Text | None = None
    seed: Seed
    subsamples: Annotated[tuple[Subsample, ...], msgspec.Meta(min_length=1, max_length=10_000)]
    protocol: Text | None = None
    configs: Few = 1
    search: Text | None = None
    stop: Text | None = None
    shard: Text | None = None
    workers: int
    threads: int
    time_limit: float
    memory_limit: float
    limits: dict[Literal["fit_seconds", "model_mb", "rss_mb"], float] = {}


@dataclass(frozen=True)
class Spec:
    """What a run is asked for.

    suite : its name, the path of a file or "openml:…"; without one, data (name), file (path; None: a DataFrame) and target of a
    table. classes : the target is declared to hold classes. tasks : names of the datasets that are to be had (None: not known
    yet, or not recorded).
    groups, time, gap, test_fold : as in `Steering`, of the table. holdout, window : as in `Scheme`.
    folds, repeats, configs : None until `folders.run.settle` says how many, or every table says it itself (folds, repeats).
    protocol : None where no configuration is chosen. search : None for random search. stop : what ends fits early. shard : "i/n",
    the i-th of n parts of the jobs, counted from 1. limits : of what is chosen and ranked; they change no job.
    """

    suite: str | None = None
    data: str | None = None
    file: str | None = None
    target: str | None = None
    classes: bool = False
    tasks: tuple[str, ...] | None = None
    models: tuple[str, ...] = DEFAULT_MODELS
    groups: str | None = None
    time: str | None = None
    gap: str | float | None = None
    test_fold: str | tuple[str, ...] | None = None
    folds: int | None = None
    repeats: int | None = None
    holdout: float | None = None
    window: str | None = None
    seed: int = 0
    subsamples: tuple[Subsample, ...] = (Subsample(),)
    protocol: str | None = "tabbench"
    configs: int | None = None
    search: str | None = None
    stop: str | None = None
    shard: str | None = None
    resources: Resources = field(default_factory=Resources)
    limits: Bounds = field(default_factory=Bounds)

    @property
    def part(self) -> tuple[int, int]:
        """Number and count of the shard, (1, 1) without one; raises UserError for other texts than "i/n"."""
        try:
            number, of = map(int, (self.shard or "1/1").split("/"))
        except ValueError:
            number = of = 0
        if not 1 <= number <= of:
            raise UserError(f"shard {self.shard!r}: give i/n, e.g. 2/5 for the second of five")
        return number, of

    @property
    def steering(self) -> Steering:
        """The columns that steer the splits of the table."""
        return Steering(self.groups, self.time, self.gap, self.test_fold)

    def splits(self, task: Task) -> list[Split]:
        """The splits of one of the tables; raises UserError as `make_splits`."""
        return make_splits(task, self.folds, self.repeats, self.seed, holdout=self.holdout, window=self.window)

    @property
    def asked(self) -> Self:
        """What is asked for, without how it is to be done."""
        return replace(self, resources=Resources(threads=self.resources.threads))

    def includes(self, task: str) -> bool:
        """Whether a dataset of that name is part of the run."""
        return self.tasks is None or task in self.tasks

    def to_json(self) -> dict[str, Any]:
        """The form in a manifest."""
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        del values["resources"]
        for name in UNSAID:
            if values[name] is None:
                del values[name]
        if not self.classes:
            del values["classes"]
        values["limits"] = self.limits.asked
        if not self.limits.asked:
            del values["limits"]
        return {**values, **asdict(self.resources)}

    def check(self) -> None:
        """Raise UserError for a value out of range; those of a form and of an argument are the same."""
        fit({**self.to_json(), "configs": 1 if self.configs is None else self.configs}, _Form)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The spec of such a form; raises UserError for a field that is wrong, missing or unknown."""
        form = msgspec.structs.asdict(fit(value, _Form))
        resources = Resources(**{one.name: form.pop(one.name) for one in fields(Resources)})
        return cls(**{**form, "limits": Bounds(**form["limits"])}, resources=resources)
