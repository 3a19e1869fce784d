"""Curves: validation loss by boosting round or epoch, recorded with a trial, stored, read again and drawn."""

import sqlite3
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tabbench import api
from tabbench.cli import main
from tabbench.data.split import make_splits
from tabbench.data.task import make_task
from tabbench.engine.curves import POINTS, InnerCurve, mean_curve
from tabbench.engine.execute import execute
from tabbench.job import Job, Run, Validation, decode, encode, read_curve
from tabbench.report.training import best_points, training_figure, trainings
from tabbench.resources import Resources
from tabbench.store.runs import NAME, ResultStore
from tabbench.tuning.replay import curve_points

LIMITS = {"seconds": 60.0, "memory_mb": 1000.0}
BOOSTED = {"xgboost": "n_estimators", "lightgbm": "n_estimators", "catboost": "iterations", "hist_gbdt": "max_iter"}


@pytest.fixture(scope="module")
def task():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 3))
    y = np.where(X[:, 0] * X[:, 1] + 0.3 * rng.normal(size=150) > 0, "p", "q")
    colour = pd.Categorical(rng.choice(["r", "g"], 150))
    return make_task(pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": colour, "y": y}), "y", name="t")


def job_of(task, model, config="{}", protocol="tabbench", **more):
    split = make_splits(task, 3, 1, 0)[0]
    return Job("t", task.digest, 0, 0, split.digest, model, config, protocol=protocol, **more), split


@pytest.mark.parametrize("model", BOOSTED)
def test_a_curve_of_boosted_trees_ends_at_the_loss_of_the_trial(task, model):
    pytest.importorskip(model if model != "hist_gbdt" else "sklearn")
    job, split = job_of(task, model, f'{{"{BOOSTED[model]}": 45}}')
    run = execute(job, task, split)
    assert run.status == "ok", run.details
    step, loss, seconds = run.curve.T
    assert step[0] == 1
    assert step[-1] == 45
    assert loss[-1] == pytest.approx(run.facts["val_log_loss"], rel=1e-5)
    assert loss[0] > loss.min()
    assert (np.diff(seconds) > 0).all()
    assert run.facts["n_curve"] == len(run.curve) <= POINTS

    shorter, _ = job_of(task, model, f'{{"{BOOSTED[model]}": {int(step[20])}}}')
    if model != "catboost":  # whose learning rate depends on the number of rounds
        again = execute(replace(shorter, seed=job.seed), task, split).facts["val_log_loss"]
        assert loss[20] == pytest.approx(again, rel=1e-3)  # a curve contains all shorter ones; the seeds of the fits differ


@pytest.mark.parametrize("model", ["xgboost", "lightgbm", "catboost"])
def test_under_patience_the_curve_is_that_of_the_rounds_that_were_kept(task, model):
    pytest.importorskip(model)
    job, split = job_of(task, model, protocol="tabzilla")
    run = execute(job, task, replace(split, next_test=split.train[::3]))
    assert run.status == "ok", run.details
    assert run.curve[-1, 1] == pytest.approx(run.facts["val_log_loss"], rel=1e-5)


def test_the_curve_of_a_network_is_what_it_has_recorded(task):
    pytest.importorskip("torch")
    job, split = job_of(task, "mlp", '{"max_epochs": 7, "width": 64}')
    run = execute(job, task, split)
    assert run.curve[:, 0].tolist() == list(range(1, 8))
    assert np.isfinite(run.curve).all()


def test_recording_changes_no_prediction(task, monkeypatch):
    job, split = job_of(task, "hist_gbdt", '{"max_iter": 8}')
    run = execute(job, task, split)
    monkeypatch.setattr("tabbench.engine.execute.inner_curve", lambda *_: [])
    without = execute(job, task, split)
    assert len(without.curve) == 0
    assert "n_curve" not in without.facts
    assert without.proba.tobytes() == run.proba.tobytes()
    assert without.validation.proba.tobytes() == run.validation.proba.tobytes()


@pytest.mark.parametrize("change", [{"protocol": ""}, {"model": "tree"}, {"max_rows": 60, "row_policy": "random"}])
def test_there_is_no_curve_without_validation_rows_steps_or_all_rows(task, change):
    job, split = job_of(task, "hist_gbdt")
    run = execute(replace(job, **{"config": "{}", **change}), task, split)
    assert run.status == "ok", run.details
    assert run.curve.shape == (0, 3)


def part(losses, seconds=1.0, n_rows=10, kept=None):
    return InnerCurve(np.arange(1, len(losses) + 1), np.array(losses), losses[-1] if kept is None else kept, seconds, n_rows)


def test_a_fit_that_has_ended_counts_with_what_it_predicts_with():
    curve = mean_curve([part([0.5, 0.3, 0.4], kept=0.3, seconds=3.0), part([0.7, 0.6, 0.5, 0.4, 0.2], seconds=10.0, n_rows=30)])
    assert curve[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert curve[:, 1] == pytest.approx([0.65, 0.525, 0.475, 0.375, 0.225])
    assert curve[:, 2] == pytest.approx([3, 6, 9, 11, 13])


def test_curves_of_one_point_of_none_and_of_very_many():
    assert mean_curve([part([0.4])]).tolist() == [[1, 0.4, 1]]
    assert mean_curve([]).shape == (0, 3)
    long = mean_curve([part(np.linspace(1, 0, 1000).tolist())])
    assert len(long) == POINTS
    assert long[[0, -1], 0].tolist() == [1, 1000]


def stored_run(curve, n=4):
    proba = np.full((n, 2), 0.5)
    y = np.zeros(n, np.int64)
    facts = {"n_test": n, "n_val": n, "n_classes": 2, "n_features": 1, "n_curve": len(curve)}
    facts = {name: value for name, value in facts.items() if name != "n_curve" or value}
    return Run("ok", facts=facts, proba=proba, validation=Validation(proba, y, y), curve=np.array(curve, float).reshape(-1, 3))


@pytest.mark.parametrize("curve", [[], [[1, 0.5, 0.1]], [[1, 0.5, 0.1], [2, np.nan, 0.2], [4, 0.4, 0.2]]])
def test_a_curve_is_read_as_it_was_stored(tmp_path, curve):
    job = Job("t", "d", 0, 0, "s", "xgboost", protocol="tabbench")
    with ResultStore(tmp_path / NAME) as store:
        store.add(job, stored_run(curve), LIMITS)
        [stored] = store.runs()
        assert np.array_equal(stored.run.curve, np.array(curve, float).reshape(-1, 3), equal_nan=True)
        assert len(list(store.curves())) == bool(curve)
        assert len(curve_points(store)) == len(curve)


@pytest.mark.parametrize(
    "curve",
    [
        [[1, 0.5, 0.1], [1, 0.5, 0.2]],
        [[0, 0.5, 0.1]],
        [[1.5, 0.5, 0.1]],
        [[np.nan, 0.5, 0.1]],
        [[1, -0.5, 0.1]],
        [[1, np.inf, 0.1]],
        [[1, 0.5, np.nan]],
        [[1, 0.5, 0.2], [2, 0.4, 0.1]],
    ],
)
def test_what_cannot_be_a_curve_is_damage(curve):
    values = np.array(curve, float).ravel()
    with pytest.raises(ValueError, match="is none"):
        read_curve(values, len(curve))
    head, arrays = encode(stored_run(curve))
    with pytest.raises(ValueError, match="is none"):
        decode(head, arrays)
    with pytest.raises(ValueError, match="reshape"):
        read_curve(values[:-1], len(curve))


def test_a_store_of_format_2_is_read_as_it_is_and_becomes_format_3_when_a_run_is_added(tmp_path):
    def format_of():
        with sqlite3.connect(tmp_path / NAME) as db:
            return db.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()[0]

    job = Job("t", "d", 0, 0, "s", "xgboost", protocol="tabbench")
    with ResultStore(tmp_path / NAME) as store:
        store.add(job, stored_run([]), LIMITS)
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute("UPDATE meta SET value = '2' WHERE name = 'format'")
    with ResultStore(tmp_path / NAME) as store:
        assert len(list(store.runs())) == 1
        assert format_of() == "2"
        store.add(replace(job, seed=1), stored_run([[1, 0.5, 0.1]]), LIMITS)
    assert format_of() == "3"


def points(*losses, model="m", trial=0):
    n = len(losses)
    place = {"task": "t", "repeat": 0, "fold": 0, "model": model, "config": "{}", "trial": trial, "rung": 0}
    return pd.DataFrame({**place, "step": 10 * np.arange(1, n + 1), "val_log_loss": losses, "cpu_seconds": np.arange(1.0, n + 1)})


def test_the_best_step_of_a_curve_is_known_without_a_search():
    table = pd.concat([points(0.5, 0.3, 0.4), points(0.6, np.nan, 0.35, 0.36, trial=1), points(np.nan, np.nan, trial=2)])
    best = best_points(table)
    assert best["step"].tolist() == [20, 30]
    assert best["last_step"].tolist() == [30, 40]
    [said] = trainings(table)
    assert (said.n_curves, said.at_end, said.at_best) == (2, 0.36, 0.3)
    assert said.share == pytest.approx(2 / 3)
    assert (said.seconds, said.seconds_to_best) == (7.0, 5.0)


def test_a_curve_of_one_point_is_drawn_and_one_of_nan_is_not():
    assert "polyline" in training_figure(points(0.5))
    assert training_figure(points(np.nan, np.nan)) == ""
    assert trainings(points(np.nan)) == []


def test_what_is_foretold_of_a_curve_is_drawn_beside_it():
    told = []

    def foretell(losses, n_steps):
        told.append((losses, n_steps))
        return np.tile([0.1, 0.2, 9.0], (n_steps - len(losses), 1))

    curve = points(*np.linspace(0.9, 0.4, 20))
    figure, plain = training_figure(curve, foretell), training_figure(curve)
    [(losses, n_steps)] = told
    assert n_steps == 50
    assert losses[0] == 0.9
    assert losses.min() > 0.8 - 0.01  # a fifth of the steps, and nothing of the rest
    assert figure.count('class="band"') == 1
    assert 'class="band"' not in plain
    ends = [float(pair.split(",")[1]) for pair in figure.split('class="band"')[0].split('points="')[-1].split('"')[0].split()]
    assert min(ends) >= 20  # cut off at the largest loss that is drawn


def test_a_run_keeps_curves_and_replay_and_report_draw_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 2))
    pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": np.where(X.sum(axis=1) > 0, "p", "q")}).to_csv("t.csv", index=False)
    arguments = {"data": "t.csv", "target": "y", "folds": 2, "configs": 2, "resources": Resources(2), "quiet": True}
    results = api.run(out="r", models=["hist_gbdt", "tree"], **arguments)
    assert set(results.frame["status"]) == {"ok"}
    assert set(results.points["model"]) == {"hist_gbdt"}
    assert results.points.groupby(["fold", "trial"]).ngroups == 4
    assert '<section id="training">' in Path("r/report.html").read_text()
    assert main(["replay", "r", "--curves", "c.svg"]) == 0
    assert "hist_gbdt: least validation log loss" in capsys.readouterr().out
    drawn = Path("c.svg").read_text()
    assert drawn.startswith("<svg ")
    assert ('class="band"' in drawn) == (find_spec("torch") is not None)
    assert 'class="band"' not in Path("r/report.html").read_text()  # which is the same without the network
    api.run(out="plain", models=["tree"], **arguments)
    assert '<section id="training">' not in Path("plain/report.html").read_text()
    assert main(["replay", "plain", "--curves", "d.svg"]) == 2
    assert "plain: no trial has a curve with a loss" in capsys.readouterr().err
    assert not Path("d.svg").exists()
