"""Search spaces, protocols, and what replay makes of stored trials."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tabbench import api
from tabbench.cli import main
from tabbench.data.split import make_splits
from tabbench.data.task import load_task, make_task
from tabbench.engine.execute import build_estimator, execute
from tabbench.errors import UserError
from tabbench.folders.merge import merge
from tabbench.folders.rerun import rerun
from tabbench.folders.verify import verify
from tabbench.job import Job
from tabbench.metrics import METRICS, compute_metrics
from tabbench.models import MODELS, load_models
from tabbench.models.space import Choice, Range, configurations
from tabbench.resources import Resources
from tabbench.store.runs import ResultStore
from tabbench.tuning.protocols import PROTOCOLS, TABZILLA_MODELS, inner_parts, stopping_parts
from tabbench.tuning.replay import Budget, affordable, best, greedy, parse_seconds

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
        stored = [(trial, store.stored(trial["key"]).run) for trial in store.trials()]
    return [(trial, run.validation.proba, run.validation.y_val, run.validation.y_test, run.proba) for trial, run in stored]


@pytest.mark.usefixtures("undrawn")
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
    assert bits("again") == bits("r")
    pd.testing.assert_frame_equal(scores(again), scores(results))


def bits(folder):
    return {
        trial["key"]: (trial["trial"], trial["rung"], proba.tobytes(), validation.tobytes())
        for trial, validation, _, _, proba in trials_of(folder)
    }


def scores(results):
    return results.frame[["task", "fold", "model", "config", "status", *METRICS]]


@pytest.mark.parametrize(
    ("search", "model"), [("tpe", "tree"), ("pfn", "tree"), pytest.param("halving", "lightgbm", marks=pytest.mark.slow)]
)
@pytest.mark.usefixtures("suite", "undrawn")
def test_a_search_is_reproduced_resumed_repeated_and_merged(search, model, monkeypatch, capsys):
    monkeypatch.setattr("tabbench.tuning.search.N_RANDOM", 3)
    table = {"data": "one.csv", "target": "y", "folds": 2}
    arguments = {**table, "models": [model], "configs": 7, "search": search, "quiet": True}
    whole = api.run(out="r", resources=Resources(2), **arguments)
    assert set(whole.frame["status"]) == {"ok"}
    assert set(whole.frame["model"]) == {f"{model} ({kind})" for kind in ("default", "tuned", "tuned + ensembled")}
    if search == "halving":  # 6 get a ninth, 2 a third, 1 all
        assert set(whole.jobs.groupby("fold")["pruned"].sum()) == {5}
        assert whole.jobs.loc[whole.jobs["pruned"], "val_log_loss"].notna().all()
        assert (whole.jobs.groupby("rung").size() / 2).tolist() == [7, 2, 1]
    else:
        assert not whole.jobs["pruned"].any()
        drawn = whole.jobs["trial"] <= 3
        first, last = (whole.jobs[part].groupby("fold")["config"].agg(set) for part in (drawn, ~drawn))
        assert first[0] == first[1]
        assert last[0] != last[1]  # they were asked for by what each fold showed
    assert verify(Path("r"), level=2).problems == []
    assert main(["replay", "r", "--format", "csv"]) == 0
    assert capsys.readouterr().out == Path("r/leaderboard.csv").read_text()
    assert main(["status", "r"]) == 0
    assert f"{len(whole.jobs)} jobs are stored ({len(whole.jobs)} ok), 0 are to do\n" in capsys.readouterr().out

    shutil.copytree("r", "cut")
    with ResultStore(Path("cut/store.sqlite")) as store:
        store.remove(sorted(bits("r"))[::3])
    api.run(out="cut", resources=Resources(1), **arguments)
    for shard in ("1/2", "2/2"):
        api.run(out=f"shard{shard[0]}", resources=Resources(2), shard=shard, **arguments)
    merge([Path("shard1"), Path("shard2")], Path("merged"))
    rerun(Path("r"), Path("again"), quiet=True)
    for folder in ("cut", "merged", "again"):
        assert bits(folder) == bits("r"), folder
        pd.testing.assert_frame_equal(scores(api.open_results(folder)), scores(whole))
    assert verify(Path("merged"), level=2).problems == []
    for folder in ("shard1", "shard2"):  # trials of a model on a fold stay together
        frame = api.open_results(folder).frame
        assert len(scores(api.open_results(folder)).merge(scores(whole))) == len(frame)
        assert len(frame) % 3 == 0

    other = ["run", "--data", "one.csv", "--target", "y", "--folds", "2", "--models", model, "--configs", "7", "--out", "r"]
    assert main(other) == 2
    assert f"holds a run with search={search}, not None" in capsys.readouterr().err
    with pytest.raises(UserError, match=f"search {search} has gone on from its failures"):
        api.run(out="r", retry_failed=True, resources=Resources(2), **arguments)


@pytest.mark.usefixtures("undrawn")
def test_the_default_row_is_the_default_configuration_or_none(suite):
    arguments = {"models": ["tree"], "configs": 3, "resources": Resources(2), "quiet": True}
    whole = api.run(suite, out="r", **arguments)
    defaults = whole.frame[whole.frame["model"] == "tree (default)"]
    assert set(defaults["config"]) == {"{}"}
    with ResultStore(Path("r/store.sqlite")) as store:
        store.remove([defaults["key"].iloc[0]])
    partly = api.Results(Path("r")).frame
    assert partly["model"].value_counts().to_dict() == {"tree (default)": 5, "tree (tuned)": 6, "tree (tuned + ensembled)": 6}
    assert set(partly.loc[partly["model"] == "tree (default)", "config"]) == {"{}"}
    pd.testing.assert_frame_equal(scores(api.run(suite, out="r", **arguments)), scores(whole))


def test_report_and_tables_name_the_three_rows(suite):
    api.run(suite, models=["tree", "dummy"], configs=3, out="r", resources=Resources(2), quiet=True)
    names = {"dummy (default)", "tree (default)", "tree (tuned)", "tree (tuned + ensembled)"}
    assert set(pd.read_csv("r/leaderboard.csv")["model"]) == names
    assert set(pd.read_parquet("r/results.parquet")["model"]) == names
    page, markdown = Path("r/report.html").read_text(), Path("r/leaderboard.md").read_text()
    assert all(name in page and f"| {name} |" in markdown for name in names)
    assert "Tuned under protocol tabbench, 3 configurations of a model on a fold by random search" in page
    trials = pd.read_parquet("r/trials.parquet")
    assert trials.groupby(["task", "fold", "model"]).size().unique().tolist() == [1, 3]


STEPS = {"xgboost": "n_estimators", "lightgbm": "n_estimators", "catboost": "iterations", "mlp": "max_epochs"}


def test_models_in_steps_name_their_parameter():
    load_models()
    found = {model.name: model.steps.parameter for model in MODELS.values() if model.steps}
    assert {**STEPS, "hist_gbdt": "max_iter"}.items() <= found.items()
    assert {name for name, parameter in found.items() if parameter == "max_epochs"} >= {"resnet", "tabm"}
    assert all(parameter in MODELS[name].defaults for name, parameter in found.items())


@pytest.mark.parametrize("name", list(STEPS))
def test_tabzilla_stops_by_the_validation_rows(name):
    """Training rows say one thing, validation rows the opposite: every step makes it worse, so few are taken."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    y = (X[:, 0] > 0).astype(int)
    y[200:] = 1 - y[200:]
    fold = np.repeat([2, 0, 1], 100)
    task = make_task(pd.DataFrame(X, columns=list("abc")).assign(y=y, fold=fold), "y", name="t", test_fold="fold")
    [split] = [split for split in make_splits(task, None, 1, seed=0) if split.fold == 0]
    config = {STEPS[name]: 200, "learning_rate": 1e-3 if name == "mlp" else 0.03}
    job = Job(task.name, task.digest, 0, 0, split.digest, name, json.dumps(config), protocol="tabzilla")
    estimator = build_estimator(job, MODELS[name], (task.X.iloc[split.next_test], task.y[split.next_test]))
    [(train, _)] = inner_parts("tabzilla", task, split, 0)
    stopped = estimator.fit(task.X.iloc[train], task.y[train]).predict_proba(task.X.iloc[train])
    whole = build_estimator(replace(job, protocol="tabbench"), MODELS[name])
    fitted = whole.fit(task.X.iloc[train], task.y[train]).predict_proba(task.X.iloc[train])
    losses = [compute_metrics(task.y[train], proba)["log_loss"] for proba in (stopped, fitted)]
    assert losses[0] > losses[1] + 0.05
    run = execute(job, task, split)
    assert run.status == "ok", run.details
    expected = estimator.predict_proba(task.X.iloc[split.test])
    np.testing.assert_allclose(run.proba, expected, atol=1e-6)


