"""Ending the fits of a trial early: when a network that continues learning curves gives it no chance against the best so far.

The fit of the first inner part is watched: it tells its validation log loss step by step, and at a few of these (`curves.checks`)
the network says how likely every later step is to be better than the incumbent, which is the least loss that an earlier trial
has had there. If none is likely to be, the fit ends, and the trial's other fits, the one that predicts the test rows among them,
are given as many steps. So a trial that was stopped is one of fewer steps, complete and a candidate like any other.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tabbench.job import Job
from tabbench.models import Model


@dataclass(eq=False)
class Watch:
    """Asked after each step of a fit whether it is to go on.

    n_steps : that the fit would take. start : validation log loss of predicting the shares of the classes. losses : so far.
    """

    n_steps: int
    start: float
    incumbent: float | None
    threads: int
    losses: list[float] = field(default_factory=list)
    stopped_at: int | None = None

    def __call__(self, step: int, loss: float) -> bool:
        """Take the loss of a step; False ends the fit."""
        from tabbench.pfn.curves import checks, hopeless
        from tabbench.resources import torch_threads

        if self.stopped_at is None:
            self.losses.append(loss)
            if self.incumbent is not None and step in checks(self.n_steps):
                with torch_threads(self.threads):
                    if hopeless(np.array(self.losses), self.n_steps, self.start, self.incumbent):
                        self.stopped_at = step
        return self.stopped_at is None

    @property
    def facts(self) -> dict[str, Any]:
        """What is stored of it: the steps asked for, the least loss, and where it was ended, if it was."""
        finite = [loss for loss in self.losses if np.isfinite(loss)]
        least = {"watched_loss": float(min(finite))} if finite else {}
        stopped = {} if self.stopped_at is None else {"stopped_at": self.stopped_at}
        return {"n_steps": self.n_steps, **least, **stopped}


def watch_of(job: Job, model: Model, y: np.ndarray, y_val: np.ndarray) -> Watch | None:
    """Who watches a fit to rows with codes y, all of which occur, by those of validation rows; None where none is asked for."""
    if (
        not job.stop
        or model.steps is None
        or model.steps.watch is None
        or job.max_rows is not None
        or job.max_columns is not None
    ):
        return None
    n_steps = int(json.loads(job.config).get(model.steps.parameter, model.defaults[model.steps.parameter]))
    shares = np.bincount(y) / len(y)
    return Watch(n_steps, float(-np.log(shares[y_val]).mean()), job.incumbent, job.threads)
