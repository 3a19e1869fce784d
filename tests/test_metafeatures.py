"""Metafeatures against pymfe, against values worked out by hand, under limits, and from the command line."""

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.support.pymfe_reference import SHARED, differences, our_values, pymfe_values, training_part
from tabbench.api import metafeatures
from tabbench.cli import main
from tabbench.data.suite import load_suite
from tabbench.engine import extract
from tabbench.errors import UserError
from tabbench.metafeatures import neighbourhood
from tabbench.metafeatures.groups import METAFEATURES, complete, compute
from tabbench.metafeatures.registry import compute_group, metafeature
from tabbench.metafeatures.summaries import SUMMARIES, summarize
from tabbench.metafeatures.table import Table
from tabbench.resources import Resources


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "cache"))


def numbers(n=90, seed=0) -> Table:
    """Three classes, correlated and skewed columns, one with negative values, one of small integers."""
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1, 2], [n // 2, n // 3, n - n // 2 - n // 3])
    a = rng.normal(size=n) + y
    frame = {"a": a, "b": 2 * a + rng.normal(size=n), "c": rng.lognormal(size=n), "d": rng.integers(1, 5, n).astype(float)}
    return Table(pd.DataFrame(frame), y)


def mixed(n=80, seed=1) -> Table:
    """Two classes of codes 1 and 4, numbers and categories with missing cells, a constant and an empty column."""
    rng = np.random.default_rng(seed)
    y = np.where(rng.random(n) < 0.3, 4, 1)
    frame = pd.DataFrame({"a": rng.normal(size=n) + y, "b": rng.integers(0, 3, n).astype(float), "same": 1.0, "empty": np.nan})
    frame["colour"] = pd.Categorical.from_codes(rng.integers(0, 4, n), list("pqrs"))
    frame["flag"] = pd.Categorical.from_codes((rng.random(n) + y / 9 > 0.6).astype(int), ["no", "yes"])
    frame.loc[rng.random(n) < 0.1, ["a", "colour"]] = np.nan
    return Table(frame, y)


def categories(n=60, seed=2) -> Table:
    """Categorical columns only, many equal rows."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 3, (n, 3))
    frame = pd.DataFrame({f"c{i}": pd.Categorical.from_codes(codes[:, i], ["x", "y", "z"]) for i in range(3)})
    return Table(frame, (codes[:, 0] + codes[:, 1] + rng.integers(0, 2, n)) % 3)


def single(n=40, seed=3) -> Table:
    """One column."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return Table(pd.DataFrame({"a": rng.normal(size=n) + y}), y)


def rare(n=60, seed=4) -> Table:
    """Five classes, the first and the third of a single row: in some folds they are not there to learn."""
    rng = np.random.default_rng(seed)
    y = np.sort(np.concatenate([[0, 2], rng.choice([1, 3, 4], n - 2)]))
    return Table(pd.DataFrame({"a": rng.normal(size=n) + y, "b": rng.normal(size=n) - y, "c": rng.normal(size=n)}), y)


TABLES = [numbers, mixed, categories, single]
REAL = (  # of suite starter
    *("iris", "wine", "glass2", "phishing", "segment", "shuttle"),  # numbers alone
    *("kr_vs_kp", "zoo", "arrests", "hearts", "abalone"),  # categories
    *("titanic", "penguins", "credit_data", "scat", "wa_churn"),  # missing cells
)
STATED = {"abalone": ["vdu"]}  # differences that docs/metafeatures.md explains: a class of one row


@pytest.mark.parametrize("make", TABLES)
@pytest.mark.parametrize("group", SHARED)
def test_values_are_those_of_pymfe(make, group):
    table = make()
    ours, _ = compute_group(table, group)
    groups = [group, "relative"] if group == "landmarking" else [group]
    theirs = pymfe_values(table, groups)
    assert len(theirs) >= 8
    stated = ["sd_ratio"] if make is single and group == "statistical" else []  # docs/metafeatures.md
    assert differences(complete(group, ours, {})[0], theirs) == stated


def test_landmarkers_do_without_a_class_that_a_fold_lacks():
    table = rare()
    theirs = pymfe_values(table, ["landmarking", "relative"])
    assert theirs["linear_discr.count"] == theirs["best_node.count"] == 10
    differing = differences(complete("landmarking", *compute_group(table, "landmarking"))[0], theirs)
    assert differing == []


def real(name: str, rows: int = 110) -> Table:
    return training_part(next(spec for spec in load_suite("starter").tasks if spec.name == name), rows)


@pytest.mark.parametrize("name", REAL)
def test_values_of_a_real_table_are_those_of_pymfe(name):
    table = real(name)
    theirs = pymfe_values(table)
    assert len(theirs) == 1570
    assert sum(np.isfinite(list(theirs.values()))) > 1200
    assert differences(our_values(table), theirs) == STATED.get(name, [])


def test_the_real_tables_are_of_all_kinds_and_their_differences_are_stated():
    tables = {name: real(name) for name in REAL}
    missing = {name for name, table in tables.items() if table.raw.isna().any(axis=None)}
    numbers = {name for name, table in tables.items() if table.categorical.empty}
    assert len(tables) >= 15
    assert missing == {"titanic", "penguins", "credit_data", "scat", "wa_churn"}
    assert len(numbers - missing) == 6
    assert [name for name, table in tables.items() if table.numeric.empty] == ["kr_vs_kp"]
    assert (tables["abalone"].class_counts == 1).any()
    page = (Path(__file__).parent.parent / "docs" / "metafeatures.md").read_text()
    stated = page.partition("## Where values differ")[2].partition("Oddities")[0]
    assert all(f"| `{name}`" in stated for names in STATED.values() for name in names)


def test_the_comparison_can_fail():
    theirs = {"a.mean": 1.0, "a.count": 3.0, "b": np.nan, "c": 2.0}
    assert differences({"a.mean": 1.001, "a.count": 3.0, "b": 0.0}, theirs) == ["a.mean", "b", "c"]
    assert differences(theirs, theirs) == []


def test_summaries_by_hand():
    found = dict(zip(SUMMARIES, summarize(np.array([[1, 2, 3, 4, 10], [1, 2, 3, np.nan, 4]]))[0], strict=True))
    assert found["mean"] == found["sd"] + 4 - np.sqrt(12.5) == 4
    assert [found[name] for name in ("count", "min", "median", "max", "range", "iq_range")] == [5, 1, 3, 10, 9, 2]
    assert [found["quantiles.0"], found["quantiles.1"], found["quantiles.4"]] == [1, 2, 10]
    assert [found[f"histogram.{i}"] for i in (0, 1, 2, 3, 9)] == [0.2, 0.2, 0.2, 0.2, 0.2]
    alone = dict(zip(SUMMARIES, summarize(np.array([[7.0]]))[0], strict=True))
    assert alone["mean"] == 7
    assert np.isnan([alone["sd"], alone["skewness"], alone["kurtosis"]]).all()


def test_what_pymfe_does_not_say():
    table = mixed()
    found, reasons = compute_group(table, "tabular")
    assert not reasons
    assert found["nr_constant"] == 2
    assert found["share_missing"] == pytest.approx(table.raw.isna().to_numpy().mean())
    assert [found["cardinality.min"], found["cardinality.max"]] == [2, 5]
    assert found["imbalance_ratio"] == table.class_counts.max() / table.class_counts.min()
    assert found["tabpfn_1_load"] == 0.2
    assert found["rows_per_dimension"] == 80 / (2 + 5 + 1)


def many() -> Table:
    """More rows than a block has."""
    return numbers(300)


@pytest.mark.parametrize("make", [*TABLES, rare, many])
def test_distances_that_are_not_held_give_the_same_values(make, monkeypatch):
    held, why_held = compute_group(make(), "complexity")
    monkeypatch.setattr(neighbourhood, "HELD_CELLS", 0)
    monkeypatch.setattr(neighbourhood, "BLOCK_ROWS", 8)
    monkeypatch.setattr(neighbourhood, "BLOCK_CELLS", 0)
    made, why_made = compute_group(make(), "complexity")
    assert made == pytest.approx(held, rel=1e-9, nan_ok=True)
    assert why_made == why_held


def test_a_graph_that_takes_too_much_memory_is_nan_with_a_reason(monkeypatch):
    monkeypatch.setattr(neighbourhood, "GRAPH_BYTES", 100)
    values, why = compute_group(numbers(), "complexity")
    assert {name for name, text in why.items() if "more than" in text} == {"density", "cls_coef", "hubs"}
    assert np.isnan(values["density"])
    assert not np.isnan(values["n1"])


def test_one_that_fails_is_nan_with_a_reason_and_stops_nothing():
    @metafeature("broken")
    def explodes(table: Table) -> np.ndarray:
        """Never works."""
        raise ValueError("no\nluck")

    @metafeature("broken")
    def works_(table: Table) -> float:
        """Always works."""
        return 1

    try:
        values, reasons = compute_group(numbers(), "broken")
    finally:
        for name in ("explodes", "works"):
            del METAFEATURES._entries[name]
    assert reasons == {"explodes": "ValueError: no luck"}
    assert values["works"] == 1
    assert np.isnan(values["explodes.mean"])
    values, reasons = compute(Table(pd.DataFrame({"a": [1.0, 1.0, 1.0]}), np.array([0, 1, 1])))
    assert "no column varies" in reasons["nr_attr"]
    assert values["nr_inst"] == 3


def test_every_nan_has_its_reason():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"a": [None, -0.6, -1.5, -0.5, *rng.normal(size=16)], "b": rng.normal(size=20).round(), "c": 3.0})
    frame["colour"] = pd.Categorical(["g", "r", None, "r"] * 5)
    frame["d"] = frame["b"]
    for table in (frame, frame[["b"]], frame[["colour", "c"]], frame.iloc[:4]):
        values, reasons = compute(Table(table.reset_index(drop=True), np.arange(len(table)) % 2))
        assert unexplained(values, reasons) == []
        assert all(reasons.values())


