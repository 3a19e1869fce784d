"""A million jobs: planned, hashed, listed as missing, stored, and resumed; seconds, memory and bytes a job.

    python benchmarks/plan_scale.py [--tasks 176 --models 19 --folds 10 --sizes 30]

The jobs are synthetic (176 datasets × 19 models × 10 folds × 30 training sizes); nothing is fitted. Half of them are stored,
without predictions, as a killed run would leave them; that half is settled when the plan is made again. Goals for a million:
less than 60 s and 2 GB for planning and resuming, less than 2 KB a stored job.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tabbench.data.split import Split
from tabbench.job import Run, Subsample, plan
from tabbench.store.claims import Claims
from tabbench.store.repair import repair_store
from tabbench.store.runs import ResultStore, row_digest, run_row

LIMITS = {"seconds": 600.0, "memory_mb": 8000.0}
FACTS = {
    **dict.fromkeys(["n_train", "n_train_used", "n_test", "n_features", "n_features_used", "n_classes"], 12345),
    **dict.fromkeys(["fit_seconds", "predict_seconds", "fit_cpu_seconds", "predict_cpu_seconds", "peak_rss_mb"], 12.345678901234),
    **dict.fromkeys(
        ["accuracy", "balanced_accuracy", "f1", "f1_macro", "roc_auc_ovo", "log_loss", "brier", "ece"], 0.123456789012345
    ),
}
T = TypeVar("T")


@dataclass(frozen=True)
class SyntheticTask:
    """What planning needs of a task."""

    name: str
    digest: str
    size: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("tasks", 176), ("models", 19), ("folds", 10), ("sizes", 30)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    rows = np.arange(100)
    splits = [Split(0, fold, rows[rows % args.folds != fold], rows[rows % args.folds == fold]) for fold in range(args.folds)]
    pairs = [(SyntheticTask(f"task{i}", f"{i:064x}", i), splits) for i in range(args.tasks)]
    entrants: list[tuple[str, dict[str, Any]]] = [(f"model{i}", {}) for i in range(args.models)]
    sizes = [Subsample(128 * (i + 1)) for i in range(args.sizes)]

    def missing(store: ResultStore) -> list:
        settled = store.settled(LIMITS, retry_failed=False)
        return [job for job in plan(pairs, entrants, sizes, 0, 1) if job.key not in settled]

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "store.sqlite"
        with ResultStore(path) as store:
            todo = timed("planned, hashed and listed as missing", lambda: missing(store))
            n_jobs, half = len(todo), todo[::2]
            timed(f"stored ({len(half):,} runs in one transaction)", lambda: fill(store, half))
            del todo[:], half[:]
        n_stored = (n_jobs + 1) // 2
        with Claims(path.parent) as claims:
            timed("stored runs checked by hash", lambda: repair_store(path, claims))
        with ResultStore(path) as store:
            left = timed("resumed", lambda: missing(store))
        assert len(left) == n_jobs - n_stored
        print(f"{n_jobs:,} jobs; {path.stat().st_size / n_stored:,.0f} bytes a stored job without predictions (goal < 2,000)")
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB at most (goal < 2,000)")


def timed(what: str, action: Callable[[], T]) -> T:
    started, cpu = time.perf_counter(), time.process_time()
    result = action()
    print(f"{time.perf_counter() - started:7.1f} s, {time.process_time() - cpu:7.1f} s of CPU  {what}", flush=True)
    return result


def fill(store: ResultStore, jobs: list) -> None:
    """`add` for each, but with one commit: what a commit costs is the disk's affair."""
    run = Run("failed", "synthetic", facts=FACTS)
    with store._db:
        for job in jobs:
            row = run_row(job, run, LIMITS)
            store._insert(row, row_digest(row))


if __name__ == "__main__":
    main()
