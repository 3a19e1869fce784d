"""What real tables have on top of a clean function: warped, tied, categorical, junk and missing columns, repeated rows."""

import numpy as np

from tabbench.pfn.prior_functions import Rng, quantile_cuts

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


def repeat_rows(rng: Rng, x: np.ndarray, y: np.ndarray) -> None:
    """In one table of ten: up to half of the rows become copies of others, class included (in place)."""
    n = len(x)
    if rng.random() > 0.1:
        return
    copies = np.flatnonzero(rng.random(n) < rng.uniform(0.02, 0.5))
    originals = rng.integers(0, n, len(copies))
    x[copies], y[copies] = x[originals], y[originals]


def tie_values(rng: Rng, x: np.ndarray) -> None:
    """In a quarter of the tables: some or all columns become few steps, flags, or mostly their least value (in place)."""
    m = x.shape[1]
    if rng.random() > 0.25:
        return
    columns = np.flatnonzero(rng.random(m) < rng.choice((0.3, 0.6, 1.0)))
    kind = rng.integers(0, 4, len(columns))
    steps, flags, spikes = columns[kind <= 1], columns[kind == 2], columns[kind == 3]
    width = np.exp(rng.uniform(-1.2, 1.2, len(steps))).astype(np.float32)
    x[:, steps] = np.floor(x[:, steps] * width + rng.random(len(steps), np.float32))
    x[:, flags] = x[:, flags] > rng.normal(0, 0.8, len(flags)).astype(np.float32)
    x[:, spikes] = np.maximum(x[:, spikes], rng.uniform(-0.5, 1.5, len(spikes)).astype(np.float32))


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
        ordered = np.sort(x[:, column])
        levels = ordered[1:][ordered[1:] > ordered[:-1]]  # all but the least
        if len(levels) >= MAX_LEVELS or rng.random() < 0.3:
            n_levels = min(MAX_LEVELS, int(2 + rng.geometric(0.25)))
            levels = quantile_cuts(x[:, column], np.cumsum(rng.dirichlet(np.full(n_levels, rng.choice((0.5, 1.0, 5.0)))))[:-1])
        x[:, column] = rng.permutation(len(levels) + 1)[np.searchsorted(levels, x[:, column], side="right")]
    return mask


def drop_cells(rng: Rng, x: np.ndarray) -> None:
    """In three tables of ten: cells become NaN, at random, by another column, or by their own value (in place)."""
    n, m = x.shape
    if rng.random() > 0.3:
        return
    columns = np.flatnonzero(rng.random(m) < rng.uniform(0.05, 1.0))
    rates = rng.beta(1, 4, len(columns)).astype(np.float32)
    kinds = rng.integers(0, 3, len(columns))
    drivers = np.where(kinds == 2, columns, rng.integers(0, m, len(columns)))
    driver = x.T[drivers] * rng.choice((-1, 1), (len(columns), 1))
    high = driver > np.partition(driver, n // 2, axis=1)[:, n // 2, None]
    chance = np.where(kinds[:, None] == 0, rates[:, None], np.minimum(2 * rates[:, None] * high, 0.95))
    gone = rng.random((len(columns), n), np.float32) < chance
    gone &= ~gone.all(axis=1, keepdims=True)
    rows = np.zeros((n, m), bool)
    rows[:, columns] = gone.T
    x[rows] = np.nan
