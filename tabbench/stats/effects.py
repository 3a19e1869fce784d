"""How large differences between two models are, apart from whether chance explains them."""

import numpy as np

from tabbench.stats.ranks import TOLERANCE, levels, ranked


def rank_biserial(differences: np.ndarray, tolerance: float = TOLERANCE) -> np.ndarray:
    """Matched-pairs rank-biserial correlation of m samples of n paired differences (m, n) → (m,) (Kerby 2014).

    Share of the rank sum with positive sign minus that with negative sign, in [-1, 1]; zeros are ranked and dropped; all zero: 0.
    """
    differences = np.where(np.abs(differences) <= tolerance, 0.0, differences)
    ranks = ranked(levels(np.abs(differences), tolerance))
    total = np.sum(ranks * (differences != 0), axis=1)
    return np.sum(ranks * np.sign(differences), axis=1) / np.where(total > 0, total, 1.0)


def cohen_d(differences: np.ndarray) -> np.ndarray:
    """Mean of m samples of n paired differences (m, n) in their standard deviations → (m,) (Cohen 1988, d_z).

    No spread: 0 if the mean is 0, else infinite. One outlying dataset sways it: prefer `rank_biserial`.
    """
    mean, spread = differences.mean(axis=1), differences.std(axis=1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(mean == 0, 0.0, mean / spread)
