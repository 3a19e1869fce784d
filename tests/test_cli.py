"""The command line as a user types it: exit codes, one-line errors, light imports."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tabbench.data.sources
from tabbench.cli import commands, main


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
        (["suites", "starter"], "invalid choice: 'starter' (choose from"),
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


def test_every_command_shows_an_example_that_can_be_typed(capsys):
    parser = commands().parser
    todo, seen = [[]], []
    while todo:
        words = todo.pop()
        with pytest.raises(SystemExit):
            parser.parse_args([*words, "--help"])
        text = capsys.readouterr().out
        examples = re.findall(r"^ +(tabbench .+)$", text, re.M)
        assert examples, words
        for example in examples:
            assert parser.parse_args(shlex.split(example)[1:]).func
        todo += [[*words, name] for name in re.findall(r"^  ([a-z]+) .*\n {16}tabbench", text, re.M)]
        seen.append(" ".join(words))
    assert {"run", "suites show", "suites hardest", "mirror import", "pfn sample"} <= set(seen)


def test_help_lists_commands_by_what_they_are_for(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    titles = re.findall(r"^(\w+):$", capsys.readouterr().out, re.M)
    assert titles == ["options", "run", "read", "check", "move", "build"]


def test_lists_add_up_in_order_without_twins():
    def parse(*words):
        return commands().parser.parse_args(["run", "--suite", "starter", *words])

    assert parse("--models", "tree,knn", "--model", "mine:Class", "--models", "knn, pfn").models == [
        *("tree", "knn", "mine:Class", "pfn")
    ]
    assert parse().models is None
    assert parse("--train-sizes", "20,40", "--train-sizes", "30").train_sizes == [20, 40, 30]
    learn = commands().parser.parse_args(["plan", "--suite", "starter", "--learn", "a", "b", "--learn", "c"]).learn
    assert [str(folder) for folder in learn] == ["a", "b", "c"]
    assert parse().models is None, "a parser forgets what it was given"


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("tabbench lead", "leaderboard"),
        ("tabbench suites ha", "hardest"),
        ("tabbench run --suite start", "starter"),
        ("tabbench run --models tree,catb", "tree,catboost"),
        ("tabbench run --row-p", "--row-policy"),
    ],
)
def test_a_shell_completes_commands_options_suites_and_models(tmp_path, line, offered):
    pytest.importorskip("argcomplete")
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_SHELL": "zsh"}
    environment = {
        **os.environ,
        **asked,
        "_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "offered"),
        "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
    }
    subprocess.run([sys.executable, "-m", "tabbench"], env=environment, check=True, timeout=60)
    words = [word.partition(":")[0] for word in re.split(r"[\n\x0b\x0c]", (tmp_path / "offered").read_text())]
    assert offered in words


def test_tables_of_an_absent_package_are_one_line(capsys, monkeypatch):
    monkeypatch.setattr(tabbench.data.sources, "find_spec", lambda package: None)
    suite = "[[tasks]]\nname = '{}'\nsource = 'package'\npath = 'river/{}.csv'\n"
    write()
    own = "[[tasks]]\nname = 'own'\nsource = 'file'\npath = 't.csv'\ntarget = 'y'\n"
    Path("three.toml").write_text("title = 'Three'\n" + suite.format("p", "p") + suite.format("q", "q") + own)
    assert main(["run", "--suite", "three.toml", "--model", "dummy", "--quiet", "--workers", "1"]) == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("not run")]
    assert line == (
        "not run: p, q: the package 'river' that carries it is not installed: pip install 'tabbench-harness[starter]'"
    )
