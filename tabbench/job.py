"""Job: one unit of work in plain values, and the plan that lists them. Run: what came back from one."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Protocol

import msgspec
import numpy as np

from tabbench.data.split import Split

FORMAT = 1  # enters every key: raise it when the meaning of a job changes


@dataclass(frozen=True)
class Subsample:
    """How a training part is cut to size before fitting (None: not at all)."""

    max_rows: int | None = None
    row_policy: str = "stratified"
    max_columns: int | None = None
    column_policy: str = "mutual_info"


class TaskLike(Protocol):
    """What planning needs of a task. size : number of cells."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def digest(self) -> str: ...  # noqa: D102
    @property
    def size(self) -> int: ...  # noqa: D102


@dataclass(frozen=True)
class Job:
    """Fit one model on one training part and predict its test part.

    `config` is canonical JSON of the keyword arguments that differ from the model's defaults. Policies are empty where no
    limit is set, so that an unused choice does not change the key. `protocol` is named where the configuration is one of
    several: the job then predicts validation rows as well (see `protocols.inner_parts`); `trial` is the number of the
    configuration among them, 0 the default; `rung` how often it has been given more steps before (see `search.halving`).
    `stop` names what may end its fits early, `incumbent` is the least validation log loss that they have to beat (of the first
    inner part; None: they are not ended), see `engine.stopping`.
    """

    task: str
    task_digest: str
    repeat: int
    fold: int
    split_digest: str
    model: str
    config: str = "{}"
    max_rows: int | None = None
    row_policy: str = ""
    max_columns: int | None = None
    column_policy: str = ""
    seed: int = 0
    threads: int = 1
    protocol: str = ""
    trial: int = 0
    rung: int = 0
    stop: str = ""
    incumbent: float | None = None

    def __str__(self) -> str:
        return f"{self.entrant} on {self.task}, repeat {self.repeat}, fold {self.fold}"

    @cached_property
    def key(self) -> str:
        """Content hash: 32 hex digits over every field but the task's name and the numbers of trial and rung."""
        content = {name: getattr(self, name) for name in _KEY_FIELDS}
        if self.protocol:
            content["protocol"] = self.protocol
        if self.stop:
            content |= {"stop": self.stop, "incumbent": self.incumbent}
        content["format"] = FORMAT
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def data_seed(self) -> int:
        """Seed of the subsample: the same for every model, so that equal limits mean equal rows."""
        return _derive(self.seed, "data", self.task_digest, self.split_digest)

    @property
    def inner_seed(self) -> int:
        """Seed of the validation rows: the same for every model and configuration."""
        return _derive(self.seed, "inner", self.task_digest, self.split_digest)

    @property
    def model_seed(self) -> int:
        """Seed of the fit, below 2**31 as every library accepts."""
        return _derive(self.seed, "model", self.task_digest, self.split_digest, self.model, self.config)

    @property
    def search_seed(self) -> int:
        """Seed of the search for the configuration of this number, whatever it will be."""
        return _derive(self.seed, "search", self.task_digest, self.split_digest, self.model, self.trial)

    @property
    def entrant(self) -> str:
        """Name on the leaderboard: the model and whatever sets this entry apart from its default."""
        marks = [f"{k}={v}" for k, v in json.loads(self.config).items()]
        if self.max_rows is not None:
            marks.append(f"{self.row_policy} {self.max_rows} rows")
        if self.max_columns is not None:
            marks.append(f"{self.column_policy} {self.max_columns} columns")
        return f"{self.model} [{', '.join(marks)}]" if marks else self.model

    @property
    def contender(self) -> str:
        """Name of what the job is a trial of: the entrant, but without a configuration that is one of several."""
        return replace(self, config="{}").entrant if self.protocol else self.entrant


def read_job(text: str) -> Job:
    """The job of its JSON; raises TypeError or ValueError if that is none."""
    values = json.loads(text)
    job = msgspec.convert(values, Job)
    whole = [value for value in asdict(job).values() if isinstance(value, int)]
    if values.keys() - asdict(job).keys() or not all(0 <= value < 2**63 for value in whole):
        raise ValueError(f"it is no job: {str(values)[:100]}")
    if job.incumbent is not None and not 0 <= job.incumbent < float("inf"):
        raise ValueError(f"its incumbent is {job.incumbent}")
    if not isinstance(json.loads(job.config), dict):
        raise ValueError(f"its configuration is {job.config[:60]}")
    return job


_NOT_ALWAYS = ("task", "protocol", "trial", "rung", "stop", "incumbent")
_KEY_FIELDS = tuple(field.name for field in fields(Job) if field.name not in _NOT_ALWAYS)


def _derive(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:4], "little") >> 1


