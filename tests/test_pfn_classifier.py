import json
import shutil
import warnings
from copy import deepcopy
from importlib import import_module, reload
from itertools import permutations, product

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import load_iris, make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import estimator_checks_generator

pytest.importorskip("torch")

import torch

from tabbench import PFNClassifier
from tabbench.errors import UserError
from tabbench.pfn.card import WEIGHTS
from tabbench.pfn.encode import NormalForm, View
from tabbench.pfn.ensemble import _latin_orders, _n_bytes
from tabbench.pfn.hierarchy import HierarchicalClassifier
from tabbench.pfn.network import PFN, NetworkConfig, save_weights
from tabbench.pfn.packaged import _load, find_weights
from tabbench.prepare.subsample import COLUMN_POLICIES, ROW_POLICIES, Cut

TOLERANCE = 1e-5  # of probabilities, between orders and batch sizes; the docstring promises it


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """File of a small network with random weights: every property but accuracy holds for it."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = PFN(NetworkConfig(width=16, n_layers=2, n_heads=2, hidden=32, n_thinking=4))
        for parameter in network.parameters():
            if parameter.ndim == 2:
                torch.nn.init.normal_(parameter, std=0.3)
    save_weights(network, path, {})
    return path


def mixed(n=80, k=3, seed=0):
    """Numbers, text, booleans, categories, dates, nullable integers and gaps."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    y[:k] = np.arange(k)
    frame = pd.DataFrame(
        {
            "number": rng.normal(size=n) + y,
            "count": pd.array(rng.integers(0, 9, n), dtype="Int64"),
            "text": rng.choice(["red", "green", "blue"], n),
            "flag": rng.random(n) < 0.5,
            "kind": pd.Categorical(rng.choice(["u", "v"], n)),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 500, n), unit="D"),
        }
    )
    frame.loc[rng.random(n) < 0.2, "count"] = pd.NA
    frame.loc[rng.random(n) < 0.2, "text"] = None
    frame.loc[rng.random(n) < 0.2, "number"] = np.nan
    return frame, np.array(["a", "b", "c", "d", "e"])[y]


def blobs(n=200, k=4, d=5):
    X, y = make_blobs(n, centers=k, n_features=d, cluster_std=1.0, random_state=0)
    return X, y


NOT_PROMISED = {
    "check_methods_subset_invariance": "asks for 1e-7; float32 sums depend on the batch size (1e-5 is tested below)",
    "check_methods_sample_order_invariance": "asks for 1e-9 (1e-5 is tested below)",
}
CHECKS = list(
    estimator_checks_generator(PFNClassifier(1, n_jobs=1), mark="skip", expected_failed_checks=NOT_PROMISED, legacy=True)
)


@pytest.mark.parametrize("number", range(len(CHECKS)))
def test_scikit_learn_takes_it_for_one_of_its_own(number):
    estimator, check = CHECKS[number]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def test_it_learns():
    X, y = load_iris(return_X_y=True, as_frame=True)
    assert cross_val_score(PFNClassifier(), X, y, cv=3).min() > 0.88


@pytest.mark.parametrize("n_members", [1, 3, 6])
def test_members_agree_on_which_class_is_which(n_members):
    X, y = blobs()
    model = PFNClassifier(n_members).fit(X[:150], y[:150])
    assert model.score(X[150:], y[150:]) > 0.9


def test_a_mixed_table(tiny):
    X, y = mixed()
    model = PFNClassifier(weights=tiny).fit(X, y)
    proba = model.predict_proba(X)
    assert proba.shape == (80, 3)
    assert proba.dtype == np.float64
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert model.feature_names_in_.tolist() == list(X.columns)
    assert model.subsample_ == Cut(80, 6, "")
    assert set(model.predict(X)) <= {"a", "b", "c"}


