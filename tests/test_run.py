"""The main job from end to end on small tables: what is recorded, contained, resumed, and the same twice."""

import json
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
from tabbench.api import open_results
from tabbench.cli import main
from tabbench.data.split import load_splits
from tabbench.engine import sandbox
from tabbench.engine.sandbox import stop_server
from tabbench.errors import UserError
from tabbench.job import Subsample
from tabbench.metrics import METRICS, compute_metrics
from tabbench.resources import Resources
from tabbench.store.runs import ResultStore

MODELS = ["dummy", "logreg", "tree"]
BAD = "tests.support.hostile"


@pytest.fixture(scope="module", autouse=True)
def private_data(tmp_path_factory):
    os.environ["TABBENCH_DATA"] = str(tmp_path_factory.mktemp("data"))
    os.environ["ASKED"] = str(tmp_path_factory.mktemp("asked"))
    stop_server()  # that of earlier tests lacks the variables; by the first our processes are known
    yield
    del os.environ["TABBENCH_DATA"], os.environ["ASKED"]


def table(n=120, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    colour = rng.choice(["red", "green", None], n)
    y = np.where(x[:, 0] + (colour == "red") + 0.3 * rng.normal(size=n) > 0.3, "yes", "no")
    return pd.DataFrame({"a": x[:, 0], "b": np.where(rng.random(n) < 0.1, np.nan, x[:, 1]), "c": colour, "y": y})


def run(out, models=MODELS, **options):
    return tabbench.run(data=table(), target="y", models=models, out=out, quiet=True, **options)


def without_times(path):
    frame = pd.read_csv(path)
    return frame.drop(columns=[c for c in frame if "seconds" in c or "rss" in c]).to_csv()


def test_folder_and_table(tmp_path):
    results = run(tmp_path / "r")
    frame = results.frame
    assert len(frame) == 9
    assert set(frame["status"]) == {"ok"}
    assert frame[["fit_seconds", "predict_seconds", "fit_cpu_seconds", "peak_rss_mb"]].notna().all(axis=None)
    assert frame.groupby("model")["roc_auc_ovo"].mean()["logreg"] > 0.8
    names = {path.name for path in (tmp_path / "r").iterdir()}
    assert names == {
        "manifest.json",
        "splits",
        "store.sqlite",
        "store.lock",
        "SHA256SUMS",
        "results.parquet",
        "leaderboard.csv",
        "leaderboard.md",
        "report.html",
        "ro-crate-metadata.json",
        "croissant.json",
    }
    manifest = json.loads((tmp_path / "r" / "manifest.json").read_text())
    assert manifest["run"]["folds"] == 3
    assert manifest["tasks"][0]["n_rows"] == 120
    assert manifest["environment"]["packages"]["numpy"] == np.__version__
    assert manifest["finished"]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "r" / "results.parquet"), open_results(tmp_path / "r").frame)


@pytest.mark.usefixtures("undrawn")
def test_metrics_are_those_of_the_stored_predictions(tmp_path):
    results = run(tmp_path / "r", models=["tree"])
    codes = (table()["y"] == "yes").to_numpy(np.int64)
    [path] = (tmp_path / "r" / "splits").iterdir()
    splits = {split.fold: split for split in load_splits(path, 120)}
    with ResultStore(results.path / "store.sqlite") as store:
        for _, row in results.frame.iterrows():
            again = compute_metrics(codes[splits[row["fold"]].test], store.proba(row["key"]))
            assert again == row[list(METRICS)].to_dict()


@pytest.mark.usefixtures("undrawn")
def test_workers_and_repetition_change_nothing(tmp_path):
    for name, workers in (("a", 1), ("b", 2)):
        run(
            tmp_path / name,
            models=[*MODELS, "random_forest"],
            folds=2,
            resources=Resources(workers=workers),
            subsamples=[Subsample(), Subsample(30)],
        )
    a, b = (without_times(tmp_path / name / "leaderboard.csv") for name in "ab")
    assert a == b
    assert "stratified 30 rows" in a


@pytest.mark.usefixtures("undrawn")
def test_the_same_again_does_nothing_and_more_models_only_the_rest(tmp_path):
    first = run(tmp_path / "r").frame
    again = run(tmp_path / "r").frame
    pd.testing.assert_frame_equal(first, again)  # times too: nothing was fitted again
    more = run(tmp_path / "r", models=["dummy", "knn"]).frame
    assert set(more["model"]) == {*MODELS, "knn"}
    pd.testing.assert_frame_equal(more[more["model"] != "knn"].reset_index(drop=True), first)


