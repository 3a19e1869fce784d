import numpy as np
import pandas as pd
import pytest

from tabbench.data.split import load_splits, make_splits, save_splits
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
    splits = make_splits(make_task(toy(), "y", name="t"), 3, 2, seed=0)
    save_splits(splits, tmp_path / "s.parquet")
    assert [s.digest for s in load_splits(tmp_path / "s.parquet")] == [s.digest for s in splits]
    (tmp_path / "s.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match="damaged split file"):
        load_splits(tmp_path / "s.parquet")
