"""What holds for every table of the prior, and what holds on average."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.ensemble import ExtraTreesRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression

from tabbench.errors import UserError
from tabbench.pfn import prior_plot
from tabbench.pfn.prior import FAMILIES, MAX_CLASSES, sample_batch, sample_table
from tabbench.pfn.prior_formulas import distances, formulas, interactions, readings
from tabbench.pfn.prior_overlays import MAX_LEVELS, drop_cells, make_categorical, repeat_rows, tie_values

N_TASKS, N_ROWS, N_CONTEXT, N_FEATURES = 300, 256, 128, 10


@pytest.fixture(scope="module")
def batch():
    return sample_batch(5, 0, N_TASKS, N_ROWS, N_CONTEXT, N_FEATURES)


def assert_well_formed(x, y, categorical, n_context):
    """No infinity, no column without a value, codes where columns are categorical, all classes in the context."""
    assert (x.dtype, y.dtype, categorical.dtype) == (np.float32, np.int64, bool)
    assert not np.isinf(x).any()
    assert not np.isnan(x).all(axis=0).any()
    codes = x[:, categorical]
    codes = codes[~np.isnan(codes)]
    assert np.array_equal(codes, np.round(codes))
    assert np.all((codes >= 0) & (codes < MAX_LEVELS))
    n_classes = y.max() + 1
    assert 2 <= n_classes <= MAX_CLASSES
    assert np.array_equal(np.unique(y[:n_context]), np.arange(n_classes))


def test_batch_is_well_formed(batch):
    assert batch.x.shape == (N_TASKS, N_ROWS, N_FEATURES)
    assert batch.y.shape == (N_TASKS, N_ROWS)
    assert batch.categorical.shape == (N_TASKS, N_FEATURES)
    for x, y, categorical in zip(batch.x, batch.y, batch.categorical, strict=True):
        assert_well_formed(x, y, categorical, N_CONTEXT)
    assert np.array_equal(batch.n_classes, [len(np.unique(y)) for y in batch.y])


@settings(max_examples=60, derandomize=True)
@given(st.sampled_from(list(FAMILIES)), st.integers(0, 999), st.integers(16, 100), st.integers(1, 100), st.integers(1, 100))
def test_any_shape_of_any_family_is_well_formed(family, seed, n_context, n_query, n_features):
    n_rows = n_context + n_query
    x, y, categorical = sample_table(np.random.default_rng(seed), n_rows, n_context, n_features, family)
    assert (x.shape, y.shape, categorical.shape) == ((n_rows, n_features), (n_rows,), (n_features,))
    assert_well_formed(x, y, categorical, n_context)


def test_the_mixture_is_as_wide_as_it_says(batch):
    assert set(batch.n_classes) == set(range(2, MAX_CLASSES + 1))
    assert np.mean(batch.n_classes == 2) == pytest.approx(0.5, abs=0.1)
    assert np.mean(batch.categorical.any(axis=1)) == pytest.approx(0.29, abs=0.08)
    assert np.mean(np.isnan(batch.x).any(axis=(1, 2))) == pytest.approx(0.3, abs=0.08)
    majority = np.array([np.bincount(y).max() / N_ROWS for y in batch.y])
    assert majority.min() < 0.25
    assert majority.max() > 0.9


def test_every_family_is_drawn_with_about_its_share(monkeypatch):
    drawn = []
    for name, (function, share) in list(FAMILIES.items()):

        def recorded(*args, name=name, function=function):
            drawn.append(name)
            return function(*args)

        monkeypatch.setitem(FAMILIES, name, (recorded, share))
    sample_batch(1, 0, 500, 32, 16, 3)
    for name, (_, share) in FAMILIES.items():  # tables drawn anew count twice, which favours what is hard to learn
        assert 0.4 * share < drawn.count(name) / len(drawn) < 2 * share, name


def as_bytes(parts):
    return b"".join(part.tobytes() for part in parts)


def test_same_seed_and_step_give_the_same_bytes_in_any_process():
    code = (
        "import sys; from tabbench.pfn.prior import sample_batch;"
        "assert not {'torch', 'scipy', 'pandas'} & set(sys.modules), 'the prior needs numpy only';"
        "sys.stdout.buffer.write(b''.join(part.tobytes() for part in sample_batch(3, 7, 6, 64, 32, 5)))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert other == as_bytes(sample_batch(3, 7, 6, 64, 32, 5)) == as_bytes(sample_batch(3, 7, 6, 64, 32, 5))


def test_a_table_depends_on_seed_step_and_place_but_not_on_the_size_of_the_batch():
    many = sample_batch(3, 7, 6, 64, 32, 5)
    assert as_bytes(part[:2] for part in many) == as_bytes(sample_batch(3, 7, 2, 64, 32, 5))
    tables = [*many.x, *sample_batch(4, 7, 6, 64, 32, 5).x, *sample_batch(3, 8, 6, 64, 32, 5).x]
    assert len({table.tobytes() for table in tables}) == 18


def tells_label(column, y):
    """Whether the values of a column and the classes correspond one to one."""
    values = np.unique(column, return_inverse=True)[1]
    n_pairs = len(np.unique(values * (MAX_CLASSES + 1) + y))
    return values.max() == y.max() and n_pairs == y.max() + 1


def test_no_column_is_the_label(batch):
    assert tells_label(3.5 - 2 * batch.y[0], batch.y[0])
    leaks = [any(tells_label(column, y) for column in x.T) for x, y in zip(batch.x, batch.y, strict=True)]
    assert np.mean(leaks) <= 0.01


def test_place_does_not_tell_the_label(batch):
    """Neighbouring rows agree no more often than any two, a class is as frequent in the context as after it.

    And no class number is more frequent than others. Each is a mean over tables, within four of its standard errors.
    """

    def around_zero(values):
        return abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))

    agreement, drift, number = [], [], []
    for y, k in zip(batch.y, batch.n_classes, strict=True):
        counts = np.bincount(y)
        any_two = (counts @ (counts - 1)) / (N_ROWS * (N_ROWS - 1))
        agreement.append(np.mean(y[1:] == y[:-1]) - any_two)
        drift.append(np.mean(y[:N_CONTEXT] == 0) - np.mean(y[N_CONTEXT:] == 0))
        number.append(counts[0] / N_ROWS - 1 / k)
    assert around_zero(agreement)
    assert around_zero(drift)
    assert around_zero(number)
    assert not around_zero([np.mean(np.diff(np.sort(y)) == 0) - 0.5 for y in batch.y])


def test_category_codes_are_shuffled():
    """Codes stand for stretches of the column they were cut from, in no order."""
    rng = np.random.default_rng(0)
    correlations = []
    while len(correlations) < 300:
        x = rng.standard_normal((200, 6))
        original = x.copy()
        for column in np.flatnonzero(make_categorical(rng, x)):
            codes = x[np.argsort(original[:, column]), column]
            n_levels = len(np.unique(codes))
            assert np.sum(np.diff(codes) != 0) == n_levels - 1
            if n_levels > 2:
                correlations.append(spearmanr(np.arange(200), codes).statistic)
    assert abs(np.mean(correlations)) < 0.15
    assert np.mean(np.abs(correlations) > 0.99) < 0.3  # three levels are in order by chance once in three


def missing_kind(gone, original, column):
    """Of a column with missing cells: "own" or "other" if only one half of that column's values is hit, else "random"."""
    halves = original > np.median(original, axis=0)
    one_sided = [len(np.unique(halves[gone, j])) == 1 for j in range(original.shape[1])]
    if one_sided[column]:
        return "own"
    return "other" if any(one_sided) else "random"