def test_validation_rows_of_unknown_classes_stop_nothing():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(90, 2)), columns=["a", "b"])
    y = np.array(["p", "q"] * 30 + ["r"] * 30)
    task = make_task(X.assign(y=y, fold=np.repeat([2, 0, 1], 30)), "y", name="t", test_fold="fold")
    [split] = [split for split in make_splits(task, None, 1, seed=0) if split.fold == 0]
    for name in STEPS:
        run = execute(Job(task.name, task.digest, 0, 0, split.digest, name, protocol="tabzilla"), task, split)
        assert run.status == "ok", run.details
        assert run.proba.shape == (30, 3)


def test_what_does_not_fit_a_protocol_is_one_line(suite, capsys):
    run = ["run", "--suite", suite, "--models", "tree", "--quiet"]
    for arguments, says in (
        (["--protocol", "tabzila"], "no protocol 'tabzila': did you mean 'tabzilla'?"),
        (["--protocol", "tabzilla", "--folds", "3"], "takes every fold"),
        (["--configs", "0"], "configs must be at least 1"),
    ):
        assert main([*run, *arguments]) == 2
        captured = capsys.readouterr()
        assert says in captured.err
        assert captured.err.count("\n") == 1


def leaking(rng, n_groups=60, size=5):
    """Rows of one group have one label and nearly one place, which says nothing of other groups; `a` says a little of all."""
    label = np.arange(n_groups) % 2
    place = rng.normal(size=(n_groups, 8))
    who = np.repeat(np.arange(n_groups), size)
    frame = pd.DataFrame(place[who] + rng.normal(size=(len(who), 8)) * 0.01, columns=list("bcdefghi"))
    return frame.assign(a=label[who] + rng.normal(size=len(who)), who=who, when=who, y=label[who])


