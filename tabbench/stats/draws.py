"""Random draws that the report's page can make as well: hashes of a counter instead of a generator's stream."""

from collections.abc import Iterator

import numpy as np

from tabbench.errors import UserError

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
