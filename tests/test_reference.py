"""The reference run in the package, and advice from it: judged on tables left out, with intervals that cover what they say."""

import re

import numpy as np
import pandas as pd
import pytest

from tabbench.cli import main
from tabbench.errors import UserError
from tabbench.folders.reference import FOLDER, Reference
from tabbench.metafeatures.advice import METHODS, RIGHT, SHARE, best_constant, intervals, judged, left_out, losses_and_ranks
from tabbench.store.checksums import check_checksums

MODELS = ["a", "b", "c"]
QUICK = {name: METHODS[name] for name in ("fixed", "neighbours")}  # the forest is slow


def world(n=60, seed=0):
    """Tables of two kinds, told by their metafeatures: a is best on one, b on the other, c is second everywhere."""
    rng = np.random.default_rng(seed)
    kind = np.arange(n) % 2
    names = pd.Index([f"t{i}" for i in range(n)], name="task")
    known = pd.DataFrame({f"m{i}": kind * 3 + rng.normal(size=n) for i in range(5)}, index=names)
    score = np.stack([0.9 - 0.2 * kind, 0.7 + 0.2 * kind, np.full(n, 0.85)], axis=1) + rng.normal(size=(n, 3)) * 0.005
    return known, *losses_and_ranks(pd.DataFrame(score, names, MODELS))


def test_what_the_metafeatures_tell_beats_a_fixed_choice_where_they_tell_it():
    known, losses, ranks = world(16)
    told = left_out(known, losses, ranks, {})
    found = judged(told)
    assert found["n"].eq(16).all()
    assert {"neighbours", "forest"} == set(found.index[:2])
    assert found.loc["neighbours", "right"] == 16
    assert found.loc["fixed", "right"] == 0  # c is never far off, and never right
    assert best_constant(told)[1] == 8


def test_where_they_tell_nothing_the_fixed_choice_is_taken():
    known, losses, ranks = world(16)
    same = losses * 0 + [0.0, 0.05, 0.1]
    assert judged(left_out(known, same, ranks, {}, QUICK)).index[0] == "fixed"


def test_a_table_is_not_told_by_its_family():
    known, losses, ranks = world(12)
    seen = []

    def spy(known, values, own):
        seen.append(set(known.index))
        return values.mean()

    left_out(known, losses, ranks, {"t1": "t0"}, {"spy": spy})
    assert seen[0] == seen[2] == set(known.index) - {"t0", "t1"}
    assert seen[4] == set(known.index) - {"t2"}


def test_intervals_cover_what_they_say():
    """On tables that had no part in it; the normal errors of `world` are the same for all."""
    known, losses, ranks = world(60, seed=1)
    told = left_out(known, losses, ranks, {}, QUICK)
    others, truth, _ = world(60, seed=2)
    inside = []
    for task in truth.index:
        expected = METHODS["neighbours"](known, losses, others.loc[task])
        ends = intervals(told, "neighbours", "loss", expected)
        inside.append((truth.loc[task] >= ends["low"] - 1e-9) & (truth.loc[task] <= ends["high"] + 1e-9))
    assert np.mean(inside) > SHARE - 0.05


@pytest.fixture(scope="module")
def reference():
    return Reference()


def test_the_reference_is_whole_and_small(reference):
    assert check_checksums(FOLDER) == []
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 3e6
    card, results = reference.card, reference.results
    names = [task["name"] for task in card["tasks"]]
    assert sorted(names) == sorted(results["task"].unique()) == sorted(reference.known.index)
    jobs = results.groupby(["task", "model"]).size().unstack(fill_value=0)
    assert list(jobs.columns) == sorted(card["models"])
    for task in card["tasks"]:
        folds = task.get("folds", card["folds"])
        expected = {model: 0 if model in task.get("not_run", []) else folds for model in jobs}
        assert jobs.loc[task["name"]].to_dict() == expected
    assert not {task.get("openml_id") for task in card["tasks"]} & {1510, 1464, 37}  # of the sealed sets
    assert "/" not in "".join(task["name"] for task in card["tasks"])
    assert all(entry["reason"] for entry in card["left_out"])


def test_a_model_that_was_not_run_on_a_table_is_not_judged_there():
    known, losses, ranks = world(8)
    losses.loc["t0", "a"] = ranks.loc["t0", "a"] = np.nan  # the best one of its kind
    told = left_out(known, losses, ranks, {})
    assert set(told.loc[told["task"] == "t0", "model"]) == {"b", "c"}
    assert told[["loss", "rank", "expected_loss", "expected_rank"]].notna().all(axis=None)
    assert judged(told)["n"].eq(8).all()


def test_what_was_told_of_tables_left_out_is_told_again(reference):
    losses, ranks = losses_and_ranks(reference.scores)
    again = left_out(reference.known, losses, ranks, reference.card["family"], QUICK)
    before = reference.told[reference.told["method"] != "forest"].reset_index(drop=True)
    pd.testing.assert_frame_equal(again[before.columns], before, check_dtype=False)


def test_recommend_without_results_answers_from_the_reference(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "data"))
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(300, 6)), columns=list("uvwxst"))
    frame.assign(y=(frame["u"] + rng.normal(size=300) > 0).astype(int)).to_csv("my table.csv", index=False)
    assert main(["recommend", "my table.csv", "--target", "y"]) == 0
    out = capsys.readouterr().out
    told = re.search(rf"was right, within {RIGHT} of the best, for (\d+) of (\d+) left-out tables", out)
    assert 0 <= int(told[1]) <= int(told[2])
    assert re.search(r"Twice the rows would bring.*\n.*\n  \w+ +[+-]\d\.\d{3} \(", out)
    assert re.search(r"tabbench run --data 'my table.csv' --target y --models \w+,\w+,\w+", out)
    assert main(["recommend", "my table.csv", "--target", "y", "--metric", "accuracy"]) == 2


def test_a_reference_that_is_absent_or_damaged_is_said(tmp_path):
    with pytest.raises(UserError, match="name a result folder with --results"):
        _ = Reference(tmp_path).card
