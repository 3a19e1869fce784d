"""Adjusted p-values of many tests at once: compare them with α itself (García and Herrera 2008; Wright 1992).

`holm` takes any family of tests. `shaffer` and `bergmann_hommel` are for the tests of all pairs of k models: they know that if a
equals b and b equals c, then a equals c, so that fewer hypotheses can be true together and more is found.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from tabbench.errors import UserError

Correction = Literal["holm", "shaffer", "bergmann"]
MOST_MODELS = 10  # Bergmann and Hommel's procedure looks at every partition of the models: 115,975 of 10, 678,570 of 11


def holm(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's adjusted p-values, in the order given (Holm 1979); they never fall as p rises and stay at most 1.

    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    n = len(np.asarray(p))
    return _step_down(p, n - np.arange(n))


def shaffer(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """Shaffer's static adjusted p-values of all pairs of k models (Shaffer 1986), never above Holm's.

    p : (k (k - 1) / 2,). Raises UserError for another number of p-values.
    """
    n_models = _n_models(p)
    possible = np.array(sorted(_numbers_of_true(n_models)))
    left = len(np.asarray(p)) - np.arange(len(np.asarray(p)))  # hypotheses not yet rejected
    return _step_down(p, possible[np.searchsorted(possible, left, side="right") - 1])


def bergmann_hommel(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjusted p-values of all pairs of k models by Bergmann and Hommel (1988), never above Shaffer's.

    p : (k (k - 1) / 2,) in the order (0, 1), (0, 2), …, (k - 2, k - 1). Raises UserError for another number, or k > 10.
    """
    values, n_models = np.asarray(p, np.float64), _n_models(p)
    if n_models > MOST_MODELS:
        raise UserError(f"Bergmann and Hommel's procedure takes at most {MOST_MODELS} models, got {n_models}: use shaffer")
    a, b = np.triu_indices(n_models, 1)
    blocks = np.array(list(_partitions(n_models)), dtype=np.int8)
    true = blocks[:, a] == blocks[:, b]  # (partitions, pairs): hypotheses that hold if just the models of a block are equal
    true = true[true.any(axis=1)]
    bound = true.sum(axis=1) * np.where(true, values, np.inf).min(axis=1, initial=np.inf)
    adjusted = np.where(true, bound[:, None], 0.0).max(axis=0, initial=0.0)
    return np.minimum(1.0, adjusted)


def adjust(p: Sequence[float] | np.ndarray, correction: Correction) -> np.ndarray:
    """Adjusted p-values of all pairs of models by the procedure of that name."""
    return {"holm": holm, "shaffer": shaffer, "bergmann": bergmann_hommel}[correction](p)


def _step_down(p: Sequence[float] | np.ndarray, factors: np.ndarray) -> np.ndarray:
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * factors))
    return adjusted


def _n_models(p: Sequence[float] | np.ndarray) -> int:
    n_pairs = len(np.asarray(p))
    n_models = round((1 + (1 + 8 * n_pairs) ** 0.5) / 2)
    if n_models * (n_models - 1) != 2 * n_pairs:
        raise UserError(f"{n_pairs} p-values are not those of all pairs of some models")
    return n_models


def _numbers_of_true(k: int) -> set[int]:
    """How many of the hypotheses "a equals b" can hold together among k models: sums over the blocks of a partition."""
    found: list[set[int]] = [{0}, {0}]
    for size in range(2, k + 1):
        found.append({block * (block - 1) // 2 + rest for block in range(1, size + 1) for rest in found[size - block]})
    return found[k]


def _partitions(k: int) -> Iterator[tuple[int, ...]]:
    """Every partition of k things, as the block number of each."""
    if k == 0:
        yield ()
        return
    for head in _partitions(k - 1):
        for block in range(max(head, default=-1) + 2):
            yield (*head, block)
