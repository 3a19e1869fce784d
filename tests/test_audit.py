"""The data audit: every planted fault is found, and a clean table is left in peace."""

import json

import numpy as np
import pandas as pd
import pytest

from tabbench.cli import main
from tabbench.data.audit import CHECKS, as_records, audit
from tabbench.data.split import make_splits
from tabbench.data.task import make_task

N = 400
STEERING = {"fold": "test_fold", "group": "groups", "time": "time"}


def clean(seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(N, 3)), columns=["a", "b", "c"])
    return frame.assign(kind=rng.choice(["p", "q", "r"], N), y=np.where(frame["a"] + rng.normal(size=N) > 0, "yes", "no"))


def findings(tmp_path, *frames, **arguments):
    tasks = [make_task(frame, "y", name=f"t{i}", **arguments) for i, frame in enumerate(frames)]
    return audit([(task, make_splits(task, 5, 1, seed=0)) for task in tasks], tmp_path / "audit")


def test_a_clean_table_has_none(tmp_path):
    assert findings(tmp_path, clean(), clean(1)) == []


def test_all_labels_that_are_alike_are_named(tmp_path):
    labels = np.resize(["Yes", "yes", "NO ", "no", "other"], N)
    [found] = [one for one in findings(tmp_path, clean().assign(y=labels)) if one.kind == "alike_labels"]
    assert "'Yes', 'yes'" in found.message
    assert "'NO ', 'no'" in found.message


@pytest.mark.parametrize("scale", [1e300, 1e-300, 1e-12], ids=str)
def test_a_leak_is_found_on_any_scale_and_beside_gaps(tmp_path, scale):
    """A tree holds values as float32, which knows neither 1e300 nor the seconds of a year."""
    yes = clean()["y"] == "yes"
    seconds = 1.7e9 + np.arange(N)
    frame = clean().assign(leak=np.where(yes, 2, 1) * scale, noise=np.where(np.arange(N) % 7, clean()["a"] * scale, np.nan))
    found = findings(tmp_path, frame.assign(date=np.random.default_rng(2).permutation(seconds) + 0.5))
    assert [finding.columns for finding in found if finding.kind == "leaking_column"] == [("leak",)]