def test_cells_go_missing_at_random_by_another_column_and_by_their_own_value():
    kinds = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        original = rng.standard_normal((400, 12))
        x = original.copy()
        drop_cells(rng, x)
        gone = np.isnan(x)
        assert np.array_equal(x[~gone], original[~gone])
        kinds += [missing_kind(gone[:, j], original, j) for j in range(12) if gone[:, j].sum() > 20]
    shares = {kind: kinds.count(kind) / len(kinds) for kind in ("random", "other", "own")}
    assert len(kinds) > 100
    assert min(shares.values()) > 0.15, shares


def test_a_random_forest_beats_the_majority_class_by_eight_points():
    """Mean accuracy over 40 tables minus that of the most frequent class; about 13 points in fact."""
    batch = sample_batch(1, 0, 40, N_ROWS, N_CONTEXT, N_FEATURES)
    gains = []
    for x, y in zip(batch.x, batch.y, strict=True):
        forest = RandomForestClassifier(30, random_state=0).fit(x[:N_CONTEXT], y[:N_CONTEXT])
        gains.append(forest.score(x[N_CONTEXT:], y[N_CONTEXT:]) - np.bincount(y[N_CONTEXT:]).max() / (N_ROWS - N_CONTEXT))
    assert np.mean(gains) > 0.08
    assert np.mean(np.array(gains) > 0) > 0.6