def test_spelling_of_a_table_does_not_matter(tiny):
    X, y = mixed()
    expected = PFNClassifier(weights=tiny).fit(X, y).predict_proba(X)
    others = [
        X.assign(text=X["text"].astype("category")),
        X.assign(text=X["text"].astype(object).where(X["text"].notna(), pd.NA)),
        X.assign(flag=X["flag"].astype("boolean")),
        X.assign(count=X["count"].astype("Float64"), number=X["number"].astype(object)),
        X.set_index(np.arange(80)[::-1]),
    ]
    for other in others:
        np.testing.assert_array_equal(PFNClassifier(weights=tiny).fit(other, y).predict_proba(other), expected)
    values = X.drop(columns="day")
    named = PFNClassifier(weights=tiny).fit(values, y).predict_proba(values)
    array = values.astype(object).to_numpy()
    np.testing.assert_array_equal(PFNClassifier(weights=tiny).fit(array, y).predict_proba(array), named)
    rows = [[1.0, "x"], [2.0, "y"], [3.0, "x"], [4.0, "y"]]
    assert PFNClassifier(weights=tiny).fit(rows, [0, 1, 0, 1])._form.levels_["x0"] is None


def test_the_scale_of_a_column_does_not_matter():
    X, y = blobs()
    expected = PFNClassifier().fit(X, y).predict_proba(X)
    moved = X * [1e-8, 1, 1e6, -3, 1e12] + [0, 1e5, -1e9, 2, 0]
    np.testing.assert_allclose(PFNClassifier().fit(moved, y).predict_proba(moved), expected, atol=0.05)


@pytest.fixture(scope="module")
def fitted():
    """A fitted classifier with forty rows to predict and their probabilities."""
    X, y = blobs()
    model = PFNClassifier(2, n_jobs=1).fit(X[:100], y[:100])
    return model, X[100:140], model.predict_proba(X[100:140])


@settings(max_examples=5)
@given(order=st.permutations(range(40)), size=st.integers(1, 40))
def test_order_and_batches_of_the_test_rows_do_not_matter(fitted, order, size):
    model, X, whole = fitted
    np.testing.assert_allclose(model.predict_proba(X[order]), whole[order], atol=TOLERANCE)
    pieces = [model.predict_proba(X[start : start + size]) for start in range(0, 40, size)]
    np.testing.assert_allclose(np.vstack(pieces), whole, atol=TOLERANCE)


def test_many_test_rows_are_answered_in_pieces():
    X, y = blobs(700)
    model = PFNClassifier(1).fit(X[:100], y[:100])
    whole = model.predict_proba(X)
    np.testing.assert_allclose(model.predict_proba(X[600:610]), whole[600:610], atol=TOLERANCE)