def unexplained(values, reasons):
    """The values that are NaN without a reason."""
    return [name for name, value in values.items() if np.isnan(value) and not {name, name.partition(".")[0]} & reasons.keys()]


def odd_column(kind: str, n: int, rng: np.random.Generator) -> object:
    """A column that something may be undefined for."""
    if kind in ("levels", "one level", "a level a row", "empty levels"):
        codes = {"levels": rng.integers(0, 3, n), "one level": np.zeros(n, int), "a level a row": np.arange(n)}
        return pd.Categorical.from_codes(codes.get(kind, np.full(n, -1)), [f"v{i}" for i in range(max(n, 3))])
    one = np.zeros(n)
    one[-1] = 1.0
    gaps = rng.normal(size=n)
    gaps[1:] = np.nan
    return {
        "normal": rng.normal(size=n),
        "constant": np.full(n, 7.0),
        "missing": np.full(n, np.nan),
        "one known": gaps,
        "half missing": np.where(rng.random(n) < 0.5, np.nan, rng.normal(size=n)),
        "one differs": one,
        "huge": rng.normal(size=n) * 1e300,
        "largest": np.where(rng.random(n) < 0.5, -1.0, 1.0) * np.finfo(float).max,
        "tiny": rng.normal(size=n) * 1e-300,
        "denormal": rng.integers(0, 3, n) * 5e-324,
        "far away": 1e16 + np.arange(n) % 2 * 2.0,
        "negative": -rng.lognormal(size=n),
        "zeros and ones": rng.integers(0, 2, n).astype(float),
        "row number": np.arange(n, dtype=float),
        "copy of the class": np.arange(n) % 2 * 1.0,
    }[kind]


