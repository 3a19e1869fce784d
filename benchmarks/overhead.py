"""What the harness costs: the same fits in a bare loop, through the runner with one worker, and with two.

    python benchmarks/overhead.py [--suite starter] [--folds 3]

Prints seconds and two ratios: runner / bare loop (goal ≤ 1.05) and one worker / two workers (goal ≥ 1.8). The bare loop runs
in this process with one thread per library, libraries imported, tables loaded; so does the runner's fork server.
"""

import argparse
import os
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from tabbench.claims import Claims
from tabbench.execute import build_estimator
from tabbench.job import Subsample, plan
from tabbench.metrics import compute_metrics
from tabbench.models import get_model
from tabbench.runner import Resources, Shared, Work, run_jobs
from tabbench.sandbox import THREAD_VARIABLES, limit_threads
from tabbench.split import make_splits
from tabbench.store import ResultStore
from tabbench.suite import load_spec, load_suite
from tabbench.task import save_task

MODELS = ("logreg", "knn", "tree", "random_forest", "xgboost", "lightgbm", "catboost")


def main() -> None:
    limit_threads(1)
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", default="starter")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--max-task-rows", type=int, default=3000, help="leave larger tables out, to end in minutes")
    args = parser.parse_args()
    tasks = [task for task in map(load_spec, load_suite(args.suite).tasks) if len(task.y) <= args.max_task_rows]
    with tempfile.TemporaryDirectory() as name:
        work = {task.digest: prepare(task, Path(name), args.folds) for task in tasks}
        pairs = [(part.task, list(part.splits.values())) for part in work.values()]
        jobs = list(plan(pairs, [(model, {}) for model in MODELS], [Subsample()], 0, 1))
        for model in MODELS:
            for package in get_model(model).imports:
                __import__(package)
        seconds = {"bare loop": timed(lambda: bare_loop(jobs, work))}
        for workers in (1, 2):
            seconds[f"runner, {workers} workers"] = timed(
                lambda n=workers: through_runner(jobs, work, Path(name) / f"{n}.sqlite", n)
            )
    print(f"{len(jobs)} jobs: {len(tasks)} tables × {args.folds} folds × {len(MODELS)} models")
    for what, value in seconds.items():
        print(f"{what:18} {value:8.1f} s")
    bare, one, two = seconds.values()
    print(f"runner / bare loop        {one / bare:.3f}   (goal ≤ 1.05)")
    print(f"one worker / two workers  {one / two:.2f}    (goal ≥ 1.8)")


def prepare(task, folder: Path, folds: int) -> Work:
    splits = {(split.repeat, split.fold): split for split in make_splits(task, folds, 1, 0)}
    return Work(task, save_task(task, folder), splits)


def timed(action) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def bare_loop(jobs, work) -> None:
    warnings.simplefilter("ignore")
    for job in jobs:
        task, split = work[job.task_digest].task, work[job.task_digest].splits[job.repeat, job.fold]
        X = task.X.iloc[split.train]
        present, y = np.unique(task.y[split.train], return_inverse=True)
        proba = np.zeros((len(split.test), len(task.classes)))
        proba[:, present] = build_estimator(job, get_model(job.model)).fit(X, y).predict_proba(task.X.iloc[split.test])
        compute_metrics(task.y[split.test], proba)


def through_runner(jobs, work, path: Path, workers: int) -> None:
    with Claims(path.parent) as claims, ResultStore(path) as store:
        run_jobs(jobs, work, store, Resources(workers=workers), lambda job, run: None, Shared(claims, store.mark()))
        bad = store.results([])["status"].ne("ok").sum()
    if bad:
        raise SystemExit(f"{bad} jobs did not end well: the comparison would not be fair")


if __name__ == "__main__":
    main()
