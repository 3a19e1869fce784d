"""Runs on a Dask cluster of three workers: equal to local ones, whatever becomes of workers and runner."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

import tabbench
from benchmarks.support.dask_cluster import Cluster
from tabbench.cli import main
from tabbench.engine import seal
from tabbench.engine.cgroup import held_by
from tabbench.engine.sandbox import stop_server
from tabbench.errors import UserError
from tabbench.folders.diff import compare_folders
from tabbench.resources import Resources

pytest.importorskip("distributed")

MODELS = """
import os, time
import numpy as np
import psutil
from sklearn.naive_bayes import GaussianNB
from tabbench.models import Needs

class Counted(GaussianNB):
    def fit(self, X, y):
        with open("{fits}", "a") as file:
            file.write(str(os.getpid()) + " ")
        time.sleep(0.15)
        return super().fit(X, y)

class Slow(Counted):
    def fit(self, X, y):
        super().fit(X, y)
        time.sleep(3600)

class Poison(GaussianNB):
    "Kills the Dask worker when row 0 is in its training part, which holds for one of two folds."
    tabbench_needs = Needs(scaled=False)

    def fit(self, X, y):
        if 0 in np.asarray(X)[:, 2]:
            worker = psutil.Process().parents()[2]  # above the keeper and the fork server
            assert "spawn_main" in " ".join(worker.cmdline())
            worker.kill()
            time.sleep(600)
        return super().fit(X, y)

class OnGPU(GaussianNB):
    tabbench_needs = Needs(gpu=True)

    def fit(self, X, y):
        assert "TEST_GPU" in os.environ
        return super().fit(X, y)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("cluster")
    (place / "guests.py").write_text(MODELS.format(fits=place / "fits"))
    x = np.random.default_rng(0).normal(size=(120, 2))
    table = pd.DataFrame(x, columns=["a", "b"]).assign(row=np.arange(120), c=np.tile(["u", "v", None], 40))
    table.assign(y=(x[:, 0] > 0) & (np.arange(120) % 5 > 0)).to_csv(place / "t.csv", index=False)
    return place


@pytest.fixture(scope="module")
def cluster(place):
    with Cluster(place) as cluster:
        cluster.add_workers(2)
        cluster.add_workers(1, "--nthreads", "2", "--resources", "GPU=1", variables={"TEST_GPU": "1"})
        yield cluster


@pytest.fixture(autouse=True)
def here(place, tmp_path, monkeypatch, undrawn):
    monkeypatch.chdir(place)
    monkeypatch.setattr("tabbench.engine.cluster.PATIENCE_SECONDS", 600)  # workers that were killed take long to come back
    monkeypatch.syspath_prepend(place)
    monkeypatch.setenv("TABBENCH_DATA", str(place / "data"))
    (place / "fits").unlink(missing_ok=True)


def run(out, models, **options):
    return tabbench.run(data="t.csv", target="y", models=models, out=out, quiet=True, **options)


def board(folder):
    frame = pd.read_csv(f"{folder}/leaderboard.csv")
    return frame.drop(columns=[column for column in frame if "seconds" in column]).to_csv()


def fits(place):
    return [int(word) for word in (place / "fits").read_text().split()] if (place / "fits").exists() else []


def wait_for(condition):
    deadline = time.monotonic() + 900
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense", "ftp://127.0.0.1:1"])
def test_a_wrong_address_is_one_line(place, capsys, monkeypatch, address):
    monkeypatch.setattr("tabbench.engine.workers.CONNECT_SECONDS", 1)
    assert main(["run", "--data", "t.csv", "--target", "y", "--models", "dummy", "--scheduler", address, "--out", "none"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"tabbench: --scheduler {address}: no Dask scheduler answers there")
    assert err.count("\n") == 1
    assert not (place / "none").exists()


def test_a_cluster_gives_what_this_machine_gives(cluster, tmp_path):
    models = ["dummy", "tree", "guests:OnGPU", "tests.support.hostile:Segfaults", "tests.support.hostile:Allocates"]
    os.environ["TEST_GPU"] = "1"
    stop_server()  # that of earlier tests has their environment
    try:
        local = run(tmp_path / "local", models, folds=2, resources=Resources(memory_limit=700))
    finally:
        del os.environ["TEST_GPU"]
    spread = run(tmp_path / "dask", models, folds=2, resources=Resources(memory_limit=700), scheduler=cluster.address)
    assert board(tmp_path / "dask") == board(tmp_path / "local")
    assert spread.frame["status"].tolist() == local.frame["status"].tolist()
    assert set(spread.frame["status"]) == {"ok", "failed", "memory"}
    assert spread.frame["key"].tolist() == local.frame["key"].tolist()
    assert not [line for line in compare_folders(tmp_path / "local", tmp_path / "dask") if not line.startswith("machine")]
    engine = spread.manifest["engine"]
    assert local.manifest["engine"] == {"name": "local", "limits": held_by(), "store": seal.held_by()}
    assert (engine["name"], engine["workers"]) == ("dask", 3)
    assert [machine["limits"] for machine in engine["machines"]] == [held_by()]  # one machine, three workers
    assert main(["verify", str(tmp_path / "dask"), "--level", "2"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "asked"),
    [("tree", {"search": "pfn", "configs": 13}), ("hist_gbdt", {"stop": "pfn", "configs": 3})],
    ids=["search", "stop"],
)
def test_networks_that_tune_do_the_same_here_and_on_one_or_two_workers_of_a_cluster(place, tmp_path, model, asked):
    pytest.importorskip("torch")
    options = {"folds": 2, "protocol": "tabbench", **asked}
    runs = [run(tmp_path / "local", [model], **options).jobs]
    with Cluster(tmp_path) as own:
        for n in (1, 2):
            own.add_workers(1)
            out = tmp_path / f"dask{n}"
            runs.append(run(out, [model], scheduler=own.address, **options).jobs)
            assert not [line for line in compare_folders(tmp_path / "local", out) if not line.startswith("machine")]
    assert len(runs[0]) == 2 * asked["configs"]
    measured = [name for name in runs[0] if "seconds" in name or "rss" in name]
    assert all(one.drop(columns=measured).equals(runs[0].drop(columns=measured)) for one in runs)
    if "stop" in asked:
        assert runs[0].loc[runs[0]["trial"] > 0, "incumbent"].notna().all()


def start(cluster, out):
    command = [sys.executable, "-m", "tabbench", "run", "--data", "t.csv", "--target", "y", "--models", "guests:Slow", "--quiet"]
    variables = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command += ["--scheduler", cluster.address, "--out", str(out)]
    return subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True)


