"""Kill runners and workers at random moments, resume, and compare with an undisturbed run.

    python benchmarks/chaos.py [--rounds 100] [--seed 0]

A round runs 24 short jobs in a fresh folder, with one runner or two, under kill -9 of a runner, its fork server, or a process of
a job, each after a random wait; then the same command resumes until nothing is left. It fails unless

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
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from tabbench.store import ResultStore
from tabbench.verify import verify

ROOT = Path(__file__).parents[1]
MODEL = """
import os, time
import numpy as np
from sklearn.naive_bayes import GaussianNB

class Slow(GaussianNB):
    def fit(self, X, y):
        with open(os.environ["CHAOS_FITS"], "a") as file:
            file.write("x")
        time.sleep(0.05)
        return super().fit(X, y)

class Slower(Slow):
    pass
"""
N_FOLDS, WORKERS, KILLS = 12, 2, 4
N_JOBS = 2 * N_FOLDS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        chaos(Path(name), args.rounds, args.seed)


def chaos(place: Path, rounds: int, seed: int) -> None:
    """Run the rounds in `place`; raises AssertionError with what went wrong."""
    (place / "slow.py").write_text(MODEL)
    x = np.random.default_rng(0).normal(size=(120, 3))
    pd.DataFrame(x, columns=list("abc")).assign(y=np.arange(120) % 2).to_csv(place / "t.csv", index=False)
    finish(start(place, "calm"))
    calm = board(place / "calm")
    draw, started, total = random.Random(seed), time.monotonic(), 0
    for number in range(rounds):
        folder, runners = f"round{number}", draw.choice([1, 2])
        hit = disturb(place, folder, runners, draw)
        while not (place / folder / "SHA256SUMS").exists() or has_failed(place / folder):
            finish(start(place, folder, "--retry-failed"))
        check(place, folder, calm, hit)
        total += hit
        print(f"round {number + 1}: {runners} runners, {hit} jobs hit by kills, fits {n_fits(place, folder)}", flush=True)
    print(f"{rounds} rounds in {time.monotonic() - started:.0f} s, {total} jobs hit: tables equal, nothing lost, nothing left")


def start(place: Path, folder: str, *more: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "tabbench", "run", "--data", "t.csv", "--target", "y", "--models", "slow:Slow,slow:Slower"]
    command += ["--folds", str(N_FOLDS), "--workers", str(WORKERS), "--out", folder, "--quiet", *more]
    variables = {"CHAOS_FITS": str(place / f"{folder}.fits"), "TABBENCH_DATA": str(place / "data"), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=place, env={**os.environ, **variables}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(runner: subprocess.Popen) -> None:
    _, err = runner.communicate(timeout=600)
    assert runner.returncode == 0, err


def disturb(place: Path, folder: str, n_runners: int, draw: random.Random) -> int:
    """Start the runners and kill something a few times; return how many jobs in flight the kills can have hit."""
    runners = [start(place, folder) for _ in range(n_runners)]
    hit = 0
    for _ in range(KILLS):
        time.sleep(draw.uniform(0, 2) * draw.random())
        alive = [runner for runner in runners if runner.poll() is None]
        if not alive:
            break
        victim = draw.choice(alive)
        below = psutil.Process(victim.pid).children(recursive=True)
        target = draw.choice([psutil.Process(victim.pid), *below])
        with suppress(psutil.NoSuchProcess):
            target.kill()
            hit += WORKERS
        if draw.random() < 0.5:
            runners.append(start(place, folder))
    for runner in runners:
        _, err = runner.communicate(timeout=600)
        assert runner.returncode in (0, -signal.SIGKILL), err
    return hit


def has_failed(folder: Path) -> bool:
    with ResultStore(folder / "store.sqlite") as store:
        return any(run.status != "ok" for run in store.runs())


def check(place: Path, folder: str, calm: str, hit: int) -> None:
    assert board(place / folder) == calm
    with ResultStore(place / folder / "store.sqlite") as store:
        assert len({run.job.key for run in store.runs()}) == N_JOBS
        assert store.damaged() == {}
    assert verify(place / folder, 1).problems == []
    assert N_JOBS <= n_fits(place, folder) <= N_JOBS + hit, f"{n_fits(place, folder)} fits, {hit} jobs were hit"
    deadline = time.monotonic() + 10
    while left := [
        p.pid for p in psutil.process_iter(["environ"]) if (p.info["environ"] or {}).get("CHAOS_FITS", "").startswith(str(place))
    ]:
        assert time.monotonic() < deadline, f"processes left: {left}"
        time.sleep(0.05)


def n_fits(place: Path, folder: str) -> int:
    return len((place / f"{folder}.fits").read_text())


def board(folder: Path) -> str:
    frame = pd.read_csv(folder / "leaderboard.csv")
    return frame.drop(columns=[column for column in frame if "seconds" in column]).to_csv()


if __name__ == "__main__":
    main()
