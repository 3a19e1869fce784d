"""Random draws that the report's page can make as well: hashes of a counter instead of a generator's stream."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tabbench.errors import UserError

N_DRAWS = 500  # of the datasets behind an interval
UNSEEN = 8  # of an unseen dataset's weight, 1/256 is left on average for what would be a ninth stick
CHUNK = 2000  # draws at a time: 2000 × 20 × 20 numbers are 6 MB


def resamples(n: int, n_draws: int, seed: int) -> Iterator[np.ndarray]:
    """Chunks (≤ 2000, n) of how often each of n datasets is drawn in each of `n_draws` draws of n with replacement.

    Raises UserError for n = 0.
    """
    if n == 0:
        raise UserError("there is no dataset to resample")
    for keys in _keys(n, n_draws, seed):
        drawn = (keys.astype(np.uint64) * np.uint64(n)) >> np.uint64(32)
        cells = drawn.astype(np.int64) + n * np.arange(len(keys))[:, None]
        yield np.bincount(cells.ravel(), minlength=cells.size).reshape(keys.shape).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Posterior:
    """Draws of what share of all datasets is like each one that was seen, and what the rest of them may be like.

    seen : (b, n) weights of the datasets. unseen : (b, T) weights of T other ones. orders : (b, T, k) rank of every model on
    these, 1 = best. The weights of a draw sum to n + 1.
    """

    seen: np.ndarray
    unseen: np.ndarray
    orders: np.ndarray


def posterior(n: int, k: int, n_draws: int, seed: int) -> Iterator[Posterior]:
    """Chunks (≤ 2000 draws) of a Bayesian bootstrap of n datasets with k models that allows for datasets not seen so far.

    Rubin's (1981) bootstrap draws Dirichlet weights, so that what all seen datasets agree on is certain. Here one unseen dataset,
    on which all orders of the models are equally likely, has as much weight as a seen one: a Dirichlet process of concentration 1
    (Ferguson 1973), its random part broken into UNSEEN sticks (Sethuraman 1994). Of two models it gives the share of datasets on
    which the first wins Jeffreys' posterior, Beta(wins + ½, losses + ½). Raises UserError for n = 0.
    """
    if n == 0:
        raise UserError("there is no dataset to resample")
    for keys in _keys(n + UNSEEN + UNSEEN * k, n_draws, seed):
        uniform = (keys[:, : n + UNSEEN] + 0.5) / 2.0**32
        mass = -np.log(uniform[:, : n + 1])
        mass *= (n + 1) / mass.sum(axis=1, keepdims=True)
        broken = np.concatenate([uniform[:, n + 1 :], np.ones((len(keys), 1))], axis=1)  # the last stick takes what is left
        left = np.cumprod(np.concatenate([np.ones((len(keys), 1)), 1 - broken[:, :-1]], axis=1), axis=1)
        by_order = keys[:, n + UNSEEN :].reshape(-1, UNSEEN, k)
        orders = 1 + np.argsort(np.argsort(by_order, axis=2, kind="stable"), axis=2, kind="stable")
        yield Posterior(mass[:, :n], mass[:, n:] * broken * left, orders.astype(np.float64))


def shuffles(n: int, n_draws: int, seed: int) -> np.ndarray:
    """(n_draws, n) orders of n things, all orders being equally likely."""
    return np.concatenate([np.argsort(keys, axis=1, kind="stable") for keys in _keys(n, n_draws, seed)])


def _keys(n: int, n_draws: int, seed: int) -> Iterator[np.ndarray]:
    """Chunks (≤ 2000, n) of 32 random bits, `n_draws` rows in all."""
    mask = _hash(np.array([seed + 1], np.uint32))[0]
    for start in range(0, n_draws, CHUNK):
        size = min(CHUNK, n_draws - start)
        counter = np.arange(start * n, (start + size) * n, dtype=np.uint64).astype(np.uint32)
        yield _hash(counter ^ mask).reshape(size, n)


def _hash(x: np.ndarray) -> np.ndarray:
    """Mix 32-bit numbers so that every bit depends on all (the finaliser of MurmurHash3 with Wellons' constants)."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))
