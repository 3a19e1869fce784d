import numpy as np
import pandas as pd
import pytest

from tabbench.data.gather import table_task
from tabbench.data.reader import read_file
from tabbench.data.task import load_task, make_task, save_task
from tabbench.errors import UserError

FRAME = pd.DataFrame(
    {
        "size": [1, 2, 3, 4],
        "weight": [0.5, np.nan, 1.5, 2.0],
        "colour": ["red", None, "blue", "red"],
        "sold": [True, False, True, True],
        "when": pd.to_datetime(["2020-01-01", "2020-01-02", None, "2020-01-04"]),
        "y": ["no", "yes", "no", "yes"],
    }
)


def test_normal_form():
    task = make_task(FRAME, "y", name="toy")
    assert task.categorical == ["colour", "sold"]
    assert [str(dtype) for dtype in task.X.dtypes] == ["float64", "float64", "category", "category", "float64"]
    assert list(task.X["colour"].cat.categories) == ["blue", "red"]
    assert task.classes == ("no", "yes")
    assert task.y.tolist() == [0, 1, 0, 1]
    assert task.summary()["n_missing"] == 3


def test_integer_classes_sort_as_numbers():
    task = make_task(pd.DataFrame({"a": range(6), "y": [10, 2, 2, 10, 1, 1]}), "y", name="t")
    assert task.classes == ("1", "2", "10")
    assert task.y.tolist() == [2, 1, 1, 2, 0, 0]


def test_numeric_column_as_category_has_one_spelling():
    frame = pd.DataFrame({"a": [1.0, 2.0, np.nan, 1.0], "y": list("pqpq")})
    task = make_task(frame, "y", name="t", categorical=["a"])
    assert list(task.X["a"].cat.categories) == ["1", "2"]


@pytest.mark.parametrize("dtype", ["object", "string", "category", "str"])
def test_text_dtypes_give_the_same_task(dtype):
    frame = FRAME.astype({"colour": dtype})
    assert make_task(frame, "y", name="t").digest == make_task(FRAME, "y", name="t").digest


def test_extension_numbers_and_float_labels():
    frame = pd.DataFrame({"a": pd.array([1, None, 3, 4], "Int64"), "y": [0.0, 1.0, 1.0, 0.0]})
    task = make_task(frame, "y", name="t")
    assert np.isnan(task.X["a"][1])
    assert task.classes == ("0", "1")


def test_rows_without_target_are_dropped_and_said():
    frame = FRAME.assign(y=["no", None, "no", "yes"])
    task = make_task(frame, "y", name="t")
    assert len(task.y) == 3
    assert "1 rows without a target" in task.info["notes"]


def test_steering_columns_are_no_features():
    frame = FRAME.assign(g=list("aabb"), f=[0, 1, 0, 1])
    task = make_task(frame, "y", name="t", groups="g", test_fold="f")
    assert task.groups.tolist() == [0, 0, 1, 1]
    assert task.test_fold.tolist() == [0, 1, 0, 1]
    assert not {"g", "f"} & set(task.X)


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (FRAME.iloc[:0], "empty"),
        (FRAME.drop(columns="y"), "no column 'y'"),
        (FRAME.assign(y="a"), "1 class"),
        (FRAME.assign(y=[0.1, 0.2, 0.3, 0.4]), "regression"),
        (FRAME.assign(y=list("abcd")), "looks like a number or an id"),
        (FRAME.assign(weight=[1, np.inf, 2, 3]), "infinite"),
        (FRAME[["y"]], "no feature"),
        (FRAME.set_axis(["a", "a", "b", "c", "d", "y"], axis=1), "duplicate column names ['a']"),
    ],
)
def test_bad_tables_are_refused_in_one_line(frame, says):
    with pytest.raises(UserError, match="t") as caught:
        make_task(frame, "y", name="t")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_digest_sees_every_value():
    base = make_task(FRAME, "y", name="t").digest
    assert make_task(FRAME, "y", name="other").digest == base
    assert make_task(FRAME.assign(size=[1, 2, 3, 5]), "y", name="t").digest != base
    assert make_task(FRAME.assign(y=["no", "yes", "yes", "no"]), "y", name="t").digest != base
    assert make_task(FRAME.rename(columns={"size": "length"}), "y", name="t").digest != base


def test_save_and_load(tmp_path):
    task = make_task(FRAME.assign(g=list("aabb")), "y", name="t", groups="g", info={"source": "here"})
    path = save_task(task, tmp_path)
    again = load_task(path)
    assert again.digest == task.digest == path.stem
    assert again.info == {"source": "here", "groups_column": "g"}
    pd.testing.assert_frame_equal(again.X, task.X)
    assert list(tmp_path.iterdir()) == [path]


def test_damaged_copies_are_refused(tmp_path):
    path = save_task(make_task(FRAME, "y", name="t"), tmp_path)
    other = save_task(make_task(FRAME.assign(size=0), "y", name="t"), tmp_path)
    path.write_bytes(other.read_bytes())
    with pytest.raises(UserError, match="does not match"):
        load_task(path)
    path.write_bytes(other.read_bytes()[:100])
    with pytest.raises(UserError, match="damaged"):
        load_task(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        ("a,y\nÄ,1\n".encode("latin1"), "not UTF-8"),
        (b'a,y\n"1,2\n', "cannot be read"),
    ],
)
def test_bad_csv(tmp_path, content, says):
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=says):
        read_file(path)


def test_read_table_keeps_duplicate_names_for_the_check(tmp_path):
    path = tmp_path / "twice.csv"
    path.write_text("a,a,y\n1,2,p\n3,4,q\n5,6,p\n7,8,q\n")
    with pytest.raises(UserError, match="duplicate column names"):
        table_task(path, "y")


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_file(tmp_path / "none.csv")


def test_a_column_without_any_value_survives_saving(tmp_path):
    frame = FRAME.assign(empty=pd.Series([None] * 4, dtype="str"), void=np.nan)
    task = make_task(frame, "y", name="t", categorical=["empty"])
    assert load_task(save_task(task, tmp_path)).digest == task.digest
