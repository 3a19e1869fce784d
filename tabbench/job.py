"""Job: one unit of work in plain values, and the plan that lists them."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Protocol

from tabbench.data.split import Split

FORMAT = 1  # enters every key: raise it when the meaning of a job changes


@dataclass(frozen=True)
class Subsample:
    """How a training part is cut to size before fitting (None: not at all)."""

    max_rows: int | None = None
    row_policy: str = "stratified"
    max_columns: int | None = None
    column_policy: str = "mutual_info"


class Table(Protocol):
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

    @cached_property
    def key(self) -> str:
        """Content hash: 32 hex digits over every field but the task's name and the numbers of trial and rung."""
        content = {name: getattr(self, name) for name in _KEY_FIELDS}
        if self.protocol:
            content["protocol"] = self.protocol
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


_KEY_FIELDS = tuple(field.name for field in fields(Job) if field.name not in ("task", "protocol", "trial", "rung"))


def _derive(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:4], "little") >> 1


def plan(
    tasks: Iterable[tuple[Table, Sequence[Split]]],
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