@pytest.mark.parametrize("steering", [{"groups": "who"}, {"time": "when"}], ids=["groups", "time"])
def test_the_inner_validation_does_not_reward_a_planted_leak(steering):
    """The nearest row knows the answer if it may be of the same group (or moment); only a wrong inner split rewards that."""
    rng = np.random.default_rng(0)
    frame = leaking(rng)
    honest = make_task(frame.drop(columns="when" if "groups" in steering else "who"), "y", name="t", **steering)
    wrong = replace(honest, groups=None, time=None)
    split = make_splits(honest, 3, None, seed=0)[-1]

    def loss(task, config):
        job = Job("t", honest.digest, 0, split.fold, split.digest, "knn", json.dumps(config), protocol="tabbench")
        run = execute(job, task, split)
        assert run.status == "ok", run.reason
        return run.facts["val_log_loss"], run.facts["log_loss"]

    nearest, wide = {"n_neighbors": 2}, {"n_neighbors": 60}
    assert loss(wrong, nearest)[0] < loss(wrong, wide)[0]  # the leak is rewarded …
    assert loss(honest, nearest)[0] > loss(honest, wide)[0]  # … not here,
    assert loss(honest, nearest)[1] > loss(honest, wide)[1]  # and rightly so: it fails on the test rows


@pytest.mark.parametrize("steering", [{}, {"groups": "who"}, {"time": "when", "gap": 3}], ids=["rows", "groups", "time"])
def test_inner_parts_keep_what_the_splits_keep_and_a_child_makes_the_same(tmp_path, steering):
    from tabbench.data.task import save_task
    from tabbench.engine.assignment import _read, _work, assign

    frame = leaking(np.random.default_rng(1)).drop(columns={"who", "when"} - set(steering.values()))
    task = make_task(frame, "y", name="t", **steering)
    split = make_splits(task, 3, None, seed=0)[-1]
    job = Job("t", task.digest, 0, split.fold, split.digest, "tree", protocol="tabbench")
    parts = inner_parts("tabbench", task, split, job.inner_seed)
    assert len(parts) == (1 if task.time is not None else 5)
    for train, held_out in parts:
        assert np.isin(np.r_[train, held_out], split.train).all()
        assert not np.isin(train, held_out).any()
        assert task.groups is None or not np.isin(task.groups[train], task.groups[held_out]).any()
        assert task.time is None or task.time[train].max() + 3 <= task.time[held_out].min()
    answer = _work(assign(job, task, split), str(save_task(task, tmp_path)))
    run = execute(job, task, split)
    assert np.array_equal(_read(answer, job, task, split).validation.proba, run.validation.proba)


