import warnings
from itertools import product

import numpy as np
import pandas as pd
import pytest
from joblib import hash as hash_of
from sklearn.preprocessing import OneHotEncoder

from tabbench.models import Needs
from tabbench.prepare.preprocess import MAX_LEVELS, Preprocessor

ALL_NEEDS = [Needs(*row) for row in product(("native", "ordinal", "onehot"), (True, False), (True, False))]


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def category(values):
    """Column in normal form: sorted string levels."""
    return pd.Categorical(values, categories=sorted({value for value in values if value is not None}))


def table():
    return pd.DataFrame(
        {
            "a": [1.0, 2.0, np.nan, 6.0],
            "colour": category(["red", None, "blue", "red"]),
            "b": [5.0, 5.0, 7.0, 7.0],
        }
    )


def fit(needs, X):
    return Preprocessor(needs).fit(X)


def test_onehot_by_hand():
    train = table()
    encoded = fit(Needs("onehot", scaled=False, complete=True), train).transform(train)
    expected = [  # a (median 2), b, blue, red, missing colour, missing a
        [1, 5, 0, 1, 0, 0],
        [2, 5, 0, 0, 1, 0],
        [2, 7, 1, 0, 0, 1],
        [6, 7, 0, 1, 0, 0],
    ]
    np.testing.assert_array_equal(encoded, expected)
    assert encoded.dtype == np.float64


def test_ordinal_by_hand():
    train = table()
    plain = fit(Needs("ordinal", scaled=False, complete=False), train).transform(train)
    np.testing.assert_array_equal(plain, [[1, 1, 5], [2, np.nan, 5], [np.nan, 0, 7], [6, 1, 7]])
    complete = fit(Needs("ordinal", scaled=False, complete=True), train).transform(train)
    np.testing.assert_array_equal(complete, [[1, 1, 5], [2, -1, 5], [2, 0, 7], [6, 1, 7]])


def test_native_by_hand():
    train = table()
    plain = fit(Needs("native", scaled=False, complete=False), train).transform(train)
    assert plain["x0"].tolist()[:2] == [1.0, 2.0]
    assert np.isnan(plain["x0"][2])
    assert plain["x1"].cat.categories.tolist() == ["blue", "red"]
    assert plain["x1"].isna().tolist() == [False, True, False, False]
    complete = fit(Needs("native", scaled=False, complete=True), train).transform(train)
    assert complete["x0"].tolist() == [1.0, 2.0, 2.0, 6.0]
    assert complete["x1"].tolist() == ["red", "missing", "blue", "red"]
    assert list(complete.columns) == ["x0", "x1", "x2"]


def test_scaling_by_hand():
    X = pd.DataFrame({"a": [1.0, 3.0, np.nan]})
    np.testing.assert_allclose(fit(Needs("ordinal", True, False), X).transform(X).ravel(), [-1, 1, np.nan])
    scaled = fit(Needs("ordinal", True, True), X).transform(X).ravel()
    np.testing.assert_allclose(scaled, np.array([-1, 1, 0]) * np.sqrt(1.5))


@pytest.mark.parametrize("needs", ALL_NEEDS)
def test_unseen_levels_and_missing_only_in_test(needs):
    train = pd.DataFrame({"a": [1.0, 2.0, 3.0], "c": category(["u", "v", "u"])})
    test = pd.DataFrame({"a": [np.nan, 1e12, 2.0], "c": category(["new", None, "v"])})
    encoded = fit(needs, train).transform(test)
    if needs.categories == "native":
        levels = ["u", "v", "missing"] if needs.complete else ["u", "v"]
        assert encoded["x1"].cat.categories.tolist() == levels
        assert encoded["x1"].astype(object).where(encoded["x1"].notna(), "-").tolist() == (
            ["missing", "missing", "v"] if needs.complete else ["-", "-", "v"]
        )
    elif needs.categories == "ordinal":
        absent = -1 if needs.complete else np.nan
        np.testing.assert_array_equal(encoded[:, 1], [absent, absent, 1])
    else:
        np.testing.assert_array_equal(encoded[:, 1:], [[0, 0], [0, 0], [0, 1]])
    assert pd.DataFrame(encoded).notna().all(axis=None) == needs.complete


