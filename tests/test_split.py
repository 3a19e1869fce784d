import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tabbench.cli import main
from tabbench.data.spec import Scheme
from tabbench.data.split import load_splits, make_splits, meaning, save_splits
from tabbench.data.task import load_task, make_task, save_task
from tabbench.errors import UserError


def toy(n=60, **columns):
    rng = np.random.default_rng(0)
    return pd.DataFrame({"a": rng.normal(size=n), "y": np.arange(n) % 3, **columns})


def test_every_row_is_tested_once_per_repeat():
    task = make_task(toy(), "y", name="t")
    splits = make_splits(task, 4, 2, seed=1)
    assert [(s.repeat, s.fold) for s in splits] == [(r, f) for r in range(2) for f in range(4)]
    for repeat in range(2):
        tested = np.concatenate([s.test for s in splits if s.repeat == repeat])
        assert sorted(tested) == list(range(60))
    for split in splits:
        assert not set(split.train) & set(split.test)
        assert np.bincount(task.y[split.test]).tolist() == [5, 5, 5]


def test_seed_decides():
    task = make_task(toy(), "y", name="t")
    digests = [[s.digest for s in make_splits(task, 3, 1, seed)] for seed in (0, 0, 1)]
    assert digests[0] == digests[1] != digests[2]


