"""A result folder that is shared, killed, damaged or full: each job is done once, and only what was hit is done again."""

import json
import os
import resource
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tabbench
import tabbench.errors
from tabbench.cli import main
from tabbench.store.claims import Claims
from tabbench.store.repair import repair_store
from tabbench.store.runs import ResultStore

COUNTED = """
import time
from sklearn.naive_bayes import GaussianNB

class Counted(GaussianNB):
    def fit(self, X, y):
        with open("{fits}", "a") as file:
            file.write("x")
        time.sleep(0.1)
        return super().fit(X, y)
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch, undrawn):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    (tmp_path / f"{tmp_path.name}.py").write_text(COUNTED.format(fits=tmp_path / "fits"))
    x = np.random.default_rng(0).normal(size=(60, 2))
    pd.DataFrame(x, columns=["a", "b"]).assign(y=np.arange(60) % 2).to_csv("t.csv", index=False)
    return tmp_path


OPTIONS = ["run", "--data", "t.csv", "--target", "y", "--folds", "6", "--workers", "1", "--quiet"]


def models(place):
    """The second writes down every fit; its module is named after the place, for one process imports a name once."""
    return ["dummy", f"{place.name}:Counted"]


def options(place, folder, names=()):
    return [*OPTIONS, "--models", ",".join(names or models(place)), "--out", folder]


def start(place, **more):
    command = [sys.executable, "-m", "tabbench", *options(place, "r")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def n_fits(place):
    return len((place / "fits").read_text()) if (place / "fits").exists() else 0


def board(folder):
    frame = pd.read_csv(f"{folder}/leaderboard.csv")
    return frame.drop(columns=[column for column in frame if "seconds" in column]).to_csv()


def test_claims_are_exclusive_and_end_with_their_process(tmp_path):
    key = "0123456789abcdef" * 2
    script = (
        "import sys; from tabbench.store.claims import *; "
        f"c = Claims(Path('.')); print(c.take('{key}'), flush=True); sys.stdin.read()"
    )
    with Claims(tmp_path) as claims:
        with claims.alone() as alone:
            assert alone
        other = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert other.stdout.readline() == "True\n"
        assert not claims.take(key)
        assert claims.take(key[::-1])
        with claims.alone() as alone:
            assert not alone
        other.kill()
        other.wait()
        assert claims.take(key)


def test_two_runners_share_the_work_and_a_killed_one_is_replaced(place):
    first, second = start(place), start(place)
    deadline = time.monotonic() + 600
    while n_fits(place) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    first.kill()
    _, err = second.communicate(timeout=600)
    assert second.returncode == 0, err
    assert 6 <= n_fits(place) <= 7  # the one in flight is done again
    assert main(["report", "r"]) == 0
    assert main(["verify", "r"]) == 0
    assert main(options(place, "calm")) == 0
    assert board("r") == board("calm")


def test_only_the_jobs_of_damaged_runs_are_done_again(place, capfd):
    run = {"data": "t.csv", "target": "y", "models": models(place), "folds": 6, "out": "r"}
    tabbench.run(**run, quiet=True)
    before = board("r")
    with ResultStore(place / "r/store.sqlite") as store:
        proba = next(run for _, job, run in store.runs() if job.model != "dummy").proba.tobytes()
    flip(place / "r/store.sqlite", proba[:32])
    [splits] = (place / "r/splits").iterdir()
    splits.write_bytes(splits.read_bytes()[:-40])
    tabbench.run(**run)
    said = capfd.readouterr().err
    assert f"the stored run of {place.name}:Counted on t, repeat 0, fold" in said
    assert "damaged split file" in said
    assert n_fits(place) == 7
    assert board("r") == before
    assert main(["verify", "r"]) == 0


def flip(path, there):
    content = bytearray(path.read_bytes())
    content[content.index(there) + 5] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.7, 0.9])
def test_a_store_with_a_page_of_garbage_keeps_every_run_that_can_be_read(tmp_path, share):
    from dataclasses import replace

    from tests.support.runs import JOB, LIMITS, OK

    path, n = tmp_path / "store.sqlite", 40
    with ResultStore(path) as store:
        for fold in range(n):
            store.add(replace(JOB, fold=fold), replace(OK, reason="long " * 100), LIMITS)
    content = bytearray(path.read_bytes())
    page = int(share * len(content)) // 4096 * 4096
    content[page : page + 4096] = bytes([170]) * 4096
    path.write_bytes(content)
    with Claims(tmp_path) as claims:
        [line, *_] = repair_store(path, claims)
    assert "again" in line
    with ResultStore(path) as store:
        kept = [job.fold for _, job, _ in store.runs()]
        assert store.damaged() == {}
        assert len(kept) >= (0 if share == 0 else n // 2)  # the head of the file takes all with it
        store.add(replace(JOB, fold=n), OK, LIMITS)


def test_a_full_disk_is_one_line_and_what_was_stored_is_kept(place):
    # a limit on the size of files stands for a disk that fills up
    runner = start(place, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)))
    _, err = runner.communicate(timeout=600)
    assert runner.returncode == 2
    assert err.startswith("tabbench: r/")
    assert err.count("\n") == 1
    assert main(options(place, "r")) == 0
    assert main(["verify", "r"]) == 0


@contextmanager
def read_only(folder):
    """The folder as on a medium that cannot be written to."""
    if os.geteuid():
        folder.chmod(0o555)
        yield
        folder.chmod(0o755)
        return
    binds = [["mount", "--bind", folder, folder], ["mount", "-o", "remount,bind,ro", folder]]  # root may write everywhere else
    if any(subprocess.run(bind, check=False, capture_output=True).returncode for bind in binds):
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_read_only_folder_is_one_line_and_its_results_are_read(place, capsys):
    assert main(options(place, "r", ["dummy"])) == 0
    (place / "r" / "store.lock").unlink()
    with read_only(place / "r"):
        capsys.readouterr()
        assert main(options(place, "r")) == 2
        err = capsys.readouterr().err
        assert "r: is not writable" in err
        assert err.count("\n") == 1
        for command in (["leaderboard"], ["status"], ["verify", "--level", "3"], ["pack", "--out", "r.zip"], ["diff", "r"]):
            assert main([*command[:1], "r", *command[1:]]) == 0
        assert "6 jobs are stored" in capsys.readouterr().out


def test_a_folder_goes_on_after_a_kill_before_its_first_word(place):
    (place / "r").mkdir()
    (place / "r" / "store.lock").touch()
    with subprocess.Popen(["true"]) as dead, subprocess.Popen(["cat"], stdin=subprocess.PIPE) as alive:
        dead.wait()
        for process in (dead, alive):
            (place / "r" / f".manifest.json.{process.pid}.tmp").write_text("{")
        assert main(options(place, "r", ["dummy"])) == 0
        assert [path.name for path in (place / "r").glob(".*.tmp")] == [f".manifest.json.{alive.pid}.tmp"]  # it may be writing


def test_what_made_a_folder_is_all_in_its_manifest(place):
    for names in (["dummy"], ["tree"], ["dummy"]):
        tabbench.run(data="t.csv", target="y", models=names, out="r", quiet=True)
    manifest = json.loads((place / "r" / "manifest.json").read_text())
    assert manifest["run"]["models"] == ["dummy"]
    assert [spec["models"] for spec in manifest["earlier"]] == [["tree"]]
    pd.read_csv("t.csv").head(50).to_csv("t.csv", index=False)
    with pytest.raises(tabbench.errors.UserError, match="another version of dataset 't'"):
        tabbench.run(data="t.csv", target="y", models=["dummy"], out="r", quiet=True)
