from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from tabbench.data.task import make_task
from tabbench.errors import UserError
from tabbench.models import Needs
from tabbench.prepare.preprocess import Preprocessor
from tabbench.prepare.subsample import COLUMN_POLICIES, ROW_POLICIES, SubsampledClassifier

NESTED_ROWS = {
    "random",
    "stratified",
    "balanced",
    "first",
    "el2n_hard",
    "el2n_moderate",
    "nearest",
    "coreset",
    "bagged",
}


def table(n=200, k=3, seed=0):
    """Numbers, categories and missing cells; class 0 is rare."""
    rng = np.random.default_rng(seed)
    y = rng.choice(k, n, p=[0.05, *[0.95 / (k - 1)] * (k - 1)])
    y[:k] = np.arange(k)
    frame = pd.DataFrame(rng.normal(size=(n, 4)), columns=list("abcd"))
    frame["a"] += 2 * y
    frame.loc[rng.random(n) < 0.2, "b"] = np.nan
    frame["colour"] = np.where(rng.random(n) < 0.1, None, rng.choice(["red", "green", "blue"], n))
    task = make_task(frame.assign(y=y), "y", name="t")
    return task.X, task.y


def tree(**options):
    base = make_pipeline(Preprocessor(Needs("ordinal", scaled=False, complete=True)), DecisionTreeClassifier(random_state=0))
    return SubsampledClassifier(base, **options)


@pytest.mark.parametrize("name", ROW_POLICIES)
def test_rows_are_distinct_in_range_and_repeatable(name):
    X, y = table()
    contexts, again = (ROW_POLICIES[name](X, y, 50, np.random.default_rng(1)).rows for _ in range(2))
    for rows, same in zip(contexts, again, strict=True):
        assert len(rows) == 50
        assert np.array_equal(rows, np.unique(rows))
        assert rows.min() >= 0
        assert rows.max() < len(y)
        assert np.array_equal(rows, same)


@pytest.mark.parametrize("name", sorted(NESTED_ROWS & set(ROW_POLICIES)))
def test_smaller_is_a_subset_of_larger(name):
    X, y = table()
    small, large = (ROW_POLICIES[name](X, y, n, np.random.default_rng(1)).rows[0] for n in (20, 60))
    assert set(small) <= set(large)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 4), min_size=10, max_size=80), st.integers(5, 80), st.integers(0, 99))
def test_stratified_keeps_every_class_and_its_share(labels, n, seed):
    y = np.unique(labels, return_inverse=True)[1]
    n = min(n, len(y))
    [rows] = ROW_POLICIES["stratified"](pd.DataFrame({"a": y}), y, n, np.random.default_rng(seed)).rows
    kept, counts = np.bincount(y[rows], minlength=y.max() + 1), np.bincount(y)
    assert kept.min() >= 1
    assert kept.sum() == n
    assert np.all(np.abs(kept - n * counts / len(y)) <= len(counts))


def test_balanced_evens_the_classes_out():
    X, y = table(400)
    [rows] = ROW_POLICIES["balanced"](X, y, 60, np.random.default_rng(0)).rows
    counts, available = np.bincount(y[rows]), np.bincount(y)
    assert counts[0] == min(20, available[0])
    assert abs(counts[1] - counts[2]) <= 1


def test_el2n_hard_prefers_mislabelled_rows():
    X, y = table(600, k=2)
    wrong = np.flatnonzero(y == 1)[:15]
    y = y.copy()
    y[wrong] = 0
    [hard] = ROW_POLICIES["el2n_hard"](X, y, 60, np.random.default_rng(0)).rows
    [random] = ROW_POLICIES["random"](X, y, 60, np.random.default_rng(0)).rows
    assert np.isin(wrong, hard).mean() > np.isin(wrong, random).mean() + 0.3


@pytest.mark.parametrize("name", COLUMN_POLICIES)
def test_columns(name):
    X, y = table()
    reduce = COLUMN_POLICIES[name](X, y, 2, np.random.default_rng(0))
    assert reduce(X).shape == (200, 2)
    assert reduce(X.iloc[:3]).equals(reduce(X).iloc[:3].reset_index(drop=True)) or name == "pca"
    if name in {"mutual_info", "importance"}:
        assert "a" in reduce(X)  # the only column that tells