def test_groups_stay_whole():
    task = make_task(toy(g=np.arange(60) // 5), "y", name="t", groups="g")
    for split in make_splits(task, 3, 1, seed=0):
        assert not set(task.groups[split.train]) & set(task.groups[split.test])


def test_predefined_folds():
    task = make_task(toy(f=np.arange(60) % 4 - 1), "y", name="t", test_fold="f")
    splits = make_splits(task, 10, 5, seed=0)
    assert [s.fold for s in splits] == [0, 1, 2]
    assert splits[0].test.tolist() == list(range(1, 60, 4))
    assert len(splits[0].train) == 45
    assert [s.fold for s in make_splits(task, None, 1, seed=0)] == [0, 1, 2]
    assert [s.fold for s in make_splits(task, 2, 1, seed=0)] == [0, 1]


def test_predefined_repeats(tmp_path):
    frame = toy(f=np.arange(60) % 3, g=np.arange(60) // 30)
    task = make_task(frame, "y", name="t", test_fold=["f", "g"])
    assert list(task.X) == ["a"]
    assert [(s.repeat, s.fold) for s in make_splits(task, None, 1, 0)] == [(0, 0), (0, 1), (0, 2)]
    splits = make_splits(task, None, 5, seed=0)
    assert [(s.repeat, s.fold) for s in splits] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    assert splits[-1].test.tolist() == list(range(30, 60))
    again = load_task(save_task(task, tmp_path))
    assert [s.digest for s in make_splits(again, None, 5, 0)] == [s.digest for s in splits]


def test_three_folds_unless_said_otherwise():
    assert len(make_splits(make_task(toy(), "y", name="t"), None, 1, seed=0)) == 3


def test_tiny_classes_are_allowed_but_tiny_tables_are_not():
    task = make_task(toy(10).assign(y=[0] * 9 + [1]), "y", name="t")
    assert len(make_splits(task, 3, 1, seed=0)) == 3
    with pytest.raises(UserError, match="cannot make 11 folds"):
        make_splits(task, 11, 1, seed=0)


def test_save_and_load(tmp_path):
    task = make_task(toy(), "y", name="t")
    splits = make_splits(task, 3, 2, seed=0)
    save_splits(splits, tmp_path / "s.parquet")
    assert [s.digest for s in load_splits(tmp_path / "s.parquet", len(task.y))] == [s.digest for s in splits]
    (tmp_path / "s.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match="damaged split file"):
        load_splits(tmp_path / "s.parquet", len(task.y))


def rows_by(draw, what):
    """(n,) whole numbers, ties among them, of as many rows as there are labels."""
    return draw(st.lists(what, min_size=12, max_size=60))


@st.composite
def steered(draw):
    """A table with groups, times, both or neither, and a gap where there are times."""
    groups = rows_by(draw, st.integers(0, 9))
    times = draw(st.lists(st.integers(0, 30), min_size=len(groups), max_size=len(groups)))
    columns = draw(st.sets(st.sampled_from(["groups", "time"])))
    frame = pd.DataFrame({"a": np.arange(len(groups)), "y": np.arange(len(groups)) % 2})
    frame = frame.assign(**{name: values for name, values in (("groups", groups), ("time", times)) if name in columns})
    gap = draw(st.one_of(st.none(), st.integers(0, 8))) if "time" in columns else None
    try:
        return make_task(frame, "y", name="t", **{name: name for name in columns}, gap=gap)
    except UserError:
        assume(False)


@settings(max_examples=60)
@given(
    task=steered(),
    scheme=st.one_of(
        st.builds(Scheme, folds=st.integers(2, 5), window=st.sampled_from([None, "expanding", "sliding"])),
        st.builds(Scheme, holdout=st.floats(0.1, 0.6), repeats=st.integers(1, 3)),
    ),
    seed=st.integers(0, 2**31),
)
def test_what_splits_promise_holds(task, scheme, seed):
    try:
        splits = make_splits(task, scheme.folds, scheme.repeats, seed, holdout=scheme.holdout, window=scheme.window)
    except UserError:
        return
    for split in splits:
        assert len(split.train)
        assert len(split.test)
        assert not np.isin(split.train, split.test).any()
        assert np.isin(split.next_test, split.train).all()
        if task.groups is not None:
            assert not np.isin(task.groups[split.train], task.groups[split.test]).any()
        if task.time is not None:
            assert task.time[split.train].max() < task.time[split.test].min()
            assert task.time[split.train].max() + task.gap <= task.time[split.test].min()
    for repeat in {split.repeat for split in splits} if task.time is None and scheme.folds else ():
        assert sorted(np.concatenate([s.test for s in splits if s.repeat == repeat])) == list(range(len(task.y)))
    assert meaning(task, splits).endswith(".")


def in_time(**asked):
    frame = toy(when=pd.date_range("2024-01-01", periods=60).astype(str), y=[0, 1] * 30)
    return make_task(frame.sample(frac=1, random_state=0), "y", name="t", time="when", **asked)


def test_the_past_trains_and_the_future_tests():
    task = in_time()
    day = (task.time - task.time.min()) / 86400
    splits = make_splits(task, 3, None, seed=0)
    assert [sorted(day[split.test]) for split in splits] == [list(range(15 * i, 15 * i + 15)) for i in (1, 2, 3)]
    assert [len(split.train) for split in splits] == [15, 30, 45]
    assert list(task.X) == ["a"]
    sliding = make_splits(task, 3, None, seed=0, window="sliding")
    assert [day[split.train].min() for split in sliding] == [0, 15, 30]
    assert not any(len(split.next_test) for split in splits[:-1])  # they are yet to come
    [late] = make_splits(task, None, None, seed=0, holdout=0.25)
    assert sorted(day[late.test]) == list(range(45, 60))


def test_a_gap_is_kept_in_the_unit_of_the_times():
    for gap in ("7d", "168h"):
        task = in_time(gap=gap)
        assert [len(split.train) for split in make_splits(task, 3, None, seed=0)] == [9, 24, 39]
    with pytest.raises(UserError, match="say of what: 7d, 12h"):
        in_time(gap=7)
    with pytest.raises(UserError, match="'soon' is no gap"):
        in_time(gap="soon")
    with pytest.raises(UserError, match="give it in the column's unit"):
        make_task(toy(when=range(60)), "y", name="t", time="when", gap="7d")
    with pytest.raises(UserError, match="nothing is left to train on"):
        make_splits(in_time(gap="20d"), 3, None, seed=0)


def test_rows_of_one_moment_are_not_parted():
    task = make_task(toy(year=np.repeat([2001, 2002, 2003], 20)), "y", name="t", time="year")
    assert [len(split.test) for split in make_splits(task, 2, None, seed=0)] == [20, 20]
    with pytest.raises(UserError, match="3 distinct times cannot be cut into 4 blocks"):
        make_splits(task, 3, None, seed=0)


def test_a_part_is_held_out_with_its_classes_in_proportion():
    task = make_task(toy(), "y", name="t")
    splits = make_splits(task, None, 4, seed=0, holdout=0.3)
    assert [(split.repeat, split.fold) for split in splits] == [(repeat, 0) for repeat in range(4)]
    assert len({split.digest for split in splits}) == 4
    for split in splits:
        assert np.bincount(task.y[split.test]).tolist() == [6, 6, 6]


@pytest.mark.parametrize(
    ("columns", "asked", "says"),
    [
        ({}, {"holdout": 0.3, "n_folds": 3}, "give folds or a holdout"),
        ({}, {"holdout": 1.5}, "between 0 and 1"),
        ({}, {"window": "sliding"}, "name the column of times"),
        ({"time": "when"}, {"window": "round"}, "give expanding or sliding"),
        ({"time": "when"}, {"n_repeats": 2}, "leave the repeats out"),
        ({"test_fold": "fold"}, {"holdout": 0.3}, "folds of its own"),
        ({"groups": "group"}, {"n_folds": 9}, "4 groups cannot be parted into 9 folds"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_what_does_not_go_together_is_said(columns, asked, says):
    frame = toy(when=range(60), fold=np.arange(60) % 3, group=np.arange(60) % 4)
    task = make_task(frame, "y", name="t", **columns)
    with pytest.raises(UserError, match=says):
        make_splits(task, **{"n_folds": None, "n_repeats": None, "seed": 0} | asked)


@pytest.mark.parametrize("what", ["groups", "time"])
def test_every_row_needs_its_group_and_time(what):
    frame = toy(c=np.r_[np.nan, np.arange(59) // 10])
    with pytest.raises(UserError, match="1 empty cells: give every row its"):
        make_task(frame, "y", name="t", **{what: "c"})


def test_a_suite_says_how_its_tables_are_split(tmp_path):
    from tabbench.data.suite import load_spec, load_suite

    toy(when=range(60)).to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "s.toml").write_text(
        """
        tasks = [
            { name = "late", source = "file", path = "t.csv", target = "y", time = "when", gap = 2, window = "sliding", folds=4 },
            { name = "much", source = "file", path = "t.csv", target = "y", repeats = 2, holdout = 0.25 },
        ]"""
    )
    late, much = [load_spec(spec) for spec in load_suite(str(tmp_path / "s.toml")).tasks]
    splits = make_splits(late, None, None, seed=0)
    assert [(len(split.train), len(split.test)) for split in splits] == [(11, 12)] * 4
    assert [len(split.test) for split in make_splits(much, None, None, seed=0)] == [15, 15]
    assert len(make_splits(much, 5, 1, seed=0)) == 5  # a run may say otherwise
    assert late.summary()["scheme"] == {"folds": 4, "window": "sliding"}


def test_old_digests_stay():
    """What a table without times had as its digest before there were times: stored folders go by it."""
    task = make_task(toy(10, g=range(10)), "y", name="t", groups="g")
    assert task.digest == "107a3d8653d27d4b4db7e2cde75098b0646ca5b63414d14b4dc8c6c7d9edc300"


def test_groups_and_time_go_the_whole_way(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "data"))
    toy(when=range(60), who=np.arange(60) // 3).to_csv("t.csv", index=False)
    asked = ["--data", "t.csv", "--target", "y", "--models", "dummy", "--quiet"]
    assert main(["run", *asked, "--time", "when", "--gap", "2", "--folds", "2", "--out", "late"]) == 0
    assert main(["run", *asked, "--groups", "who", "--holdout", "0.25", "--repeats", "2", "--out", "whole"]) == 0
    assert main(["run", *asked, "--test-fold", "who", "--out", "whole"]) == 2  # another task, another folder
    says = {
        "late": "folds in time (&#39;when&#39;), training on all rows before, a gap of 2",
        "whole": "held out of whole groups",
    }
    for folder, words in says.items():
        assert main(["verify", folder]) == 0, capsys.readouterr().out
        assert words in (tmp_path / folder / "report.html").read_text()
    assert json.loads((tmp_path / "late" / "manifest.json").read_text())["run"]["gap"] == "2"
    assert main(["rerun", "late", "--out", "again", "--quiet"]) == 0
    assert main(["diff", "late", "again"]) == 0


SPOILT = {
    "negative rows": lambda frame: frame.assign(row=-frame["row"] - 1),
    "rows beyond the table": lambda frame: frame.assign(row=frame["row"] + 1),
    "rows that are no numbers": lambda frame: frame.assign(row=frame["row"].astype(str)),
    "rows that are floats": lambda frame: frame.assign(row=frame["row"] + 0.5),
    "lists": lambda frame: frame.assign(row=[[1]] * len(frame)),
    "dates": lambda frame: frame.assign(fold=pd.Timestamp("2020")),
    "another part": lambda frame: frame.assign(part="bribe"),
    "no part": lambda frame: frame.assign(part=None),
    "test rows alone": lambda frame: frame.assign(part="test"),
    "rows twice": lambda frame: pd.concat([frame, frame]),
    "nothing": lambda frame: frame[:0],
    "a column less": lambda frame: frame.drop(columns="row"),
    "a bomb": lambda frame: pd.DataFrame({"repeat": 0, "fold": 0, "part": "test", "row": np.zeros(10**6, np.int64)}),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_splits_that_cannot_be_are_damaged(tmp_path, spoil):
    task = make_task(toy(), "y", name="t")
    save_splits(make_splits(task, 3, 1, seed=0), tmp_path / "s.parquet")
    spoil(pd.read_parquet(tmp_path / "s.parquet")).to_parquet(tmp_path / "s.parquet")
    with pytest.raises(UserError, match="damaged split file"):
        load_splits(tmp_path / "s.parquet", len(task.y))