ODD = (
    *("normal", "constant", "missing", "one known", "half missing", "one differs", "huge", "largest", "tiny", "denormal"),
    *("far away", "negative", "zeros and ones", "row number", "copy of the class"),
    *("levels", "one level", "a level a row", "empty levels"),
)
CLASSES = {  # codes of n rows
    "two": lambda n: np.arange(n) % 2,
    "one": lambda n: np.zeros(n, int),
    "one a row": np.arange,
    "one row differs": lambda n: (np.arange(n) == 0).astype(int),
    "with holes": lambda n: np.arange(n) % 3 * 4,
}


def assert_explained(kinds, n, classes, seed):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({f"{i} {kind}": odd_column(kind, n, rng) for i, kind in enumerate(kinds)})
    values, reasons = compute(Table(frame, CLASSES[classes](n)))
    assert unexplained(values, reasons) == []
    assert all(reason and "\n" not in reason for reason in reasons.values())
    assert not [reason for reason in reasons.values() if "undefined for 0 of" in reason]
    assert not {name for name in reasons if name in values and not np.isnan(values[name])}, "a reason for what has a value"


@pytest.mark.parametrize("n", [1, 2, 3, 20])
@pytest.mark.parametrize("kind", ODD)
def test_every_nan_of_a_column_alone_has_its_reason(kind, n):
    assert_explained([kind], n, "two", 0)


