"""Searches on stored trials, benchmarks/searches.py, where the best is known."""

import numpy as np
import pytest

from tabbench.models import get_model

pytest.importorskip("torch")
pytest.importorskip("optuna")
searches = pytest.importorskip("benchmarks.searches")
rules = pytest.importorskip("benchmarks.early_stopping")


@pytest.fixture(scope="module")
def cell():
    """Sixty configurations of XGBoost whose loss grows with the distance of the learning rate from .05."""
    pytest.importorskip("xgboost")
    entry = get_model("xgboost")
    configs = searches.configurations("xgboost", dict(entry.defaults), entry.space, 60, 0)
    ends = [0.3 + 0.2 * abs(np.log(config.get("learning_rate", 0.3) / 0.05)) for config in configs]
    return searches.cell_of(
        "xgboost", [rules.Curve(np.r_[0.2, end], np.r_[0.1, end + 0.1], 0.7, 1.0) for end in ends], at_best=False
    )


def test_a_candidate_is_worth_its_last_loss_or_its_best(cell):
    assert cell.x.shape == (60, 4)  # without the number of rounds
    assert cell.test == pytest.approx(cell.val + 0.1)
    at_best = searches.cell_of("xgboost", [rules.Curve(np.r_[0.2, 0.5], np.r_[0.1, 0.6], 0.7, 1.0)] * 2, at_best=True)
    assert at_best.val.tolist() == [0.2, 0.2]
    assert at_best.test.tolist() == [0.1, 0.1]


def test_searches_come_nearer_to_the_best_than_random_draws(cell):
    seconds = {name: [] for name in searches.SEARCHES}
    found = [searches.runs(cell, 18, seed, seconds) for seed in range(4)]
    regrets = {name: np.mean([one[name][0] for one in found]) for name in found[0]}
    assert regrets["pfn"] < 0.5 * regrets["random"]
    assert regrets["gp"] < 0.5 * regrets["random"]
    assert regrets["tpe"] < regrets["random"]
    assert regrets["random × 2"] < regrets["random"]
    assert all(one["random"][1] == 0 for one in found)
    assert {name: len(took) for name, took in seconds.items()} == dict.fromkeys(seconds, 4 * 7)