@pytest.mark.filterwarnings("ignore:PFNClassifier uses")
def test_same_seed_same_bytes(tiny):
    X, y = mixed()
    first, second, other = (
        PFNClassifier(weights=tiny, random_state=seed, max_rows=40).fit(X, y).predict_proba(X) for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_global_state_is_left_alone(tiny):
    _load.cache_clear()  # reading weights is part of it
    X, y = np.eye(8), np.tile([0, 1], 4)
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002 - to see nobody touched it
    n_threads = torch.get_num_threads()
    PFNClassifier(1, weights=tiny, n_jobs=n_threads + 1).fit(X, y).predict_proba(X)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == n_threads
    np.testing.assert_array_equal(numpy_state, np.random.get_state()[1])  # noqa: NPY002


def test_contexts_are_read_once_if_the_cache_holds_them(tiny, monkeypatch):
    X, y = mixed()
    n_reads = []
    read = PFN.encode_context
    monkeypatch.setattr(PFN, "encode_context", lambda self, *args: n_reads.append(1) or read(self, *args))
    cached = PFNClassifier(weights=tiny).fit(X, y)
    expected = cached.predict_proba(X)
    assert len(n_reads) == 3
    cached.predict_proba(X)
    assert len(n_reads) == 3
    bare = PFNClassifier(weights=tiny, max_cache_mb=0).fit(X, y)
    np.testing.assert_array_equal(bare.predict_proba(X), expected)
    assert bare._model._cache == {}
    part_mb = _n_bytes(next(iter(cached._model._cache.values()))) / 2**20
    some = PFNClassifier(weights=tiny, max_cache_mb=2.9 * part_mb).fit(X, y)
    assert len(some._model._cache) == 2
    np.testing.assert_array_equal(some.predict_proba(X), expected)


def leaves(value):
    """What a copy of an object is made of."""
    if hasattr(value, "__dict__") and not isinstance(value, type | torch.Tensor | torch.nn.Module):
        value = value.__getstate__()
    if not isinstance(value, dict | list | tuple):
        return [value]
    return [leaf for part in (value.values() if isinstance(value, dict) else value) for leaf in leaves(part)]


@pytest.mark.filterwarnings("ignore:PFNClassifier uses")
def test_a_copy_holds_data_and_seed_but_no_network(tiny):
    X, y = blobs()
    model = PFNClassifier(weights=tiny, max_rows=100, row_policy="nearest", max_columns=3).fit(X, y)
    expected = model.predict_proba(X)
    stored = leaves(model)
    assert not any(isinstance(leaf, torch.Tensor | torch.nn.Module) for leaf in stored)
    assert X.nbytes < sum(getattr(leaf, "nbytes", 8) for leaf in stored) < 80_000
    np.testing.assert_array_equal(deepcopy(model).predict_proba(X), expected)


@pytest.mark.parametrize("policy", ROW_POLICIES)
def test_too_many_rows_are_subsampled_with_a_warning(tiny, policy):
    X, y = blobs(150)
    model = PFNClassifier(weights=tiny, max_rows=60, row_policy=policy)
    with pytest.warns(UserWarning, match=rf"PFNClassifier uses 60 of 150 rows per member \({policy}\)"):
        model.fit(X, y)
    assert model.subsample_ == Cut(60, 5, f"60 of 150 rows per member ({policy})")
    proba = model.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_allclose(model.predict_proba(X[::-1]), proba[::-1], atol=TOLERANCE)


def test_members_draw_rows_of_their_own(tiny):
    X, y = blobs(150)
    with pytest.warns(UserWarning, match="60 of 150"):
        model = PFNClassifier(weights=tiny, max_rows=60).fit(X, y)
    rows = [tuple(member.parts[0].rows) for member in model._model.members]
    assert len(set(rows)) == 3
    assert all(set(y[list(part)]) == {0, 1, 2, 3} for part in rows)


@pytest.mark.parametrize("policy", COLUMN_POLICIES)
def test_too_many_columns_are_subsampled_with_a_warning(tiny, policy):
    X, y = blobs(80, d=30)
    with pytest.warns(UserWarning, match=rf"8 of 30 columns \({policy}\)"):
        model = PFNClassifier(weights=tiny, max_columns=8, column_policy=policy).fit(X, y)
    assert model.subsample_ == Cut(80, 8, f"8 of 30 columns ({policy})")
    assert model.predict_proba(X).shape == (80, 4)


def test_two_thousand_features(tiny):
    X, y = blobs(60, d=2000)
    with pytest.warns(UserWarning, match=r"100 of 2000 columns \(importance\)"):
        assert PFNClassifier(1, weights=tiny).fit(X, y).predict_proba(X).shape == (60, 4)


@pytest.mark.parametrize("k", [11, 25, 120])
def test_more_than_ten_classes(tiny, k):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(4 * k, 3)), np.repeat(np.arange(k), 4) * 10
    model = PFNClassifier(1, weights=tiny).fit(X, y)
    proba = model.predict_proba(X)
    assert proba.shape == (4 * k, k)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert set(model.predict(X)) <= set(y)
    assert model.subsample_.n_rows == 4 * k