@pytest.mark.parametrize("needs", ALL_NEEDS)
def test_test_rows_do_not_reach_the_fitted_state(needs):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=40), "c": category(rng.choice(list("uvw"), 40).tolist())})
    X.loc[::5, "a"] = np.nan
    wild = pd.DataFrame({"a": [1e300, -1e300, np.nan], "c": category(["new", "newer", None])})
    both = pd.concat([X, wild], ignore_index=True)
    both["c"] = category([value if isinstance(value, str) else None for value in both["c"].astype(object)])
    alone, beside = fit(needs, X), fit(needs, both.iloc[:40])  # beside: the column's dtype knows the test levels

    pd.testing.assert_frame_equal(pd.DataFrame(alone.transform(X)), pd.DataFrame(beside.transform(both.iloc[:40])))
    before = hash_of(alone)
    alone.transform(wild)
    assert hash_of(alone) == before
    one_by_one = [pd.DataFrame(alone.transform(both.iloc[[i]])) for i in range(len(both))]
    together = pd.DataFrame(alone.transform(both))
    pd.testing.assert_frame_equal(pd.concat(one_by_one, ignore_index=True), together)


@pytest.mark.parametrize("needs", ALL_NEEDS)
def test_constant_and_empty_columns_are_dropped(needs):
    X = pd.DataFrame(
        {
            "constant": [0.1] * 4,
            "empty": [np.nan] * 4,
            "one_level": category(["u"] * 4),
            "no_level": category([None] * 4),
            "a": [1.0, 2.0, 3.0, 4.0],
            "gap": [0.1, np.nan, 0.1, 0.1],
        }
    )
    preprocessor = fit(needs, X)
    assert preprocessor.columns_ == ["a", "gap"]
    encoded = np.asarray(preprocessor.transform(X.assign(gap=1e6)), dtype=float)
    assert np.abs(encoded).max() <= 1e6  # a column that is constant but for its gaps is not blown up by its scale


@pytest.mark.parametrize("needs", ALL_NEEDS)
@pytest.mark.parametrize("column", [[3.0] * 5, [np.nan] * 5, category(["u"] * 5), category([None] * 5)])
def test_a_table_without_information_still_gives_rows(needs, column):
    X = pd.DataFrame({"only": column})
    assert len(fit(needs, X).transform(X)) == 5


@pytest.mark.parametrize("needs", ALL_NEEDS)
def test_one_kind_of_column_alone(needs):
    numbers = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, 0.0, 3.0]})
    levels = pd.DataFrame({"c": category(["u", "v", "u"]), "d": category(["s", "s", "t"])})
    assert fit(needs, numbers).transform(numbers).shape == (3, 2)
    assert fit(needs, levels).transform(levels).shape == (3, 4 if needs.categories == "onehot" else 2)


def test_many_levels_do_not_explode():
    rng = np.random.default_rng(0)
    values = [f"id{i:04d}" for i in rng.geometric(0.01, 5000)]
    values[::50] = [None] * 100
    X = pd.DataFrame({"id": category(values)})
    assert len(X["id"].cat.categories) > 300
    hot = fit(Needs(), X).transform(X)
    assert hot.shape == (5000, MAX_LEVELS + 1)
    np.testing.assert_array_equal(hot.sum(axis=1), 1)
    counts = X["id"].value_counts()
    assert sorted(hot[:, : MAX_LEVELS - 1].sum(axis=0)) == sorted(counts.iloc[: MAX_LEVELS - 1])
    np.testing.assert_array_equal(hot[:, -1], X["id"].isna())


@pytest.mark.parametrize("n_levels", [2, MAX_LEVELS - 1, MAX_LEVELS, MAX_LEVELS + 1, 100])
def test_onehot_equals_scikit_learn(n_levels):
    rng = np.random.default_rng(n_levels)
    p = rng.dirichlet(np.full(n_levels, 5.0))
    codes = np.r_[np.arange(n_levels), rng.choice(n_levels, 20_000, p=p)]  # counts that hardly ever tie
    X = pd.DataFrame({"c": category([f"{code:03d}" for code in codes]), "d": category([["u", "v"][code % 2] for code in codes])})
    reference = OneHotEncoder(handle_unknown="ignore", max_categories=MAX_LEVELS, sparse_output=False)
    found, expected = fit(Needs(), X).transform(X), reference.fit_transform(X)
    np.testing.assert_array_equal(np.unique(found, axis=1), np.unique(expected, axis=1))  # whatever the order of columns


def test_a_level_called_missing_is_kept():
    X = pd.DataFrame({"c": category(["missing", None, "u"])})
    assert fit(Needs("native", False, True), X).transform(X)["x0"].tolist() == ["missing", "missing", "u"]


def test_input_is_not_changed():
    X = table()
    for needs in ALL_NEEDS:
        fit(needs, X).transform(X)
    pd.testing.assert_frame_equal(X, table())