@pytest.mark.parametrize("name", ROW_POLICIES)
def test_classifier_under_every_row_policy(name):
    X, y = table(400)
    labels = np.array(["x", "y", "z"])[y]
    model = tree(max_rows=60, row_policy=name, max_columns=3).fit(X[:300], labels[:300])
    proba = model.predict_proba(X[300:])
    assert proba.shape == (100, 3)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert model.subsample_.n_rows == 60
    assert model.subsample_.note == f"3 of 5 columns (mutual_info), 60 of 300 rows ({name})"
    least = 0.35 if name == "el2n_hard" else 0.5  # the hardest rows alone mislead, as is known at small sizes
    assert np.mean(model.predict(X[300:]) == labels[300:]) > least
    order = np.random.default_rng(0).permutation(100)
    np.testing.assert_array_equal(model.predict_proba(X[300:].iloc[order]), proba[order])
    np.testing.assert_array_equal(np.concatenate([model.predict_proba(X[300:350]), model.predict_proba(X[350:])]), proba)


@pytest.mark.parametrize("name", COLUMN_POLICIES)
def test_a_fitted_classifier_can_be_copied(name):
    X, y = table()
    model = tree(max_rows=50, row_policy="nearest", max_columns=2, column_policy=name).fit(X, y)
    copy = deepcopy(model)
    np.testing.assert_array_equal(copy.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("name", COLUMN_POLICIES)
def test_the_columns_do_not_depend_on_the_rows_to_predict(name):
    X, y = table()
    model = tree(max_columns=2, column_policy=name).fit(X, y)
    alone = np.vstack([model.predict_proba(X.iloc[[i]]) for i in range(10)])
    np.testing.assert_array_equal(alone, model.predict_proba(X.iloc[:10]))


def test_huge_values_do_not_break_the_scores_of_columns():
    X, y = table()
    X.loc[3, "c"] = 1e300
    for name in ("variance", "mutual_info", "importance"):
        assert COLUMN_POLICIES[name](X, y, 2, np.random.default_rng(0))(X).shape == (200, 2)


def test_within_the_limits_nothing_is_cut():
    X, y = table()
    plain = tree().fit(X, y)
    limited = tree(max_rows=200, max_columns=5).fit(X, y)
    assert limited.subsample_.note == ""
    np.testing.assert_array_equal(plain.predict_proba(X), limited.predict_proba(X))


def test_a_class_outside_the_context_has_probability_zero():
    X, y = table()
    y = np.sort(y)
    model = tree(max_rows=5, row_policy="first").fit(X, y)
    proba = model.predict_proba(X)
    assert proba.shape == (200, 3)
    assert (proba[:, 0] == 1).all()


def test_labels_only_estimators_work():
    X, y = table()
    from tests.support.hostile import LabelsOnly

    model = SubsampledClassifier(LabelsOnly(), max_rows=50).fit(X, y)
    assert set(np.unique(model.predict_proba(X))) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"max_rows": 1}, "max_rows must be at least 2, got 1"),
        ({"max_columns": 0}, "max_columns must be at least 1"),
        ({"max_rows": 50, "row_policy": "stratifed"}, "did you mean 'stratified'"),
        ({"max_columns": 2, "column_policy": "pcaa"}, "did you mean 'pca'"),
    ],
)
def test_bad_limits(options, says):
    X, y = table()
    with pytest.raises(UserError, match=says):
        tree(**options).fit(X, y)


def test_scaling_is_learned_from_the_subset_only():
    X, y = table()
    pipeline = make_pipeline(Preprocessor(Needs()), LogisticRegression())
    model = SubsampledClassifier(pipeline, max_rows=30, row_policy="first").fit(X, y)
    far = X.copy()
    far.iloc[30:, 0] = 1e6
    same = SubsampledClassifier(pipeline, max_rows=30, row_policy="first").fit(far, y)
    np.testing.assert_array_equal(model.predict_proba(X), same.predict_proba(X))
