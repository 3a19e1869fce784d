"""The command line as a user types it: exit codes, one-line errors, light imports."""

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tabbench.cli import main


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "cache"))


def write(name="t.csv", n=60, **columns):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n), "y": np.arange(n) % 2, **columns})
    frame.to_csv(name, index=False)


def test_importing_the_package_is_light():
    heavy = "torch openml xgboost lightgbm catboost sklearn pandas matplotlib".split()
    script = f"import sys, tabbench, tabbench.cli; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_one_line_from_a_csv_to_a_leaderboard(capsys):
    write()
    assert main(["run", "--data", "t.csv", "--target", "y", "--models", "dummy,tree", "--quiet", "--workers", "1"]) == 0
    out = capsys.readouterr().out
    assert "dummy" in out
    assert "report: results/t/report.html" in out
    assert main(["report", "results/t"]) == 0
    capsys.readouterr()
    for form in ("text", "csv", "md", "json"):
        assert main(["leaderboard", "results/t", "--metric", "log_loss", "--ties", "min", "--format", form]) == 0
        assert "tree" in capsys.readouterr().out
    assert main(["leaderboard", "results/t", "--metric", "luck"]) == 2
    assert "no metric 'luck'" in capsys.readouterr().err


def test_strict_turns_failed_jobs_into_exit_code_1(tmp_path):
    write()
    (tmp_path / "mine.py").write_text(
        "from sklearn.base import BaseEstimator, ClassifierMixin\n"
        "class Broken(ClassifierMixin, BaseEstimator):\n"
        "    def fit(self, X, y):\n        raise ValueError('no')\n"
        "    def predict(self, X):\n        return X\n"
    )
    call = ["run", "--data", "t.csv", "--target", "y", "--model", "mine:Broken", "--quiet"]
    assert main(call) == 0
    assert main([*call, "--strict"]) == 1


GOOD = ["run", "--data", "t.csv", "--target", "y", "--models", "dummy", "--quiet"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "--data", "none.csv", "--target", "y"], "none.csv: no such file"),
        (["run", "--data", "t.csv", "--target", "z"], "no column 'z'"),
        (["run", "--data", "t.csv"], "needs a target"),
        (["run", "--data", "empty.csv", "--target", "y"], "empty"),
        (["run", "--data", "latin.csv", "--target", "y"], "not UTF-8"),
        (["run", "--data", "twice.csv", "--target", "y"], "duplicate column names"),
        (["run", "--data", "one.csv", "--target", "y"], "1 class"),
        (["run", "--data", "real.csv", "--target", "y"], "regression"),
        (["run", "--suite", "startre"], "did you mean 'starter'"),
        (["run"], "one of the arguments --suite --data is required"),
        ([*GOOD, "--models", "catbost"], "did you mean 'catboost'"),
        ([*GOOD, "--models", "no_such_module:Class"], "no_such_module"),
        ([*GOOD, "--out", "foreign"], "not a tabbench result folder"),
        ([*GOOD, "--out", "t.csv"], "is a file"),
        ([*GOOD, "--folds", "1"], "folds must be at least 2"),
        ([*GOOD, "--folds", "two"], "invalid int value"),
        ([*GOOD, "--folds", "61"], "cannot make 61 folds"),
        ([*GOOD, "--workers", "0"], "must be positive"),
        ([*GOOD, "--workers", "2", "--scheduler", "tcp://127.0.0.1:1"], "--workers is for this machine"),
        ([*GOOD, "--time-limit", "0"], "must be positive"),
        ([*GOOD, "--max-rows", "0"], "max_rows"),
        ([*GOOD, "--max-rows", "20", "--row-policy", "randm"], "did you mean 'random'"),
        ([*GOOD, "--max-columns", "1", "--column-policy", "pcaa"], "did you mean 'pca'"),
        ([*GOOD, "--train-sizes", "20,many"], "--train-sizes"),
        (["report", "foreign"], "not a tabbench result folder"),
        (["suites", "show", "startre"], "did you mean 'starter'"),
        (["polish"], "invalid choice"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, capsys, arguments, says):
    write()
    write("one.csv", y="same")
    write("real.csv", y=np.linspace(0, 1, 60))
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "latin.csv").write_bytes("a,y\nÄ,1\n".encode("latin1"))
    (tmp_path / "twice.csv").write_text("a,a,y\n1,2,p\n3,4,q\n5,6,p\n7,8,q\n")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.tex").write_text("precious")
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.err.startswith("tabbench: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_lists(capsys):
    assert main(["models"]) == 0
    models = capsys.readouterr().out
    assert "catboost" in models
    assert "limits:" in models
    assert main(["suites"]) == 0
    assert "starter" in capsys.readouterr().out
    assert main(["suites", "show", "tabzilla-hard"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"poker-hand +openml:task/9890 +1,025,009 +10 +10 +no +rows\n", shown)
    assert "36 tables, 0 on this machine" in shown
