"""Bayesian comparisons against printed values, baycomp, numerical integration by another sampler, and plain sense."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tabbench.errors import UserError
from tabbench.stats import bayes
from tabbench.stats.hierarchical import hierarchical_test
from tests.support.published import GOLDEN, golden, needs_golden


def shares(posterior):
    return [posterior.a, posterior.equal, posterior.b]


@needs_golden
@pytest.mark.parametrize("test", ["sign", "signed_rank"])
def test_the_published_comparison_of_bayes_and_tree(test):
    expected = golden("baycomp_uci54")[f"{test}_nbc_j48_rope1"]
    table = pd.read_csv(GOLDEN / "baycomp_uci54_mean.csv", index_col=0)
    posterior = getattr(bayes, f"{test}_test")((table["nbc"] - table["j48"]).to_numpy(), rope=1)
    assert shares(posterior) == pytest.approx(expected["printed"], abs=expected["tolerance"])


@pytest.mark.parametrize("rope", [0.0, 0.2])
def test_tests_over_datasets_equal_baycomp(rope):
    baycomp = pytest.importorskip("baycomp")
    a, b = np.random.default_rng(0).normal([[0.3], [0.0]], 1, size=(2, 25))
    for ours, theirs in ((bayes.sign_test, baycomp.SignTest), (bayes.signed_rank_test, baycomp.SignedRankTest)):
        left, *middle, right = theirs.probs(a, b, rope, nsamples=20000, random_state=1)  # left: a is better
        found = ours(a - b, rope)
        assert (found.a, found.b) == pytest.approx((left, right), abs=0.015) or not middle
        assert found.a / (found.a + found.b) == pytest.approx(left / (left + right), abs=0.015)


def test_the_correlated_t_test_equals_baycomp():
    baycomp = pytest.importorskip("baycomp")
    a, b = np.random.default_rng(1).normal([[0.02], [0.0]], 0.03, size=(2, 100))
    left, equal, right = baycomp.CorrelatedTTest.probs(a, b, 0.01, runs=10)
    assert shares(bayes.correlated_t(a - b, 0.01, test_share=1 / 10)) == pytest.approx([left, equal, right])


def test_nadeau_bengio_on_the_example_of_scikit_learn():
    from sklearn.datasets import make_moons
    from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
    from sklearn.svm import SVC

    x, y = make_moons(noise=0.352, random_state=1, n_samples=100)
    folds = RepeatedStratifiedKFold(n_splits=10, n_repeats=10, random_state=0)
    rbf, linear = (
        cross_val_score(SVC(kernel=kernel, random_state=0), x, y, scoring="roc_auc", cv=folds) for kernel in ("rbf", "linear")
    )
    t, p = bayes.nadeau_bengio(rbf - linear, test_share=1 / 10)
    assert (round(t, 3), round(p / 2, 3)) == (0.750, 0.227)
    naive = stats.ttest_1samp(rbf - linear, 0, alternative="greater")
    assert (round(naive.statistic, 2), round(naive.pvalue, 3)) == (2.61, 0.005)


def test_folds_without_spread():
    assert bayes.nadeau_bengio(np.zeros(5), 0.2) == (0.0, 1.0)
    assert bayes.nadeau_bengio(np.full(5, 0.1), 0.2) == (np.inf, 0.0)
    assert shares(bayes.correlated_t(np.full(5, 0.1), 0.01, 0.2)) == [1, 0, 0]
    assert shares(bayes.correlated_t(np.zeros(5), 0.01, 0.2)) == [0, 1, 0]


def test_probabilities_are_those_of_the_other_side_turned_round():
    d = np.random.default_rng(2).normal(0.1, 1, 30)
    for test in (bayes.sign_test, bayes.signed_rank_test):
        assert shares(test(-d, 0.3))[::-1] == pytest.approx(shares(test(d, 0.3)), abs=0.01)
        assert sum(shares(test(d, 0.3))) == pytest.approx(1)
        assert test(d + 5, 0.3).a > 0.99
        assert test(d / 1000, 0.3).equal > 0.99


def metropolis(x, rope, rho, rng, n_chains=150, n_steps=4000):
    """P(next dataset) by a random walk over every parameter with the densities written down as in the paper: slow and plain."""
    q, n = x.shape
    cov = (1 - rho) * np.eye(n) + rho
    inverse, (_, log_det) = np.linalg.inv(cov), np.linalg.slogdet(cov)
    alpha, beta = np.meshgrid(np.linspace(0.5, 5, 40), np.linspace(0.05, 0.15, 40))
    grid = np.linspace(-6, 7, 400)
    log_nu = np.log(stats.gamma.pdf(np.exp(grid)[:, None, None], alpha, scale=1 / beta).mean(axis=(1, 2)) * np.exp(grid))

    def log_p(at):
        delta0, s0, v, delta, s = at[:, 0], at[:, 1], at[:, 2], at[:, 3 : 3 + q], at[:, 3 + q :]
        r = x - delta[:, :, None]
        quad = np.einsum("cqi,ij,cqj->cq", r, inverse, r)
        likelihood = np.sum(-0.5 * log_det - n * s - 0.5 * quad / np.exp(2 * s) + s, axis=1)
        over = stats.t.logpdf(delta, 1 + np.exp(v)[:, None], delta0[:, None], np.exp(s0)[:, None]).sum(axis=1)
        inside = (np.abs(delta0) <= np.abs(x).max()) & (s0 < np.log(1000 * x.mean(axis=1).std()))
        return np.where(inside, likelihood + over + s0 + np.interp(v, grid, log_nu, left=-np.inf, right=-np.inf), -np.inf)

    at = np.concatenate(
        [np.zeros((n_chains, 3)), np.tile(x.mean(axis=1), (n_chains, 1)), np.tile(np.log(x.std(axis=1)), (n_chains, 1))], axis=1
    )
    now, wins = log_p(at), []
    for step in range(n_steps):
        new = at + rng.normal(size=at.shape) * rng.choice([0.1, 0.4, 1.0], size=(n_chains, 1)) * (rng.random(at.shape) < 0.4)
        then = log_p(new)
        taken = np.log(rng.random(n_chains)) < then - now
        at, now = np.where(taken[:, None], new, at), np.where(taken, then, now)
        if step > n_steps // 3 and step % 20 == 0:
            nu, delta0, s0 = 1 + np.exp(at[:, 2]), at[:, 0], np.exp(at[:, 1])
            a, b = stats.t.sf(rope, nu, delta0, s0), stats.t.cdf(-rope, nu, delta0, s0)
            wins.append(np.stack([a, 1 - a - b, b], axis=1).argmax(axis=1))
    return np.bincount(np.concatenate(wins), minlength=3) / np.concatenate(wins).size


def test_the_hierarchical_posterior_equals_that_of_a_plain_sampler():
    x = np.array([[0.5], [1.2], [-0.4], [0.9]]) + np.random.default_rng(0).normal(size=(4, 6))
    x /= x.std(axis=1).mean()
    expected = metropolis(x, 0.3, 1 / 6, np.random.default_rng(1))
    assert shares(hierarchical_test(x, 0.3, 1 / 6)) == pytest.approx(expected.tolist(), abs=0.04)


def test_the_hierarchical_test_makes_sense():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, size=(30, 10))
    assert hierarchical_test(noise + rng.normal(2, 0.3, size=(30, 1)), 0.5, 0.1).a > 0.99
    assert hierarchical_test(noise, 1.0, 0.1).equal > 0.9
    assert shares(hierarchical_test(np.zeros((5, 10)), 0.5, 0.1)) == [0, 1, 0]
    constant = np.vstack([noise, np.zeros((3, 10))])  # datasets that both models solve
    assert hierarchical_test(constant, 1.0, 0.1).equal > 0.9


@pytest.mark.parametrize("d", [np.array([]), np.array([np.nan, 1.0]), np.ones((2, 2))])
def test_bad_input(d):
    with pytest.raises(UserError, match="one finite difference by dataset"):
        bayes.signed_rank_test(d, 0.1)


def test_bad_settings():
    with pytest.raises(UserError, match="negative"):
        bayes.sign_test(np.ones(3), -1)
    with pytest.raises(UserError, match="test share between 0 and 1"):
        bayes.nadeau_bengio(np.ones(3), 1.0)
    with pytest.raises(UserError, match="two folds or more"):
        hierarchical_test(np.ones((5, 1)), 0.1, 0.1)
