"""`tabbench.run`: from tasks to a result folder with its leaderboard; reading such a folder again; metafeatures of tasks."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from tabbench.audit import Finding, as_records, audit
from tabbench.errors import UserError
from tabbench.files import data_folder, replace_file
from tabbench.importers import read_imported
from tabbench.job import Job, Subsample, plan
from tabbench.manifest import check_folder, new_manifest, read_manifest, write_manifest
from tabbench.metrics import METRICS
from tabbench.models import get_model
from tabbench.openml.pull import pull
from tabbench.progress import Progress
from tabbench.report.leaderboard import default_metric, leaderboard
from tabbench.report.page import write_report
from tabbench.runner import Resources, Work, run_jobs
from tabbench.split import DEFAULT_FOLDS, load_splits, make_splits, save_splits
from tabbench.store import ResultStore
from tabbench.subsample import check_limits
from tabbench.suite import load_spec, load_suite
from tabbench.task import Task, make_task, read_table, save_task

PROTOCOL = ("folds", "repeats", "seed", "threads")  # one result folder holds runs that agree in these
DEFAULT_MODELS = ("dummy", "logreg", "knn", "tree", "random_forest", "xgboost", "lightgbm", "catboost", "mlp", "pfn")


@dataclass(frozen=True)
class Results:
    """A result folder: runs, imported results, or both. `frame` : one row per job (docs/architecture.md lists the columns)."""

    path: Path

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The results table, from the store and from what was imported."""
        imported = read_imported(self.path)
        if len(imported) and not (self.path / "store.sqlite").exists():
            return imported
        with ResultStore(self.path / "store.sqlite") as store:
            frame = store.results(list(METRICS))
        return pd.concat([frame, imported], ignore_index=True) if len(imported) else frame

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest of the run."""
        return read_manifest(self.path)

    def leaderboard(self, metric: str | None = None, ties: Literal["average", "min"] = "average") -> pd.DataFrame:
        """One row per model, best mean rank first; metric None: ROC AUC, or the first that was recorded.

        Raises UserError for an unknown metric.
        """
        return leaderboard(self.frame, metric or default_metric(self.frame), ties)

    def write_report(self) -> Path:
        """Write results.parquet, leaderboard.csv, leaderboard.md and report.html; return the report's path."""
        replace_file(self.path / "results.parquet", lambda temporary: self.frame.to_parquet(temporary, index=False))
        write_report(self.path, self.frame, self.manifest)
        return self.path / "report.html"


def open_results(folder: str | Path) -> Results:
    """The results in an existing folder; raises UserError if it is no result folder."""
    read_manifest(Path(folder))
    return Results(Path(folder))


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
    retry_failed: bool = False,
    quiet: bool = False,
) -> Results:
    """Run every model on every fold of every task, skipping what `out` already holds, and write the report.

    Give either `suite` (a name, the path of a suite file, "openml:suite/99") or `data` (a CSV or Parquet file, or a DataFrame)
    with `target`. Tables of OpenML that are not on this machine yet are fetched. `folds` None: the official folds where a
    table has them, else 3.
    Raises UserError on bad input, before anything is run; KeyboardInterrupt leaves a folder that the same call continues.
    """
    for name in models:
        get_model(name)
    for sub in subsamples:
        check_limits(**asdict(sub))
    if folds is not None and folds < 2:
        raise UserError(f"folds must be at least 2, got {folds}")
    tasks, missing = _gather(suite, data, target, quiet)
    if folds is None and all(task.test_fold is None for task in tasks):
        folds = DEFAULT_FOLDS
    spec = {
        "suite": suite,
        "data": None if suite else tasks[0].name,
        "target": target,
        "models": list(models),
        "folds": folds,
        "repeats": repeats,
        "seed": seed,
        "subsamples": [asdict(sub) for sub in subsamples],
        **asdict(resources),
    }
    folder = Path(out)
    check_folder(folder, spec, PROTOCOL)
    work = {task.digest: _prepare(task, folder, folds, repeats, seed) for task in tasks}
    pairs = [(part.task, list(part.splits.values())) for part in work.values()]
    manifest = new_manifest(spec, [task.summary() for task in tasks], missing)
    manifest["audit"] = as_records(audit(pairs, data_folder() / "audit"))
    write_manifest(folder, manifest)
    jobs = plan(pairs, [(name, {}) for name in models], subsamples, seed, resources.threads)
    _run_missing(jobs, work, folder, resources, retry_failed=retry_failed, quiet=quiet)
    write_manifest(folder, manifest, finished=True)
    results = Results(folder)
    results.write_report()
    return results


def _gather(
    suite: str | None, data: str | Path | pd.DataFrame | None, target: str | None, quiet: bool
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

    tasks, missing = _gather(suite, data, target, quiet=True)
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
    tasks, missing = _gather(suite, data, target, quiet=True)
    pairs = [(task, make_splits(task, folds, 1, seed)) for task in tasks]
    return audit(pairs, data_folder() / "audit"), missing


def _prepare(task: Task, folder: Path, folds: int | None, repeats: int, seed: int) -> Work:
    """Store the table and its splits; splits that were made before are read, not made again."""
    path = folder / "splits" / f"{task.name}-{task.digest[:12]}.parquet"
    if path.exists():
        splits = load_splits(path)
    else:
        splits = make_splits(task, folds, repeats, seed)
        save_splits(splits, path)
    stored = save_task(task, data_folder() / "tasks")
    return Work(task, stored, {(split.repeat, split.fold): split for split in splits})


def _run_missing(
    jobs: Iterable[Job], work: dict[str, Work], folder: Path, resources: Resources, *, retry_failed: bool, quiet: bool
) -> None:
    with ResultStore(folder / "store.sqlite") as store:
        settled = store.settled(resources.limits, retry_failed)
        todo = [job for job in jobs if job.key not in settled]
        with Progress(todo, quiet=quiet) as progress:
            run_jobs(todo, work, store, resources, progress.advance)
