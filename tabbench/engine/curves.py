"""The curve of a trial: validation log loss and CPU seconds by boosting round or epoch.

Nothing is fitted otherwise for it: the losses of boosted trees are those of the fitted model cut off after a round, those of
networks the ones they have recorded while they were trained, on the rows by which they stop. Rounds and epochs of a fit are taken
to cost the same: the seconds of a step are its share of those of the fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from tabbench.engine.scoring import POINTS
from tabbench.metrics import METRICS
from tabbench.models import Steps
from tabbench.prepare.early_stopping import EarlyStopping

STAGES = 40  # of a boosted model that are looked at


class Watched(NamedTuple):
    """Rows by whose loss a fit is watched. y : codes among all `n_classes`; present : those that were trained on, sorted."""

    X: pd.DataFrame
    y: np.ndarray
    present: np.ndarray
    n_classes: int


@dataclass(frozen=True, eq=False)
class InnerCurve:
    """Losses of one fit by step. kept : that of what it predicts with after its last step. seconds : CPU, of the whole fit."""

    steps: np.ndarray
    losses: np.ndarray
    kept: float
    seconds: float
    n_rows: int

    def at(self, steps: np.ndarray) -> np.ndarray:
        """(n,) losses, on straight lines between those that are known."""
        return np.where(steps > self.steps[-1], self.kept, np.interp(steps, self.steps, self.losses))

    def seconds_until(self, steps: np.ndarray) -> np.ndarray:
        """(n,) CPU seconds, in equal shares."""
        return self.seconds * np.minimum(steps / self.steps[-1], 1.0)


def inner_curve(estimator: Any, steps: Steps | None, rows: Watched, seconds: float) -> list[InnerCurve]:
    """The curve of a fitted estimator, as a list of one; of none where the model has no steps, or sees cut data."""
    if steps is None:
        return []
    if isinstance(estimator, Pipeline):
        classifier, X = estimator[-1], estimator[:-1].transform(rows.X)
    elif isinstance(estimator, EarlyStopping):
        classifier, X = estimator.classifier, estimator.preprocessor.transform(rows.X)
    else:
        return []
    if steps.staged is not None:
        stages = list(steps.staged(classifier, X, STAGES))
        losses = [_loss(rows, proba) for _, proba in stages]
        return _curve([step for step, _ in stages], losses, losses[-1:], seconds, len(rows.y))
    losses = [point.loss for point in getattr(classifier, "curve_", ())]
    finite = [loss for loss in losses if np.isfinite(loss)]
    return _curve(range(1, len(losses) + 1), losses, [min(finite, default=np.nan)], seconds, len(rows.y))


def _curve(steps: Sequence[int], losses: Sequence[float], kept: Sequence[float], seconds: float, n_rows: int) -> list[InnerCurve]:
    values = np.where(np.isfinite(losses), losses, np.nan)  # a loss that has left all bounds is none
    return [InnerCurve(np.array(steps), values, kept[0], seconds, n_rows)] if len(steps) else []


def _loss(rows: Watched, part: np.ndarray) -> float:
    proba = np.zeros((len(rows.y), rows.n_classes))
    proba[:, rows.present] = part
    return METRICS["log_loss"].score(rows.y, proba)


def mean_curve(curves: Sequence[InnerCurve]) -> np.ndarray:
    """(n_points, 3) steps, mean losses (every row counts once) and CPU seconds of all fits together.

    A fit that has ended counts with what it predicts with. No rows without a curve.
    """
    if not curves:
        return np.empty((0, 3))
    steps = np.unique(np.concatenate([curve.steps for curve in curves]))
    steps = steps[np.unique(np.linspace(0, len(steps) - 1, min(len(steps), POINTS)).round().astype(int))]
    losses = np.average([curve.at(steps) for curve in curves], axis=0, weights=[curve.n_rows for curve in curves])
    return np.column_stack([steps, losses, np.sum([curve.seconds_until(steps) for curve in curves], axis=0)])
