"""Refits: some stored jobs, drawn with a fixed seed, fitted again under the limits of a job and compared by their predictions."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tabbench.data.split import Split
from tabbench.data.task import Task, save_task
from tabbench.engine.runner import LocalEngine, Shared, Work, run_jobs
from tabbench.errors import UserError
from tabbench.job import Job, Run
from tabbench.models import get_model, missing_imports
from tabbench.request import Spec
from tabbench.store.claims import Claims
from tabbench.store.runs import ResultStore, Stored

SEED = 0


@dataclass(frozen=True)
class Material:
    """What jobs are made of: tasks by digest; splits by task digest and (repeat, fold)."""

    tasks: dict[str, Task]
    splits: dict[str, dict[tuple[int, int], Split]]


def refit(runs: Sequence[Stored], spec: Spec, material: Material, sample: int) -> tuple[list[str], str]:
    """Fit `sample` of the ok runs again; return what differs, one line each, and a summary.

    Predictions must be equal to the last bit, or as near as the model's `tolerance` says. Raises UserError if no run can be
    refitted, for want of data or packages.
    """
    able = [stored for stored in runs if stored.run.status == "ok" and _can_refit(stored.job, material)]
    if not able:
        raise UserError("no job that was asked for can be fitted again here, for want of its dataset, split or packages")
    drawn = np.random.default_rng(SEED).permutation(len(able))[:sample]
    chosen = [able[i] for i in sorted(drawn)]
    again = _fit(chosen, spec, material)
    problems, n_exact = [], 0
    for _, job, run in chosen:
        new = again.get(job.key)
        if new is None or new.status != "ok":
            problems.append(f"{job}: {new.status}, {new.reason}" if new else f"{job}: not done")
            continue
        off, allowed = float(np.abs(new.proba - run.proba).max()), get_model(job.model).tolerance
        n_exact += off == 0
        if off > allowed:
            problems.append(f"{job}: probabilities differ by up to {off:.3g}, the model promises {allowed:g}")
    near = len(chosen) - n_exact - len(problems)
    within = f", {near} within the tolerance of the model" if near else ""
    return problems, f"{len(chosen)} of {len(runs)} jobs (drawn with seed {SEED}): {n_exact} equal to the last bit{within}"


def _can_refit(job: Job, material: Material) -> bool:
    split = material.splits.get(job.task_digest, {}).get((job.repeat, job.fold))
    try:
        return split is not None and split.digest == job.split_digest and not missing_imports(get_model(job.model))
    except UserError:  # a model that this machine does not know
        return False


def _fit(chosen: Sequence[Stored], spec: Spec, material: Material) -> dict[str, Run]:
    engine = LocalEngine(replace(spec.resources, workers=1))
    with tempfile.TemporaryDirectory() as name, Claims(Path(name)) as claims, ResultStore(Path(name) / "store") as store:
        digests = {stored.job.task_digest for stored in chosen}
        works = {d: Work(material.tasks[d], save_task(material.tasks[d], Path(name)), material.splits[d]) for d in digests}
        run_jobs([stored.job for stored in chosen], works, store, engine, lambda job, run: (), Shared(claims, 0))
        return {stored.key: stored.run for stored in store.runs()}
