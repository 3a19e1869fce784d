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
    low, q1, median, q3, high = np.quantile(values, QUARTILES)
    mean = values.mean()
    sd = values.std(ddof=1) if count > 1 else np.nan
    skewness, kurtosis = moments(values)
    if np.isfinite(values).all():
        histogram = np.histogram(values, bins=BINS)[0] / count
    else:
        histogram = np.full(BINS, np.nan)
    spread = (mean, sd, count, q3 - q1, kurtosis, high, median, low, high - low, skewness)
    return [float(value) for value in (*spread, *histogram, low, q1, median, q3, high)]


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
