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
from tabbench.runner import Resources
from tabbench.split import DEFAULT_FOLDS, Split
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
    shard: str | None = None,
    quiet: bool = True,
) -> Request:
    """Check what a run is asked for and load its tables; see `tabbench.run`. Raises UserError on bad input."""
    for name in models:
        get_model(name)
    for sub in subsamples:
        check_limits(**asdict(sub))
    if folds is not None and folds < 2:
        raise UserError(f"folds must be at least 2, got {folds}")
    parse_shard(shard)
    tasks, missing = gather(suite, data, target, quiet)
    if folds is None and all(task.test_fold is None for task in tasks):
        folds = DEFAULT_FOLDS
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
        "shard": shard,
        **asdict(resources),
    }
    return Request(tasks, missing, spec)


def jobs_of(spec: Mapping[str, Any], tasks: Iterable[tuple[Table, Sequence[Split]]]) -> Iterator[Job]:
    """The jobs that a request (the manifest's "run") asks for on these tasks, or those of its shard."""
    subsamples = [Subsample(**{field.name: sub[field.name] for field in fields(Subsample)}) for sub in spec["subsamples"]]
    jobs = plan(tasks, [(name, {}) for name in spec["models"]], subsamples, spec["seed"], spec["threads"])
    number, of = parse_shard(spec.get("shard"))
    return jobs if of == 1 else (job for job in jobs if int(job.key[:8], 16) % of == number - 1)


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
