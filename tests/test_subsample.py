import types
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from tabbench.data.task import make_task
from tabbench.errors import UserError
from tabbench.models import Needs
from tabbench.prepare.preprocess import Preprocessor
from tabbench.prepare.subsample import COLUMN_POLICIES, ROW_POLICIES, SubsampledClassifier, class_probabilities

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


@pytest.mark.parametrize("policy", ["first", "bagged"])
def test_a_context_in_which_nothing_varies_predicts_the_shares_of_its_classes(policy):
    """CatBoost and others fail on it."""
    X = pd.DataFrame({"a": np.r_[np.ones(20), np.arange(100)], "b": 1.0}).iloc[: 20 if policy == "bagged" else None]
    X.loc[X.index[-1], "a"] = 7.0 if policy == "first" else 1.0
    y = np.resize([0, 0, 1, 0], len(X))
    model = tree(max_rows=16, row_policy=policy).fit(X, y)
    if policy == "first":
        np.testing.assert_allclose(model.predict_proba(X), [[0.75, 0.25]] * len(X))
    assert "no feature varies" in model.subsample_.note


def test_columns_cut_until_nothing_varies_leave_the_shares():
    X = pd.DataFrame({"a": 1.0, "b": 2.0, "c": np.arange(40) // 39})
    model = tree(max_rows=20, row_policy="first", max_columns=2, column_policy="first").fit(X, np.resize([0, 1], 40))
    assert model.predict_proba(X).tolist() == [[0.5, 0.5]] * 40


def test_a_context_of_one_class_is_certain_and_fits_no_model():
    X, y = table(n=60, k=2)
    order = np.argsort(y, kind="stable")
    model = tree(max_rows=2, row_policy="first").fit(X.iloc[order], y[order])
    assert model.predict_proba(X).tolist() == [[1.0, 0.0]] * 60


class Answers(LogisticRegression):
    """Answers `predict_proba` in a form of its own, as `answer(proba, classes)` says."""

    def answering(self, answer):
        self.answer = answer
        return self

    def predict_proba(self, X):
        return self.answer(super().predict_proba(X), self)


def backwards(proba, model, kind=int):
    model.classes_ = np.array([2, 1, 0]).astype(kind)
    return proba[:, ::-1]


@pytest.fixture
def fitted():
    X = np.random.default_rng(0).normal(size=(90, 2))
    y = np.arange(90) % 3
    X[:, 0] += y
    return LogisticRegression().fit(X, y).predict_proba(X), Answers().fit(X, y), X


@pytest.mark.parametrize(
    "answer",
    [
        lambda proba, model: proba,
        lambda proba, model: proba.tolist(),
        lambda proba, model: pd.DataFrame(proba),
        lambda proba, model: pd.DataFrame(proba[:, ::-1], columns=[2, 1, 0]),
        lambda proba, model: pd.DataFrame(proba[:, [1, 0, 2]], columns=["1", "0", "2"]),
        backwards,
        lambda proba, model: backwards(proba, model, float),
        lambda proba, model: backwards(proba, model, str),
        lambda proba, model: pd.DataFrame(backwards(proba, model)),
        lambda proba, model: pd.DataFrame(backwards(proba, model), columns=["x", "y", "z"]),
        lambda proba, model: proba.astype(object),
        lambda proba, model: proba.astype(np.longdouble),
        lambda proba, model: pd.DataFrame(proba).astype("Float64"),
        lambda proba, model: np.ma.masked_array(proba),
    ],
)
def test_columns_are_what_classes_or_their_names_say(fitted, answer):
    proba, model, X = fitted
    np.testing.assert_array_equal(class_probabilities(model.answering(answer), X, 3), proba)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda proba, model: setattr(model, "classes_", [0, 1]) or proba[:, :2], "classes_ is .0, 1., expected the 3 labels"),
        (lambda proba, model: setattr(model, "classes_", [0, 1, 1]) or proba, "classes_ is .0, 1, 1., expected the 3 labels"),
        (lambda proba, model: setattr(model, "classes_", [1, 2, 3]) or proba, "classes_ holds 3, which is no label"),
        (lambda proba, model: setattr(model, "classes_", ["a", "b", "c"]) or proba, "classes_ holds 'a', which is no label"),
        (lambda proba, model: proba[:, 0], r"predict_proba returned shape \(90,\), expected \(90, 3\)"),
        (lambda proba, model: None, "predict_proba returned"),
        (lambda proba, model: [["a", "b", "c"]] * 90, "something else than numbers"),
        (lambda proba, model: proba + 1e-9j, "predict_proba returned complex numbers, expected real ones"),
        (lambda proba, model: proba.astype(np.complex64), "complex numbers"),
        (lambda proba, model: proba.astype(complex).astype(object), "something else than numbers"),
        (lambda proba, model: proba.astype(str), "something else than numbers"),
        (lambda proba, model: proba.astype(str).astype(object), "something else than numbers"),
        (lambda proba, model: proba.astype(bytes), "something else than numbers"),
        (lambda proba, model: (proba * 100).astype("datetime64[s]"), "something else than numbers"),
        (lambda proba, model: (proba * 100).astype("timedelta64[s]"), "something else than numbers"),
        (lambda proba, model: np.where(proba > 2, proba, None), "something else than numbers"),
        (lambda proba, model: pd.DataFrame(proba).astype("Float64").mask(proba > 0.9), "something else than numbers"),
        (lambda proba, model: np.ma.masked_array(proba, proba > 0.9), "masked cells"),
        (lambda proba, model: sparse.csr_array(proba), "csr_array of something else than numbers"),
        (lambda proba, model: [*proba.tolist()[:-1], [1.0]], "rows of several lengths"),
        (lambda proba, model: np.zeros((90, 3), [("a", float)]), "something else than numbers"),
    ],
)
def test_impossible_answers_fail_in_one_true_line(fitted, answer, says):
    _, model, X = fitted
    with pytest.raises(ValueError, match=says) as caught:
        class_probabilities(model.answering(answer), X, 3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (lambda codes: codes + 1j, "predict returned"),
        (lambda codes: codes.astype("datetime64[D]"), "predict returned"),
        (lambda codes: codes.astype("timedelta64[s]"), "predict returned"),
        (lambda codes: np.ma.masked_array(codes, codes == 1), "predict returned masked cells"),
        (lambda codes: codes + 0.5, "predict returned 0.5, which is no label"),
        (lambda codes: np.where(codes == 1, np.nan, codes), "predict returned nan, which is no label"),
        (lambda codes: codes.astype(np.uint8) - 1, "predict returned 255, which is no label"),
        (lambda codes: np.eye(3)[codes], r"predict returned shape \(90, 3\)"),
    ],
)
def test_labels_that_are_none_fail_in_one_true_line(labels, says):
    model = types.SimpleNamespace(predict=lambda X: labels(np.arange(90) % 3))
    with pytest.raises(ValueError, match=says):
        class_probabilities(model, np.zeros((90, 1)), 3)
