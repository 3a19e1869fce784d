"""A job, a run of it, and limits under which it is settled."""

import numpy as np

from tabbench.job import Job, Run

JOB = Job("t", "d", 0, 0, "s", "knn")
OK = Run(
    "ok",
    facts={"n_test": 3, "n_train": 6, "accuracy": 0.5, "fit_seconds": 0.1},
    proba=np.arange(6.0).reshape(3, 2) / 10,
)
LIMITS = {"seconds": 10.0, "memory_mb": 1000.0}
