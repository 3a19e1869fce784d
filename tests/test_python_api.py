"""`tabbench.run` from Python: what people give it is taken as they mean it, or refused in one line."""

import types

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import tabbench.api
from tabbench.api import Resources, Subsample
from tabbench.cli import main
from tabbench.data.gather import table_task
from tabbench.models import get_model

N = 24
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 2))
LABELS = np.where(np.arange(N) % 2, "p", "q")
FRAME = pd.DataFrame(X, columns=["a", "b"]).assign(y=LABELS)


class Local(DecisionTreeClassifier):
    pass


Local.__module__ = "__main__"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, undrawn):
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def refused(*words, **arguments):
    given = {"data": FRAME, "target": "y", "models": ["dummy"], "folds": 2, "quiet": True, **arguments}
    with pytest.raises(tabbench.UserError) as caught:
        tabbench.run(**given)
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text


CODED = np.column_stack([X, np.arange(N) % 2])


@pytest.mark.parametrize(
    ("data", "target"),
    [
        (CODED, 2),
        (CODED, "2"),
        (pd.DataFrame(CODED), np.int64(2)),
        (CODED.astype(object), 2),
        (CODED.tolist(), 2),
        (pa.table({"0": CODED[:, 0], "1": CODED[:, 1], "2": CODED[:, 2]}), "2"),
        (pa.RecordBatch.from_pandas(pd.DataFrame(CODED, columns=list("012"))), "2"),
        ({0: CODED[:, 0], 1: CODED[:, 1], 2: CODED[:, 2]}, 2),
        ((X, CODED[:, 2]), None),
        ((X, CODED[:, 2:]), None),
        ((X, pd.DataFrame(CODED[:, 2:])), None),
        ((X.tolist(), CODED[:, 2].tolist()), None),
        ((pd.DataFrame(X, index=range(100, 100 + N)), pd.Series(CODED[:, 2])), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_one_table_in_many_forms_is_one_task(data, target):
    task, right = table_task(data, target), table_task(pd.DataFrame(CODED, columns=["0", "1", "2"]), "2")
    np.testing.assert_array_equal(task.X.to_numpy(), right.X.to_numpy())
    np.testing.assert_array_equal(task.y, right.y)
    assert task.classes == right.classes == ("0", "1")


def test_columns_called_by_tuples():
    columns = pd.MultiIndex.from_tuples([("x", "a"), ("x", "b"), ("y", "t")])
    assert table_task(pd.DataFrame(CODED, columns=columns), ("y", "t")).X.shape == (N, 2)


@pytest.mark.parametrize(
    ("data", "target", "says"),
    [
        (X[:, 0], 0, "shape (24,)"),
        (FRAME["a"], "a", "type Series"),
        (pa.chunked_array([[1.0, 2.0]]), "y", "cannot be made a table"),
        (types.SimpleNamespace(to_arrow=lambda: pa.array([1.0, 2.0])), "y", "type SimpleNamespace"),
        (FRAME, None, "name its target column"),
        (FRAME, "Y", "did you mean 'y'?"),
        (pd.DataFrame(CODED, columns=[0, "0", "y"]), "y", "duplicate column names ['0']"),
        ((X, LABELS[:-1]), None, "X has 24 rows and y 23"),
        ((X, np.eye(N)), None, "y has 24 columns"),
        ((X, 3), None, "y is of type int"),
        ((X, LABELS), "y", "leave target='y' out"),
        ((FRAME[["a", "b"]], FRAME["y"].sample(frac=1, random_state=0)), None, "in another order"),
        ({"a": [1, 2], "y": ["p"]}, "y", "same length"),
        (X + 1j, 0, "Complex"),
        (pd.DataFrame({"a": [], "y": []}), "y", "is empty"),
        (iter([1, 2]), "y", "type list_iterator"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_data_are_refused_in_one_line(data, target, says):
    refused(says, data=data, target=target)


@pytest.mark.parametrize(
    "models",
    ["dummy", "dummy,", " dummy ", ["dummy", "dummy"], {"dummy"}, np.array(["dummy"]), get_model("dummy"), iter(["dummy"])],
    ids=lambda value: type(value).__name__,
)
def test_models_are_named_as_people_do(models, monkeypatch):
    monkeypatch.setattr("tabbench.folders.run.run", lambda spec, *_, **__: spec)
    assert tabbench.run(data=FRAME, target="y", models=models).models == ("dummy",)
    assert tabbench.run(data=FRAME, target="y", models="dummy, tree").models == ("dummy", "tree")


def test_classes_functions_and_instances_of_defaults_are_models(tmp_path, monkeypatch):
    (tmp_path / "own_models.py").write_text(
        "from sklearn.tree import DecisionTreeClassifier\n\n\ndef stump():\n    return DecisionTreeClassifier(max_depth=1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    from own_models import stump

    for models, name in ((DecisionTreeClassifier, "sklearn.tree._classes:DecisionTreeClassifier"), ([stump], "own_models:stump")):
        results = tabbench.run(data=FRAME, target="y", models=models, folds=2, quiet=True, out=name.partition(":")[0])
        assert results.frame[["model", "status"]].drop_duplicates().to_numpy().tolist() == [[name, "ok"]]
    monkeypatch.setattr("tabbench.folders.run.run", lambda spec, *_, **__: spec)
    spec = tabbench.run(data=FRAME, target="y", models=[DecisionTreeClassifier()])
    assert spec.models == ("sklearn.tree._classes:DecisionTreeClassifier",)


@pytest.mark.parametrize(
    ("models", "says"),
    [
        ([], "no model: name at least one"),
        ("", "no model: name at least one"),
        ([Local], "cannot import it from __main__"),
        ([Local()], "cannot import it from __main__"),
        ("__main__:Mine", "cannot import it from __main__"),
        ([lambda: DecisionTreeClassifier()], "cannot import it from tests.test_python_api"),
        ([DecisionTreeClassifier(max_depth=2)], "parameters of its own (max_depth)"),
        ([DecisionTreeRegressor], "not a classifier"),
        ({"a": DecisionTreeClassifier()}, "models is a dict"),
        ([3], "type int is no model"),
        ([None], "type NoneType is no model"),
    ],
    ids=range(11),
)
def test_other_models_are_refused_in_one_line(models, says):
    refused(says, models=models)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("seed", -1, "seed: Expected `int` >= 0"),
        ("seed", 2.0, "seed must be a whole number, got 2.0"),
        ("seed", True, "seed must be a whole number"),
        ("seed", None, "seed must be a whole number"),
        ("repeats", 0, "repeats: Expected `int` >= 1"),
        ("repeats", "2", "repeats must be a whole number, got '2'"),
        ("folds", 1, "folds must be at least 2"),
        ("folds", "3", "folds must be a whole number"),
        ("configs", "2", "configs must be a whole number"),
        ("shard", (1, 2), "shard must be a text"),
        ("protocol", 3, "protocol must be a text"),
        ("subsamples", Subsample(5), "a list of tabbench.api.Subsample"),
        ("subsamples", [5], "a list of tabbench.api.Subsample"),
        ("resources", 4, "give a tabbench.api.Resources"),
        ("out", None, "out must be the path"),
        ("out", "", "out must be the path"),
    ],
)
def test_arguments_out_of_range_are_one_line(name, value, says):
    refused(says, **{name: value})


def test_numbers_of_numpy_are_numbers(tmp_path):
    results = tabbench.run(
        data=FRAME,
        target="y",
        models="dummy",
        folds=np.int32(2),
        seed=np.int64(3),
        out="out",
        quiet=True,
        log=str(tmp_path / "l"),
    )
    assert results.manifest["run"]["seed"] == 3


@pytest.mark.parametrize(
    "limits",
    [
        {"time_limit": float("nan")},
        {"time_limit": 0},
        {"time_limit": "10"},
        {"memory_limit": -1},
        {"workers": 1.5},
        {"workers": None},
        {"threads": 0},
    ],
    ids=str,
)
def test_limits_out_of_range_are_one_line(limits):
    with pytest.raises(tabbench.UserError, match=r"must be"):
        Resources(**limits)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--seed", "-1"], "seed"),
        (["--repeats", "0"], "repeats"),
        (["--time-limit", "nan"], "limits must be positive"),
        (["--memory-limit", "-1"], "limits must be positive"),
        (["--workers", "0"], "workers"),
        (["--models", ","], "no model ''"),
        (["--models", "logreg,nope"], "no model 'nope'"),
        (["--folds", "1"], "folds must be at least 2"),
    ],
)
def test_words_out_of_range_are_one_line(words, says, capsys):
    FRAME.to_csv("t.csv", index=False)
    try:
        code = main(["run", "--data", "t.csv", "--target", "y", "--models", "dummy", "--quiet", *words])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    error = capsys.readouterr().err
    assert says in error.splitlines()[-1]
    assert "Traceback" not in error


def test_blanks_between_names_of_models_are_none(capsys):
    FRAME.to_csv("t.csv", index=False)
    assert main(["plan", "--data", "t.csv", "--target", "y", "--models", "dummy, tree", "--folds", "2"]) == 0
    assert "1 datasets, 2 models" in capsys.readouterr().out


def test_pfn_wants_whole_members_and_takes_all_cores():
    with pytest.raises(tabbench.UserError, match="n_members must be a whole number"):
        tabbench.PFNClassifier(n_members=2.0).fit(X, LABELS)
    assert tabbench.PFNClassifier(n_members=1, n_jobs=-1).fit(X, LABELS).predict_proba(X).shape == (N, 2)