def test_one_table_in_twelve_has_a_class_of_at_most_two_percent(batch):
    rarest = np.array([np.bincount(y).min() / N_ROWS for y in batch.y])
    assert np.mean(rarest <= 0.02) > 0.08
    assert np.mean(rarest > 0.1) > 0.4
    assert rarest[batch.n_classes == 2].min() <= 0.03


def explained(function, learner, n=1200, m=8, n_tables=12):
    """Mean share of the variance of a family's score that a learner of half of the rows explains on the other half."""
    shares = []
    for seed in range(n_tables):
        x, scores = function(np.random.default_rng(seed), n, m, 1)
        learner.fit(x[: n // 2], scores[: n // 2, 0])
        shares.append(max(learner.score(x[n // 2 :], scores[n // 2 :, 0]), 0.0))
    return np.mean(shares)


@pytest.mark.parametrize("function", [formulas, interactions, distances])
def test_trees_learn_more_than_lines_of(function):
    trees = explained(function, ExtraTreesRegressor(30, random_state=0))
    assert trees > 0.25
    assert trees > explained(function, LinearRegression()) + 0.1


def test_lines_learn_more_than_trees_of_many_readings():
    lines = explained(readings, LinearRegression(), m=60)
    assert lines > explained(readings, ExtraTreesRegressor(30, random_state=0), m=60) + 0.05


def test_interactions_have_faint_main_effects():
    assert explained(interactions, LinearRegression()) < 0.15


def test_repeated_rows_carry_their_class_along():
    shares = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        x, y = rng.standard_normal((100, 3)), rng.integers(0, 2, 100)
        known = dict(zip(x[:, 0], y, strict=True))
        repeat_rows(rng, x, y)
        assert all(known[value] == label for value, label in zip(x[:, 0], y, strict=True))
        shares.append(1 - len(np.unique(x[:, 0])) / 100)
    assert np.mean(np.array(shares) > 0) == pytest.approx(0.1, abs=0.06)
    assert 0.1 < max(shares) <= 0.5


def test_tied_columns_are_steps_flags_or_mostly_their_least_value():
    kinds = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((200, 6))
        order = np.argsort(x, axis=0)
        tie_values(rng, x)
        assert np.all(np.diff(np.take_along_axis(x, order, axis=0), axis=0) >= 0)
        for column in x.T:
            n_values = len(np.unique(column))
            whole = np.array_equal(column, np.round(column))
            kinds.append("none" if n_values == 200 else "flag" if n_values <= 2 else "steps" if whole else "spike")
    assert {kind: kinds.count(kind) > 15 for kind in set(kinds)} == dict.fromkeys(("none", "flag", "steps", "spike"), True)


@pytest.mark.parametrize("shape", [(60, 30, 100), (3000, 1500, 2)])
def test_small_and_large_tables_are_well_formed(shape):
    for x, y, categorical in zip(*sample_batch(0, 0, 12, *shape)[:3], strict=True):
        assert_well_formed(x, y, categorical, shape[1])


def test_gallery_is_a_picture(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(prior_plot, "N_COUNTED", 20)
    path = tmp_path / "new" / "gallery.png"
    prior_plot.draw_samples(path, 0)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 50_000
    assert list(path.parent.iterdir()) == [path]


def test_gallery_refuses_what_it_cannot_write(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(prior_plot, "N_COUNTED", 20)
    with pytest.raises(UserError, match=r"must end in \.png"):
        prior_plot.draw_samples(tmp_path / "gallery.xyz", 0)
    with pytest.raises(UserError, match="0 or more"):
        prior_plot.draw_samples(tmp_path / "gallery.png", -1)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        prior_plot.draw_samples(tmp_path / "file" / "gallery.png", 0)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
