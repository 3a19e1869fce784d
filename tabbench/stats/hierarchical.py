"""Bayesian hierarchical comparison of two models over datasets, from the folds of each (Corani et al. 2017).

Folds of dataset i: normal with mean δ_i, deviation σ_i and correlation ρ; δ_i ~ t(ν, δ0, σ0) over datasets. So datasets lend
each other strength, and small ones with noisy folds count less. Priors are the paper's, §3: uniform on δ0, σ0 and σ_i; ν - 1 ~
Gamma(α, β) with uniform α and β, here integrated out beforehand on a grid. The posterior is drawn by Gibbs' sampler in many
chains at once; σ0 and ν are drawn from grids, σ0 with the δ_i integrated out, so that it does not stick near zero.
"""

import numpy as np
from scipy import special

from tabbench.errors import UserError
from tabbench.stats.bayes import Posterior

N_CHAINS, BURN_IN, N_DRAWS = 20, 100, 300
NU = 1 + np.geomspace(0.05, 300, 60)
ALPHA, BETA = (0.5, 5.0), (0.05, 0.15)  # Corani et al. 2017, §3.2
WIDEST = 1000.0  # bounds of σ0 and σ_i, in their empirical values


def hierarchical_test(differences: np.ndarray, rope: float, test_share: float, seed: int = 0) -> Posterior:
    """Which of three is most probable on the next dataset, over the posterior; differences (q datasets, n folds), a minus b.

    test_share : share of the rows that a fold scores, taken as ρ. A dataset without spread between folds is given that of
    differences spread evenly over the rope. Raises UserError for a table without two datasets and two folds, gaps, a share
    outside (0, 1) or a negative rope.
    """
    x = np.asarray(differences, np.float64)
    if x.ndim != 2 or min(x.shape) < 2 or not np.isfinite(x).all():
        raise UserError("a hierarchical comparison needs finite differences of two datasets or more on two folds or more each")
    if rope < 0 or not 0 < test_share < 1:
        raise UserError(f"rope must not be negative, and the test share between 0 and 1; got {rope:g} and {test_share:g}")
    scale = float(x.std(axis=1).mean())
    if scale == 0:
        mean = float(x.mean())
        return Posterior(float(mean > rope), float(abs(mean) <= rope), float(mean < -rope))
    x, rope = x / scale, rope / scale
    delta0, sigma0, nu = _draw(x, rope, test_share, np.random.default_rng(seed))
    a, b = special.stdtr(nu, (delta0 - rope) / sigma0), special.stdtr(nu, (-rope - delta0) / sigma0)
    shares = np.bincount(np.stack([a, 1 - a - b, b], axis=1).argmax(axis=1), minlength=3) / len(a)
    return Posterior(*shares.tolist())


def _draw(x: np.ndarray, rope: float, rho: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws of δ0, σ0 and ν from the posterior given x (q, n)."""
    n = x.shape[1]
    means, squares = x.mean(axis=1), x.var(axis=1) * n
    squares = np.where(squares > 0, squares, n * max(rope, 1e-3) ** 2 / 3)
    spread0 = max(float(means.std()), 1e-3)
    grid0 = np.geomspace(1e-3 * spread0, WIDEST * spread0, 80)  # uniform in σ0: a point stands for an interval as long as itself
    limit, shape = float(np.abs(x).max()), (N_CHAINS, len(means))
    log_prior_nu = _log_prior_nu()
    inflation = (1 + (n - 1) * rho) / n  # variance of a mean over folds, in σ_i²
    delta = np.tile(means, (N_CHAINS, 1)) + 0.1 * rng.normal(size=shape)
    delta0, weight = delta.mean(axis=1), np.ones(shape)
    kept = []
    for step in range(BURN_IN + N_DRAWS):
        total = squares / (1 - rho) + (means - delta) ** 2 / inflation
        noise = total / rng.chisquare(n - 1, shape) * inflation  # σ_i² of the mean; the bound on σ_i never binds for n > 2
        variance = grid0[:, None, None] ** 2 / weight + noise  # (grid, chains, q)
        log_p = -0.5 * np.sum(np.log(variance) + (means - delta0[:, None]) ** 2 / variance, axis=2) + np.log(grid0)[:, None]
        sigma0 = grid0[_pick(log_p, rng)]
        prior = sigma0[:, None] ** 2 / weight
        precision = 1 / prior + 1 / noise
        delta = (delta0[:, None] / prior + means / noise) / precision + rng.normal(size=shape) / np.sqrt(precision)
        total_weight = weight.sum(axis=1)
        delta0 = (weight * delta).sum(axis=1) / total_weight + sigma0 / np.sqrt(total_weight) * rng.normal(size=N_CHAINS)
        delta0 = np.clip(delta0, -limit, limit)
        z2 = ((delta - delta0[:, None]) / sigma0[:, None]) ** 2
        nu = NU[_pick(_log_t(z2).sum(axis=2) + log_prior_nu[:, None], rng)]
        weight = rng.gamma((nu[:, None] + 1) / 2, 2 / (nu[:, None] + z2))
        if step >= BURN_IN:
            kept.append((delta0, sigma0, nu))
    drawn = np.array(kept).transpose(1, 0, 2).reshape(3, -1)
    return drawn[0], drawn[1], drawn[2]


def _log_t(z2: np.ndarray) -> np.ndarray:
    """Log density of t for every ν of the grid at squares z2 (chains, q) → (grid, chains, q)."""
    nu = NU[:, None, None]
    norm = special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2) - 0.5 * np.log(nu)
    return norm - (nu + 1) / 2 * np.log1p(z2 / nu)


def _log_prior_nu() -> np.ndarray:
    """Log prior mass of every ν of the grid, α and β integrated out."""
    alpha, beta = (np.linspace(*bounds, 50) for bounds in (ALPHA, BETA))
    a, x = alpha[:, None], (NU - 1)[:, None, None] * beta
    density = np.exp(special.xlogy(a - 1, x) - x - special.gammaln(a)) * beta  # of the Gamma distribution
    return np.log(density.mean(axis=(1, 2)) * (NU - 1))  # the grid is geometric: a point stands for an interval as long as itself


def _pick(log_p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw an index of the first axis for every column of unnormalised log probabilities (grid, chains)."""
    return np.argmax(log_p + rng.gumbel(size=log_p.shape), axis=0)