def planted():
    frame, rng = clean(), np.random.default_rng(1)
    yes = frame["y"] == "yes"
    rare = frame["y"].mask(np.arange(N) < 3, "rare")
    yield "duplicate_rows", pd.concat([frame[:360], frame[:40]]), ()
    yield "leaking_column", frame.assign(leak=yes * 10 + rng.normal(size=N)), ("leak",)
    yield "leaking_column", frame.assign(leak=np.where(yes, "approved", rng.choice(["refused", "none"], N))), ("leak",)
    yield "row_order", frame.sort_values("y"), ()
    yield "row_number", frame.assign(when=np.cumsum(rng.random(N))), ("when",)
    yield "identifier", frame.assign(name=[f"person {i}" for i in range(N)]), ("name",)
    yield "identifier", frame.assign(number=rng.permutation(N) + 1000), ("number",)
    yield "constant_column", frame.assign(same=1.0, gone=np.nan, a=frame["a"]), ("same", "gone")
    yield "unused_group", frame.assign(patient_id=rng.integers(0, 90, N)), ("patient_id",)
    yield "unused_group", frame.assign(tree=[f"oak {i // 8}" for i in range(N)]), ("tree",)
    day = pd.date_range("2024-01-01", periods=60).strftime("%Y-%m-%d").to_numpy()
    yield "unused_time", frame.assign(admitted=rng.choice(day, N)), ("admitted",)
    yield "unused_time", frame.assign(year=rng.integers(1990, 2024, N)), ("year",)
    yield "broken_promise", frame.assign(fold=np.arange(N) % 3, group=np.arange(N) // 10), ()
    yield "broken_promise", frame.assign(fold=np.arange(N) % 3, time=np.arange(N)), ()
    yield "coded_category", frame.assign(code=rng.integers(1, 6, N)), ("code",)
    yield "numeric_category", frame.assign(size=pd.Categorical(rng.integers(0, 90, N).astype(str))), ("size",)
    money, almost = [f"${i % 90},000" for i in range(N)], frame["a"].round(1).astype(str).mask(np.arange(N) < 3, "over 9")
    yield "almost_numeric", frame.assign(money=money), ("money",)
    yield "almost_numeric", frame.assign(almost=almost), ("almost",)
    days = [f"{i % 28 + 1:02d}/{i % 12 + 1:02d}/2024" for i in range(N)]
    yield "almost_numeric", frame.assign(weight=[f"{i % 90} kg" for i in rng.permutation(N)]), ("weight",)
    dates = pd.Series(pd.date_range("2024-01-01", periods=60).strftime("%Y-%m-%d")[rng.integers(0, 60, N)])
    yield "almost_numeric", frame.assign(day=dates.mask(np.arange(N) < 3, "soon")), ("day",)
    yield "written_date", frame.assign(day=rng.permutation(days)), ("day",)
    yield "word_for_missing", frame.assign(kind=frame["kind"].mask(np.arange(N) % 7 == 0, "NA")), ("kind",)
    yield "word_for_missing", frame.assign(y=frame["y"].mask(np.arange(N) % 7 == 0, "None")), ()
    yield "alike_labels", frame.assign(kind=frame["kind"].mask(np.arange(N) % 7 == 0, "P")), ("kind",)
    yield "alike_labels", frame.assign(y=frame["y"].mask(np.arange(N) % 7 == 0, "yes ")), ()
    yield "counted_target", frame.assign(y=rng.permutation(np.arange(N) % 46 + 18)), ()
    yield "tiny_class", frame.assign(y=rare), ()


@pytest.mark.parametrize(("kind", "frame", "columns"), list(planted()), ids=lambda part: part if isinstance(part, str) else "")
def test_a_planted_fault_is_found_and_nothing_else(tmp_path, kind, frame, columns):
    steering = {what: column for column, what in STEERING.items() if column in frame and kind == "broken_promise"}
    found = [finding for finding in findings(tmp_path, frame, **steering) if finding.kind != "reading"]
    assert [(finding.kind, finding.columns) for finding in found] == [(kind, columns)]


def test_a_group_or_time_that_the_splits_keep_is_no_finding(tmp_path):
    frame = clean().assign(patient_id=np.arange(N) // 8 % 40, year=np.arange(N) // 40 + 2000)
    kinds = {finding.kind for finding in findings(tmp_path, frame)}
    assert {"unused_group", "unused_time"} <= kinds
    tasks = [make_task(frame, "y", name="t", groups="patient_id", time="year")]
    assert audit([(task, make_splits(task, 4, 1, seed=0)) for task in tasks], tmp_path / "audit") == []


def test_every_check_has_a_planted_fault():
    assert {kind for kind, _, _ in planted()} == set(CHECKS)


def test_twins_say_whether_they_agree(tmp_path):
    frame = pd.concat([clean()[:200], clean()[:200].assign(y="other")]).sample(frac=1, random_state=0)
    [finding] = findings(tmp_path, frame)
    assert finding.message.endswith("of these 0% with its label.")


def test_the_same_table_twice_is_found_in_any_order_and_under_any_name(tmp_path):
    other = clean().sample(frac=1, random_state=0)[["c", "y", "kind", "b", "a"]]
    other = other.rename(columns={"a": "first", "kind": "sort"}).assign(y=other["y"])
    [finding] = findings(tmp_path, clean(), clean(1), other)
    assert (finding.task, finding.kind) == ("t2", "duplicate_dataset")
    assert "same values as t0" in finding.message


def test_a_permuted_column_is_another_table(tmp_path):
    other = clean().assign(b=np.roll(clean()["b"], 1))
    assert findings(tmp_path, clean(), other) == []


def test_findings_are_kept_by_digest(tmp_path, monkeypatch):
    frame = clean().assign(same=1.0)
    first = findings(tmp_path, frame)
    monkeypatch.setattr("tabbench.data.audit.CHECKS", {"constant_column": lambda *_: pytest.fail("looked twice")})
    assert findings(tmp_path, frame) == first


def test_the_command_prints_a_table_or_json(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "cache"))
    clean().assign(same=1).to_csv("t.csv", index=False)
    assert main(["audit", "t.csv", "--target", "y"]) == 0
    assert "constant_column    same: One value in every row" in capsys.readouterr().out
    assert main(["audit", "t.csv", "--target", "y", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["columns"] == ["same"]
    assert main(["audit", "t.csv"]) == 2
    assert "needs a target" in capsys.readouterr().err


def test_starter_has_the_findings_that_are_known(tmp_path):
    from tabbench.data.suite import load_spec, load_suite

    specs = [spec for spec in load_suite("starter").tasks if spec.name in ("iris", "wine", "zoo", "scat")]
    tasks = [load_spec(spec) for spec in specs]
    found = as_records(audit([(task, make_splits(task, None, 1, seed=0)) for task in tasks], tmp_path / "audit"))
    kinds = {(finding["task"], finding["kind"]) for finding in found}
    assert {("iris", "row_order"), ("wine", "row_order"), ("zoo", "duplicate_rows")} <= kinds
