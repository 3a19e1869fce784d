"""A stranger's check of a result folder: what is intact passes, and each planted change is caught by name."""

import json
import os
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

import tabbench
import tabbench.engine.execute
import tabbench.metrics
from tabbench.cli import main
from tabbench.data.split import load_splits, make_splits, save_splits
from tabbench.data.suite import load_spec, load_suite
from tabbench.folders.diff import compare_folders
from tabbench.folders.status import status
from tabbench.folders.verify import verify
from tabbench.job import Run
from tabbench.store.checksums import write_checksums
from tabbench.store.runs import ResultStore

SUITE = """
[[tasks]]
name = "one"
source = "file"
path = "one.csv"
target = "y"
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of two models on a suite of one table."""
    folder = tmp_path_factory.mktemp("made")
    os.environ["TABBENCH_DATA"] = str(folder / "data")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 3))
    y = np.where(x[:, 0] + rng.normal(size=90) > 0, "yes", "no")
    pd.DataFrame(x, columns=list("abc")).assign(y=y).to_csv(folder / "one.csv", index=False)
    (folder / "suite.toml").write_text(SUITE)
    models = ["logreg", "random_forest"]
    tabbench.run(str(folder / "suite.toml"), models=models, out=folder / "r", folds=2, quiet=True)
    yield folder
    del os.environ["TABBENCH_DATA"]


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    """A copy to spoil; its report is not drawn again, which takes seconds (the test of the intact folder draws it)."""
    page = (made / "r" / "report.html").read_text()
    monkeypatch.setattr("tabbench.report.page.render", lambda *_: page)
    shutil.copytree(made / "r", tmp_path / "r")
    return tmp_path / "r"


def change_manifest(folder, change):
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.slow
def test_an_intact_folder_passes_at_every_level_and_is_not_changed(made, capsys):
    folder = made / "r"
    before = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=True).stdout
    assert "store.sqlite: OK" in before
    assert main(["verify", str(folder), "--level", "3", "--sample", "3"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1].startswith("verdict: r is VERIFIED at level 3 by tabbench")
    assert "3 of 4 jobs (drawn with seed 0): 3 equal to the last bit" in out
    assert "leaderboard.csv, leaderboard.md, report.html, results.parquet" in out
    assert main(["verify", str(folder), "--level", "1"]) == 0
    assert main(["report", str(folder)]) == 0
    assert verify(folder, 1).problems == []


def flip_a_byte(folder):
    with ResultStore(folder / "store.sqlite") as store:
        proba = next(store.runs()).run.proba.tobytes()
    path = folder / "store.sqlite"
    content = bytearray(path.read_bytes())
    at = content.index(proba[:16]) + 3
    content[at] ^= 1
    path.write_bytes(content)


def edit_the_leaderboard(folder):
    path = folder / "leaderboard.csv"
    path.write_text(path.read_text().replace("logreg", "my_model"))


def swap_the_split(folder):
    [path] = (folder / "splits").iterdir()
    task = load_spec(load_suite(json.loads((folder / "manifest.json").read_text())["run"]["suite"]).tasks[0])
    save_splits(make_splits(task, 2, 1, seed=99), path)


def change_a_version(folder):
    change_manifest(folder, lambda manifest: manifest["environment"]["packages"].update({"scikit-learn": "0.1"}))


CHANGES = [
    (flip_a_byte, "does not match its hash"),
    (edit_the_leaderboard, "leaderboard.csv: not what the stored runs give"),
    (swap_the_split, "splits of one: not those that"),
    (change_a_version, "scikit-learn: the run used 0.1, here is"),
]


@pytest.mark.parametrize(("plant", "says"), CHANGES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_change_is_caught_and_named_even_if_the_hashes_are_made_to_fit(folder, capsys, plant, says):
    plant(folder)
    assert main(["verify", str(folder), "--level", "1"]) == 1
    assert "content has changed" in capsys.readouterr().out
    write_checksums(folder)
    assert main(["verify", str(folder)]) == 1
    out = capsys.readouterr().out
    assert says in out
    assert "NOT VERIFIED at level 2" in out


def test_a_changed_dataset_is_caught(made, folder, tmp_path, monkeypatch):
    content = (made / "one.csv").read_text()
    (tmp_path / "one.csv").write_text(content.replace("yes", "no", 1))
    (tmp_path / "suite.toml").write_text(SUITE)
    change_manifest(folder, lambda manifest: manifest["run"].update(suite=str(tmp_path / "suite.toml")))
    write_checksums(folder)
    changed, *others = verify(folder, 2).problems
    assert "dataset one: changed: its digest is" in changed
    assert {problem.split(":")[0] for problem in others} == {"ro-crate-metadata.json", "croissant.json"}
    # they name the suite; the numbers are checked on the prepared table
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "nowhere"))
    (tmp_path / "one.csv").unlink()
    problems = verify(folder, 2).problems
    assert "dataset one: not to be had here" in problems[0]
    assert "4 runs are not checked, for want of their dataset or split" in problems


