"""A small OpenML on loopback, as fixtures: a catalogue of tables, tasks and suites, and the server that has it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tabbench.data.openml import patience
from tabbench.data.suite import load_suite
from tests.support.openml_server import Catalogue, OpenMLServer, Table

N = 60
SUITE = 7


def mixed():
    """Every kind of column: numbers with gaps, labels with quotes and commas, labels that are numbers, text, ids."""
    rng = np.random.default_rng(0)
    labels = np.array(["plain", "with, comma", "it's", 'a "quote"', "ü"])
    frame = pd.DataFrame(
        {
            "row": np.arange(N, dtype=float),
            "a b": np.where(rng.random(N) < 0.2, np.nan, rng.normal(size=N)),
            "kind": pd.Categorical(np.where(rng.random(N) < 0.1, None, labels[rng.integers(0, 5, N)]), categories=labels),
            "code": pd.Categorical(rng.integers(1, 4, N).astype(str), categories=["1", "2", "3"]),
            "secret": rng.normal(size=N),
            "class": pd.Categorical(np.where(np.arange(N) % 3 == 0, "yes", "no"), categories=["no", "yes"]),
        }
    )
    return Table("mixed", frame, "class", row_id="row", ignore=("secret",))


def numbers(seed):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(N, 3)), columns=["x", "y", "z"])
    labels = pd.Categorical((np.arange(N) % 2 + 1).astype(str))
    return Table(f"numbers{seed}", frame.assign(target=labels), "target")


def folds(n_folds, n_repeats=1):
    rng = np.random.default_rng(n_folds)
    return np.stack([rng.permutation(np.arange(N) % n_folds) for _ in range(n_repeats)], axis=1)


@pytest.fixture
def catalogue():
    tables = {11: mixed(), 12: numbers(2), 13: numbers(3)}
    tasks = {1: (11, folds(10), 1), 2: (12, folds(5, 2), 1), 3: (13, folds(3), 1), 4: (12, folds(2), 1), 9: (12, folds(3), 2)}
    return Catalogue(tables, tasks, {SUITE: [1, 2, 3, 4], 8: [1, 3]})


@pytest.fixture
def server(catalogue, tmp_path, monkeypatch):
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(patience, "FIRST_WAIT", 0.01)
    with OpenMLServer(catalogue) as running:
        monkeypatch.setenv("OPENML_SERVER", running.url)
        yield running


def only(reference):
    [spec] = load_suite(reference).tasks
    return spec


def contents(folder):
    return {path: path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file() and path.name != "index.json"}
