"""Search spaces, protocols, and what replay makes of stored trials."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tabbench import api
from tabbench.cli import main
from tabbench.errors import UserError
from tabbench.metrics import METRICS, compute_metrics
from tabbench.models import MODELS, load_models
from tabbench.protocols import PROTOCOLS, TABZILLA_MODELS, inner_parts
from tabbench.replay import Budget, affordable, best, greedy, parse_seconds
from tabbench.runner import Resources
from tabbench.space import Choice, Range, configurations
from tabbench.split import make_splits
from tabbench.store import ResultStore
from tabbench.task import load_task, make_task
from tabbench.verify import verify

UNITTEST_DATASETS = Path(__file__).parents[2] / "shared" / "golden" / "tabzilla" / "unittest_datasets"
SPACE = {"a": Range(1e-3, 10, log=True), "b": Range(2, 5, whole=True), "c": Choice(("p", "q"))}


def test_configurations_begin_with_the_default_and_with_each_other():
    few, many = (configurations("m", {"d": 1}, SPACE, n, seed=0) for n in (4, 30))
    assert few == many[:4]
    assert few[0] == {"d": 1}
    assert all(config["d"] == 1 and len(config) == 4 for config in many[1:])
    assert many[1:] != configurations("m", {"d": 1}, SPACE, 30, seed=1)[1:]
    assert many[1:] != configurations("other", {"d": 1}, SPACE, 30, seed=0)[1:]
    assert configurations("m", {}, {}, 30, seed=0) == [{}]


def test_draws_fill_their_ranges():
    draws = pd.DataFrame(configurations("m", {}, SPACE, 2001, seed=0)[1:])
    assert draws["a"].between(1e-3, 10).all()
    assert np.median(np.log10(draws["a"])) == pytest.approx(-1, abs=0.15)
    assert draws["b"].value_counts(normalize=True).sort_index().to_dict() == pytest.approx(
        dict.fromkeys(range(2, 6), 0.25), abs=0.04
    )
    assert set(draws["c"]) == {"p", "q"}


def test_spaces_name_parameters_of_their_models():
    load_models()
    for model in MODELS.values():
        assert model.space.keys() <= model.defaults.keys(), model.name
    for name, (default, space) in TABZILLA_MODELS.items():
        assert default.keys() | space.keys() <= MODELS[name].defaults.keys(), name


@pytest.mark.parametrize("n", [300, 5000])
def test_inner_parts_of_tabbench_are_stratified_and_leave_the_test_rows_alone(n):
    rng = np.random.default_rng(0)
    task = make_task(
        pd.DataFrame({"a": rng.normal(size=n), "y": rng.choice(["p", "q", "r"], n, p=[0.7, 0.2, 0.1])}), "y", name="t"
    )
    [split, *_] = make_splits(task, 3, 1, seed=0)
    parts = inner_parts("tabbench", task, split, seed=0)
    assert len(parts) == (5 if n == 300 else 1)
    for train, held_out in parts:
        assert sorted([*train, *held_out]) == split.train.tolist()
        shares = [np.bincount(task.y[rows]) / len(rows) for rows in (held_out, split.train)]
        np.testing.assert_allclose(*shares, atol=0.02)
    held_out = np.concatenate([rows for _, rows in parts])
    assert len(set(held_out)) == len(held_out)
    assert len(held_out) == pytest.approx(len(split.train) / (1 if n == 300 else 5), abs=3)


@pytest.mark.parametrize(
    "name", ["analcatdata_dmft__3560", "collins__3567", "credit-approval__29", "dermatology__35", "sonar__39"]
)
def test_our_split_arithmetic_is_that_of_tabzilla(name):
    path = UNITTEST_DATASETS / f"openml__{name}.npz"
    if not path.exists():
        pytest.skip("TabZilla's own test datasets are not beside this checkout")
    with np.load(path) as stored:
        fold_of = stored["test_fold"].astype(int)
        frame = pd.DataFrame({"x": np.arange(len(fold_of)), "y": stored["y"], "fold": fold_of})
    task = make_task(frame, "y", name=name, test_fold="fold")
    splits = {(split.repeat, split.fold): split for split in make_splits(task, None, 1, seed=0)}
    assert len(splits) == 10
    for (_, k), split in splits.items():
        [(train, validation)] = inner_parts("tabzilla", task, split, seed=0)
        following = (k + 1) % 10
        assert split.test.tolist() == np.flatnonzero(fold_of == k).tolist()
        assert validation.tolist() == np.flatnonzero(fold_of == following).tolist()
        assert train.tolist() == np.flatnonzero((fold_of != k) & (fold_of != following)).tolist()


def test_choices_are_functions_of_the_trials():
    trials = [{"seconds": 2.0, "val_log_loss": value, "val_accuracy": 1 - value} for value in (0.5, 0.2, np.nan, 0.2)]
    assert best(trials, "log_loss") is best(trials, "accuracy") is trials[1]
    assert best(trials[2:3], "log_loss") is None
    limit = float("inf")
    assert [len(affordable(trials, Budget(seconds), limit)) for seconds in (1, 4, 5, 100)] == [1, 2, 2, 4]
    assert len(affordable(trials, Budget(5, 1), limit)) == 1
    assert len(affordable(trials, Budget(None, None), 6.0)) == 3


def test_greedy_selection_joins_what_complements():
    y = np.array([0, 0, 1, 1])
    left, right, bad = (
        np.array([[p, 1 - p] for p in row]) for row in ([0.9, 0.4, 0.4, 0.1], [0.4, 0.9, 0.1, 0.4], [0.1, 0.1, 0.9, 0.9])
    )
    assert set(greedy([left, right, bad], y)) == {0, 1}
    assert greedy([bad, left], y) == [1]


@pytest.mark.parametrize(("text", "seconds"), [("60", 60), ("60s", 60), ("1.5m", 90), ("2h", 7200)])
def test_budgets(text, seconds):
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "fast", "-1s", "0", "inf"])
def test_bad_budgets(text):
    with pytest.raises(UserError, match="write seconds, minutes or hours"):
        parse_seconds(text)


SUITE = """title = "two"
[[tasks]]
name = "one"
source = "file"
path = "one.csv"
target = "y"
test_fold = "fold"
[[tasks]]
name = "two"
source = "file"
path = "two.csv"
target = "y"
test_fold = "fold"
"""


def table(seed, n=60):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    y = np.where(X[:, 0] + 0.5 * rng.normal(size=n) > 0, "p", "q")
    return pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": y, "fold": np.arange(n) % 3})


@pytest.fixture
def suite(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "cache"))
    for seed, name in enumerate(("one", "two")):
        table(seed).to_csv(f"{name}.csv", index=False)
    Path("two.toml").write_text(SUITE)
    return "two.toml"


def trials_of(folder):
    with ResultStore(Path(folder) / "store.sqlite") as store:
        stored = [(trial, store.stored(trial["key"])) for trial in store.trials()]
    return [(trial, run.trial.proba, run.trial.y_val, run.trial.y_test, run.proba) for trial, run in stored]


@pytest.mark.parametrize("protocol", list(PROTOCOLS))
def test_a_tuned_run_is_what_replay_says_and_repeats_itself(suite, protocol, capsys):
    arguments = {"models": ["tree"], "protocol": protocol, "configs": 3, "resources": Resources(2), "quiet": True}
    results = api.run(suite, out="r", **arguments)
    frame = results.frame
    assert set(frame["model"]) == {"tree (default)", "tree (tuned)", "tree (tuned + ensembled)"}
    assert set(frame["status"]) == {"ok"}
    assert len(frame) == 3 * 2 * 3

    stored = trials_of("r")
    configs = {task: {trial["config"] for trial, *_ in stored if trial["task"] == task} for task in ("one", "two")}
    assert configs["one"] == configs["two"]
    assert len(configs["one"]) == 3
    tasks = {trial["task_digest"]: load_task(Path("cache/tasks") / f"{trial['task_digest']}.parquet") for trial, *_ in stored}
    for trial, validation, y_val, y_test, proba in stored:
        assert trial["val_log_loss"] == compute_metrics(y_val, validation)["log_loss"]
        assert trial["log_loss"] == compute_metrics(y_test, proba)["log_loss"]
        assert sorted(y_test) == sorted(tasks[trial["task_digest"]].y[np.arange(60) % 3 == trial["fold"]])
        assert len(y_val) == (20 if protocol == "tabzilla" else 40)
        assert trial["n_train"] == (20 if protocol == "tabzilla" else 40)

    assert main(["replay", "r", "--format", "csv"]) == 0
    assert capsys.readouterr().out == Path("r/leaderboard.csv").read_text()
    assert main(["replay", "r", "--configs", "1", "--ensemble", "none", "--format", "json"]) == 0
    default, tuned = json.loads(capsys.readouterr().out)
    assert default["mean_score"] == tuned["mean_score"]

    if protocol == "tabbench":
        assert verify(Path("r"), level=2).problems == []
        return
    again = api.run(suite, out="again", **arguments)
    bits = [
        {trial["key"]: (proba.tobytes(), validation.tobytes()) for trial, validation, _, _, proba in trials_of(folder)}
        for folder in ("r", "again")
    ]
    assert bits[0] == bits[1]
    metrics = ["task", "fold", "model", *METRICS]
    pd.testing.assert_frame_equal(again.frame[metrics], frame[metrics])


def test_what_does_not_fit_a_protocol_is_one_line(suite, capsys):
    run = ["run", "--suite", suite, "--models", "tree", "--quiet"]
    for arguments, says in (
        (["--protocol", "tabzila"], "no protocol 'tabzila': known: tabbench, tabzilla"),
        (["--protocol", "tabzilla", "--folds", "3"], "takes every fold"),
        (["--configs", "0"], "configs must be at least 1"),
    ):
        assert main([*run, *arguments]) == 2
        captured = capsys.readouterr()
        assert says in captured.err
        assert captured.err.count("\n") == 1
