"""Metrics of predicted class probabilities, computed from the true codes and the saved predictions.

What happens at the edges, in one place:

- A class without a row in the test fold is left out of every average over classes or pairs of classes.
- A fold whose rows all have one class has no ROC AUC: NaN. Metrics without it are defined.
- A class that no training row had has probability 0 everywhere; log loss clips at `LOG_LOSS_EPS`, as scikit-learn does.
- The predicted class is the most probable one, the first of equals. Equal scores count one half in the ROC AUC.
- NaN, negative, or unnormalised probabilities are an error, never a number.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tabbench.registry import Registry

LOG_LOSS_EPS = float(np.finfo(np.float64).eps)
SUM_TOLERANCE = 1e-3  # float32 softmax over many classes is off by less
ECE_BINS = 15

Score = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Metric:
    """A named score. title : what people call it. needs : "labels" if only the most probable class matters, else "proba"."""

    name: str
    title: str
    score: Score
    needs: Literal["labels", "proba"]
    greater_is_better: bool


METRICS: Registry[Metric] = Registry("metric")


def metric(
    name: str, *, needs: Literal["labels", "proba"], title: str | None = None, greater_is_better: bool = True
) -> Callable[[Score], Score]:
    """Register `f(y (n,) int codes, proba (n, k) float64) -> float` as a metric and a column of the results.

    title : what people call it, if that is not its name.
    """

    def register(score: Score) -> Score:
        METRICS.add(name, Metric(name, title or name, score, needs, greater_is_better))
        return score

    return register


def compute_metrics(y: np.ndarray, proba: np.ndarray) -> dict[str, float]:
    """Every registered metric of `proba` (n, k) against the codes `y` (n,) into its k columns.

    Raises ValueError (one line) if there is no row, the shapes differ, a code has no column, or a row of `proba` is no
    probability distribution to within `SUM_TOLERANCE`.
    """
    y, proba = np.asarray(y), np.asarray(proba, dtype=np.float64)
    if proba.ndim != 2 or y.shape != proba.shape[:1] or len(y) == 0:
        raise ValueError(f"probabilities of shape {proba.shape} for {y.shape} labels: expected (n, k) for (n,) with n > 0")
    if y.min() < 0 or y.max() >= proba.shape[1]:
        raise ValueError(f"label codes {y.min()}..{y.max()} do not fit {proba.shape[1]} columns of probabilities")
    if not np.isfinite(proba).all():
        raise ValueError(f"probabilities are NaN or infinite in {np.sum(~np.isfinite(proba).all(axis=1))} of {len(y)} rows")
    if proba.min() < 0:
        raise ValueError(f"negative probabilities, the least is {proba.min():.3g}")
    error = np.abs(proba.sum(axis=1) - 1).max()
    if error > SUM_TOLERANCE:
        raise ValueError(f"probabilities of a row must sum to 1, the worst is off by {error:.3g}")
    return {name: entry.score(y, proba) for name, entry in METRICS.items()}


@metric("accuracy", needs="labels")
def accuracy(y: np.ndarray, proba: np.ndarray) -> float:
    """Share of rows whose most probable class is the true one."""
    return float(np.mean(proba.argmax(axis=1) == y))


@metric("balanced_accuracy", title="balanced accuracy", needs="labels")
def balanced_accuracy(y: np.ndarray, proba: np.ndarray) -> float:
    """Mean recall over the classes that occur in `y` (Brodersen et al. 2010)."""
    hits, n_true, _ = _confusion(y, proba)
    return float(np.mean(hits[n_true > 0] / n_true[n_true > 0]))


@metric("f1", title="F1", needs="labels")
def f1(y: np.ndarray, proba: np.ndarray) -> float:
    """F1 of class 1 for two classes (0 if it is neither true nor predicted anywhere), `f1_macro` for more."""
    return float(_f1_by_class(y, proba)[1]) if proba.shape[1] == 2 else f1_macro(y, proba)


@metric("f1_macro", title="macro F1", needs="labels")
def f1_macro(y: np.ndarray, proba: np.ndarray) -> float:
    """Mean F1 over the classes that occur in `y`."""
    return float(np.mean(_f1_by_class(y, proba)[np.unique(y)]))


@metric("roc_auc_ovo", title="ROC AUC (one against one)", needs="proba")
def roc_auc_ovo(y: np.ndarray, proba: np.ndarray) -> float:
    """Mean over the pairs of classes that occur of the ROC AUC between them (Hand and Till 2001); NaN for one class.

    The AUC of a pair (i, j) is the mean of that of column i with i as the positive class and that of column j with j.
    """
    if proba.shape[1] == 2:
        return _binary_auc(y, proba)
    counts = np.bincount(y, minlength=proba.shape[1])
    present = np.flatnonzero(counts)
    if len(present) < 2:
        return float("nan")
    auc = _wins(y, proba)[np.ix_(present, present)] / np.outer(counts[present], counts[present])
    return float(np.mean(auc[~np.eye(len(present), dtype=bool)]))


@metric("roc_auc_ovr", title="ROC AUC (one against rest)", needs="proba")
def roc_auc_ovr(y: np.ndarray, proba: np.ndarray) -> float:
    """Mean over the classes that occur of the ROC AUC of each against the rest (Fawcett 2006); NaN for one class."""
    if proba.shape[1] == 2:
        return _binary_auc(y, proba)
    counts = np.bincount(y, minlength=proba.shape[1])
    present = np.flatnonzero(counts)
    if len(present) < 2:
        return float("nan")
    wins = _wins(y, proba)
    n_pairs = counts * (len(y) - counts)
    return float(np.mean((wins.sum(axis=1) - np.diag(wins))[present] / n_pairs[present]))


@metric("log_loss", title="log loss", needs="proba", greater_is_better=False)
def log_loss(y: np.ndarray, proba: np.ndarray) -> float:
    """Mean negative log probability (nats) of the true class, clipped by `LOG_LOSS_EPS` at both ends (Good 1952)."""
    true = proba[np.arange(len(y)), y]
    return float(-np.mean(np.log(np.clip(true, LOG_LOSS_EPS, 1 - LOG_LOSS_EPS))))


@metric("auc_or_log_loss", title="1 − ROC AUC or log loss", needs="proba", greater_is_better=False)
def auc_or_log_loss(y: np.ndarray, proba: np.ndarray) -> float:
    """1 - ROC AUC for two classes, log loss for more: what AMLB and TabArena rank by (Erickson et al. 2025, metric_error)."""
    return 1 - _binary_auc(y, proba) if proba.shape[1] == 2 else log_loss(y, proba)


@metric("brier", title="Brier score", needs="proba", greater_is_better=False)
def brier(y: np.ndarray, proba: np.ndarray) -> float:
    """Mean squared distance of `proba` to the one-hot `y`, summed over all classes, in [0, 2] (Brier 1950)."""
    distance = proba.copy()
    distance[np.arange(len(y)), y] -= 1
    return float(np.mean(np.sum(distance**2, axis=1)))


@metric("ece", title="calibration error (ECE)", needs="proba", greater_is_better=False)
def ece(y: np.ndarray, proba: np.ndarray) -> float:
    """Error of calibration of the predicted class, over 15 equal bins (a, b] of confidence (Guo et al. 2017, §2)."""
    confidence = proba.max(axis=1)
    hit = proba.argmax(axis=1) == y
    bins = np.digitize(confidence, np.linspace(0, 1, ECE_BINS + 1)[1:-1], right=True)
    gap_by_bin = np.bincount(bins, weights=hit - confidence, minlength=ECE_BINS)  # bin size times (accuracy - confidence)
    return float(np.abs(gap_by_bin).sum() / len(y))


def _confusion(y: np.ndarray, proba: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By class (k,): rows predicted rightly, rows of the class, rows predicted to be of it."""
    k, predicted = proba.shape[1], proba.argmax(axis=1)
    return tuple(np.bincount(labels, minlength=k) for labels in (y[predicted == y], y, predicted))  # type: ignore[return-value]


