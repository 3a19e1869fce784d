"""Jobs of 10 ms, on this machine and on a Dask cluster of it: jobs a second, and the share of the time that the harness takes.

    python benchmarks/throughput.py [--jobs 300] [--workers 2] [--milliseconds 10]

A job sleeps through its fit, so that what is measured is the harness: the fork of a process with its limits, reading the table,
sending, metrics, storing. The rate is taken from the first answer to the last; the start of fork servers is told apart. The share
lost is 1 - (jobs × fit / workers) / time. The jobs of real suites take seconds, and what the harness takes is the same.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.support.dask_cluster import Cluster
from tabbench.data.split import make_splits
from tabbench.data.task import make_task, save_task
from tabbench.engine.cluster import DaskEngine
from tabbench.engine.runner import LocalEngine, Shared, Work, run_jobs
from tabbench.job import Subsample, plan
from tabbench.resources import Resources
from tabbench.store.claims import Claims
from tabbench.store.runs import ResultStore

MODEL = "benchmarks.sleeper:Sleeper"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--milliseconds", type=float, default=10)
    args = parser.parse_args()
    os.environ["SLEEPER_SECONDS"] = str(args.milliseconds / 1000)
    resources = Resources(workers=args.workers)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        jobs, work = prepare(place, args.jobs)
        measure("this machine", LocalEngine(resources), jobs, work, place / "local")
        with Cluster(place) as cluster:
            cluster.add_workers(args.workers)
            with DaskEngine(cluster.address, resources, [MODEL]) as engine:
                measure("Dask", engine, jobs, work, place / "dask")


def prepare(place: Path, n_jobs: int):
    x = np.random.default_rng(0).normal(size=(100, 5))
    task = make_task(pd.DataFrame(x, columns=list("abcde")).assign(y=np.arange(100) % 2), "y", name="t")
    splits = make_splits(task, 10, -(-n_jobs // 10), 0)
    jobs = list(plan([(task, splits)], [(MODEL, {})], [Subsample()], 0, 1))[:n_jobs]
    return jobs, {task.digest: Work(task, save_task(task, place), {(split.repeat, split.fold): split for split in splits})}


def measure(where: str, engine, jobs, work, folder: Path) -> None:
    folder.mkdir()
    moments = [time.perf_counter()]

    def on_run(*_) -> tuple:
        moments.append(time.perf_counter())
        return ()

    with Claims(folder) as claims, ResultStore(folder / "store.sqlite") as store:
        shared = Shared(claims, store.mark())
        run_jobs(jobs, work, store, engine, on_run, shared)
        fits = store.results([])["fit_seconds"].dropna()
    assert len(fits) == len(jobs), "jobs did not end well"
    workers, seconds, n = engine.resources.workers, moments[-1] - moments[1], len(jobs) - 1
    lost = 1 - n * fits.mean() / workers / seconds
    print(
        f"{where:13} {workers} workers  {n / seconds:6.1f} jobs/s of {1000 * fits.mean():.1f} ms  "
        f"harness {1000 * (seconds * workers / n - fits.mean()):5.1f} ms of a worker a job, {lost:.0%} of the time; "
        f"first answer after {moments[1] - moments[0]:.1f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
