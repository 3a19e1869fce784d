"""The README's recipes, run as they are written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tabbench.cli import commands

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.S)


def block(language: str, containing: str) -> str:
    [found] = [text for kind, text in BLOCKS if kind == language and containing in text]
    return found


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"zip": rng.integers(0, 4, 60), "a": rng.normal(size=60)})
    frame.assign(y=np.where(frame["a"] + rng.normal(size=60) > 0, "yes", "no")).to_csv("my.csv", index=False)
    return tmp_path


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True).stdout


def tabbench(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "tabbench", *arguments], capture_output=True, text=True, timeout=600, check=True
    ).stdout


def test_recipes_are_short():
    recipes = [text for kind, text in BLOCKS if kind == "toml" or "# mine.py" in text or "# tabbench/" in text]
    assert len(recipes) == 4
    for text in recipes:
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        assert len(lines) <= 10


def test_python_use(folder):
    code = block("python", "tabbench.run").replace("results.frame ", "print(len(results.frame))")
    assert python(code).strip().endswith("6")
    assert (folder / "results" / "mine" / "report.html").exists()


def test_a_model_of_ones_own(folder):
    (folder / "mine.py").write_text(block("python", "# mine.py"))
    assert "mine:Shrunk" in README
    out = tabbench("run", "--data", "my.csv", "--target", "y", "--model", "mine:Shrunk", "--quiet", "--strict")
    assert "mine:Shrunk" in out


def test_requirements_of_ones_own_model(folder):
    (folder / "mine.py").write_text(block("python", "# mine.py"))
    (folder / "test_mine.py").write_text(block("python", "# test_mine.py"))
    assert re.search(r"mine:Shrunk meets (\d+) of \1 requirements", tabbench("check", "mine:Shrunk"))
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]
    done = subprocess.run(
        pytest_, cwd=folder, env={**os.environ, "PYTHONPATH": f"{ROOT}:{folder}"}, capture_output=True, text=True
    )
    assert "12 passed" in done.stdout


def test_a_listed_model():
    code = (
        "from sklearn.base import ClassifierMixin\nfrom tabbench.models import Limits, Needs, get_model, model\n"
        + block("python", "# tabbench/models/")
        + "\nprint(get_model('shrunk').build(seed=0, threads=1).fit([[0], [1], [0], [3]], [0, 1, 0, 1]))"
    )
    assert "LinearDiscriminantAnalysis" in python(code)


def test_a_suite_of_ones_own(folder):
    (folder / "my_suite.toml").write_text(block("toml", "# my_suite.toml"))
    out = tabbench("run", "--suite", "my_suite.toml", "--models", "dummy,tree", "--quiet", "--strict")
    assert "report: results/my_suite/report.html" in out


def test_a_metric():
    code = (
        "import numpy as np\nfrom tabbench.metrics import metric, compute_metrics\n"
        + block("python", "# tabbench/metrics.py")
        + "\nprint(compute_metrics(np.array([0, 2]), np.array([[.2, .5, .3], [.1, .2, .7]]))['top2_accuracy'])"
    )
    assert python(code).strip() == "0.5"


def test_commands_in_the_table_exist(capsys):
    parser = commands().parser
    for command in re.findall(r"^\| `tabbench (\w+)", README, re.M):
        with pytest.raises(SystemExit):
            parser.parse_args([command, "--help"])
        assert f"usage: tabbench {command}" in capsys.readouterr().out
