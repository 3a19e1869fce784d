"""What a run is asked for: which tables, and which jobs on them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from tabbench.data.openml.pull import pull
from tabbench.data.split import Split
from tabbench.data.suite import load_spec, load_suite
from tabbench.data.task import Task, make_task, read_table
from tabbench.errors import UserError
from tabbench.job import Subsample, Table, plan
from tabbench.models import get_model
from tabbench.prepare.subsample import check_limits
from tabbench.resources import Resources
from tabbench.store.runs import ResultStore
from tabbench.tuning.protocols import get_protocol, search_space
from tabbench.tuning.search import Series, check_search, loss

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
    search: str = "random",
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
    check_search(search)
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
        "search": search if search != "random" and n_configs > 1 else None,
        "shard": shard,
        **asdict(resources),
    }
    return Request(tasks, missing, spec)


def series_of(spec: Mapping[str, Any], tasks: Sequence[tuple[Table, Sequence[Split]]]) -> Iterator[Series]:
    """The series of trials that a request (the manifest's "run") asks for on these tasks, or those of its shard.

    Without a protocol, or with one configuration, a series is one job. Raises UserError for what cannot be searched here.
    """
    subsamples = [Subsample(**{field.name: sub[field.name] for field in fields(Subsample)}) for sub in spec["subsamples"]]
    protocol, search = spec.get("protocol") or "", spec.get("search") or "random"
    check_search(search)
    rules = get_protocol(protocol) if protocol else None
    spaces = {name: search_space(rules, name) if rules else ({}, {}) for name in spec["models"]}
    entrants = [(name, default) for name, (default, _) in spaces.items()]
    n_rows = {(task.digest, split.repeat, split.fold): len(split.train) for task, splits in tasks for split in splits}
    number, of = parse_shard(spec.get("shard"))
    for job in plan(tasks, entrants, subsamples, spec["seed"], spec["threads"], protocol):
        first = rules.cut(job, n_rows[job.task_digest, job.repeat, job.fold]) if rules else job
        if int(first.key[:8], 16) % of == number - 1:
            space = spaces[job.model][1]
            yield Series(first, space, spec["configs"] if space else 1, search)


def losses_of(spec: Mapping[str, Any], store: ResultStore) -> dict[str, float]:
    """By key, what the search of a request (the manifest's "run") goes by."""
    metric = get_protocol(spec["protocol"]).search_by
    return {key: loss(status, facts, metric) for key, status, facts in store.outcomes()}


def settled_losses(
    spec: Mapping[str, Any], store: ResultStore, limits: dict[str, float], *, retry_failed: bool = False
) -> dict[str, float]:
    """By key, the losses of the runs that need no new attempt under these limits.

    A search has gone on from how its trials ended: they stay as they are, whatever the limits are now. Raises UserError if
    failed ones are to be tried again.
    """
    if not spec.get("search"):
        return dict.fromkeys(store.settled(limits, retry_failed), math.inf)
    if retry_failed:
        raise UserError(f"--retry-failed: search {spec['search']} has gone on from its failures: give --out a new folder")
    losses = losses_of(spec, store)
    return {key: losses[key] for key in store.settled(dict.fromkeys(limits, 0.0), retry_failed=False)}


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