def goes_on(runner):
    assert runner.poll() is None, runner.stderr.read()
    return True


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_jobs_on_the_cluster_end_with_their_runner(cluster, place, tmp_path, number, code):
    runner = start(cluster, tmp_path / "r")
    wait_for(lambda: goes_on(runner) and len(fits(place)) >= 3)
    runner.send_signal(number)
    _, err = runner.communicate(timeout=300)
    assert runner.returncode == code
    assert err.count("\n") <= 1, err
    wait_for(lambda: not any(map(psutil.pid_exists, fits(place))))


def test_workers_of_another_kind_are_refused(cluster, tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("from sklearn.naive_bayes import GaussianNB as Bayes")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"worker tcp://.*: model 'only_here:Bayes': no module"):
        run(tmp_path / "r", ["only_here:Bayes"], scheduler=cluster.address)
    with pytest.raises(UserError, match="no worker has the 3 threads"):
        run(tmp_path / "r", ["dummy"], resources=Resources(threads=3), scheduler=cluster.address)
    monkeypatch.setattr("tabbench.engine.cluster.GPU", "TPU")
    with pytest.raises(UserError, match="model 'guests:OnGPU' needs a GPU"):
        run(tmp_path / "r", ["guests:OnGPU"], scheduler=cluster.address)
    monkeypatch.setattr("tabbench.engine.workers.__version__", "0.0.7")
    with pytest.raises(UserError, match=r"runs tabbench .*, not 0\.0\.7"):
        run(tmp_path / "r", ["dummy"], scheduler=cluster.address)
    assert not (tmp_path / "r").exists()


def test_killed_workers_cost_only_what_they_were_doing(cluster, place, tmp_path):
    kills = []

    def kill_now_and_then():
        for n_begun in (2, 7):
            wait_for(lambda n=n_begun: len(fits(place)) >= n)
            victim = cluster.workers()[0]
            victim.kill()
            kills.append(victim.pid)

    killer = threading.Thread(target=kill_now_and_then)
    killer.start()
    run(tmp_path / "r", ["guests:Counted", "tree"], folds=10, scheduler=cluster.address)
    killer.join()
    assert len(kills) == 2
    assert 10 <= len(fits(place)) <= 10 + 2 * len(kills)  # the last of the workers has two threads
    run(tmp_path / "calm", ["guests:Counted", "tree"], folds=10)
    assert board(tmp_path / "r") == board(tmp_path / "calm")


@pytest.mark.slow
@pytest.mark.parametrize(("threads", "losses"), [(1, 3), (2, 2)])  # one worker has two threads: it takes long to come back
def test_a_job_that_kills_its_worker_is_bounded(cluster, tmp_path, monkeypatch, threads, losses):
    monkeypatch.setattr("tabbench.engine.cluster.MAX_LOSSES", losses)
    cluster.wait_for_workers(3)  # earlier tests have killed some
    before = {worker.pid for worker in cluster.workers()}
    models, resources = ["guests:Poison", "dummy", "tests.support.hostile:KillsItsKeeper"], Resources(threads=threads)
    frame = run(tmp_path / "r", models, folds=2, resources=resources, scheduler=cluster.address).frame
    reasons = frame[frame["status"] != "ok"].groupby("model")["reason"].agg(list)
    lost = f"lost {losses} times, at last with nothing beside it: "
    assert reasons["tests.support.hostile:KillsItsKeeper"] == [f"{lost}ChildProcessError: the process was killed by SIGKILL"] * 2
    [poisoned] = reasons["guests:Poison"]
    assert poisoned.startswith(lost)
    assert set(frame.loc[frame["model"] == "dummy", "status"]) == {"ok"}
    assert len(before - {worker.pid for worker in cluster.workers()}) >= 1


def test_a_scheduler_that_dies_is_one_line(cluster, place, tmp_path):  # the last test: it ends the cluster
    cluster.wait_for_workers(3)
    runner = start(cluster, tmp_path / "r")
    wait_for(lambda: goes_on(runner) and fits(place))
    cluster.kill_scheduler()
    _, err = runner.communicate(timeout=300)
    assert runner.returncode == 2
    assert err.startswith(f"tabbench: {cluster.address}: the connection to the scheduler is lost: what is finished is stored")
    assert err.count("\n") == 1, err
