"""Families of random data-generating functions: each draws features X (n, m) and scores S (n, q) that depend on them.

All are vectorised over rows; columns of X and S come back on arbitrary scales. Sources: structural causal models after
Hollmann et al. 2023 (TabPFN, §4), tree targets after Qu et al. 2025 (TabICL) and den Breejen et al. 2024 (TabForestPFN).
"""

from collections.abc import Callable

import numpy as np

Rng = np.random.Generator
Drawn = tuple[np.ndarray, np.ndarray]


def standardize(x: np.ndarray) -> np.ndarray:
    """Columns to mean 0 and standard deviation 1; constant columns to 0."""
    x = x - np.add.reduce(x, axis=0) / x.dtype.type(len(x))
    x *= 1 / (np.sqrt(np.einsum("ij,ij->j", x, x) / len(x)) + 1e-6)
    return x


def quantile_cuts(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Values below which the given shares of `values` (n,) lie; a sort and a look-up, a fifth of the time of np.quantile."""
    ordered = np.sort(values)
    return ordered[(shares * len(values)).astype(np.int64).clip(0, len(values) - 1)]


def roots(rng: Rng, n: int, m: int) -> np.ndarray:
    """Independent or correlated columns of mixed shapes: normal, uniform, skewed, heavy-tailed, clustered, discrete."""
    x = rng.standard_normal((n, m), np.float32)
    shape = rng.integers(0, 6, m)
    if rng.random() < 0.4:
        shape[:] = 0
    x[:, shape == 1] = rng.random((n, int(np.sum(shape == 1))), np.float32)
    x[:, shape == 2] = np.exp(0.8 * x[:, shape == 2])
    x[:, shape == 3] = x[:, shape == 3] ** 3
    clustered = np.flatnonzero(shape == 4)
    centres = 2 * rng.standard_normal((int(rng.integers(2, 8)), len(clustered)), np.float32)
    member = rng.integers(0, len(centres), (n, len(clustered)), np.int16)
    x[:, clustered] = 0.4 * x[:, clustered] + centres[member, np.arange(len(clustered))]
    x[:, shape == 5] = np.round(1.5 * x[:, shape == 5])
    if m > 1 and rng.random() < 0.5:  # a few common factors
        k = int(rng.integers(1, max(2, m // 2) + 1))
        loadings = rng.standard_normal((k, m), np.float32) * (rng.random((k, m)) < 0.6)
        strength = rng.uniform(0.2, 1.5)
        x = standardize(x)
        x += np.float32(strength) * rng.standard_normal((n, k), np.float32) @ loadings
    return standardize(x)


ACTIVATIONS: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
    lambda x: x,
    np.tanh,
    lambda x: np.maximum(x, 0),
    np.sin,
    np.abs,
    lambda x: x * x,
    lambda x: np.exp(-x * x),
    lambda x: (x > 0).astype(x.dtype),
    lambda x: np.sign(x) * np.sqrt(np.abs(x)),
    lambda x: np.maximum(x, 0.1 * x),
    lambda x: np.exp(np.clip(x, -4, 3)),
)


def activate(rng: Rng, x: np.ndarray) -> np.ndarray:
    """One activation for all columns, or one for each of up to four blocks of columns."""
    n_blocks = 1 if rng.random() < 0.4 else min(4, x.shape[1])
    for i, pick in enumerate(rng.integers(0, len(ACTIVATIONS), n_blocks)):
        block = slice(i * x.shape[1] // n_blocks, (i + 1) * x.shape[1] // n_blocks)
        x[:, block] = ACTIVATIONS[pick](x[:, block])
    return x


def causal(rng: Rng, n: int, m: int, q: int) -> Drawn:
    """Structural causal model: a random sparse MLP over root causes; features and scores are units of it, with noise."""
    depth = int(rng.integers(2, 6))
    width = int(max(q + 2, min(64, (m + q) * rng.uniform(1.0, 2.5) / depth + 4)))
    n_roots = int(rng.integers(1, min(width, 12) + 1)) if rng.random() < 0.5 else width
    density, noise = rng.uniform(0.3, 1.0), np.float32(np.exp(rng.uniform(np.log(0.01), np.log(0.4))))
    layer = roots(rng, n, n_roots)
    layers = [layer]
    for _ in range(depth):
        weights = rng.standard_normal((layer.shape[1], width), np.float32)
        weights *= rng.random(weights.shape) < density
        layer = standardize(layer @ weights)
        layer *= rng.uniform(0.5, 2.0, width).astype(np.float32)
        layer += rng.normal(0, 0.7, width).astype(np.float32)
        layer = standardize(activate(rng, layer)) + noise * rng.standard_normal((n, width), np.float32)
        layers.append(layer)
    units = np.concatenate(layers, axis=1)
    scores = rng.choice(width, q, replace=False) + units.shape[1] - width  # the label comes last in the causal order
    if rng.random() < 0.3:  # or is a cause of some features
        scores = rng.choice(units.shape[1], q, replace=False)
    rest = np.setdiff1d(np.arange(units.shape[1]), scores)
    if len(rest) > m and rng.random() < 0.5:  # neighbouring units: correlated features
        start = rng.integers(0, len(rest) - m + 1)
        features = rest[start : start + m]
    else:
        features = rng.choice(rest, m, replace=len(rest) < m)
    return units.take(features, axis=1), units.take(scores, axis=1)


def inputs(rng: Rng, n: int, m: int) -> np.ndarray:
    """Features of the families that do not make their own: roots, or units of a causal model; in a quarter of tables discrete.

    What is discrete here is so before the scores depend on it, as in tables of games, answers and codes, whose classes are
    a function of the codes; overlays only blur columns afterwards.
    """
    x = causal(rng, n, m, 1)[0] if rng.random() < 0.25 else roots(rng, n, m)
    if rng.random() < 0.25:
        steps = np.float32(rng.choice((0.5, 0.8, 1.5))) * rng.uniform(0.6, 1.6, m).astype(np.float32)
        discrete = rng.random(m) < rng.choice((0.5, 1.0))
        x[:, discrete] = np.floor((x * steps + rng.random(m, np.float32)).clip(-3, 3))[:, discrete]
        x = standardize(x)
    return x


def _cuts(rng: Rng, x: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """A threshold within the bulk of each of the given columns."""
    rows = rng.integers(0, len(x), (3, *columns.shape))
    return np.median(x[rows, columns], axis=0)


def trees(rng: Rng, n: int, m: int, q: int) -> Drawn:
    """Sum of random trees, oblivious (one test a level) or ordinary (one test a node), with normal leaf values."""
    x = inputs(rng, n, m)
    n_trees = int(2 ** rng.uniform(0, 4))
    depth = int(rng.integers(2, 9 if n_trees < 4 else 6))
    used = rng.permutation(m)[: max(1, int(m * rng.uniform(0.2, 1.0)))]
    scores = np.zeros((n, q), np.float32)
    oblivious = rng.random() < 0.5
    for _ in range(n_trees):
        leaf = _oblivious(rng, x, used, depth) if oblivious else _ordinary(rng, x, used, depth)
        scores += rng.standard_normal((2**depth, q), np.float32)[leaf]
    return x, scores


def _oblivious(rng: Rng, x: np.ndarray, used: np.ndarray, depth: int) -> np.ndarray:
    columns = rng.choice(used, depth)
    bits = x[:, columns] > _cuts(rng, x, columns)
    return bits @ (1 << np.arange(depth))


def _ordinary(rng: Rng, x: np.ndarray, used: np.ndarray, depth: int) -> np.ndarray:
    columns = rng.choice(used, 2**depth - 1)
    cuts = _cuts(rng, x, columns)
    node = np.zeros(len(x), np.int64)
    rows = np.arange(len(x))
    for _ in range(depth):
        node = 2 * node + 1 + (x[rows, columns[node]] > cuts[node])
    return node - (2**depth - 1)


def rules(rng: Rng, n: int, m: int, q: int) -> Drawn:
    """Logical targets on a few discretised columns: parity, conjunctions, a look-up table, m-of-n counts."""
    x = inputs(rng, n, m)
    k = int(rng.integers(1, min(m, 4) + 1))
    columns = rng.choice(m, k, replace=False)
    if rng.random() < 0.5:  # columns that are discrete to the eye, too
        x[:, columns] = np.round(x[:, columns] * rng.uniform(0.7, 1.5))
    bits = x[:, columns] > _cuts(rng, x, columns)
    kind = rng.integers(0, 4)
    if kind == 0:
        score = np.bitwise_xor.reduce(bits, axis=1).astype(np.float32)
    elif kind == 1:
        terms = [bits[:, rng.random(k) < 0.7].all(axis=1) for _ in range(int(rng.integers(1, 4)))]
        score = np.any(terms, axis=0).astype(np.float32)
    elif kind == 2:
        score = rng.standard_normal(2**k, np.float32)[bits @ (1 << np.arange(k))]
    else:
        score = bits.sum(axis=1).astype(np.float32)
    background = standardize(x @ rng.standard_normal((m, q), np.float32))
    return x, standardize(score[:, None] * rng.standard_normal(q, np.float32)) + np.float32(rng.uniform(0, 0.4)) * background


def smooth(rng: Rng, n: int, m: int, q: int) -> Drawn:
    """Draws of a Gaussian process by random Fourier features (Rahimi and Recht 2007), with a length scale a column."""
    x = inputs(rng, n, m)
    relevance = np.exp(rng.normal(-0.5, 1.0, m)) * (rng.random(m) < rng.uniform(0.3, 1.0))
    frequencies = rng.standard_normal((m, 64)) * relevance[:, None] * rng.uniform(0.3, 1.5) / np.sqrt(max(1.0, np.sqrt(m)))
    waves = np.cos(x @ frequencies.astype(np.float32) + rng.uniform(0, 2 * np.pi, 64).astype(np.float32))
    return x, waves @ rng.standard_normal((64, q), np.float32)


def clusters(rng: Rng, n: int, m: int, q: int) -> Drawn:
    """Gaussian mixture; a score is the responsibility of groups of components, so that classes are unions of clusters."""
    n_components = int(q * rng.integers(1, 4) + 1)
    spread = rng.uniform(0.5, 3.0) / np.sqrt(np.sqrt(m))
    centres = spread * rng.standard_normal((n_components, m), np.float32)
    scale = np.exp(rng.normal(0, 0.4, (n_components, m))).astype(np.float32)
    member = rng.choice(n_components, n, p=rng.dirichlet(np.full(n_components, 3.0)))
    x = centres[member] + scale[member] * rng.standard_normal((n, m), np.float32)
    if rng.random() < 0.5:
        x = x @ (np.eye(m, dtype=np.float32) + rng.standard_normal((m, m), np.float32) * np.float32(0.5 / np.sqrt(m)))
    return x, rng.standard_normal((n_components, q), np.float32)[member]


def linear(rng: Rng, n: int, m: int, q: int) -> Drawn:
    """Sparse linear scores, sometimes bent monotonically."""
    x = inputs(rng, n, m)
    weights = rng.standard_normal((m, q), np.float32) * (rng.random((m, q)) < rng.uniform(0.2, 1.0))
    if rng.random() < 0.3:
        x_bent = np.sign(x) * np.abs(x) ** rng.uniform(0.5, 2.0, m).astype(np.float32)
        return x, x_bent @ weights
    return x, x @ weights
