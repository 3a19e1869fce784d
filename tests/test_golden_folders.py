"""Result folders of version 0.1.0, written before the package was laid out anew, stay resumable, verifiable and equal."""

import shutil
import sqlite3
from pathlib import Path

import pandas as pd
import pytest

from tabbench.cli import main

GOLDEN = Path(__file__).parent / "golden"
TWO = """
title = "One table"
[[tasks]]
name = "penguins"
title = "Palmer penguins"
source = "sklearn_openml"
path = "42585"
target = "species"
na = ["_"]
openml_id = 42585
licence = "CC0 (palmerpenguins)"
"""
COMMANDS = {
    "plain": ["--suite", "smoke", "--models", "dummy,tree,knn,random_forest"],
    "tuned": ["--suite", "two.toml", "--models", "tree,knn", "--configs", "3"],
}


@pytest.fixture(params=COMMANDS)
def folder(request, tmp_path, monkeypatch):
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    Path("two.toml").write_text(TWO, encoding="utf-8")
    assert main(["unpack", str(GOLDEN / f"{request.param}.zip"), "--out", request.param]) == 0
    return Path(request.param)


def stored(folder):
    with sqlite3.connect(folder / "store.sqlite") as store:
        return sorted(store.execute("SELECT * FROM runs").fetchall())


def derived(folder):
    """The tables but for what has been added or is computed otherwise since: intervals, and datasets that were not run."""
    board = pd.read_csv(folder / "leaderboard.csv")
    board = board.loc[:, [name for name in board if not name.endswith(("_low", "_high")) and name != "n_not_run"]]
    return [board.to_csv(), pd.read_parquet(folder / "results.parquet").to_csv()]


def run_again(folder):
    return main(["run", *COMMANDS[folder.name], "--folds", "2", "--out", str(folder), "--quiet"])


def test_the_same_command_has_nothing_to_do(folder):
    before, tables = stored(folder), derived(folder)
    assert run_again(folder) == 0
    assert stored(folder) == before
    assert derived(folder) == tables


def test_it_is_verified_with_refits_and_reported_with_equal_tables(folder):
    assert run_again(folder) == 0  # the tables that refits need are now on this machine
    assert main(["verify", str(folder), "--level", "3"]) == 0
    tables = derived(folder)
    for name in ("leaderboard.csv", "results.parquet"):
        (folder / name).unlink()
    assert main(["report", str(folder)]) == 0
    assert derived(folder) == tables


def test_it_merges_and_packs(folder):
    other = shutil.copytree(folder, "other")
    assert main(["merge", str(folder), str(other), "--out", "all"]) == 0
    assert stored(Path("all")) == stored(folder)
    assert main(["pack", "all"]) == 0
    assert main(["unpack", "all.zip", "--out", "opened"]) == 0
    assert stored(Path("opened")) == stored(folder)
