"""Kill -9 of every kind of process: equal tables and the documented number of tries; `benchmarks/chaos.py` does it at random."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from benchmarks.chaos import KINDS, board, chaos, of_kind
from tabbench.api import open_results
from tabbench.cli import main
from tests.support.children import wait_for

MODEL = """
import hashlib, os, time
import numpy as np
from sklearn.naive_bayes import GaussianNB

class Told(GaussianNB):
    # Says which training part it was given and by which process, then waits for the gate.
    def fit(self, X, y):
        with open(os.environ["FITS"], "a") as file:
            file.write(hashlib.sha256(bytes(memoryview(np.ascontiguousarray(X)))).hexdigest() + f" {os.getpid()}\\n")
        while not os.path.exists(os.environ["FITS"] + "-gate"):
            time.sleep(0.01)
        return super().fit(X, y)
"""
JOBS, LOST = 4, {"worker": 1, "keeper": 1, "server": 2, "runner": 2}  # in flight are two


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A folder with model and table, and a run `calm` that nothing disturbed."""
    base = tmp_path_factory.mktemp("chaos")
    (base / "told.py").write_text(MODEL)
    x = np.random.default_rng(0).normal(size=(60, 2))
    pd.DataFrame(x, columns=["a", "b"]).assign(y=x[:, 0] > 0).to_csv(base / "t.csv", index=False)
    (base / "calm-fits-gate").touch()
    with pytest.MonkeyPatch.context() as patch:
        enter(patch, base, base / "calm-fits")
        assert end(begin("calm")) == (0, "")
    return base


def enter(monkeypatch, base, fits):
    monkeypatch.setenv("TABBENCH_DATA", str(base / "data"))
    monkeypatch.setenv("FITS", str(fits))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.chdir(base)


@pytest.fixture
def place(base, tmp_path, monkeypatch):
    enter(monkeypatch, base, tmp_path / "fits")
    return tmp_path


def words(out, folds=JOBS, workers=2):
    asked = ["--data", "t.csv", "--target", "y", "--models", "told:Told", "--folds", str(folds), "--workers", str(workers)]
    return ["run", *asked, "--out", str(out), "--quiet"]


def begin(*args, **options):
    return subprocess.Popen([sys.executable, "-m", "tabbench", *words(*args, **options)], stderr=subprocess.PIPE, text=True)


def fits(place):
    """The fits so far: (training part, process)."""
    path = place / "fits"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def end(runner):
    _, err = runner.communicate(timeout=600)
    return runner.returncode, err


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_of_any_process_costs_no_more_than_a_second_try_of_what_it_hit(base, place, kind):
    runner = begin(place / "r")
    wait_for(lambda: len(fits(place)) == 2 or runner.poll() is not None)
    in_flight = [int(pid) for _, pid in fits(place)]
    targets = of_kind(psutil.Process(runner.pid), kind)
    targets[0].kill()
    wait_for(lambda: sum(map(gone, in_flight)) == LOST[kind])
    (place / "fits-gate").touch()
    if kind == "runner":
        assert end(runner)[0] == -9
        runner = begin(place / "r")
    assert end(runner) == (0, "")
    tries = Counter(part for part, _ in fits(place))
    assert sorted(tries.values()) == [1] * (JOBS - LOST[kind]) + [2] * LOST[kind]
    assert board(place / "r") == board(base / "calm")
    assert main(["verify", str(place / "r"), "--level", "1"]) == 0


@pytest.mark.parametrize(
    "kind", ["worker", pytest.param("keeper", marks=pytest.mark.slow), pytest.param("server", marks=pytest.mark.slow)]
)
def test_a_job_that_is_killed_twice_has_failed_and_the_others_are_done(place, kind):
    runner = begin(place / "r", folds=2, workers=1)
    for n in (1, 2):
        wait_for(lambda n=n: len(fits(place)) == n or runner.poll() is not None)
        of_kind(psutil.Process(runner.pid), kind)[0].kill()
        wait_for(lambda: gone(int(fits(place)[-1][1])))
    (place / "fits-gate").touch()
    assert end(runner)[0] == 0
    frame = open_results(place / "r").frame
    assert sorted(frame["status"]) == ["failed", "ok"]
    assert "twice, at last with nothing beside it" in frame["reason"].max()
    assert sorted(Counter(part for part, _ in fits(place)).values()) == [1, 2]


@pytest.mark.slow
def test_killed_runs_resume_to_the_same_tables(tmp_path):
    chaos(tmp_path, rounds=2, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_kills_of_one_kind_at_random_moments(tmp_path, kind):
    chaos(tmp_path, rounds=1, seed=2, only=kind)