@pytest.mark.parametrize("steering", [{"groups": "who"}, {"time": "when", "gap": 3}], ids=["groups", "time"])
def test_rows_that_stop_a_fit_are_of_other_groups_or_later(steering):
    frame = leaking(np.random.default_rng(1)).drop(columns={"who", "when"} - set(steering.values()))
    frame.loc[frame.index[-2:], "y"] = 2  # a class of one group, the latest
    task = make_task(frame, "y", name="t", **steering)
    rows = np.arange(len(task.y))
    fit, stop = stopping_parts(task, rows, seed=0)
    rare = task.y[fit] == 2
    assert rare.sum() == 2
    assert set(task.y[fit]) == {0, 1, 2}
    assert set(task.y[stop]) == {0, 1}
    assert len(stop) > len(rows) / 8
    kept = fit[~rare]
    assert task.groups is None or not np.isin(task.groups[kept], task.groups[stop]).any()
    assert task.time is None or task.time[kept].max() + 3 <= task.time[stop].min()
    assert stopping_parts(replace(task, groups=None, time=None), rows, seed=0) is None  # the model's own way


@pytest.mark.parametrize("steering", [{"groups": "who"}, {"time": "when"}], ids=["groups", "time"])
def test_a_network_does_not_stop_by_rows_that_share_a_planted_leak(steering):
    """Rows held out of the groups that it learns by heart would let it go on; it fails on the test rows then."""
    frame = leaking(np.random.default_rng(0)).drop(columns={"who", "when"} - set(steering.values()))
    honest = make_task(frame, "y", name="t", **steering)
    split = make_splits(honest, 3, None, seed=0)[-1]
    job = Job("t", honest.digest, 0, split.fold, split.digest, "mlp", json.dumps({"max_epochs": 60}))
    right, wrong = (execute(job, task, split) for task in (honest, replace(honest, groups=None, time=None)))
    assert right.status == wrong.status == "ok"
    assert right.facts["log_loss"] < 0.75 * wrong.facts["log_loss"]


def test_a_protocol_that_validates_on_the_next_fold_refuses_the_future(tmp_path):
    frame = leaking(np.random.default_rng(1))
    for out, asked in (("late", {"time": "when"}), ("one", {"holdout": 0.3})):
        with pytest.raises(UserError, match="validates on the rows of the next fold"):
            api.run(data=frame, target="y", models=["dummy"], protocol="tabzilla", configs=1, out=tmp_path / out, **asked)
