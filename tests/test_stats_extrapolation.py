"""Learning curves carried on to sizes that were not run."""

import numpy as np
import pytest

from tabbench.errors import UserError
from tabbench.stats.extrapolation import extrapolate, held_back_error

SIZES = np.array([64.0, 128, 256, 512, 1024])


def curves(exponent, n_datasets=6, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(0.7, 0.99, n_datasets), rng.uniform(0.3, 2.0, n_datasets)
    law = lambda n: a[:, None] - b[:, None] * n**-exponent  # noqa: E731
    sizes = np.tile(SIZES, (n_datasets, 1))
    return sizes, law(sizes) + noise * rng.standard_normal(sizes.shape), law(np.full((n_datasets, 1), 20_000.0))[:, 0]


@pytest.mark.parametrize("exponent", [0.3, 0.5, 1.0])
def test_a_power_law_is_found(exponent):
    sizes, scores, truth = curves(exponent)
    np.testing.assert_allclose(extrapolate(sizes, scores, np.full(6, 20_000)), truth, atol=0.004)
    assert held_back_error(sizes, scores) < 1e-3


def test_noise_costs_little_more_than_itself():
    sizes, scores, truth = curves(0.5, n_datasets=40, noise=0.003)
    assert np.abs(extrapolate(sizes, scores, np.full(40, 20_000)) - truth).mean() < 0.012
    assert 0.001 < held_back_error(sizes, scores) < 0.01


def test_falling_and_flat_curves_stay_at_their_mean():
    sizes = np.tile(SIZES, (2, 1))
    scores = np.array([[0.9, 0.88, 0.86, 0.84, 0.82], [0.7] * 5])
    np.testing.assert_allclose(extrapolate(sizes, scores, np.array([9000, 9000])), [0.86, 0.7])


def test_a_dataset_smaller_than_the_sizes_is_flat_there():
    sizes = np.array([[64.0, 90, 90, 90], [64, 128, 256, 512]])
    scores = np.array([[0.8, 0.82, 0.82, 0.82], [0.8, 0.85, 0.88, 0.9]])
    ends = extrapolate(sizes, scores, np.array([90, 512]))
    assert ends[0] == pytest.approx(0.82, abs=0.005)


def test_too_little_to_fit():
    sizes, scores, _ = curves(0.5)
    with pytest.raises(UserError, match="three sizes"):
        extrapolate(sizes[:, :2], scores[:, :2], np.full(6, 9000))
    with pytest.raises(UserError, match="finite"):
        extrapolate(sizes, np.where(scores == scores.max(), np.nan, scores), np.full(6, 9000))
    assert np.isnan(held_back_error(sizes[:, :3], scores[:, :3]))
