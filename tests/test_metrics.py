import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from tabbench.metrics import METRICS, compute_metrics

TABLE = st.tuples(st.integers(0, 10_000), st.integers(2, 7), st.integers(10, 60))


def draw(seed, k, n, decimals=1):
    """Every class occurs; few decimals, so that scores tie."""
    rng = np.random.default_rng(seed)
    y = np.r_[np.arange(k), rng.integers(0, k, n - k)]
    proba = np.round(rng.dirichlet(np.ones(k), n), decimals) + 0.01
    return y, proba / proba.sum(axis=1, keepdims=True)


@given(TABLE)
@settings(max_examples=60)
def test_equal_to_scikit_learn(table):
    y, proba = draw(*table)
    k, predicted = proba.shape[1], proba.argmax(axis=1)
    scores = proba if k > 2 else proba[:, 1]
    expected = {
        "accuracy": reference.accuracy_score(y, predicted),
        "balanced_accuracy": reference.balanced_accuracy_score(y, predicted),
        "f1": reference.f1_score(y, predicted, average="macro" if k > 2 else "binary"),
        "f1_macro": reference.f1_score(y, predicted, average="macro"),
        "roc_auc_ovo": reference.roc_auc_score(y, scores, multi_class="ovo", average="macro"),
        "roc_auc_ovr": reference.roc_auc_score(y, scores, multi_class="ovr", average="macro"),
        "log_loss": reference.log_loss(y, proba),
        "auc_or_log_loss": reference.log_loss(y, proba) if k > 2 else 1 - reference.roc_auc_score(y, scores),
        "brier": np.mean(np.sum((proba - np.eye(k)[y]) ** 2, axis=1)),
        "ece": naive_ece(y, proba),
    }
    found = compute_metrics(y, proba)
    assert list(found) == list(METRICS) == list(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


def naive_ece(y, proba, n_bins=15):
    confidence, hit = proba.max(axis=1), proba.argmax(axis=1) == y
    total = 0.0
    for b in range(n_bins):
        inside = (confidence > b / n_bins) & (confidence <= (b + 1) / n_bins)
        if inside.any():
            total += inside.mean() * abs(hit[inside].mean() - confidence[inside].mean())
    return total


def test_binary_by_hand():
    y = np.array([0, 0, 1, 1])
    p = np.array([0.1, 0.4, 0.4, 0.8])  # of the 4 pairs 3 are right and one ties; one positive is missed
    found = compute_metrics(y, np.c_[1 - p, p])
    assert found["accuracy"] == found["balanced_accuracy"] == 0.75
    assert found["f1"] == pytest.approx(2 / 3)  # precision 1, recall 1/2
    assert found["f1_macro"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert found["roc_auc_ovo"] == found["roc_auc_ovr"] == 3.5 / 4
    assert found["log_loss"] == pytest.approx(-np.log([0.9, 0.6, 0.4, 0.8]).mean())
    assert found["brier"] == pytest.approx(2 * np.mean([0.1**2, 0.4**2, 0.6**2, 0.2**2]))
    # bins of width 1/15: 0.9 right, 0.8 right, 0.6 once right and once wrong
    assert found["ece"] == pytest.approx((0.1 + 0.2 + abs(1 - 1.2)) / 4)


def test_multiclass_auc_by_hand():
    y = np.array([0, 1, 2])
    proba = np.array([[0.5, 0.3, 0.2], [0.6, 0.3, 0.1], [0.0, 0.4, 0.6]])
    found = compute_metrics(y, proba)
    # pairs: (0,1) = (0 by column 0, 1/2 by column 1); (0,2) = (1, 1); (1,2) = (0, 1)
    assert found["roc_auc_ovo"] == pytest.approx((0.25 + 1.0 + 0.5) / 3)
    # class 0: beats row 2 only; class 1: ties with row 0, loses to row 2; class 2: beats both
    assert found["roc_auc_ovr"] == pytest.approx((0.5 + 0.25 + 1.0) / 3)


@given(TABLE)
@settings(max_examples=30)
def test_class_absent_from_the_fold_is_left_out(table):
    y, proba = draw(*table)
    k = proba.shape[1]
    padded = np.insert(proba, 1, 0.0, axis=1)  # an extra class between 0 and the rest, that no row has
    shifted = np.where(y > 0, y + 1, y)
    without, with_absent = compute_metrics(y, proba), compute_metrics(shifted, padded)
    for name in set(METRICS) - ({"f1", "roc_auc_ovo", "roc_auc_ovr", "auc_or_log_loss"} if k == 2 else set()):
        assert with_absent[name] == pytest.approx(without[name], abs=1e-12), name
    assert with_absent["roc_auc_ovo"] == pytest.approx(without["roc_auc_ovo"], abs=1e-9) or k == 2


def test_absent_class_with_probability_by_hand():
    y = np.array([0, 0, 2, 2])
    proba = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4]])
    found = compute_metrics(y, proba)
    assert found["balanced_accuracy"] == 0.75
    assert found["f1_macro"] == pytest.approx((2 / 3 + 1) / 2)  # class 1 is predicted once but has no row: not averaged
    assert found["roc_auc_ovo"] == pytest.approx((3 / 4 + 1) / 2)
    assert found["roc_auc_ovr"] == pytest.approx((3 / 4 + 1) / 2)


