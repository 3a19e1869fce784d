"""What is said of a sample (one value per column, class, fold, node, ...) under pymfe's names (Alcobaça et al. 2020)."""

import numpy as np

BINS = 10
QUARTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
SUMMARIES = (
    *("mean", "sd", "count", "iq_range", "kurtosis", "max", "median", "min", "range", "skewness"),
    *(f"histogram.{i}" for i in range(BINS)),
    *(f"quantiles.{i}" for i in range(len(QUARTILES))),
)


def summarize(samples: np.ndarray) -> np.ndarray:
    """(s, 25) the summaries of s samples (s, m), m ≥ 1, in the order of SUMMARIES; a NaN in one leaves nothing but the count.

    sd : with m - 1 degrees of freedom. histogram : shares in ten equal bins from min to max. quantiles : linear between points.
    kurtosis and skewness : Joanes and Gill's (1998) b2 and b1, as in MINITAB.
    """
    samples = np.ascontiguousarray(samples, dtype=np.float64)
    count = samples.shape[1]
    ordered = np.sort(samples, axis=1)
    low, high = ordered[:, 0], ordered[:, -1]
    quartiles, iq_range = _quartiles(ordered)
    q1, median, q3 = quartiles.T
    mean, sd, skewness, kurtosis = moments(samples.T)
    found = np.empty((len(samples), len(SUMMARIES)))
    spread = (mean, sd, count, iq_range, kurtosis, high, median, low, high - low, skewness)
    for i, values in enumerate((*spread, *_histogram(ordered).T, low, q1, median, q3, high)):
        found[:, i] = values
    found[np.isnan(high)] = np.nan
    found[:, SUMMARIES.index("count")] = count
    return found


def _quartiles(ordered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(s, 3) quartiles of sorted samples (s, m), by numpy's rule, and (s,) their interquartile ranges, by scipy's.

    The two round differently, which ranks of the values would show.
    """
    place = np.array(QUARTILES[1:4]) * (ordered.shape[1] - 1)
    below = place.astype(np.int64)
    a, b, t = ordered[:, below], ordered[:, np.minimum(below + 1, ordered.shape[1] - 1)], place - below
    q1, _, q3 = ((1 - t) * a + t * b).T
    return np.where(t < 0.5, a + (b - a) * t, b - (b - a) * (1 - t)), q3 - q1


def quantiles(ordered: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """(q, p) quantiles of columns (n, p) that are sorted, linear between two values, rounded as numpy rounds them."""
    place = shares * (len(ordered) - 1)
    below = place.astype(np.int64)
    a, b, t = ordered[below], ordered[np.minimum(below + 1, len(ordered) - 1)], (place - below)[:, None]
    return np.where(t < 0.5, a + (b - a) * t, b - (b - a) * (1 - t))


def _histogram(ordered: np.ndarray) -> np.ndarray:
    """(s, BINS) shares of sorted samples in equal bins from minimum to maximum; NaN where one is not finite."""
    low, high = ordered[:, 0], ordered[:, -1]
    same = low == high
    low, high = np.where(same, low - 0.5, low), np.where(same, high + 0.5, high)
    edges = np.arange(1, BINS) * ((high - low) / BINS)[:, None] + low[:, None]
    below = np.zeros((len(ordered), BINS + 1))
    below[:, 1:-1] = [np.searchsorted(*pair) for pair in zip(ordered, edges, strict=True)]
    below[:, -1] = ordered.shape[1]
    shares = (below[:, 1:] - below[:, :-1]) / ordered.shape[1]
    return np.where(np.isfinite(high - low)[:, None], shares, np.nan)


def moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean, sd (with m - 1 degrees of freedom), skewness b1 and excess kurtosis b2 (Joanes and Gill 1998) along axis 0 of (m, s).

    sd is NaN for a single value, skewness and kurtosis are where nothing varies.
    """
    count = len(values)
    mean = np.sum(values, axis=0) / count
    centred = values - mean
    square = centred**2
    squares = np.sum(square, axis=0)
    m2 = np.where(squares / count <= (np.finfo(np.float64).eps * mean) ** 2, np.nan, squares / count)
    m3, m4 = np.sum(square * centred, axis=0) / count, np.sum(square**2, axis=0) / count
    shrink = 1 - 1 / count
    sd = np.sqrt(squares / (count - 1)) if count > 1 else np.full(len(mean), np.nan)
    return mean, sd, m3 / m2**1.5 * shrink**1.5, m4 / m2**2 * shrink**2 - 3
