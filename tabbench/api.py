"""`tabbench.run`: from tasks to a result folder with its leaderboard; reading such a folder again; metafeatures of tasks."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from tabbench.data.audit import Finding, as_records, audit
from tabbench.data.split import Split, load_splits, make_splits, save_splits, splits_digest, splits_file
from tabbench.data.task import Task, save_task
from tabbench.engine.cgroup import held_by
from tabbench.engine.progress import Progress
from tabbench.engine.runner import Shared, Work, run_jobs
from tabbench.errors import UserError
from tabbench.files import data_folder, remove_temporaries, replace_file
from tabbench.folders.answers import describe_briefly
from tabbench.job import Job, Run, Subsample, Table
from tabbench.metrics import METRICS
from tabbench.report.leaderboard import default_metric, leaderboard
from tabbench.report.page import write_report
from tabbench.request import DEFAULT_MODELS, Request, gather, make_request, series_of, settled_losses
from tabbench.resources import Resources, spare_workers
from tabbench.store.checksums import NAME as CHECKSUMS
from tabbench.store.checksums import write_checksums
from tabbench.store.claims import Claims
from tabbench.store.crate import write_crate
from tabbench.store.importers import read_imported
from tabbench.store.manifest import (
    add_earlier,
    check_protocol,
    is_new,
    new_manifest,
    open_folder,
    read_manifest,
    write_manifest,
)
from tabbench.store.repair import repair_store
from tabbench.store.runs import NAME as STORE
from tabbench.store.runs import ResultStore
from tabbench.tuning.protocols import get_protocol
from tabbench.tuning.replay import Budget, replay, trials_table
from tabbench.tuning.search import Schedule, loss

if TYPE_CHECKING:
    from tabbench.engine.cluster import DaskEngine

PROTOCOL = ("folds", "repeats", "seed", "threads", "protocol", "search")  # one result folder holds runs that agree in these


@dataclass(frozen=True)
class Results:
    """A result folder: runs, imported results, or both. `frame` : one row per job (docs/architecture.md lists the columns)."""

    path: Path

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The results table, from the store and from what was imported."""
        imported = read_imported(self.path)
        if len(imported) and not (self.path / STORE).exists():
            return imported
        protocol = self.manifest["run"].get("protocol")
        with ResultStore(self.path / STORE) as store:
            frame = replay(store, get_protocol(protocol)) if protocol else store.results(list(METRICS))
        return pd.concat([frame, imported], ignore_index=True) if len(imported) else frame

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest of the run."""
        return read_manifest(self.path)

    @cached_property
    def jobs(self) -> pd.DataFrame:
        """One row per job: of a tuned run its trials (see `trials_table`), else the results table."""
        if not self.manifest["run"].get("protocol"):
            return self.frame
        with ResultStore(self.path / STORE) as store:
            return trials_table(store)

    def leaderboard(self, metric: str | None = None, ties: Literal["average", "min"] = "average") -> pd.DataFrame:
        """One row per model, best mean rank first; metric None: ROC AUC, or the first that was recorded.

        Raises UserError for an unknown metric.
        """
        return leaderboard(self.frame, metric or default_metric(self.frame), ties)

    def write_report(self) -> Path:
        """Write results.parquet, leaderboard.csv, leaderboard.md, report.html and the metadata; return the report's path.

        Of a tuned run trials.parquet as well.
        """
        replace_file(self.path / "results.parquet", lambda temporary: self.frame.to_parquet(temporary, index=False))
        if self.jobs is not self.frame:
            replace_file(self.path / "trials.parquet", lambda temporary: self.jobs.to_parquet(temporary, index=False))
        write_report(self.path, self.frame, self.manifest)
        write_crate(self.path, self.manifest)
        return self.path / "report.html"


def open_results(folder: str | Path) -> Results:
    """The results in an existing folder; raises UserError if it is no result folder."""
    read_manifest(Path(folder))
    return Results(Path(folder))


def replay_trials(folder: str | Path, budget: Budget = Budget(), *, ensemble: bool = True) -> pd.DataFrame:
    """Results table of a tuned run as it would be within a budget, from the stored trials (see `replay`).

    Raises UserError if the folder holds no tuned run.
    """
    protocol = read_manifest(Path(folder))["run"].get("protocol")
    if not protocol:
        raise UserError(f"{folder}: not a tuned run: make one with `tabbench run --configs N`")
    with ResultStore(Path(folder) / STORE) as store:
        return replay(store, get_protocol(protocol), budget, ensemble=ensemble)


def run(  # noqa: PLR0913 - the one call that has everything to say
    suite: str | None = None,
    *,
    data: str | Path | pd.DataFrame | None = None,
    target: str | None = None,
    models: Sequence[str] = DEFAULT_MODELS,
    out: str | Path = "results/run",
    folds: int | None = None,
    repeats: int = 1,
    seed: int = 0,
    subsamples: Sequence[Subsample] = (Subsample(),),
    resources: Resources = Resources(),
    protocol: str = "tabbench",
    configs: int | None = None,
    search: str = "random",
    shard: str | None = None,
    retry_failed: bool = False,
    quiet: bool = False,
    log: Path | None = None,
    scheduler: str | None = None,
) -> Results:
    """Run every model on every fold of every task, skipping what `out` already holds, and write the report.

    Give either `suite` (a name, the path of a suite file, "openml:suite/99") or `data` (a CSV or Parquet file, or a DataFrame)
    with `target`. Tables of OpenML that are not on this machine yet are fetched. `folds` None: the official folds where a
    table has them, else 3. protocol, configs, search : configurations of every model, the default and others that a search
    ("random", "tpe", "halving") finds (None: as many as the protocol says); with more than one, default, tuned and ensembled
    are rows of their own (see `replay`). shard : "i/n", do only the i-th of n parts, for `tabbench merge`; trials of a model
    on a fold stay together. log : file to append events to, JSON lines.
    scheduler : address of a Dask scheduler; the jobs are done on the workers of its cluster, as many as they have threads for.
    Raises UserError on bad input, before anything is run; KeyboardInterrupt leaves a folder that the same call continues.
    """
    with _engine(scheduler, resources, models) as engine:
        request = make_request(
            suite,
            data=data,
            target=target,
            models=models,
            folds=folds,
            repeats=repeats,
            seed=seed,
            subsamples=subsamples,
            resources=engine.resources if engine else resources,
            protocol=protocol,
            configs=configs,
            search=search,
            shard=shard,
            quiet=quiet,
        )
        return run_request(request, Path(out), engine, retry_failed=retry_failed, quiet=quiet, log=log)


@contextmanager
def _engine(scheduler: str | None, resources: Resources, models: Sequence[str]) -> "Iterator[DaskEngine | None]":
    """The engine on the cluster of a scheduler, or None for this machine."""
    if scheduler is None:
        resources.check_cores()
        yield None
        return
    try:
        from tabbench.engine.cluster import DaskEngine
    except ImportError:
        raise UserError("--scheduler needs Dask: pip install 'tabbench-harness[dask]'") from None
    with DaskEngine(scheduler, resources, models) as engine:
        yield engine


def run_request(
    request: Request,
    folder: Path,
    engine: "DaskEngine | None" = None,
    *,
    retry_failed: bool = False,
    quiet: bool = False,
    log: Path | None = None,
) -> Results:
    """Do what is asked for in `folder`, on an engine (None: this machine); see `run`."""
    spec = request.spec
    open_folder(folder)
    resources = Resources(**{name: spec[name] for name in ("workers", "threads", "time_limit", "memory_limit")})
    with Claims(folder) as claims, Progress(quiet=quiet, log=log) as progress:
        with claims.whole_folder():
            facts = engine.crew.facts if engine else {"name": "local", "limits": held_by()}
            manifest, work = _begin(request, facts, folder, progress)
            for line in (*(engine.crew.warnings if engine else ()), *repair_store(folder / STORE, claims)):
                progress.note(line)
        pairs = [(part.task, list(part.splits.values())) for part in work.values()]
        with ResultStore(folder / STORE) as store:
            mark, limits = store.mark(), (engine or resources).limits
            schedule = Schedule(series_of(spec, pairs), settled_losses(spec, store, limits, retry_failed=retry_failed))
            metric = get_protocol(spec.get("protocol") or "tabbench").search_by

            def on_run(job: Job, run: Run) -> list[Job]:
                more = schedule.ended(job, loss(run.status, run.facts, metric))
                progress.advance(job, run, more)
                return more

            progress.begin(schedule.missing(), {digest: part.sizes for digest, part in work.items()})
            run_jobs(schedule.missing(), work, store, resources, on_run, Shared(claims, mark), engine)
        first = [(part.task, next(iter(part.splits.values()))) for part in work.values()]
        describe_briefly(folder, first, Resources(spare_workers(1)) if engine else resources)
        with claims.whole_folder():
            write_manifest(folder, add_earlier(manifest, read_manifest(folder)), finished=True)  # another may have joined
            results = Results(folder)
            results.write_report()
            write_checksums(folder)
    return results


def _begin(request: Request, engine: dict[str, Any], folder: Path, progress: Progress) -> tuple[dict[str, Any], dict[str, Work]]:
    """Write the manifest, then the splits: a run that is killed in between finds a folder it can go on with."""
    tasks, spec = request.tasks, request.spec
    remove_temporaries(folder)
    old = None if is_new(folder) else read_manifest(folder)
    recorded = {facts["digest"]: facts.get("splits") for facts in old["tasks"]} if old else {}
    splits = {task.digest: _splits_of(task, folder, spec, recorded.get(task.digest), progress) for task in tasks}
    summaries = [{**task.summary(), "splits": splits_digest(splits[task.digest])} for task in tasks]
    manifest = new_manifest(spec, summaries, request.missing)
    manifest["engine"] = engine
    manifest["audit"] = as_records(audit([(task, splits[task.digest]) for task in tasks], data_folder() / "audit"))
    if old:
        check_protocol(folder, old, manifest, PROTOCOL)
        manifest = add_earlier(manifest, old)
    (folder / CHECKSUMS).unlink(missing_ok=True)  # they would not be true until the run is finished
    write_manifest(folder, manifest)
    work = {}
    for task in tasks:
        if not splits_path(folder, task).exists():
            save_splits(splits[task.digest], splits_path(folder, task))
        stored = save_task(task, data_folder() / "tasks")
        work[task.digest] = Work(task, stored, {(split.repeat, split.fold): split for split in splits[task.digest]})
    return manifest, work


def _splits_of(task: Task, folder: Path, spec: dict[str, Any], recorded: str | None, progress: Progress) -> list[Split]:
    """The splits that are stored, unless they are damaged; else those that the seed gives."""
    path = splits_path(folder, task)
    if path.exists():
        try:
            splits = load_splits(path)
        except UserError as error:
            progress.note(f"{error}: made again")
        else:
            if recorded in (None, splits_digest(splits)):
                return splits
            progress.note(f"{path}: not the splits that the manifest records: made again")
        path.unlink()
    return make_splits(task, spec["folds"], spec["repeats"], spec["seed"])


def splits_path(folder: Path, task: Table) -> Path:
    """Where a result folder keeps the splits of a task."""
    return folder / splits_file(task.name, task.digest)


def metafeatures(  # noqa: PLR0913 - the arguments of `run` that say what the folds are
    suite: str | None = None,
    *,
    data: str | Path | pd.DataFrame | None = None,
    target: str | None = None,
    folds: int | None = None,
    repeats: int = 1,
    seed: int = 0,
    resources: Resources = Resources(time_limit=300.0),
    on_part: Callable[[str], None] = lambda _: None,
) -> pd.DataFrame:
    """Metafeatures of the training part of every fold, the folds being those that `run` makes: see `metafeatures.extract`.

    `attrs["missing_tasks"]` lists the datasets that could not be loaded. Raises UserError on bad input.
    """
    from tabbench.metafeatures.extract import extract

    tasks, missing = gather(suite, data, target)
    pairs = [(task, split) for task in tasks for split in make_splits(task, folds, repeats, seed)]
    frame = extract(pairs, data_folder(), resources, on_part)
    frame.attrs["missing_tasks"] = missing
    return frame


def audit_data(
    suite: str | None = None,
    *,
    data: str | Path | pd.DataFrame | None = None,
    target: str | None = None,
    folds: int | None = None,
    seed: int = 0,
) -> tuple[list[Finding], list[dict[str, str]]]:
    """Findings of the data audit on the folds that `run` makes, and the datasets that could not be loaded.

    Raises UserError on bad input.
    """
    tasks, missing = gather(suite, data, target)
    pairs = [(task, make_splits(task, folds, 1, seed)) for task in tasks]
    return audit(pairs, data_folder() / "audit"), missing
