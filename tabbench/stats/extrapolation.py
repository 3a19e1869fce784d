"""Learning curves over training size: a power law, fitted and carried on to sizes that were not run.

score(n) = a - b · n^-c with b ≥ 0 for scores to be maximised (Viering and Loog 2023, The Shape of Learning Curves, §3: with
few points, power laws with an offset are among the best). A model has one exponent c on all datasets, so that a handful of
sizes suffices; every dataset has its own a and b.
"""

import numpy as np

from tabbench.errors import UserError

EXPONENTS = np.geomspace(0.05, 2.0, 60)


def extrapolate(sizes: np.ndarray, scores: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Fitted scores (d,) at sizes `at` (d,) of d datasets, from scores (d, s), greater is better, at sizes (d, s) in rows.

    Raises UserError for fewer than three sizes, values that are not finite, or sizes below 1.
    """
    sizes, scores, at = (np.asarray(part, np.float64) for part in (sizes, scores, at))
    if scores.ndim != 2 or scores.shape[1] < 3 or sizes.shape != scores.shape or at.shape != scores.shape[:1]:
        raise UserError("a learning curve needs scores (datasets × sizes) at three sizes or more, and one size to carry it to")
    if not (np.isfinite(scores).all() and (sizes >= 1).all() and (at >= 1).all()):
        raise UserError("a learning curve needs finite scores and sizes of at least one row")
    return _fit(sizes, scores, at)


def _fit(sizes: np.ndarray, scores: np.ndarray, at: np.ndarray) -> np.ndarray:
    basis = sizes ** -EXPONENTS[:, None, None]  # (exponents, datasets, sizes)
    centred = basis - basis.mean(axis=2, keepdims=True)
    deviations = scores - scores.mean(axis=1, keepdims=True)
    spread = np.sum(centred**2, axis=2)
    slopes = np.minimum(0.0, np.sum(centred * deviations, axis=2) / np.where(spread > 0, spread, 1.0))  # -b
    errors = np.sum((deviations - slopes[..., None] * centred) ** 2, axis=(1, 2))
    best = int(errors.argmin())
    return scores.mean(axis=1) + slopes[best] * (at ** -EXPONENTS[best] - basis[best].mean(axis=1))


def held_back_error(sizes: np.ndarray, scores: np.ndarray) -> float:
    """Mean absolute error over datasets when the largest size is foretold from the others; NaN for fewer than four sizes."""
    if np.shape(scores)[1] < 4:
        return float("nan")
    foretold = extrapolate(sizes[:, :-1], scores[:, :-1], sizes[:, -1])
    return float(np.abs(foretold - scores[:, -1]).mean())
