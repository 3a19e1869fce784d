"""What is said of a sample (one value per column, class, fold, node, ...) under pymfe's names (Alcobaça et al. 2020)."""

import numpy as np

BINS = 10
QUARTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
SUMMARIES = (
    *("mean", "sd", "count", "iq_range", "kurtosis", "max", "median", "min", "range", "skewness"),
    *(f"histogram.{i}" for i in range(BINS)),
    *(f"quantiles.{i}" for i in range(len(QUARTILES))),
)


def summarize(values: np.ndarray) -> list[float]:
    """The summaries of a sample (m,), m ≥ 1, in the order of SUMMARIES; a NaN in it leaves nothing but the count.

    sd : with m - 1 degrees of freedom. histogram : shares in ten equal bins from min to max. quantiles : linear between points.
    kurtosis and skewness : Joanes and Gill's (1998) b2 and b1, as in MINITAB.
    """
    values = np.asarray(values, dtype=np.float64)
    count = len(values)
    if np.isnan(values).any():
        return [float(count) if name == "count" else np.nan for name in SUMMARIES]
    ordered = np.sort(values)
    low, high = ordered[0], ordered[-1]
    q1, median, q3 = (_quantile(ordered, share) for share in QUARTILES[1:4])
    mean = values.mean()
    sd = values.std(ddof=1) if count > 1 else np.nan
    skewness, kurtosis = moments(values)
    spread = (mean, sd, count, _iq_range(ordered), kurtosis, high, median, low, high - low, skewness)
    return [float(value) for value in (*spread, *_histogram(ordered), low, q1, median, q3, high)]


def _around(ordered: np.ndarray, share: float) -> tuple[float, float, float]:
    """The two values of a sorted sample between which a quantile lies, and where between them, in [0, 1)."""
    place = share * (len(ordered) - 1)
    below = int(place)
    return ordered[below], ordered[min(below + 1, len(ordered) - 1)], place - below


def _quantile(ordered: np.ndarray, share: float) -> float:
    """`np.quantile` of a sorted sample, without its checks."""
    a, b, t = _around(ordered, share)
    return a + (b - a) * t if t < 0.5 else b - (b - a) * (1 - t)


def _iq_range(ordered: np.ndarray) -> float:
    """`scipy.stats.iqr` of a sorted sample; it rounds otherwise than numpy's quantiles do, which ranks of it would show."""
    (a, b, t), (c, d, u) = _around(ordered, 0.25), _around(ordered, 0.75)
    return ((1 - u) * c + u * d) - ((1 - t) * a + t * b)


def _histogram(ordered: np.ndarray) -> np.ndarray:
    """Shares of a sorted sample in BINS equal bins from its minimum to its maximum; NaN if it is not finite."""
    low, high = ordered[0], ordered[-1]
    if not np.isfinite([low, high]).all():
        return np.full(BINS, np.nan)
    if low == high:
        low, high = low - 0.5, high + 0.5
    inner = np.searchsorted(ordered, np.linspace(low, high, BINS + 1)[1:-1])
    return np.diff(inner, prepend=0, append=len(ordered)) / len(ordered)


def moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Skewness b1 and excess kurtosis b2 (Joanes and Gill 1998) along axis 0 of (m, ...); NaN where nothing varies."""
    count = len(values)
    mean = values.mean(axis=0)
    centred = values - mean
    square = centred**2
    m2, m3, m4 = square.mean(axis=0), (square * centred).mean(axis=0), (square**2).mean(axis=0)
    m2 = np.where(m2 <= (np.finfo(np.float64).eps * mean) ** 2, np.nan, m2)
    shrink = 1 - 1 / count
    return m3 / m2**1.5 * shrink**1.5, m4 / m2**2 * shrink**2 - 3
