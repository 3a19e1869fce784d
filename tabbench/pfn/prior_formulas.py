"""Families whose scores no single column and no smooth neighbourhood tells well: formulas, interactions, distances, readings.

Each draws features X (n, m) and scores S (n, q), as in prior_functions.py.
"""

import numpy as np

from tabbench.pfn.prior_functions import Drawn, Rng, inputs, standardize

POWERS = np.array([-3, -2, -1, -0.5, 0.5, 1, 2, 3], np.float32)
POWER_SHARES = np.array([0.04, 0.11, 0.25, 0.1, 0.1, 0.25, 0.11, 0.04])


def formulas(rng: Rng, n: int, m: int, q: int) -> Drawn:
    """Sums of one to three monomials in two to four positive columns: physical laws, ratios, groups without dimension.

    A single monomial is linear in the logarithms, which a warped or noisy column hides; a sum is not.
    """
    x = inputs(rng, n, m)
    positive = np.exp(np.float32(rng.uniform(0.3, 1.2)) * x.clip(-3, 3))
    scores = np.zeros((n, q), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        columns = rng.permutation(m)[: int(rng.integers(2, 5))]
        powers = POWERS[np.searchsorted(np.cumsum(POWER_SHARES), rng.random((len(columns), q)) * POWER_SHARES.sum())]
        term = np.exp((np.log(positive[:, columns]) @ powers).clip(-6, 6))
        scores += standardize(term) * rng.standard_normal(q, np.float32)
    if rng.random() < 0.6:  # measured on the positive scale, else on a logarithmic one
        x = positive
    return x, np.arcsinh(standardize(scores))


def interactions(rng: Rng, n: int, m: int, q: int) -> Drawn:
    """Sums of products of two to four columns without their linear part, so that a column alone tells little."""
    x = inputs(rng, n, m)
    centred = standardize(x - np.median(x[:: max(1, n // 128)], axis=0))
    sharpness = rng.choice((0.0, 1.0, 4.0))
    bent = np.tanh(np.float32(sharpness) * centred) if sharpness else centred.clip(-3, 3)
    used = rng.permutation(m)[: int(rng.integers(2, 9))]
    scores = np.zeros((n, q), np.float32)
    for _ in range(int(rng.integers(1, 2 + len(used) // 2))):
        order = min(len(used), int(rng.choice((2, 3, 4), p=(0.65, 0.25, 0.1))))
        scores += bent[:, rng.permutation(used)[:order]].prod(axis=1)[:, None] * rng.standard_normal(q, np.float32)
    main = centred[:, used]
    scores = standardize(scores)
    scores -= main @ np.linalg.solve(main.T @ main + np.eye(len(used), dtype=np.float32), main.T @ scores)
    if rng.random() < 0.3:
        scores += np.float32(rng.uniform(0.1, 0.4)) * main @ rng.standard_normal((len(used), q), np.float32)
    return x, scores


def distances(rng: Rng, n: int, m: int, q: int) -> Drawn:
    """Distances to random centres (Euclidean or Manhattan, by value, or in rings) or angles in a plane, in a few columns."""
    x = inputs(rng, n, m)
    used = rng.permutation(m)[: int(rng.integers(2, 7))]
    near = x[:, used]
    if rng.random() < 0.35 and len(used) > 1:  # angles, in as many sectors as the frequency says
        angle = np.arctan2(near[:, 0] - rng.uniform(-0.5, 0.5), near[:, 1] - rng.uniform(-0.5, 0.5))[:, None]
        waves = np.cos(angle * rng.integers(1, 4, q) + rng.uniform(0, 2 * np.pi, q))
        return x, waves.astype(np.float32)
    scores = np.empty((n, q), np.float32)
    euclidean = rng.random() < 0.6
    for j in range(q):
        gap = near - near[rng.integers(n)] * np.float32(rng.uniform(0.2, 1.0))
        scores[:, j] = np.sqrt((gap * gap).sum(axis=1)) if euclidean else np.abs(gap).sum(axis=1)
    if rng.random() < 0.25:
        return x, np.cos(standardize(scores) * np.float32(rng.uniform(1.5, 3.0)))
    return x, -scores


def readings(rng: Rng, n: int, m: int, q: int) -> Drawn:
    """Columns that are noisy readings of a few hidden scores: many faint ones, of which none tells much alone, or clear ones.

    So the class decides the columns, and they agree, as answers to a questionnaire or measurements of one body do.
    """
    scores = rng.standard_normal((n, q), np.float32)
    clear = np.exp(rng.uniform(np.log(0.3), np.log(3.0))) if rng.random() < 0.6 else rng.uniform(0.7, 2.5) / np.sqrt(m)
    loadings = rng.standard_normal((q, m), np.float32) * np.float32(clear / np.sqrt(q))
    x = rng.standard_normal((n, m), np.float32)
    if rng.random() < 0.4:  # readings share disturbances
        common = int(rng.integers(1, 5))
        x += rng.standard_normal((n, common), np.float32) @ rng.standard_normal((common, m), np.float32)
    x = x + scores @ loadings
    kind = rng.random()
    if kind < 0.25:  # answers yes or no
        x = (x > rng.normal(0, 0.7, m)).astype(np.float32)
    elif kind < 0.45:  # marks on a short scale, often at its end
        marks = standardize(x) * np.float32(rng.uniform(1, 4)) + np.float32(rng.uniform(-2, 4))
        x = np.round(marks.clip(0, rng.integers(3, 11)))
    return x, scores
