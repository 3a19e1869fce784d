"""What the harness costs: the same fits in a bare loop, through the runner with one worker, and with two.

    python benchmarks/overhead.py [--suite starter] [--folds 1]

Prints seconds and two ratios: runner / bare loop (goal ≤ 1.05) and one worker / two workers (goal ≥ 1.8). The bare loop runs in
one fresh process with one thread per library; its time includes the import of the libraries, as the runner's includes the start
of its fork server. The models are those of `make bench`. With the defaults it takes a quarter of an hour.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from tabbench.data.split import make_splits
from tabbench.data.suite import load_spec, load_suite
from tabbench.data.task import save_task
from tabbench.engine.execute import build_estimator
from tabbench.engine.runner import LocalEngine, Shared, Work, run_jobs
from tabbench.engine.sandbox import THREAD_VARIABLES
from tabbench.job import Subsample, plan
from tabbench.metrics import compute_metrics
from tabbench.models import get_model
from tabbench.request import DEFAULT_MODELS
from tabbench.resources import Resources
from tabbench.store.claims import Claims
from tabbench.store.runs import ResultStore


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", default="starter")
    parser.add_argument("--folds", type=int, default=1, help="of three")
    args = parser.parse_args()
    tasks = [load_spec(task) for task in load_suite(args.suite).tasks]
    with tempfile.TemporaryDirectory() as name:
        work = {task.digest: prepare(task, Path(name), args.folds) for task in tasks}
        pairs = [(part.task, list(part.splits.values())) for part in work.values()]
        jobs = list(plan(pairs, [(model, {}) for model in DEFAULT_MODELS], [Subsample()], 0, 1))
        seconds = {"bare loop": in_a_fresh_process(bare_loop, jobs, work)}
        for workers in (1, 2):
            store = Path(name) / f"{workers}.sqlite"
            seconds[f"runner, {workers} workers"] = in_a_fresh_process(through_runner, jobs, work, store, workers)
    print(f"{len(jobs)} jobs: {len(tasks)} tables × {args.folds} folds × {len(DEFAULT_MODELS)} models")
    for what, value in seconds.items():
        print(f"{what:18} {value:8.1f} s")
    bare, one, two = seconds.values()
    print(f"runner / bare loop        {one / bare:.3f}   (goal ≤ 1.05)")
    print(f"one worker / two workers  {one / two:.2f}    (goal ≥ 1.8)")


def prepare(task, folder: Path, folds: int) -> Work:
    splits = {(split.repeat, split.fold): split for split in make_splits(task, 3, 1, 0)[:folds]}
    return Work(task, save_task(task, folder), splits)


def in_a_fresh_process(action, *args) -> float:
    """Wall seconds of an action that starts with no library loaded."""
    process = multiprocessing.get_context("spawn").Process(target=action, args=args)
    started = time.perf_counter()
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{action.__name__} did not end well: there is nothing to compare")
    return time.perf_counter() - started


def bare_loop(jobs, work) -> None:
    warnings.simplefilter("ignore")
    for job in jobs:
        task, split = work[job.task_digest].task, work[job.task_digest].splits[job.repeat, job.fold]
        X = task.X.iloc[split.train]
        present, y = np.unique(task.y[split.train], return_inverse=True)
        proba = np.zeros((len(split.test), len(task.classes)))
        estimator = build_estimator(job, get_model(job.model))
        proba[:, present] = estimator.fit(X, y).predict_proba(task.X.iloc[split.test])
        compute_metrics(task.y[split.test], proba)


def through_runner(jobs, work, path: Path, workers: int) -> None:
    with Claims(path.parent) as claims, ResultStore(path) as store:
        engine = LocalEngine(Resources(workers=workers))
        run_jobs(jobs, work, store, engine, lambda job, run: (), Shared(claims, store.mark()))
        bad = store.results([])["status"].ne("ok").sum()
    if bad:
        raise SystemExit(f"{bad} jobs did not end well")


if __name__ == "__main__":
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    main()
