"""Running: from a Spec to a result folder with its report."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tabbench.data.audit import as_records, audit
from tabbench.data.gather import gather, remarks_on
from tabbench.data.split import Split, load_splits, meaning, save_splits, splits_digest, splits_file
from tabbench.data.task import Task, save_task
from tabbench.engine.engines import open_engine
from tabbench.engine.progress import Progress
from tabbench.engine.runner import Engine, Shared, Work, run_jobs
from tabbench.errors import UserError
from tabbench.files import data_folder, remove_temporaries
from tabbench.folders.describe import describe_briefly
from tabbench.folders.draft import Draft
from tabbench.folders.results import Results
from tabbench.job import Job, Run
from tabbench.models import get_model, usual_models
from tabbench.request import Spec
from tabbench.resources import spare_workers
from tabbench.store.checksums import NAME as CHECKSUMS
from tabbench.store.checksums import write_checksums
from tabbench.store.claims import Claims
from tabbench.store.manifest import NAME as MANIFEST
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
from tabbench.tuning.protocols import PROTOCOLS
from tabbench.tuning.schedule import Schedule, series_of, settled_losses
from tabbench.tuning.search import check_search, check_stop, loss


@dataclass(frozen=True)
class Request:
    """A Spec and its tables. missing : name and reason of datasets that are not to be had."""

    spec: Spec
    tasks: list[Task]
    missing: list[dict[str, str]]


def make_request(spec: Spec, frame: Any = None, *, quiet: bool = True, fetch: bool = True) -> Request:
    """Check a spec, load its tables (or take the one that is given), and settle what it leaves open.

    fetch : whether tables of OpenML that are not here are fetched. Raises UserError on bad input.
    """
    check_spec(spec)
    data = spec.file if frame is None else frame
    tasks, missing = gather(spec.suite, data, spec.target, quiet, classes=spec.classes, steering=spec.steering, fetch=fetch)
    return Request(settle(spec, tasks), tasks, missing)


def check_spec(spec: Spec) -> None:
    """Raise UserError for what no tables are needed to find wrong."""
    from tabbench.prepare.subsample import check_limits

    if not spec.models:
        raise UserError("no model: name at least one")
    for name in spec.models:
        get_model(name)
    for sub in spec.subsamples:
        check_limits(**asdict(sub))
    PROTOCOLS[spec.protocol or "tabbench"].check(spec.folds, spec.configs)
    check_search(spec.search or "random")
    check_stop(spec.stop, spec.search or "random", PROTOCOLS[spec.protocol or "tabbench"])
    _ = spec.part
    spec.check()


def settle(spec: Spec, tasks: list[Task]) -> Spec:
    """The spec with its datasets, the folds where a protocol says how many, and the configurations of a model."""
    rules = PROTOCOLS[spec.protocol or "tabbench"]
    n_configs = spec.configs or rules.n_configs
    has_own_folds = not tasks or any(task.test_fold is not None or task.scheme.folds or task.scheme.holdout for task in tasks)
    has_own_repeats = not tasks or any(task.scheme.repeats for task in tasks)
    return replace(
        spec,
        data=None if spec.suite else tasks[0].name,
        tasks=tuple(task.name for task in tasks),
        folds=rules.n_folds if spec.folds is None and spec.holdout is None and not has_own_folds else spec.folds,
        repeats=1 if spec.repeats is None and not has_own_repeats else spec.repeats,
        protocol=rules.name if n_configs > 1 or not rules.refit else None,
        configs=n_configs,
        search=spec.search if spec.search != "random" and n_configs > 1 else None,
        stop=spec.stop if n_configs > 1 else None,
    )


def run(
    spec: Spec,
    folder: Path,
    frame: Any = None,
    *,
    scheduler: str | None = None,
    retry_failed: bool = False,
    quiet: bool = False,
    log: Path | None = None,
) -> Results:
    """Do what is asked for in `folder`; see `tabbench.run`.

    frame : the table, if the spec names neither suite nor file, in any form that `data.frames` takes.
    """
    with open_engine(scheduler, spec.resources, spec.models) as engine:
        if not (folder / MANIFEST).exists():
            engine.prepare(
                spec.models, folder, stop=bool(spec.stop)
            )  # early: while a fork server imports what models need, we do what we need
        request = make_request(replace(spec, resources=engine.resources), frame, quiet=quiet)
        return run_request(request, folder, engine, retry_failed=retry_failed, quiet=quiet, log=log)


def run_request(
    request: Request,
    folder: Path,
    engine: Engine,
    *,
    retry_failed: bool = False,
    quiet: bool = False,
    log: Path | None = None,
) -> Results:
    """Do what is asked for, of tables that are at hand, on an engine."""
    spec = request.spec
    open_folder(folder)
    with Claims(folder) as claims, Progress(quiet=quiet, log=log, workers=engine.resources.workers) as progress:
        with claims.whole_folder():
            manifest, works = _begin(request, engine, folder, progress)
            notes = (*remarks_on(request.tasks), *engine.warnings, *_lacking(spec), *unwatched(spec, request.tasks))
            for line in (*notes, *repair_store(folder / STORE, claims)):
                progress.note(line)
        pairs = [(work.task, list(work.splits.values())) for work in works.values()]
        with ResultStore(folder / STORE) as store:
            shared = Shared(claims, store.mark())
            losses = settled_losses(spec, store, engine.limits, retry_failed=retry_failed)
            schedule = Schedule(series_of(spec, pairs), losses)
            metric = PROTOCOLS[spec.protocol or "tabbench"].search_by

            def on_run(job: Job, run: Run) -> list[Job]:
                more = schedule.ended(job, loss(run.status, run.facts, metric))
                if progress.advance(job, run, more):
                    draft.refresh()
                return more

            by_key = {job.key: job for job in schedule.jobs}
            stored = [(by_key[key], status, facts) for key, status, facts in store.outcomes() if key in losses and key in by_key]
            progress.begin(schedule.missing(), {digest: work.sizes for digest, work in works.items()}, stored)
            with Draft(folder) as draft:
                run_jobs(schedule.missing(), works, store, engine, on_run, shared)
            store.require(job.key for job in schedule.jobs)
        first = [(work.task, next(iter(work.splits.values()))) for work in works.values()]
        here = replace(engine.resources, threads=1, workers=min(engine.resources.workers, spare_workers(1)))
        describe_briefly(folder, first, here)
        with claims.whole_folder():
            write_manifest(folder, add_earlier(manifest, read_manifest(folder)), finished=True)  # another may have joined
            results = Results(folder)
            results.write_report()
            write_checksums(folder)
    return results


def _lacking(spec: Spec) -> list[str]:
    """What a run of the usual models goes without."""
    usual, lacking = usual_models()
    if not lacking or spec.models != usual:
        return []
    return [f"not installed and left out: {', '.join(lacking)}: pip install 'tabbench-harness[bench]' brings them"]


def unwatched(spec: Spec, tasks: Iterable[Task]) -> list[str]:
    """Which networks `--stop` leaves alone on which tables: those that stop there by rows of other groups, or later ones."""
    parted = [task.name for task in tasks if task.groups is not None or task.time is not None]
    steps = {name: get_model(name).steps for name in spec.models} if spec.stop and parted else {}
    networks = [name for name, of_model in steps.items() if of_model and of_model.watch and of_model.holds_out]
    if not networks:
        return []
    return [f"--stop {spec.stop} does not watch {', '.join(networks)} on tables with groups or times: {', '.join(parted)}"]


def _begin(request: Request, engine: Engine, folder: Path, progress: Progress) -> tuple[dict[str, Any], dict[str, Work]]:
    """Write the manifest, then the splits: a run that is killed in between finds a folder it can go on with."""
    tasks, spec = request.tasks, request.spec
    remove_temporaries(folder)
    old = None if is_new(folder) else read_manifest(folder)
    recorded = {facts["digest"]: facts.get("splits") for facts in old["tasks"]} if old else {}
    splits = {task.digest: _splits_of(task, folder, spec, recorded.get(task.digest), progress) for task in tasks}
    summaries = [
        {**task.summary(), "splits": splits_digest(those), "meaning": meaning(task, those)}
        for task, those in ((task, splits[task.digest]) for task in tasks)
    ]
    manifest = new_manifest(spec.to_json(), summaries, request.missing)
    manifest["engine"] = engine.facts
    manifest["families"] = {name: get_model(name).family for name in spec.models}
    manifest["audit"] = as_records(audit([(task, splits[task.digest]) for task in tasks], data_folder() / "audit"))
    if old:
        check_protocol(folder, old, manifest)
        manifest = add_earlier(manifest, old)
    (folder / CHECKSUMS).unlink(missing_ok=True)  # they would not be true until the run is finished
    write_manifest(folder, manifest)
    works = {}
    for task in tasks:
        kept = folder / splits_file(task.name, task.digest)
        if not kept.exists():
            save_splits(splits[task.digest], kept)
        stored = save_task(task, data_folder() / "tasks")
        works[task.digest] = Work(task, stored, {(split.repeat, split.fold): split for split in splits[task.digest]})
    return manifest, works


def _splits_of(task: Task, folder: Path, spec: Spec, recorded: str | None, progress: Progress) -> list[Split]:
    """The splits that are stored, unless they are damaged; else those that the seed gives."""
    path = folder / splits_file(task.name, task.digest)
    if path.exists():
        try:
            splits = load_splits(path, len(task.y))
        except UserError as error:
            progress.note(f"{error}: made again")
        else:
            if recorded in (None, splits_digest(splits)):
                return splits
            progress.note(f"{path}: not the splits that the manifest records: made again")
        path.unlink()
    return spec.splits(task)
