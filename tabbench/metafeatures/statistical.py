"""Moments, correlations and discriminant analysis of the numeric form: pymfe's group "statistical"."""

import numpy as np

from tabbench.metafeatures.registry import metafeature, shared
from tabbench.metafeatures.summaries import QUARTILES, moments, quantiles
from tabbench.metafeatures.table import Table

CORRELATED, NORMAL_P, NORMAL_ROWS, WHISKERS, TRIM = 0.5, 0.05, 5000, 1.5, 0.2
NEARLY_ZERO = 1e-10
MAD_FACTOR = 1.4826  # makes the median absolute deviation of a normal column its standard deviation


@shared
def covariance(table: Table) -> np.ndarray:
    """(p, p) covariances."""
    return np.atleast_2d(np.cov(table.N, rowvar=False))


@shared
def _quartiles(table: Table) -> np.ndarray:
    """(5, p) minimum, quartiles, maximum of the columns."""
    return quantiles(table.ordered, np.array(QUARTILES))


@shared
def _moments(table: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return moments(table.N)


def _lower(matrix: np.ndarray) -> np.ndarray:
    return matrix[np.tril_indices(len(matrix), k=-1)]


@metafeature("statistical")
@shared
def can_cor(table: Table) -> np.ndarray:
    """Canonical correlations of the columns and the class, from scikit-learn's alternating CCA as in pymfe.

    Its steps on all rows: in a basis of the columns they would be fewer numbers, but where it does not converge others.
    """
    from sklearn.cross_decomposition import CCA

    is_class = np.eye(len(table.class_counts))[table.y][:, 1:]
    count = min(is_class.shape[1], table.N.shape[1])
    ours, theirs = CCA(count, max_iter=500).fit(table.N, is_class).transform(table.N, is_class)
    used = int(np.argmin([*ours.any(axis=0), False]))  # scores of zeros: nothing is left to explain
    return np.array([np.corrcoef(ours[:, i], theirs[:, i])[0, 1] for i in range(used)])


@shared
def _can_cor_eigenvalues(table: Table) -> np.ndarray:
    squares = can_cor(table) ** 2
    return squares / (1 - squares)


@metafeature("statistical")
def nr_disc(table: Table) -> float:
    """Canonical correlations there are."""
    return len(can_cor(table))


@metafeature("statistical")
def w_lambda(table: Table) -> float:
    """Wilks' Λ."""
    return float(np.exp(-np.sum(np.log1p(_can_cor_eigenvalues(table)))))


@metafeature("statistical")
def p_trace(table: Table) -> float:
    """Pillai's trace."""
    return float(np.sum(can_cor(table) ** 2))


@metafeature("statistical")
def lh_trace(table: Table) -> float:
    """Lawley and Hotelling's trace."""
    return float(np.sum(_can_cor_eigenvalues(table)))


@metafeature("statistical")
def roy_root(table: Table) -> float:
    """Roy's largest root, as an eigenvalue."""
    return float(np.max(_can_cor_eigenvalues(table)))


@metafeature("statistical")
@shared
def cor(table: Table) -> np.ndarray:
    """Absolute correlation of every pair of columns."""
    return _lower(np.abs(np.atleast_2d(np.corrcoef(table.N, rowvar=False))))


@metafeature("statistical")
def nr_cor_attr(table: Table) -> float:
    """Share of the pairs whose absolute correlation is at least 0.5."""
    return float(np.mean(cor(table) >= CORRELATED))


@metafeature("statistical")
def cov(table: Table) -> np.ndarray:
    """Absolute covariance of every pair of columns."""
    return np.abs(_lower(covariance(table)))


@metafeature("statistical")
def eigenvalues(table: Table) -> np.ndarray:
    """Eigenvalues of the covariance matrix."""
    return np.linalg.eigvalsh(covariance(table))


@metafeature("statistical")
def gravity(table: Table) -> float:
    """Euclidean distance of the centres of the largest and the smallest class."""
    largest = int(np.argmax(table.class_counts))
    others = np.where(np.arange(len(table.class_counts)) == largest, len(table.y) + 1, table.class_counts)
    centres = [table.N[table.by_class[code]].mean(axis=0) for code in (largest, int(np.argmin(others)))]
    return float(np.linalg.norm(centres[0] - centres[1]))


@metafeature("statistical")
def g_mean(table: Table) -> np.ndarray:
    """Geometric means; NaN for a column with negative values, 0 for one whose smallest is below 1e-10."""
    low = table.N.min(axis=0)
    means = np.exp(np.mean(np.log(np.where(low < NEARLY_ZERO, 1, table.N)), axis=0))
    return np.where(low < 0, np.nan, np.where(low < NEARLY_ZERO, 0, means))


@metafeature("statistical")
def h_mean(table: Table) -> np.ndarray:
    """Harmonic means; NaN for a column with negative values, 0 for one with a zero."""
    low = table.N.min(axis=0)
    means = 1 / np.mean(1 / np.where(low <= 0, 1, table.N), axis=0)
    return np.where(low < 0, np.nan, np.where(low == 0, 0, means))


@metafeature("statistical")
def iq_range(table: Table) -> np.ndarray:
    """Interquartile ranges."""
    return _quartiles(table)[3] - _quartiles(table)[1]


@metafeature("statistical")
def kurtosis(table: Table) -> np.ndarray:
    """Excess kurtosis b2 of the columns."""
    return _moments(table)[3]


@metafeature("statistical")
def skewness(table: Table) -> np.ndarray:
    """Skewness b1 of the columns."""
    return _moments(table)[2]


@metafeature("statistical")
def mad(table: Table) -> np.ndarray:
    """Median absolute deviations, scaled to a normal column's standard deviation."""
    return MAD_FACTOR * np.median(np.abs(table.N - _quartiles(table)[2]), axis=0)


@metafeature("statistical")
def max_(table: Table) -> np.ndarray:
    """Maxima."""
    return _quartiles(table)[4]


@metafeature("statistical")
def mean(table: Table) -> np.ndarray:
    """Means."""
    return _moments(table)[0]


@metafeature("statistical")
def median(table: Table) -> np.ndarray:
    """Medians."""
    return _quartiles(table)[2]


@metafeature("statistical")
def min_(table: Table) -> np.ndarray:
    """Minima."""
    return _quartiles(table)[0]


@metafeature("statistical")
def nr_norm(table: Table) -> float:
    """Columns that Shapiro and Wilk's test (first 5,000 rows) does not tell from normal ones at 5%."""
    from scipy.stats import shapiro

    return float(np.sum(shapiro(table.N[:NORMAL_ROWS], axis=0).pvalue > NORMAL_P))


@metafeature("statistical")
def nr_outliers(table: Table) -> float:
    """Columns with a value more than 1.5 interquartile ranges outside the quartiles."""
    low, q1, _, q3, high = _quartiles(table)
    reach = WHISKERS * (q3 - q1)
    return float(np.sum((q1 - reach > low) | (q3 + reach < high)))


@metafeature("statistical")
def range_(table: Table) -> np.ndarray:
    """Ranges."""
    return _quartiles(table)[4] - _quartiles(table)[0]


@metafeature("statistical")
def sd(table: Table) -> np.ndarray:
    """Standard deviations."""
    return _moments(table)[1]


@metafeature("statistical")
def var(table: Table) -> np.ndarray:
    """Variances."""
    return _moments(table)[1] ** 2


@metafeature("statistical")
def sd_ratio(table: Table) -> float:
    """Homogeneity of the class covariances (Michie et al. 1994, from Box's M), with pymfe's order of classes and rows.

    pymfe reverses both, so that weights meet other classes and determinants may change sign; it is kept for equal values.
    """
    n, p, k = *table.N.shape, len(table.class_counts)
    weights = table.class_counts - 1.0
    covariances = np.array([np.atleast_2d(np.cov(table.N[rows], rowvar=False)) for rows in table.by_class])[::-1, ::-1]
    pooled = np.tensordot(weights, covariances, axes=1) / (n - k)
    gamma = 1 - (2 * p**2 + 3 * p - 1) / (6 * (p + 1) * (k - 1)) * (np.sum(1 / weights) - 1 / (n - k))
    m = gamma * ((n - k) * np.log(np.linalg.det(pooled)) - weights @ np.log(np.linalg.det(covariances)))
    return float(np.exp(m / (p * (n - k)))) if np.isfinite(m) else np.nan


@metafeature("statistical")
def sparsity(table: Table) -> np.ndarray:
    """Rows per distinct value of a column, from 0 (all differ) to 1 (all equal)."""
    n = len(table.y)
    return (n / table.n_distinct - 1) / (n - 1)


@metafeature("statistical")
def t_mean(table: Table) -> np.ndarray:
    """Means without a fifth of the rows at either end."""
    cut = int(TRIM * len(table.y))
    return table.ordered[cut : len(table.y) - cut].mean(axis=0)