def _f1_by_class(y: np.ndarray, proba: np.ndarray) -> np.ndarray:
    hits, n_true, n_predicted = _confusion(y, proba)
    return 2 * hits / np.maximum(n_true + n_predicted, 1)


def _binary_auc(y: np.ndarray, proba: np.ndarray) -> float:
    """Probability that column 1 ranks a row of class 1 above a row of class 0 (Hanley and McNeil 1982)."""
    n_positive = int(np.sum(y))
    if n_positive in (0, len(y)):
        return float("nan")
    return float(_wins_of(1, y, proba)[0] / (n_positive * (len(y) - n_positive)))


def _wins(y: np.ndarray, proba: np.ndarray) -> np.ndarray:
    """(k, k): pairs of a row of class i and one of class j of which column i ranks the former higher; ties are 1/2."""
    return np.stack([_wins_of(i, y, proba) for i in range(proba.shape[1])])


def _wins_of(i: int, y: np.ndarray, proba: np.ndarray) -> np.ndarray:
    """Row i of `_wins`: one sort of the positives and one look-up per row instead of all pairs."""
    positives = np.sort(proba[y == i, i])
    not_above = (np.searchsorted(positives, proba[:, i], "left") + np.searchsorted(positives, proba[:, i], "right")) / 2
    return np.bincount(y, weights=len(positives) - not_above, minlength=proba.shape[1])
