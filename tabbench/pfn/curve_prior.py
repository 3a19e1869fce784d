"""Random learning curves: what the network of `curves` is trained on.

The prior of LC-PFN (Adriaensen et al. 2023, Table 1; where the paper and its code differ, the code, which its authors call
right): a weighted sum of three families of Domhan et al. (2015), kept if it stays within [0, 1] and ends above its start, with
noise of one size a curve. Half of ours go another way from some step on, as in FT-PFN (Rakotoarison et al. 2024): there time
runs at a rate of its own, in many backwards, so that they lose again what they had gained.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

N_STEPS = 100
N_FACTS = 16  # standard normal numbers that decide a curve
FIRST_TURN = 3.0  # earliest step from which on time runs otherwise
SLOWER = 2.0  # mean of what is taken from its rate


class Curves(NamedTuple):
    """Values without noise (n, N_STEPS), the noise's standard deviations (n,), and which curves the prior allows (n,)."""

    values: np.ndarray
    noise: np.ndarray
    allowed: np.ndarray


def curves_of(facts: np.ndarray) -> Curves:
    """The curves that standard normal numbers (n, N_FACTS) decide, allowed or not."""
    t = np.arange(1.0, N_STEPS + 1)
    *parts, noise, turns, place, slower = facts[..., None].swapaxes(0, 1)
    straight = _weighted(parts, t)
    allowed = (straight[:, -1] > straight[:, 0]) & (straight >= 0).all(axis=1) & (straight <= 1).all(axis=1)
    turn = np.where(turns < 0, FIRST_TURN * (N_STEPS / FIRST_TURN) ** ndtr(place), N_STEPS)
    rate = 1 + SLOWER * np.log(np.maximum(1 - ndtr(slower), 1e-12))
    time = np.minimum(t, turn) + np.maximum(t - turn, 0) * rate
    return Curves(_weighted(parts, time.clip(1, N_STEPS)), np.exp(noise[:, 0] - 4), allowed)


def _weighted(parts: list[np.ndarray], t: np.ndarray) -> np.ndarray:
    """Weighted sum (n, N_STEPS) of power law, inverse logarithm and Janoschek's curve at times t, of normal numbers (n, 1)."""
    weights, (c, a, alpha), (top, fall), (high, low, k, delta) = parts[:3], parts[3:6], parts[6:8], parts[8:]
    w = [ndtr(weight) for weight in weights]
    power = 1.25 * ndtr(c) - (1.2 * ndtr(a) - 0.6) * t ** -np.exp(2 * alpha)
    inverse = ndtr(top) - (ndtr(fall) - 0.5) / np.log1p(t)
    growth = ndtr(high) - (ndtr(high) - 2 * ndtr(low)) * np.exp(-np.exp(k - 2) * t ** np.exp(delta / 2))
    return w[0] * power + w[1] * inverse + w[2] * growth


def sample_curves(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Curves (n, N_STEPS) without noise, and as they are seen, with it."""
    found: list[np.ndarray] = []
    noisy: list[np.ndarray] = []
    while sum(map(len, found)) < n:
        curves = curves_of(rng.standard_normal((5 * n + 20, N_FACTS)))
        values = curves.values[curves.allowed]
        found.append(values)
        noisy.append(values + curves.noise[curves.allowed, None] * rng.standard_normal(values.shape))
    return np.concatenate(found)[:n], np.concatenate(noisy)[:n]
