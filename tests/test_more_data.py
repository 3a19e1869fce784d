"""What more rows bring: foretold from small sizes, judged on tables left out, with intervals that cover what they say."""

import numpy as np
import pandas as pd
import pytest

from tabbench.stats.more_data import METHODS, SHARE, doubled, foretold, judged

SIZES = (50, 100, 200, 400, 800)


def world(n=20, seed=0, noise=0.002):
    """Curves of two models: a is better with few rows and gains little, b overtakes it with many."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        full = int(rng.integers(3200, 6400))
        for model, floor, steep in (("a", 0.10, 0.05), ("b", 0.06, 0.20)):
            lacking = floor * rng.uniform(0.8, 1.2)
            for size in (*SIZES, full):
                score = 1 - lacking - steep * (size / 50) ** -0.5 + noise * rng.normal()
                rows.append((f"t{i}", model, size, score, size == full))
    return pd.DataFrame(rows, columns=["task", "model", "n_train", "score", "full"])


def test_gains_beat_the_last_point_and_find_the_winner_that_is_not_ahead_yet():
    curves = world()
    found = judged(foretold(curves))
    assert set(found.index) == set(METHODS)
    assert found["n"].eq(20).all()
    assert found.loc["gains", "error"] < 0.5 * found.loc["last point", "error"]
    assert found.loc["gains", "winners"] >= found.loc["last point", "winners"]
    assert found.loc["gains", "right"] > 0.9


def test_intervals_cover_what_they_say():
    inside = [judged(foretold(world(15, seed)))["covered"] for seed in range(4)]
    assert np.mean([one["gains"] for one in inside]) == pytest.approx(SHARE, abs=0.07)
    assert np.mean([one["last point"] for one in inside]) == pytest.approx(SHARE, abs=0.07)


def test_no_method_looks_at_the_table_that_it_is_asked_about():
    curves = world(6)
    changed = curves.assign(score=curves["score"].where(~(curves["full"] & curves["task"].eq("t0")), 0.2))
    columns = ["task", "model", "method", "expected", "low", "high"]
    before, after = (foretold(one)[columns].query("task == 't0'") for one in (curves, changed))
    pd.testing.assert_frame_equal(before, after)


def test_a_table_with_one_small_size_is_left_out():
    curves = world(5)
    curves = curves[~curves["task"].eq("t0") | curves["n_train"].eq(50) | curves["full"]]
    assert set(foretold(curves)["task"]) == {"t1", "t2", "t3", "t4"}


def test_twice_the_rows_brings_less_with_more_rows():
    curves = world(noise=0)
    few, many = doubled(curves, 50), doubled(curves, 2000)
    assert few["n"].eq(20).all()
    assert (few["gain"] > 2 * many["gain"]).all()
    assert (many["gain"] > 0).all()
    assert few.loc["b", "gain"] == pytest.approx(0.2 * (1 - 2**-0.5))
    assert (few["low"] <= few["gain"]).all()
    assert (few["gain"] <= few["high"]).all()
