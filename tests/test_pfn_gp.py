"""The Bayesian check in short; benchmarks/gp_posterior.py is the long one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF

from tabbench.pfn.curriculum import Stage
from tabbench.pfn.gp import (
    CONFIG,
    LENGTH_SCALE,
    N_BARS,
    NOISE,
    borders,
    compare,
    learn,
    log_density,
    moments,
    posterior,
    sample_functions,
)
from tabbench.pfn.network import NetworkConfig


def test_exact_posterior_equals_scikit_learns():
    rng = np.random.default_rng(0)
    x, y, query = rng.random(8), rng.normal(size=8), np.linspace(0, 1, 20)
    regressor = GaussianProcessRegressor(RBF(LENGTH_SCALE), alpha=NOISE**2, optimizer=None).fit(x[:, None], y)
    mean, std = regressor.predict(query[:, None], return_std=True)
    ours = posterior(x, y, query)
    np.testing.assert_allclose(ours[0], mean, atol=1e-8)
    np.testing.assert_allclose(ours[1], np.sqrt(std**2 + NOISE**2), atol=1e-8)


def test_functions_have_the_priors_covariance():
    batch = sample_functions(0, 0, 4000, 2, 1, 1)
    assert batch.y.var() == pytest.approx(1 + NOISE**2, abs=0.03)
    near = np.abs(batch.x[:, 0, 0] - batch.x[:, 1, 0]) < 0.02
    assert np.mean(batch.y[near, 0] * batch.y[near, 1]) == pytest.approx(1.0, abs=0.15)
    assert sample_functions(0, 0, 4, 2, 1, 1).y.tobytes() == sample_functions(0, 0, 4, 2, 1, 1).y.tobytes()


def test_bars_of_equal_probability_are_the_prior():
    log_bars = torch.full((N_BARS,), -np.log(N_BARS))
    mean, std = moments(log_bars)
    assert mean.item() == pytest.approx(0, abs=1e-4)
    assert std.item() == pytest.approx(np.sqrt(1 + NOISE**2), abs=0.03)  # the outermost bars are even, the tails are not
    y = torch.linspace(-2, 2, 101)
    expected = stats.norm(0, np.sqrt(1 + NOISE**2)).logpdf(y.numpy())
    assert np.abs(log_density(log_bars.expand(101, -1), y).numpy() - expected).mean() < 0.02
    edges = borders()
    grid = torch.linspace(edges[0], edges[-1], 200_001)
    total = torch.trapezoid(log_density(log_bars.expand(len(grid), -1), grid).exp(), grid)
    assert total.item() == pytest.approx(1, abs=1e-3)


def test_a_little_training_comes_near_the_posterior():
    small = replace(CONFIG, network=NetworkConfig(32, 2, 4, 64, 0), stages=(Stage(10**9, 8, (32,), (1,)),))
    untrained, trained = compare(learn(1, small), 44), compare(learn(300, small), 44)
    assert untrained.nats > 1.0
    assert trained.nats < 0.4 * untrained.nats
    assert trained.mean_error < 0.3 * untrained.mean_error