def test_many_classes_are_learned():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 12, 400)
    X = np.c_[y % 4, y // 4] + rng.normal(size=(400, 2)) / 8
    assert PFNClassifier(2).fit(X[:300], y[:300]).score(X[300:], y[300:]) > 0.8


def test_hierarchy_is_exact_where_its_parts_are():
    """On separable groups of classes the tree answers as the plain classifier does."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 9, 600)
    X = pd.DataFrame({"a": 10.0 * y + rng.normal(size=600), "b": rng.normal(size=600)})
    tree = HierarchicalClassifier(LogisticRegression(max_iter=5000), max_classes=3).fit(X[:400], y[:400])
    assert np.ptp(np.flatnonzero(tree.group_ == 0)) == 2  # neighbours share a group
    assert tree.score(X[400:], y[400:]) > 0.98
    np.testing.assert_allclose(tree.predict_proba(X).sum(axis=1), 1)


def test_one_class_is_predicted(tiny):
    model = PFNClassifier(weights=tiny).fit(np.eye(3), ["only"] * 3)
    assert model.predict_proba(np.eye(3)).tolist() == [[1.0]] * 3
    assert PFNClassifier(weights=tiny).fit([[1.0, 2.0]], [5]).predict([[0.0, 0.0]]).tolist() == [5]  # one row


def test_two_rows(tiny):
    assert PFNClassifier(weights=tiny).fit([[0.0], [1.0]], [0, 1]).predict_proba([[0.5]]).shape == (1, 2)


def test_constant_and_empty_columns_change_nothing(tiny):
    X, y = mixed()
    only_here = pd.DataFrame({"constant": 3.0, "missing": np.nan, "none": None, "word": "x"}, index=X.index)
    padded = pd.concat([X, only_here], axis=1)
    model = PFNClassifier(weights=tiny).fit(padded, y)
    assert all(len(part.view.columns) == 6 for member in model._model.members for part in member.parts)
    assert np.isfinite(model.predict_proba(padded.assign(constant=9.0, word="new", missing=1.0))).all()
    nothing = PFNClassifier(weights=tiny).fit(only_here, y).predict_proba(only_here)
    np.testing.assert_allclose(nothing, nothing[:1].repeat(80, axis=0), atol=TOLERANCE)


def test_strings_never_seen_count_as_missing(tiny):
    X, y = mixed()
    model = PFNClassifier(weights=tiny).fit(X, y)
    new, gap = X.assign(text="never seen"), X.assign(text=None)
    np.testing.assert_array_equal(model.predict_proba(new), model.predict_proba(gap))


@pytest.mark.parametrize("value", [1e300, -1e38, 1e-300])
def test_extreme_values_are_borne(tiny, value):
    X, y = blobs(60)
    X[3, 1] = value
    model = PFNClassifier(weights=tiny).fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()
    assert np.isfinite(model.predict_proba(X * 1e7)).all()


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinite_values_are_refused(tiny, bad):
    X, y = blobs(40)
    model = PFNClassifier(weights=tiny).fit(X, y)
    X[3, 1] = bad
    with pytest.raises(ValueError, match="column 1: infinite values"):
        model.predict(X)
    frame = pd.DataFrame(X, columns=list("abcde")).astype({"b": object})
    with pytest.raises(ValueError, match="column 'b': infinite values"):
        PFNClassifier(weights=tiny).fit(frame, y)


def test_other_columns_at_prediction_are_refused(tiny):
    X, y = mixed()
    model = PFNClassifier(weights=tiny).fit(X, y)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X.rename(columns={"text": "words"}))
    with pytest.raises(ValueError, match="same order"):
        model.predict(X[X.columns[::-1]])
    with pytest.raises(ValueError, match=r"feature names|features"):
        model.predict(X.drop(columns="text"))
    with pytest.raises(ValueError, match="column 'number' held numbers when fitted and now holds 'many'"):
        model.predict(X.assign(number="many"))


@pytest.mark.parametrize(
    ("X", "y", "says"),
    [
        (np.eye(3), [0, 1], "inconsistent numbers of samples"),
        (np.eye(3), [0.1, 0.7, 1.3], "Unknown label type"),
        (np.eye(3), [0, 1, np.nan], "NaN"),
        (np.eye(3), ["a", None, "b"], "NaN|missing|str"),
        (np.zeros((0, 3)), [], "0 sample"),
        (pd.DataFrame({"a": []}), [], r"shape \(0, 1\)"),
        (pd.DataFrame(index=range(3)), [0, 1, 0], r"shape \(3, 0\)"),
        (np.eye(3)[0], [0, 1, 0], "Reshape your data"),
        (np.eye(3) * 1j, [0, 1, 0], "Complex data not supported"),
        (pd.DataFrame({"a": [1j, 2j, 3j]}), [0, 1, 0], "Complex data not supported"),
    ],
)
def test_bad_tables(tiny, X, y, says):
    with pytest.raises((ValueError, TypeError), match=says):
        PFNClassifier(weights=tiny).fit(X, y)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"n_members": 0}, "n_members must be a whole number from 1, got 0"),
        ({"max_rows": 1}, "max_rows must be at least 2"),
        ({"max_columns": 0}, "max_columns must be at least 1"),
        ({"max_rows": 9, "row_policy": "stratifed"}, "did you mean 'stratified'"),
        ({"weights": "no/such.safetensors"}, "no such weights file"),
    ],
)
def test_bad_parameters(options, says):
    X, y = blobs(40)
    with pytest.raises(UserError, match=says):
        PFNClassifier(**options).fit(X, y)


def test_weights_are_checked_against_their_card(tiny, tmp_path):
    X, y = blobs(40)
    own = shutil.copy(tiny, tmp_path / "own.safetensors")
    card = tmp_path / "own.json"
    card.write_text(json.dumps({"sha256": "0" * 64}))
    with pytest.raises(UserError, match=r"own\.safetensors: the content does not match the SHA-256 in own\.json"):
        PFNClassifier(weights=own).fit(X, y)
    card.write_text("{")
    with pytest.raises(UserError, match=r"own\.json: not a model card"):
        PFNClassifier(weights=own).fit(X, y)
    (tmp_path / "noise.safetensors").write_bytes(b"noise")
    with pytest.raises(UserError, match="not weights of this network"):
        PFNClassifier(weights=tmp_path / "noise.safetensors").fit(X, y)


def test_the_temperature_of_the_card_is_used(tiny, tmp_path):
    from tabbench.files import file_hash

    X, y = blobs(60)
    warm = shutil.copy(tiny, tmp_path / "warm.safetensors")
    (tmp_path / "warm.json").write_text(json.dumps({"sha256": file_hash(warm), "temperature": 2.0}))
    plain, tempered = (PFNClassifier(weights=path).fit(X, y).predict_proba(X) for path in (tiny, warm))
    expected = np.sqrt(plain) / np.sqrt(plain).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(tempered, expected, rtol=1e-6)


def test_calibration_is_kept_in_the_card_and_lowers_the_loss(tiny, tmp_path):
    from tabbench.files import file_hash
    from tabbench.pfn.calibrate import calibrate

    X, y = blobs(60)
    bold = tmp_path / "bold.safetensors"
    shutil.copy(tiny, bold)
    with pytest.raises(UserError, match="no such model card"):
        calibrate(bold)
    bold.with_suffix(".json").write_text(json.dumps({"sha256": file_hash(bold)}))
    before = PFNClassifier(weights=bold).fit(X, y).predict_proba(X)
    temperature, plain, tempered = calibrate(bold, n_tables=3)
    assert tempered < plain
    assert json.loads(bold.with_suffix(".json").read_text())["temperature"] == temperature
    after = PFNClassifier(weights=bold).fit(X, y).predict_proba(X)
    expected = before ** (1 / temperature) / (before ** (1 / temperature)).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(after, expected, rtol=1e-6)
    assert calibrate(bold, n_tables=3)[0] == pytest.approx(temperature, abs=2e-3)  # it is fitted to the plain logits


def test_without_weights_the_user_learns_what_to_do(monkeypatch, tmp_path):
    import tabbench.pfn.packaged

    monkeypatch.setattr(tabbench.pfn.packaged, "WEIGHTS", tmp_path / "pfn.safetensors")
    with pytest.raises(UserError, match="holds no PFN weights: make some"):
        PFNClassifier().fit(np.eye(4), [0, 1, 0, 1])


def test_the_weights_that_ship_are_small_and_sound():
    assert WEIGHTS.stat().st_size <= 16 * 2**20
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PFNClassifier(1).fit(np.eye(4), [0, 1, 0, 1])


def test_latin_orders():
    orders = _latin_orders(7, 7, np.random.default_rng(0))
    for order in [*orders, *np.transpose(orders)]:
        assert sorted(order) == list(range(7))
    assert len(_latin_orders(2, 5, np.random.default_rng(0))) == 5


@pytest.mark.parametrize("transform", ["none", "quantile"])
def test_a_view_keeps_order_gaps_and_levels(transform):
    X, _ = mixed()
    frame = NormalForm().fit_transform(X)
    order = np.array([5, 2, 0, 1, 4, 3])
    view = View(frame, order, transform, np.random.default_rng(0))
    matrix = view.matrix(frame)
    assert matrix.dtype == np.float32
    assert view.categorical.tolist() == [False, True, False, False, True, True]
    for j, i in enumerate(order):
        column = frame.iloc[:, i]
        np.testing.assert_array_equal(np.isnan(matrix[:, j]), column.isna())
        known = column.notna().to_numpy()
        levels, values = np.unique(column[known].astype(object).to_numpy(), return_inverse=True)
        assert len(np.unique(matrix[known, j])) == len(levels)
        if not view.categorical[j]:  # transforms are monotone
            assert (np.diff(matrix[known, j][np.argsort(values, kind="stable")]) >= 0).all()


def test_clone_keeps_the_parameters():
    model = PFNClassifier(3, max_rows=50, random_state=4)
    assert clone(model).get_params() == model.get_params()


N_LABELS = 40
HALVES = np.arange(N_LABELS) % 2


def beside_noise(column):
    return pd.DataFrame({"noise": np.random.default_rng(0).normal(size=N_LABELS), "b": column})


def answers(trained, asked, labels=HALVES):
    """What a model says of the labels of a column, fitted on it in one form and asked in another, beside a column of noise."""
    return PFNClassifier(n_members=1).fit(beside_noise(trained), labels).predict(beside_noise(asked))


def truths(kind):
    """The column 0, 1, 0, 1, … in many forms."""
    return {
        "bool": HALVES.astype(bool),
        "int": HALVES,
        "float": HALVES.astype(float),
        "text of bool": HALVES.astype(bool).astype(str),
        "upper": np.char.upper(HALVES.astype(bool).astype(str)),
        "text of int": HALVES.astype(str),
        "nullable": pd.array(HALVES, "Int64"),
        "nullable bool": pd.array(HALVES.astype(bool), "boolean"),
        "category": pd.Categorical(HALVES),
        "category of bool": pd.Categorical(HALVES.astype(bool)),
        "category of 0.0": pd.Categorical([f"{value}.0" for value in HALVES]),
        "object": pd.Series([bool(value) if i % 4 > 1 else int(value) for i, value in enumerate(HALVES)], dtype=object),
    }[kind]


@pytest.mark.parametrize("asked", ["bool", "int", "float", "nullable", "object", "upper", "category of bool"])
@pytest.mark.parametrize("trained", ["bool", "int", "category", "category of 0.0", "upper", "nullable bool"])
def test_true_is_one_whatever_holds_it(trained, asked):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert answers(truths(trained), truths(asked)).tolist() == HALVES.tolist()


def test_one_spelling_does_not_depend_on_what_else_a_column_holds():
    held = np.where(HALVES == 1, "TRUE", "FALSE").astype(object)
    with_word = np.where(np.arange(N_LABELS) == 3, "NA", held)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (answers(with_word, held) == HALVES).mean() > 0.9
        assert (answers(held, with_word) == HALVES).mean() > 0.9


@pytest.mark.parametrize(
    ("trained", "asked", "warns"),
    [
        (np.where(HALVES == 1, "u", "v"), np.where(HALVES == 1, "x", "z"), True),
        (pd.Categorical(HALVES), HALVES + 5, True),
        ([None] * N_LABELS, np.where(HALVES == 1, "u", "v"), True),
        ([np.nan] * N_LABELS, HALVES, True),
        (HALVES * 1.5, ["?"] * N_LABELS, True),
        (np.where(HALVES == 1, "u", "v"), [None] * N_LABELS, False),
        (HALVES * 1.5, [None] * N_LABELS, False),
        (HALVES * 1.5, ["?" if i == 3 else str(value * 1.5) for i, value in enumerate(HALVES)], False),
        (["?" if i == 3 else str(value * 1.5) for i, value in enumerate(HALVES)], HALVES * 1.5, False),
    ],
)
@pytest.mark.filterwarnings("ignore:.*are taken as missing")
def test_a_column_of_which_nothing_is_known_warns_and_counts_as_missing(trained, asked, warns):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answers(trained, asked)
    assert any("holds nothing that was there when fitted" in str(warning.message) for warning in caught) == warns


class Streamed:
    """What polars and others give: a table that is known by its Arrow stream alone."""

    def __init__(self, frame):
        self.table = pa.Table.from_pandas(frame, preserve_index=False)

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize("hold", [lambda frame: pa.Table.from_pandas(frame, preserve_index=False), Streamed])
def test_tables_of_arrow_and_polars_are_read_as_they_are_typed(hold):
    frame = beside_noise(HALVES.astype(str)).assign(day=DAYS.astype("datetime64[us]"), gap=pd.array([None, 2] * 20, "Int64"))
    fitted = PFNClassifier(n_members=1).fit(frame, HALVES)
    model = PFNClassifier(n_members=1).fit(hold(frame), HALVES)
    assert model.feature_names_in_.tolist() == list(frame)
    for asked in (frame, hold(frame)):
        np.testing.assert_array_equal(model.predict_proba(asked), fitted.predict_proba(frame))
    with pytest.raises(ValueError, match="nested cells"):
        model.fit(hold(frame.assign(b=[[1]] * N_LABELS)), HALVES)


DAYS = pd.date_range("2020-01-01", periods=N_LABELS)
MOMENTS = {
    "datetime64": DAYS,
    "zoned": DAYS.tz_localize("UTC"),
    "date": list(DAYS.date),
    "text": DAYS.strftime("%Y-%m-%d"),
    "period": DAYS.to_period("D"),
    "arrow": pd.Series(DAYS.date, dtype="date32[pyarrow]"),
}
LENGTHS = {
    "timedelta64": pd.to_timedelta(np.arange(N_LABELS), "min"),
    "objects": list(pd.to_timedelta(np.arange(N_LABELS), "min").to_pytimedelta()),
    "clock": [f"00:{minute:02d}" for minute in range(N_LABELS)],
}
PLAIN = {
    "numbers": np.arange(N_LABELS) * 86400,
    "nullable": pd.array(np.arange(N_LABELS), "Int64"),
    "text of numbers": [str(2000 + i) for i in range(N_LABELS)],
    "bool": HALVES == 1,
}
KINDS = {"dates": MOMENTS, "times": LENGTHS, "numbers": PLAIN}


@pytest.mark.parametrize(("held", "now"), [*permutations(KINDS, 2)])
@pytest.mark.filterwarnings("ignore:.*text read as")
def test_dates_times_and_numbers_are_not_taken_for_one_another(held, now):
    for trained in list(KINDS[held].values())[:3]:
        form = NormalForm()
        form.fit_transform(beside_noise(trained))
        for asked in KINDS[now].values():
            with pytest.raises(ValueError, match=f"column 'b' held {held} when fitted and now holds '") as caught:
                form.transform(beside_noise(asked))
            assert "\n" not in str(caught.value)
    model = PFNClassifier(n_members=1).fit(beside_noise(next(iter(KINDS[held].values()))), HALVES)
    with pytest.raises(ValueError, match=f"column 'b' held {held} when fitted"):
        model.predict(beside_noise(next(iter(KINDS[now].values()))))


@pytest.mark.parametrize("forms", [MOMENTS, LENGTHS], ids=["dates", "times"])
@pytest.mark.filterwarnings("ignore:.*text read as")
def test_dates_and_times_are_the_same_in_every_form(forms):
    for trained, asked in product(forms.values(), repeat=2):
        form = NormalForm()
        held, now = form.fit_transform(beside_noise(trained)), form.transform(beside_noise(asked))
        pd.testing.assert_frame_equal(held, now)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert form.transform(beside_noise([None] * N_LABELS))["x1"].isna().all()


@pytest.mark.parametrize(
    "labels",
    [
        pd.Series(HALVES + 2**53, dtype="Int64"),
        pd.Series(HALVES.astype(bool), dtype="boolean"),
        pd.Series(HALVES + 2**53, dtype="int64[pyarrow]"),
        pd.Series(np.where(HALVES == 1, "01", "1"), dtype="string"),
        np.where(HALVES == 1, "None", "NA").tolist(),
        (HALVES + 2**53).tolist(),
        HALVES.astype(bool).tolist(),
    ],
    ids=lambda labels: f"{type(labels).__name__} {getattr(labels, 'dtype', type(labels[0]).__name__)}",
)
def test_labels_come_back_as_they_were_given(labels):
    said = answers(HALVES, HALVES, labels)
    given = labels.tolist() if isinstance(labels, pd.Series) else labels
    assert list(map(repr, said.tolist())) == list(map(repr, given))


@pytest.mark.parametrize("labels", [[1, "a"], ["1", 1], [2**53 + 1, 0.0]])
def test_lists_that_numpy_would_change_are_refused(labels):
    with pytest.raises(ValueError, match="labels of several types"):
        answers(HALVES, HALVES, labels * (N_LABELS // 2))


def test_the_fork_server_has_read_the_weights_before_a_job_asks():
    reload(import_module("tabbench.pfn.warm"))
    before = _load.cache_info()
    find_weights(None)
    assert _load.cache_info() == before._replace(hits=before.hits + 1)
