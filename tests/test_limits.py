"""Limits of what is chosen and ranked: fit seconds, size of the fitted model, memory."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tabbench import api
from tabbench.api import Bounds
from tabbench.cli import main
from tabbench.engine.model_size import model_size
from tabbench.errors import UserError
from tabbench.folders.verify import verify
from tabbench.resources import Resources
from tabbench.store.checksums import write_checksums
from tabbench.store.runs import NAME, ResultStore
from tabbench.tuning.replay import check_met, keep_within


@pytest.fixture
def table(tmp_path, monkeypatch, undrawn):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 2))
    y = np.where(X[:, 0] + 0.5 * rng.normal(size=90) > 0, "p", "q")
    pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": y}).to_csv("t.csv", index=False)
    return {"data": "t.csv", "target": "y", "folds": 2, "resources": Resources(2), "quiet": True}


def test_the_size_of_a_model_is_that_of_what_predicts():
    class Stubborn:
        def __reduce__(self):
            raise TypeError("not me")

    small, large = (model_size(np.zeros(n))["model_mb"] for n in (10, 2**20))
    assert small < 1e-3
    assert large == pytest.approx(8, rel=1e-3)
    assert model_size(Stubborn()) == {}


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"model_mb": 1.0, "fit_seconds": 2.0}, ""),
        ({"model_mb": 1.5, "fit_seconds": 2.0}, "model_mb 1.5 exceeds the limit of 1"),
        ({"model_mb": 1.0, "fit_seconds": 2.1}, "fit_seconds 2.1 exceeds the limit of 2"),
        ({"model_mb": 1.0}, "no fit_seconds is recorded, so it may exceed the limit of 2"),
        ({"fit_seconds": 1.0, "model_mb": float("nan")}, "no model_mb is recorded, so it may exceed the limit of 1"),
    ],
)
def test_what_is_within_limits(facts, reason):
    assert Bounds(fit_seconds=2.0, model_mb=1.0).exceeded(facts) == reason
    assert Bounds().exceeded(facts) == ""
    assert Bounds(rss_mb=100.0).exceeded({"peak_rss_mb": 99.0}) == ""


@pytest.mark.parametrize("bound", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_limit_is_one_line(bound, capsys):
    with pytest.raises(UserError, match=r"limit of model_mb .*: must be positive"):
        Bounds(model_mb=bound)
    assert main(["run", "--data", "t.csv", "--target", "y", f"--limit-model-mb={bound}"]) == 2
    assert "must be positive" in capsys.readouterr().err


def test_a_plain_run_ranks_what_is_within_its_limits(table, capsys):
    whole = api.run(out="r", models=["dummy", "random_forest"], **table)
    sizes = whole.frame.groupby("model")["model_mb"].max()
    assert sizes["dummy"] < sizes["random_forest"]
    limit = float(sizes["dummy"]) * 1.01
    assert main(["leaderboard", "r", "--limit-model-mb", str(limit), "--format", "json"]) == 0
    dummy, forest = json.loads(capsys.readouterr().out)
    assert (dummy["model"], dummy["n_unsupported"], forest["n_unsupported"]) == ("dummy", 0, 2)
    assert forest["mean_score"] is None
    assert main(["leaderboard", "r", "--limit-model-mb", "1e-9"]) == 2
    assert "nothing is within the limits (model_mb 1e-09): model_mb" in capsys.readouterr().err

    limited = api.run(out="small", models=["dummy", "random_forest"], limits=Bounds(model_mb=limit), **table)
    assert set(limited.frame["key"]) == set(whole.frame["key"])  # limits change no job
    rows = limited.frame.set_index("model")
    assert set(rows.loc["dummy", "status"]) == {"ok"}
    assert set(rows.loc["random_forest", "status"]) == {"unsupported"}
    assert rows.loc["random_forest", "accuracy"].isna().all()
    assert rows.loc["random_forest", "reason"].str.contains("exceeds the limit of").all()
    assert json.loads(Path("small/manifest.json").read_text())["run"]["limits"] == {"model_mb": limit}
    assert verify(Path("small"), level=2).problems == []
    with pytest.raises(UserError, match="holds a run with limits="):
        api.run(out="small", models=["dummy"], **table)

    forged = Path(shutil.copytree("small", "forged"))
    frame = pd.read_parquet(forged / "results.parquet")
    frame.loc[frame["model"] == "random_forest", "status"] = "ok"
    frame.to_parquet(forged / "results.parquet", index=False)
    write_checksums(forged)
    [check] = [check for check in verify(forged, level=2).checks if check.name == "limits"]
    assert len(check.problems) == 2
    assert "random_forest on t, repeat 0, fold 0: model_mb" in check.problems[0]


def test_a_tuned_run_chooses_within_limits_and_replay_under_any(table, capsys):
    results = api.run(out="r", models=["tree"], configs=6, **table)
    trials = results.jobs
    limit = float(trials["model_mb"].median())
    frame = api.replay_trials("r", limits=Bounds(model_mb=limit))
    fits = trials[trials["model_mb"] <= limit]
    for fold, rows in frame.groupby("fold"):
        tuned = rows[rows["model"] == "tree (tuned)"].iloc[0]
        allowed = fits[fits["fold"] == fold]
        if len(allowed):
            assert tuned["key"] == allowed.loc[allowed["val_log_loss"].idxmin(), "key"]
        else:
            assert (tuned["status"], tuned["reason"]) == ("unsupported", "none of its 6 trials is within the limits")
        ensemble = rows[rows["model"] == "tree (tuned + ensembled)"].iloc[0]
        assert ensemble["status"] == "unsupported" or ensemble["model_mb"] <= limit

    assert main(["replay", "r", "--limit-model-mb", str(limit)]) == 0
    capsys.readouterr()
    assert main(["replay", "r", "--limit-model-mb", "1e-9"]) == 2
    assert "nothing is within the limits (model_mb 1e-09)" in capsys.readouterr().err
    assert main(["replay", "r", "--limit-fit-seconds", "1000", "--limit-rss-mb", "1e6", "--format", "csv"]) == 0
    assert capsys.readouterr().out == Path("r/leaderboard.csv").read_text()

    limited = api.run(out="small", models=["tree"], configs=6, limits=Bounds(model_mb=limit), **table)
    scores = ["task", "fold", "model", "key", "status", "accuracy", "log_loss"]
    pd.testing.assert_frame_equal(limited.frame[scores], frame[scores])
    assert verify(Path("small"), level=2).problems == []


def test_a_folder_that_has_not_recorded_what_is_limited_says_so(table):
    api.run(out="r", models=["dummy"], **table)
    with ResultStore(Path("r") / NAME) as store:
        for _, job, run in list(store.runs()):
            del run.facts["model_mb"]
            store.add(job, run, {"seconds": 60.0, "memory_mb": 1000.0})
    results = api.open_results("r")
    assert "model_mb" not in results.frame
    frame = results.within(Bounds(model_mb=1.0))
    assert set(frame["reason"]) == {"no model_mb is recorded, so it may exceed the limit of 1"}
    with pytest.raises(UserError, match="nothing is within the limits"):
        check_met(frame, Bounds(model_mb=1.0))


def test_without_limits_a_table_is_what_it_was():
    frame = pd.DataFrame({"status": ["ok"], "fit_seconds": [1.0]})
    assert keep_within(frame, Bounds()) is frame
    check_met(frame, Bounds())
