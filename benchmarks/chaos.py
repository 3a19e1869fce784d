"""Kill runners and workers at random moments, resume, and compare with an undisturbed run.

    python benchmarks/chaos.py [--rounds 100] [--seed 0] [--only server] [--dask]

A round runs 24 short jobs in a fresh folder, with one runner or two, under kill -9 of a runner, its fork server, or a keeper or
worker of a job, each when a random number of fits have begun and at any moment of a job; then the same command resumes until
nothing is left. With --dask the jobs run on a cluster of three worker processes, and these are killed, too. It fails unless

- the leaderboard equals that of the undisturbed run to the byte (time columns dropped),
- every job is stored once, every stored run matches its hash, and level 1 of `tabbench verify` passes,
- no more fits were begun than there are jobs and jobs that a kill could hit in flight,
- no process is left.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from benchmarks.support.dask_cluster import ROOT, Cluster
from tabbench.folders.verify import verify
from tabbench.store.runs import ResultStore

MODEL = """
import os, time
import numpy as np
from sklearn.naive_bayes import GaussianNB

class Slow(GaussianNB):
    def fit(self, X, y):
        with open(os.environ["CHAOS_PLACE"] + "/fits", "a") as file:
            file.write("x")
        time.sleep(0.05)
        return super().fit(X, y)

class Slower(Slow):
    pass
