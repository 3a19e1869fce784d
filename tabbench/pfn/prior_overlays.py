"""What real tables have on top of a clean function: warped, rounded, categorical, duplicate, junk and missing columns."""

import numpy as np

from tabbench.pfn.prior_functions import Rng, standardize

MAX_LEVELS = 30


def add_junk(rng: Rng, x: np.ndarray) -> None:
    """In three tables of ten: some columns become noise, others near copies of another column (in place)."""
    n, m = x.shape
    if m < 3 or rng.random() > 0.3:
        return
    for column in np.flatnonzero(rng.random(m) < rng.uniform(0.05, 0.5)):
        if rng.random() < 0.6:
            x[:, column] = x[rng.permutation(n), column]
        else:
            noise = np.float32(0.3 * rng.random() ** 2) * rng.standard_normal(n, np.float32)
            x[:, column] = x[:, rng.integers(m)] + noise


def warp(rng: Rng, x: np.ndarray) -> None:
    """Monotone distortions a column at a time: heavy tails, Kumaraswamy curves, clipping, rounding (in place)."""
    share = rng.choice([0.0, 0.2, 0.6])
    for column in np.flatnonzero(rng.random(x.shape[1]) < share):
        values = x[:, column]
        kind = rng.integers(0, 6)
        if kind == 0:
            values = np.exp(np.clip(values * rng.uniform(0.5, 1.5), -8, 8))
        elif kind == 1:
            values = np.sign(values) * np.abs(values) ** rng.uniform(0.5, 2.5)
        elif kind == 2:
            low, high = values.min(), values.max()
            unit = (values - low) / (high - low + 1e-6)
            values = 1 - (1 - unit ** np.exp(rng.normal(0, 0.7))) ** np.exp(rng.normal(0, 0.7))
        elif kind == 3:
            low, high = np.sort(rng.uniform(-2.5, 2.5, 2))
            values = np.clip(values, low, high + 0.5)
        elif kind == 4:
            values = np.round(values * rng.uniform(0.7, 6))
        else:
            values = np.maximum(np.round(np.exp(np.clip(values, -5, 5))), 0)  # counts
        x[:, column] = values


def make_categorical(rng: Rng, x: np.ndarray) -> np.ndarray:
    """In three tables of ten: some columns become shuffled integer codes of skewed levels (in place); returns the mask (m,)."""
    m = x.shape[1]
    if rng.random() > 0.3:
        return np.zeros(m, bool)
    mask = rng.random(m) < rng.choice([0.2, 0.5, 1.0], p=[0.4, 0.4, 0.2])
    for column in np.flatnonzero(mask):
        n_levels = min(MAX_LEVELS, int(2 + rng.geometric(0.25)))
        shares = np.cumsum(rng.dirichlet(np.full(n_levels, rng.choice([0.5, 1.0, 5.0]))))[:-1]
        cuts = np.quantile(x[:, column], shares)
        x[:, column] = rng.permutation(n_levels)[np.searchsorted(cuts, x[:, column])]
    return mask


def drop_cells(rng: Rng, x: np.ndarray) -> None:
    """In three tables of ten: cells become NaN, at random, by another column, or by their own value (in place)."""
    n, m = x.shape
    if rng.random() > 0.3:
        return
    source = standardize(np.nan_to_num(x))
    for column in np.flatnonzero(rng.random(m) < rng.uniform(0.05, 1.0)):
        rate = rng.beta(1, 4)
        kind = rng.integers(0, 3)
        chance = np.full(n, rate)
        if kind > 0:
            driver = source[:, column if kind == 2 else rng.integers(m)] * rng.choice([-1, 1])
            chance = np.clip(2 * rate * (driver > np.median(driver)), 0, 0.95)
        gone = rng.random(n) < chance
        if not gone.all():
            x[gone, column] = np.nan