def plan(
    tasks: Iterable[tuple[TaskLike, Sequence[Split]]],
    entrants: Sequence[tuple[str, Mapping[str, Any]]],
    subsamples: Sequence[Subsample],
    seed: int,
    threads: int,
    protocol: str = "",
) -> Iterator[Job]:
    """Every combination of split, entrant (model name, configuration) and subsample, largest tables first.

    Starting with the long jobs keeps all workers busy at the end.
    """
    configs = [(name, json.dumps(dict(config), sort_keys=True)) for name, config in entrants]
    for task, splits in sorted(tasks, key=lambda pair: (-pair[0].size, pair[0].name)):
        for split in splits:
            place = (task.name, task.digest, split.repeat, split.fold, split.digest)
            for name, config in configs:
                for sub in subsamples:
                    yield Job(
                        *place,
                        name,
                        config,
                        sub.max_rows,
                        sub.row_policy if sub.max_rows is not None else "",
                        sub.max_columns,
                        sub.column_policy if sub.max_columns is not None else "",
                        seed,
                        threads,
                        protocol,
                    )


@dataclass(frozen=True, eq=False)
class Validation:
    """What one of several configurations is chosen by, without its data at hand.

    proba : (n_val, n_classes), of the validation rows; y_val, y_test : codes of these and of the test rows.
    """

    proba: np.ndarray
    y_val: np.ndarray
    y_test: np.ndarray


@dataclass(frozen=True, eq=False)
class Run:
    """What came back from a job.

    status : "ok", "failed", "timeout", "memory" or "unsupported"; reason : one line, empty if ok; details : the traceback.
    facts : counts, times (seconds), peak memory (MB), metrics and a note, by the names of the results table.
    proba : (n_test, n_classes) float64, empty unless ok. validation : of a job under a protocol that is ok.
    curve : (n_points, 3) float64, of such a job whose model is trained in steps: the step, the validation log loss after it (NaN
    where there is none) and the CPU seconds of the inner fits so far; else no rows. `tuning.curves` says more.
    """

    status: str
    reason: str = ""
    details: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    proba: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    validation: Validation | None = None
    curve: np.ndarray = field(default_factory=lambda: np.empty((0, 3)))


COUNTS = ("n_train", "n_train_used", "n_test", "n_features", "n_features_used", "n_classes")


def read_facts(text: str) -> dict[str, Any]:
    """The facts of a run from their JSON; raises ValueError for an impossible count, number, note or name."""
    facts = json.loads(text)
    if not isinstance(facts, dict):
        raise ValueError(f"its facts are {str(facts)[:60]}")
    for name, value in facts.items():
        if name in (*COUNTS, "n_val", "n_curve"):
            is_sound = type(value) is int and 0 <= value <= 2**53
        elif name == "note":
            is_sound = isinstance(value, str)
        else:
            is_sound = name not in _NO_FACTS and (isinstance(value, float) or (type(value) is int and abs(value) < 2**53))
        if not is_sound:
            raise ValueError(f"{name[:40]} is {str(value)[:60]!r}")
    return facts


_NO_FACTS = {*(field.name for field in fields(Job)), "key", "status", "reason"}


def encode(run: Run) -> tuple[dict[str, Any], bytes]:
    """What JSON can say of a run, and its arrays as float64, row by row.

    The arrays: predictions of the test rows; with a validation, those of its rows and the codes of test and validation rows, and
    the curve, whose points the fact n_curve counts.
    """
    kept = run.validation
    more = (kept.proba.ravel(), kept.y_test, kept.y_val, run.curve.ravel()) if kept else ()
    head = {"status": run.status, "reason": run.reason, "details": run.details, "facts": run.facts}
    return head, np.concatenate([run.proba.ravel(), *more]).astype(np.float64).tobytes()


def decode(head: Mapping[str, Any], arrays: bytes) -> Run:
    """The run that `encode` was given; raises KeyError, TypeError or ValueError for anything else."""
    if head["status"] != "ok":
        return Run(**head)
    values, facts = np.frombuffer(arrays), head["facts"]
    n_test = facts["n_test"]
    if "n_val" not in facts:
        return Run(**head, proba=values.reshape(n_test, -1))
    n_val, k = facts["n_val"], facts["n_classes"]
    sizes = [n_test * k, n_val * k, n_test, n_val]
    proba, validation, y_test, y_val, curve = np.split(values, np.cumsum(sizes))
    kept = Validation(validation.reshape(n_val, k), y_val.astype(np.int64), y_test.astype(np.int64))
    return Run(**head, proba=proba.reshape(n_test, k), validation=kept, curve=read_curve(curve, facts.get("n_curve", 0)))


def read_curve(values: np.ndarray, n_points: int) -> np.ndarray:
    """(n_points, 3) curve of its values in a row; raises ValueError if they cannot be one (see `Run`)."""
    curve = values.reshape(n_points, 3)
    step, loss, seconds = curve.T
    ordered = (np.diff(step, prepend=0) > 0).all() and (np.diff(seconds, prepend=0) >= 0).all()  # NaN is not ordered
    if not (
        ordered
        and np.isfinite(curve[:, [0, 2]]).all()
        and (step % 1 == 0).all()
        and not (loss < 0).any()
        and not np.isinf(loss).any()
    ):
        raise ValueError(f"its curve of {n_points} points is none")
    return curve