@pytest.mark.parametrize("n", [1, 2, 12])
@pytest.mark.parametrize("classes", CLASSES)
def test_every_nan_of_odd_classes_has_its_reason(classes, n):
    assert_explained(["normal", "levels"], n, classes, 0)


@settings(max_examples=25, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(ODD), min_size=1, max_size=5),
    n=st.integers(1, 30),
    classes=st.sampled_from(sorted(CLASSES)),
    seed=st.integers(0, 99),
)
def test_every_nan_of_any_table_has_its_reason(kinds, n, classes, seed):
    assert_explained(kinds, n, classes, seed)


def test_infinite_values_are_refused_before_anything_is_computed():
    frame = pd.DataFrame({"a": [0.0, np.inf, 1.0, 2.0] * 10, "y": [0, 1] * 20})
    with pytest.raises(UserError, match="column 'a': infinite values"):
        metafeatures(data=frame, target="y", folds=2)


def test_a_row_per_fold_from_the_cache_the_second_time(capsys, monkeypatch):
    monkeypatch.setattr(extract, "GROUPS", ("general", "landmarking", "tabular"))  # the others take their time
    rng = np.random.default_rng(0)
    pd.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60), "y": np.arange(60) % 2}).to_csv("t.csv", index=False)
    call = ["metafeatures", "--data", "t.csv", "--target", "y", "--out", "out/m.parquet", "--folds", "2", "--time-limit", "3000"]
    assert main(call) == 0
    said = capsys.readouterr()
    assert said.err.count("fold 1") == 3
    frame = pd.read_parquet("out/m.parquet")
    assert frame[["task", "repeat", "fold"]].to_numpy().tolist() == [["t", 0, 0], ["t", 0, 1]]
    assert frame["nr_inst"].tolist() == [30, 30]
    assert {"share_missing", "best_node.mean.relative", "reasons"} <= set(frame)
    monkeypatch.setattr(extract, "Child", None)  # nothing may be computed again
    assert main(call) == 0
    assert capsys.readouterr().err == ""
    pd.testing.assert_frame_equal(pd.read_parquet("out/m.parquet"), frame)


def never_ends(*_):
    time.sleep(600)
    return b""


def test_a_group_over_its_time_limit_is_nan_and_tried_again_under_a_larger_one(monkeypatch):
    monkeypatch.setattr(extract, "GROUPS", ("complexity",))
    data = pd.DataFrame(np.random.default_rng(0).normal(size=(100, 9))).add_prefix("x").assign(y=np.arange(100) % 2)
    with monkeypatch.context() as patch:
        patch.setattr(extract, "_in_child", never_ends)
        frame = metafeatures(data=data, target="y", folds=2, resources=Resources(time_limit=0.1))
    assert "time limit" in json.loads(frame["reasons"][0])["complexity"]
    assert frame["n3.mean"].isna().all()
    assert metafeatures(data=data, target="y", folds=2, resources=Resources(time_limit=3000))["n3.mean"].notna().all()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"data": pd.DataFrame({"a": [1.0, 2.0], "y": [0, 1]})}, "needs a target"),
        ({"suite": "smok"}, "did you mean 'smoke'"),
    ],
)
def test_bad_input_is_one_line(call, says):
    with pytest.raises(UserError, match=says):
        metafeatures(**call)


@pytest.mark.parametrize("out", ["", ".", "folder"])
def test_a_folder_to_write_to_is_said_before_anything_is_computed(out, capsys, monkeypatch):
    Path("folder").mkdir()
    monkeypatch.setattr("tabbench.api.metafeatures", lambda *_, **__: pytest.fail("computed first"))
    assert main(["metafeatures", "--data", "t.csv", "--target", "y", f"--out={out}"]) == 2
    assert "is a folder: name a file" in capsys.readouterr().err