@pytest.mark.parametrize("k", [2, 4])
def test_single_class_fold_has_no_auc(k):
    proba = np.full((3, k), 1 / k)
    found = compute_metrics(np.ones(3, dtype=int), proba)
    assert np.isnan(found.pop("roc_auc_ovo"))
    assert np.isnan(found.pop("roc_auc_ovr"))
    assert np.isnan(found.pop("auc_or_log_loss")) == (k == 2)
    assert np.isfinite(list(found.values())).all()


def test_class_unseen_in_training_is_clipped():
    found = compute_metrics(np.array([0, 1, 2]), np.array([[0.5, 0.5, 0.0]] * 3))
    eps = np.finfo(np.float64).eps
    assert found["log_loss"] == pytest.approx(-(2 * np.log(0.5) + np.log(eps)) / 3)
    assert found["log_loss"] == pytest.approx(reference.log_loss([0, 1, 2], np.array([[0.5, 0.5, 0.0]] * 3)))


def test_constant_probabilities_are_all_ties():
    y, _ = draw(0, 5, 50)
    found = compute_metrics(y, np.full((50, 5), 0.2))
    assert found["roc_auc_ovo"] == found["roc_auc_ovr"] == 0.5
    assert found["accuracy"] == np.mean(y == 0)  # the first of equals is predicted


def test_f1_without_positives_is_zero():
    assert compute_metrics(np.zeros(3, dtype=int), np.array([[0.9, 0.1]] * 3))["f1"] == 0.0


@pytest.mark.parametrize("k", [2, 5])
def test_perfect_and_monotone(k):
    y, proba = draw(1, k, 40, decimals=6)
    perfect = compute_metrics(y, np.eye(k)[y])
    assert {name for name, value in perfect.items() if value == pytest.approx(1.0)} >= {"accuracy", "f1", "roc_auc_ovo"}
    assert perfect["log_loss"] == pytest.approx(0.0, abs=1e-12)
    assert perfect["brier"] == perfect["ece"] == 0.0
    order = np.random.default_rng(0).permutation(len(y))
    assert compute_metrics(y[order], proba[order]) == pytest.approx(compute_metrics(y, proba), abs=1e-12)


def test_float32_softmax_is_accepted():
    y, proba = draw(2, 7, 50)
    found = compute_metrics(y, proba.astype(np.float32))
    assert found == pytest.approx(compute_metrics(y, proba.astype(np.float32).astype(np.float64)), abs=0)


@pytest.mark.parametrize(
    ("y", "proba", "message"),
    [
        ([0, 1], [[0.5, 0.5], [np.nan, 1.0]], "NaN or infinite in 1 of 2 rows"),
        ([0, 1], [[0.5, 0.5], [np.inf, 1.0]], "NaN or infinite"),
        ([0, 1], [[0.5, 0.5], [-0.1, 1.1]], "negative"),
        ([0, 1], [[0.5, 0.5], [0.5, 0.6]], "sum to 1"),
        ([0, 2], [[0.5, 0.5], [0.5, 0.5]], "do not fit 2 columns"),
        ([0, -1], [[0.5, 0.5], [0.5, 0.5]], "do not fit 2 columns"),
        ([0], [[0.5, 0.5], [0.5, 0.5]], "expected \\(n, k\\)"),
        ([0, 1], [0.5, 0.5], "expected \\(n, k\\)"),
        ([], np.empty((0, 2)), "n > 0"),
    ],
)
def test_bad_predictions_are_refused_in_one_line(y, proba, message):
    with pytest.raises(ValueError, match=message) as caught:
        compute_metrics(np.array(y, dtype=int), np.array(proba))
    assert "\n" not in str(caught.value)


def test_directions_and_needs():
    losses = {"log_loss", "auc_or_log_loss", "brier", "ece"}
    assert {name for name, entry in METRICS.items() if not entry.greater_is_better} == losses
    for name, entry in METRICS.items():
        y, proba = draw(3, 4, 60, decimals=6)
        sharper = proba**3 / np.sum(proba**3, axis=1, keepdims=True)  # same order within a row
        unchanged = entry.score(y, proba) == pytest.approx(entry.score(y, sharper), abs=1e-12)
        assert unchanged == (entry.needs == "labels"), name
