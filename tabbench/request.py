"""What a run is asked for: which tables, and which jobs on them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from tabbench.errors import UserError
from tabbench.job import Job, Subsample, Table, plan
from tabbench.models import get_model
from tabbench.openml.pull import pull
from tabbench.protocols import Protocol, get_protocol, search_space
from tabbench.runner import Resources
from tabbench.space import configurations
from tabbench.split import Split
from tabbench.subsample import check_limits
from tabbench.suite import load_spec, load_suite
from tabbench.task import Task, make_task, read_table

DEFAULT_MODELS = ("dummy", "logreg", "knn", "tree", "random_forest", "xgboost", "lightgbm", "catboost", "mlp", "pfn")


@dataclass(frozen=True)
class Request:
    """A run that is asked for. missing : name and reason of datasets that are not to be had; spec : the manifest's "run"."""

    tasks: list[Task]
    missing: list[dict[str, str]]
    spec: dict[str, Any]


def make_request(  # noqa: PLR0913 - the arguments of `run`
    suite: str | None = None,
    *,
    data: str | Path | pd.DataFrame | None = None,
    target: str | None = None,
    models: Sequence[str] = DEFAULT_MODELS,
    folds: int | None = None,
    repeats: int = 1,
    seed: int = 0,
    subsamples: Sequence[Subsample] = (Subsample(),),
    resources: Resources = Resources(),
    protocol: str = "tabbench",
    configs: int | None = None,
    shard: str | None = None,
    quiet: bool = True,
) -> Request:
    """Check what a run is asked for and load its tables; see `tabbench.run`. Raises UserError on bad input."""
    for name in models:
        get_model(name)
    for sub in subsamples:
        check_limits(**asdict(sub))
    rules = get_protocol(protocol)
    rules.check(folds, configs)
    n_configs = configs or rules.n_configs
    parse_shard(shard)
    tasks, missing = gather(suite, data, target, quiet)
    if folds is None and all(task.test_fold is None for task in tasks):
        folds = rules.n_folds
    spec = {
        "suite": suite,
        "data": None if suite else tasks[0].name,
        "file": str(data) if isinstance(data, str | Path) else None,
        "target": target,
        "tasks": [task.name for task in tasks],
        "models": list(models),
        "folds": folds,
        "repeats": repeats,
        "seed": seed,
        "subsamples": [asdict(sub) for sub in subsamples],
        "protocol": protocol if n_configs > 1 or not rules.refit else None,
        "configs": n_configs,
        "shard": shard,
        **asdict(resources),
    }
    return Request(tasks, missing, spec)


def jobs_of(spec: Mapping[str, Any], tasks: Sequence[tuple[Table, Sequence[Split]]]) -> Iterator[Job]:
    """The jobs that a request (the manifest's "run") asks for on these tasks, or those of its shard."""
    subsamples = [Subsample(**{field.name: sub[field.name] for field in fields(Subsample)}) for sub in spec["subsamples"]]
    jobs = plan(tasks, _entrants(spec), subsamples, spec["seed"], spec["threads"], spec.get("protocol") or "")
    if spec.get("protocol"):
        jobs = _cut(jobs, tasks, get_protocol(spec["protocol"]))
    number, of = parse_shard(spec.get("shard"))
    return jobs if of == 1 else (job for job in jobs if int(job.key[:8], 16) % of == number - 1)


def _entrants(spec: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every model with each of its configurations."""
    if not spec.get("protocol"):
        return [(name, {}) for name in spec["models"]]
    rules, n, seed = get_protocol(spec["protocol"]), spec["configs"], spec["seed"]
    return [(name, config) for name in spec["models"] for config in configurations(name, *search_space(rules, name), n, seed)]


def _cut(jobs: Iterable[Job], tasks: Sequence[tuple[Table, Sequence[Split]]], rules: Protocol) -> Iterator[Job]:
    """Jobs under the protocol's limits on training rows."""
    n_rows = {(task.digest, split.repeat, split.fold): len(split.train) for task, splits in tasks for split in splits}
    for job in jobs:
        yield rules.cut(job, n_rows[job.task_digest, job.repeat, job.fold])


def parse_shard(shard: str | None) -> tuple[int, int]:
    """Number and count of "i/n", counted from 1; raises UserError for other texts."""
    try:
        number, of = map(int, (shard or "1/1").split("/"))
    except ValueError:
        number = of = 0
    if not 1 <= number <= of:
        raise UserError(f"shard {shard!r}: give i/n, e.g. 2/5 for the second of five")
    return number, of


def gather(
    suite: str | None, data: str | Path | pd.DataFrame | None, target: str | None, quiet: bool = True
) -> tuple[list[Task], list[dict[str, str]]]:
    """Tasks, and the datasets of a suite that could not be loaded with the reason."""
    if (suite is None) == (data is None):
        raise UserError("give either a suite or data with a target")
    if data is not None:
        if target is None:
            raise UserError("data needs a target: name its target column")
        frame, name = (data, "data") if isinstance(data, pd.DataFrame) else (read_table(Path(data)), Path(data).stem)
        return [make_task(frame, target, name=name)], []
    tasks, missing = [], []
    specs = load_suite(str(suite)).tasks
    not_fetched = pull([spec.path for spec in specs if spec.source == "openml"], quiet=quiet)
    for spec in specs:
        try:
            tasks.append(load_spec(spec))
        except UserError as error:
            missing.append({"name": spec.name, "reason": not_fetched.get(spec.path, str(error))})
    if not tasks:
        raise UserError(f"suite {suite!r}: no dataset could be loaded; the first says: {missing[0]['reason']}")
    return tasks, missing
