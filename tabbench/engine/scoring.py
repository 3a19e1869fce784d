"""What the runner says of a job without fitting anything: whether it can be tried, and the metrics of its predictions."""

import numpy as np

from tabbench.border.texts import one_line
from tabbench.data.split import Split
from tabbench.data.task import Task
from tabbench.job import Job, Run, Validation
from tabbench.metrics import compute_metrics
from tabbench.models import get_model, missing_imports
from tabbench.tuning.protocols import inner_parts

POINTS = 200  # of the curve of a trial, at most


def reason_unsupported(job: Job, task: Task, split: Split) -> str | None:
    """Why this job cannot be tried at all, or None; raises UserError for an unknown model."""
    model = get_model(job.model)
    missing = missing_imports(model)
    if missing:
        return f"package {missing[0]!r} is not installed"
    sizes = {
        "rows": min(len(split.train), job.max_rows or len(split.train)),
        "features": min(task.X.shape[1], job.max_columns or task.X.shape[1]),
        "classes": len(task.classes),
    }
    for what, size in sizes.items():
        limit = getattr(model.limits, what)
        if limit is not None and size > limit:
            return f"{size} {what} exceed the limit of {limit}"
    return None


def score(job: Job, task: Task, split: Split, run: Run) -> Run:
    """An attempt with its metrics and, of a trial, the labels of its rows; predictions that have none make it "failed"."""
    if run.status != "ok":
        return run
    facts, validation = (
        {**run.facts, "n_test": len(split.test), "n_features": task.X.shape[1], "n_classes": len(task.classes)},
        None,
    )
    try:
        if run.validation:
            held_out = held_out_rows(job, task, split)
            validation = Validation(run.validation.proba, task.y[held_out], task.y[split.test])
            facts |= {f"val_{name}": value for name, value in compute_metrics(validation.y_val, validation.proba).items()}
            facts["n_val"] = len(held_out)
        facts |= compute_metrics(task.y[split.test], run.proba)
    except ValueError as error:
        return Run("failed", error_line(error), "", facts)
    return Run("ok", facts=facts, proba=run.proba, validation=validation, curve=run.curve)


def held_out_rows(job: Job, task: Task, split: Split) -> np.ndarray:
    """Rows of the training part that a trial predicts besides, in its order; none without a protocol."""
    parts = inner_parts(job.protocol, task, split, job.inner_seed)
    return np.concatenate([rows for _, rows in parts]) if parts else np.empty(0, np.int64)


def error_line(error: BaseException) -> str:
    """Type and text of an error in one line."""
    return f"{type(error).__name__}: {one_line(error, 3000)}"[:300]