def forge(folder, column, value):
    """Write a run anew, with a hash that fits."""
    with ResultStore(folder / "store.sqlite") as store:
        _, job, run = next(store.runs())
        facts = {**run.facts, column: value}
        new = Run("ok", facts=facts, proba=run.proba)
        store.add(job, new, {"seconds": 600.0, "memory_mb": 0.0})


def test_a_better_score_than_the_predictions_give_is_caught(folder):
    forge(folder, "accuracy", 1.0)
    write_checksums(folder)
    problems = verify(folder, 2).problems
    assert any("accuracy is stored as 1.0, its predictions give" in problem for problem in problems)


def test_a_run_that_was_left_out_is_caught(folder):
    with ResultStore(folder / "store.sqlite") as store:
        store.remove([next(store.runs()).key])
    main(["report", str(folder)])
    write_checksums(folder)
    [problem] = verify(folder, 2).problems
    assert problem.startswith("not stored: ")


def test_predictions_that_a_refit_does_not_give_are_caught(folder, made):
    with ResultStore(folder / "store.sqlite") as store:
        _, job, run = next(store.runs())
        proba = np.roll(run.proba, 1, axis=0)
        [path] = (folder / "splits").iterdir()
        split = {(s.repeat, s.fold): s for s in load_splits(path, 10**6)}[job.repeat, job.fold]
        task = load_spec(load_suite(str(made / "suite.toml")).tasks[0])
        facts = {**run.facts, **tabbench.metrics.compute_metrics(task.y[split.test], proba)}
        store.add(job, Run("ok", facts=facts, proba=proba), {"seconds": 600.0, "memory_mb": 0.0})
    main(["report", str(folder)])
    write_checksums(folder)
    assert verify(folder, 2).problems == []
    [problem] = verify(folder, 3, sample=4).problems
    assert "probabilities differ by up to" in problem


def test_models_that_a_foreign_manifest_names_are_not_run(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trap.py").write_text("open('sprung', 'w')")
    change_manifest(folder, lambda manifest: manifest["run"].update(models=["trap:Trap"]))
    verify(folder, 2)
    status(folder)
    compare_folders(folder, folder)
    assert not (tmp_path / "sprung").exists()


def test_lost_and_added_files_are_caught(folder):
    (folder / "report.html").unlink()
    (folder / "note.txt").write_text("mine")
    assert verify(folder, 1).problems == ["note.txt: not listed in SHA256SUMS", "report.html: missing"]
    (folder / "SHA256SUMS").unlink()
    assert "the run is not finished" in verify(folder, 1).problems[0]


def test_diff(folder, made, tmp_path, capsys):
    assert main(["diff", str(folder), str(made / "r")]) == 0
    assert "no difference" in capsys.readouterr().out
    change_a_version(folder)
    forge(folder, "accuracy", 1.0)
    assert main(["diff", str(folder), str(made / "r")]) == 1
    out = capsys.readouterr().out
    assert "software  scikit-learn: 0.1 |" in out
    assert "numbers   accuracy: 1 of 4 runs differ" in out
    tabbench.run(str(made / "suite.toml"), models=["dummy"], out=tmp_path / "s", folds=3, seed=1, quiet=True)
    main(["diff", str(folder), str(tmp_path / "s")])
    out = capsys.readouterr().out
    for line in ("request   seed: 0 | 1", "request   folds: 2 | 3", "splits    one:", "runs      3 only in the second: dummy"):
        assert line in out


def test_a_folder_of_a_newer_format_or_none_is_one_line(folder, tmp_path, capsys):
    assert main(["verify", str(tmp_path)]) == 2
    assert "not a tabbench result folder" in capsys.readouterr().err
    change_manifest(folder, lambda manifest: manifest.update(format=99))
    assert main(["diff", str(folder), str(folder)]) == 2
    assert "newer tabbench" in capsys.readouterr().err