HOSTILE = {
    "Raises": ("failed", "RuntimeError: two lines of trouble"),
    "Allocates": ("memory", "the memory limit of 700 MB"),
    "Exits": ("failed", "the process ended by itself with exit code 7"),
    "PredictsNaN": ("failed", "NaN"),
    "WrongShape": ("failed", "predict_proba returned shape"),
    "Segfaults": ("failed", "the process was killed by SIGSEGV"),
    "KillsItsKeeper": ("failed", "the process was killed by SIGKILL"),
    "RaisesHugely": ("failed", "RuntimeError: huge huge"),
    "Daemonises": ("ok", ""),
    "FloodsStdout": ("ok", ""),
}


def test_hostile_models_are_contained_and_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr("tabbench.engine.sandbox.MAX_PROCESSES", 20)
    stubborn, others = f"{BAD}:IgnoresSigterm", [f"{BAD}:ForkBomb", *(f"{BAD}:{name}" for name in HOSTILE)]
    with monkeypatch.context() as patch:
        patch.setattr("tabbench.report.page.render", lambda *_: "drawing takes seconds")
        alone = run(tmp_path / "alone", folds=2).frame
        run(tmp_path / "r", [stubborn], folds=2, resources=Resources(workers=2, time_limit=3))
    frame = run(tmp_path / "r", [*MODELS, *others], folds=2, resources=Resources(workers=2, memory_limit=700)).frame
    expected = {**HOSTILE, "IgnoresSigterm": ("timeout", "stopped after the time limit of 3 s")}
    for name, (status, reason) in expected.items():
        rows = frame[frame["model"] == f"{BAD}:{name}"]
        assert set(rows["status"]) == {status}, name
        assert rows["reason"].str.contains(reason, regex=False).all(), name
        assert not rows["reason"].str.contains("\n").any()
    bombs = frame[frame["model"] == f"{BAD}:ForkBomb"]
    assert set(bombs["status"]) <= {"failed", "memory"}  # whichever limit it meets first
    assert left_by_jobs() == []
    fine = frame[frame["model"].isin(MODELS)].reset_index(drop=True)
    pd.testing.assert_frame_equal(fine[["key", *METRICS]], alone[["key", *METRICS]])
    board = pd.read_csv(tmp_path / "r" / "leaderboard.csv").set_index("model")
    assert board.loc[f"{BAD}:IgnoresSigterm", "n_timeout"] == 2
    page = (tmp_path / "r" / "report.html").read_text()
    assert "two lines of trouble" in page


@pytest.mark.usefixtures("undrawn")
def test_the_others_are_watched_while_a_job_takes_its_time_to_end(tmp_path, monkeypatch):
    kill, add = sandbox.Child.kill, ResultStore.add
    first, ending, stored = iter([True]), threading.Event(), threading.Event()

    def slow_kill(child):
        if next(first, False):
            ending.set()
            assert stored.wait(300)
        kill(child)

    def telling_add(store, job, run, limits):
        add(store, job, run, limits)
        if ending.is_set() and run.status == "ok":
            stored.set()

    monkeypatch.setattr(sandbox.Child, "kill", slow_kill)
    monkeypatch.setattr(ResultStore, "add", telling_add)
    frame = run(tmp_path / "r", [f"{BAD}:Exits", "tree"], folds=5, resources=Resources(workers=2)).frame
    assert frame["status"].value_counts().to_dict() == {"ok": 5, "failed": 5}


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("killer", "reason"),
    [
        ("KillsTheServer", "its fork server died"),
        ("KillsItsKeeper", "the process was killed by SIGKILL"),
        ("KillsItself", "the process was killed by SIGKILL"),
    ],
)
def test_a_lost_job_has_a_second_try_alone(tmp_path, killer, reason):
    for name in (f"{killer}Once", killer):  # one at a time: the one might be lost by the other's fault, then by its own
        run(
            tmp_path / "r",
            [f"{BAD}:Sleeps", f"{BAD}:{name}"],
            holdout=0.5,
            resources=Resources(workers=2),
        )
    frame = open_results(tmp_path / "r").frame
    reasons = frame[frame["status"] != "ok"].groupby("model")["reason"].agg(list)
    assert reasons.to_dict() == {f"{BAD}:{killer}": [f"{reason} twice, at last with nothing beside it"]}
    assert Path(os.environ["ASKED"], f"{killer}Once").exists()
    assert orphans() == []


@pytest.mark.usefixtures("undrawn")
def test_a_larger_limit_or_retry_tries_again(tmp_path):
    hangs = f"{BAD}:Hangs"
    run(tmp_path / "r", [hangs], folds=2, resources=Resources(time_limit=0.5))
    frame = run(tmp_path / "r", [hangs], folds=2, resources=Resources(time_limit=1.5)).frame
    assert frame["reason"].tolist() == ["stopped after the time limit of 1.5 s"] * 2
    marks = []
    for retry_failed in (False, False, True):
        run(tmp_path / "f", [f"{BAD}:Raises"], folds=2, retry_failed=retry_failed)
        with ResultStore(tmp_path / "f" / "store.sqlite") as store:
            marks.append(store.mark())
    assert marks[0] == marks[1] == marks[2] - 2