"""
N_FOLDS, WORKERS, DASK_WORKERS, KILLS = 12, 2, 3, 4
N_JOBS = 2 * N_FOLDS
JOB_SECONDS = 0.3
KINDS = ("runner", "server", "keeper", "worker")  # each the parent of the next


@dataclass(frozen=True)
class Arena:
    """Where the rounds take place. cluster : None for this machine."""

    place: Path
    cluster: Cluster | None

    @property
    def in_flight(self) -> int:
        """Jobs that a kill can hit: those that run, and on a cluster the one ahead on each worker, which may have just begun."""
        return 2 * DASK_WORKERS if self.cluster else WORKERS

    @property
    def n_fits(self) -> int:
        """Number of fits that have begun so far."""
        return len((self.place / "fits").read_text()) if (self.place / "fits").exists() else 0

    @property
    def variables(self) -> Mapping[str, str]:
        """Environment of runners and workers; the first marks them."""
        return {"CHAOS_PLACE": str(self.place), "TABBENCH_DATA": str(self.place / "data"), "PYTHONPATH": str(ROOT)}

    def start(self, folder: str, *more: str) -> subprocess.Popen:
        """Start a runner of the command, with these options more."""
        command = [sys.executable, "-m", "tabbench", "run", "--data", "t.csv", "--target", "y"]
        command += ["--models", "slow:Slow,slow:Slower", "--folds", str(N_FOLDS), "--out", folder, "--quiet", *more]
        command += ["--scheduler", self.cluster.address] if self.cluster else ["--workers", str(WORKERS)]
        environment = {**os.environ, **self.variables}
        return subprocess.Popen(
            command, cwd=self.place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=KINDS, help="kill nothing else (not with --dask)")
    parser.add_argument("--dask", action="store_true", help="on a cluster of three worker processes")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        chaos(Path(name), args.rounds, args.seed, dask=args.dask, only=args.only)


def chaos(place: Path, rounds: int, seed: int, *, dask: bool = False, only: str | None = None) -> None:
    """Run the rounds in `place`, killing one of `KINDS` only or any of them; raises AssertionError with what went wrong."""
    (place / "slow.py").write_text(MODEL)
    x = np.random.default_rng(0).normal(size=(120, 3))
    pd.DataFrame(x, columns=list("abc")).assign(y=np.arange(120) % 2).to_csv(place / "t.csv", index=False)
    finish(Arena(place, None).start("calm"))
    calm = board(place / "calm")
    draw, started, hits, again = random.Random(seed), time.monotonic(), 0, 0
    with Cluster(place) if dask else nullcontext() as cluster:
        arena = Arena(place, cluster)
        if cluster:
            cluster.add_workers(DASK_WORKERS, variables={"CHAOS_PLACE": str(place)})
        for number in range(rounds):
            folder, runners, before = f"round{number}", draw.choice([1, 2]), arena.n_fits
            hit = disturb(arena, folder, runners, draw, only)
            while not (place / folder / "SHA256SUMS").exists() or has_failed(place / folder):
                finish(arena.start(folder, "--retry-failed"))
            fits = arena.n_fits - before
            check(arena, place / folder, calm)
            assert N_JOBS <= fits <= N_JOBS + hit, f"{fits} fits, {hit} jobs were hit"
            hits, again = hits + hit, again + fits - N_JOBS
            print(f"round {number + 1}: {runners} runners, at most {hit} jobs in flight hit by kills, fits {fits}", flush=True)
    print(
        f"{rounds} rounds in {time.monotonic() - started:.0f} s, {again} fits begun again, of {hits} at most: "
        "tables equal, nothing lost, nothing left"
    )


def finish(runner: subprocess.Popen) -> None:
    _, err = runner.communicate(timeout=600)
    assert runner.returncode == 0, err


def disturb(arena: Arena, folder: str, n_runners: int, draw: random.Random, only: str | None) -> int:
    """Start the runners and kill something a few times; return how many jobs in flight the kills can have hit."""
    runners = [arena.start(folder) for _ in range(n_runners)]
    hit, before = 0, arena.n_fits
    for n_fits in sorted(draw.randint(0, N_JOBS) for _ in range(KILLS)):
        while arena.n_fits < before + n_fits and any(runner.poll() is None for runner in runners):
            time.sleep(0.01)
        time.sleep(draw.uniform(0, JOB_SECONDS))
        alive = [runner for runner in runners if runner.poll() is None]
        if not alive:
            break
        tops = [psutil.Process(draw.choice(alive).pid), *(arena.cluster.workers() if arena.cluster else ())]
        targets = [process for top in tops for process in ((top, *below(top)) if only is None else of_kind(top, only))]
        if not targets:
            continue
        target = draw.choice(targets)
        with suppress(psutil.NoSuchProcess):
            target.kill()
            hit += arena.in_flight
        killed = [runner for runner in alive if runner.pid == target.pid]
        if draw.random() < 0.5 or killed == alive:
            runners.append(arena.start(folder))
        for runner in killed:
            runner.wait()
    for runner in runners:
        _, err = runner.communicate(timeout=600)
        assert runner.returncode in (0, -signal.SIGKILL), err
    return hit


def below(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def of_kind(runner: psutil.Process, kind: str) -> list[psutil.Process]:
    """The processes of a kind that a runner has now; beside the fork server it has multiprocessing's tracker of resources."""
    found = [runner]
    for _ in range(KINDS.index(kind)):
        found = [child for process in found for child in children(process) if "resource_tracker" not in command(child)]
    return found


def children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children())
    except psutil.NoSuchProcess:
        return []


def command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def has_failed(folder: Path) -> bool:
    with ResultStore(folder / "store.sqlite") as store:
        return any(run.status != "ok" for _, _, run in store.runs())


def check(arena: Arena, folder: Path, calm: str) -> None:
    assert board(folder) == calm
    with ResultStore(folder / "store.sqlite") as store:
        assert len({job.key for _, job, _ in store.runs()}) == N_JOBS
        assert store.damaged() == {}
    assert verify(folder, 1).problems == []
    deadline = time.monotonic() + 300
    while left := marked(arena.place) - (arena.cluster.own() if arena.cluster else set()):
        assert time.monotonic() < deadline, f"processes left: {left}"
        time.sleep(0.05)


def marked(place: Path) -> set[int]:
    """Processes that were started by this program or by what it has started."""
    processes = psutil.process_iter(["environ"])
    return {process.pid for process in processes if (process.info["environ"] or {}).get("CHAOS_PLACE") == str(place)}


def board(folder: Path) -> str:
    frame = pd.read_csv(folder / "leaderboard.csv")
    return frame.drop(columns=[column for column in frame if "seconds" in column]).to_csv()


if __name__ == "__main__":
    main()