@pytest.mark.usefixtures("undrawn")
def test_labels_only_models_are_scored(tmp_path):
    frame = run(tmp_path / "r", [f"{BAD}:LabelsOnly"]).frame
    assert set(frame["status"]) == {"ok"}
    assert frame["note"].str.contains("no predict_proba").all()


@pytest.mark.usefixtures("undrawn")
def test_one_class_in_training_is_predicted(tmp_path):
    rare = table(30).assign(y=["a"] * 29 + ["b"])
    frame = tabbench.run(data=rare, target="y", models=["logreg"], out=tmp_path / "r", folds=3, quiet=True).frame
    assert set(frame["status"]) == {"ok"}
    assert frame["note"].str.contains("one class").sum() == 1
    assert frame["roc_auc_ovo"].isna().sum() == 2


def test_limits_make_a_job_unsupported(tmp_path):
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 3))).assign(y=[*range(20), *range(20)])
    frame = tabbench.run(data=wide, target="y", models=[f"{BAD}:LIMITED"], out=tmp_path / "r", folds=2, quiet=True).frame
    assert set(frame["status"]) == {"unsupported"}
    assert frame["reason"].tolist() == ["20 classes exceed the limit of 10"] * 2


def test_bad_requests_are_refused_before_anything_runs(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match="not a tabbench result folder"):
        run(tmp_path / "full")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.tex"]
    run(tmp_path / "r", ["dummy"])
    with pytest.raises(UserError, match="holds a run with folds=3, not 5"):
        run(tmp_path / "r", ["dummy"], folds=5)
    with pytest.raises(UserError, match="exceed the"):
        run(tmp_path / "new", resources=Resources(workers=1000))
    with pytest.raises(UserError, match="folds must be"):
        run(tmp_path / "new", folds=1)
    assert not (tmp_path / "new").exists()


def command(folder, data):
    where = ["--data", str(data), "--target", "y", "--out", str(folder)]
    return ["run", *where, "--models", f"dummy,{BAD}:Waits", "--folds", "6", "--workers", "2"]


def n_stored(folder):
    with ResultStore(folder / "store.sqlite") as store:
        return len(store.results([]))


def start_and_wait_for_first_results(folder, data):
    """A run of twelve jobs that stands still when six are stored and two have begun."""
    gate = folder.parent / "gate"
    gate.mkdir()
    for name in "ab":
        (gate / name).touch()
    words, variables = [sys.executable, "-m", "tabbench", *command(folder, data)], {**os.environ, "GATE": str(gate)}
    process = subprocess.Popen(words, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 600
    while not (folder / "store.sqlite").exists() or n_stored(folder) < 4:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    return process


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """A run that nothing disturbed, and its data."""
    place = tmp_path_factory.mktemp("calm")
    table().to_csv(place / "t.csv", index=False)
    assert main(command(place / "r", place / "t.csv")) == 0
    return place / "r", place / "t.csv"


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_goes_on_where_it_was(tmp_path, calm, number):
    undisturbed, data = calm
    process = start_and_wait_for_first_results(tmp_path / "r", data)
    process.send_signal(number)
    _, err = process.communicate(timeout=300)  # the jobs would wait for ever
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "run the same command again" in err
        assert "Traceback" not in err
    assert 4 <= n_stored(tmp_path / "r") <= 6
    assert orphans() == []
    assert main(command(tmp_path / "r", data)) == 0
    assert n_stored(tmp_path / "r") == 12
    assert without_times(tmp_path / "r" / "leaderboard.csv") == without_times(undisturbed / "leaderboard.csv")


def left_by_jobs():
    """Processes below our fork server, and what was lost to another parent."""
    return [p.pid for p in psutil.Process(sandbox._server._forkserver_pid).children(recursive=True)] + orphans()


def orphans():
    """Processes of ours that outlived their runner, after a moment to die; other tests may be running beside us."""
    for _ in range(3000):
        known = {p.pid for p in psutil.Process().children(recursive=True)}
        variables = {p.pid: p.info["environ"] or {} for p in psutil.process_iter(["environ"])}
        ours = {pid for pid, found in variables.items() if found.get("TABBENCH_DATA") == os.environ["TABBENCH_DATA"]}
        if ours <= known:
            return []
        time.sleep(0.1)
    return sorted(ours - known)
