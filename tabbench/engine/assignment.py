"""Assignment: what a child is given of a job, and what is believed of its answer.

A child gets the table without its labels, and the labels of the training rows: a model that looks around in its process finds
none of the rows it is scored on. It answers with predictions, times and texts. What it sends is checked by form, range and size,
for a model can write into the pipe, too; counts and metrics are made on our side, from the task.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from tabbench.border.forms import Count, LongText, Measure, Text
from tabbench.data.split import Split
from tabbench.data.task import Task, load_features
from tabbench.engine.sandbox import Child, Outcome
from tabbench.engine.scoring import POINTS, held_out_rows, score
from tabbench.errors import UserError
from tabbench.job import Job, Run, Validation, read_curve

UNREADABLE = "the process sent an answer that cannot be read"
NO_TABLE = b"no table\n"  # the answer of a child that could not read what it was given
HIDDEN = -1  # the label of every row that is not trained on


class Facts(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What a child says of a job, by the names of the results table."""

    n_train: Count
    n_train_used: Count
    n_features_used: Count
    note: Text | None = None
    fit_seconds: Measure | None = None
    fit_cpu_seconds: Measure | None = None
    predict_seconds: Measure | None = None
    predict_cpu_seconds: Measure | None = None
    trial_seconds: Measure | None = None
    n_curve: Count | None = None
    peak_rss_mb: Measure | None = None
    model_mb: Measure | None = None
    n_steps: Count | None = None
    stopped_at: Count | None = None
    watched_loss: Measure | None = None


class Head(msgspec.Struct, forbid_unknown_fields=True):
    """The first line of an answer."""

    status: Literal["ok", "failed", "memory"]
    reason: Text
    details: LongText
    facts: Facts


@dataclass(frozen=True, eq=False)
class Assignment:
    """What a child is given of a job. digest : of the features; y_train : codes of the training rows, in the split's order.

    groups, time, gap : as in `Task`, of a job that also predicts validation rows.
    """

    job: Job
    split: Split
    digest: str
    y_train: np.ndarray
    groups: np.ndarray | None = None
    time: np.ndarray | None = None
    gap: float = 0.0


def assign(job: Job, task: Task, split: Split) -> Assignment:
    """What a child needs for a job."""
    steering = (task.groups, task.time, task.gap) if job.protocol else ()
    return Assignment(job, split, task.features_digest, task.y[split.train].astype(np.int32), *steering)


def start_child(assignment: Assignment, path: Path, limits: Mapping[str, float], closed: Path) -> Child:
    """Begin a job on the prepared table at `path` in a child process under these limits (seconds, memory_mb).

    closed : the result folder, which the job may not write to.
    """
    seconds, memory_mb, threads = limits["seconds"], limits["memory_mb"], assignment.job.threads
    return Child(_work, (assignment, str(path)), seconds=seconds, memory_mb=memory_mb, threads=threads, closed=closed)


def _work(given: Assignment, path: str) -> bytes:
    """Answer: a line of JSON, then the predictions of test and held-out rows and the curve, as float64, row by row."""
    from tabbench.engine.execute import attempt

    try:
        X, classes = load_features(Path(path), given.digest)
    except UserError:
        return NO_TABLE
    y = hide(given, len(X))
    task = Task(given.job.task, X, y, classes, groups=given.groups, time=given.time, gap=given.gap)
    run = attempt(given.job, task, given.split)
    head = {"status": run.status, "reason": run.reason, "details": run.details, "facts": run.facts}
    parts = [run.proba.ravel(), *([run.validation.proba.ravel()] if run.validation else []), run.curve.ravel()]
    return json.dumps(head).encode() + b"\n" + np.concatenate(parts).astype(np.float64).tobytes()


def hide(given: Assignment, n_rows: int) -> np.ndarray:
    """(n_rows,) codes, `HIDDEN` where a row is not trained on."""
    y = np.full(n_rows, HIDDEN, dtype=np.int64)
    y[given.split.train] = given.y_train
    return y


def read_outcome(outcome: Outcome, job: Job, task: Task, split: Split) -> Run:
    """The Run, with its metrics, that a child has answered with, or that its end amounts to."""
    if outcome.status != "done":
        return Run(outcome.status, outcome.reason)
    try:
        return score(job, task, split, _read(outcome.answer, job, task, split))
    except (ValueError, msgspec.DecodeError):
        return Run("failed", UNREADABLE)


def _read(answer: bytes, job: Job, task: Task, split: Split) -> Run:
    """The run of an answer, without metrics; raises ValueError or DecodeError for what is none."""
    line, _, arrays = answer.partition(b"\n")
    head = msgspec.json.decode(line, type=Head)
    facts = {name: value for name, value in msgspec.structs.asdict(head.facts).items() if value is not None}
    n_test, k, n_columns = len(split.test), len(task.classes), task.X.shape[1]
    texts_are_plain = head.reason.isprintable() and facts.get("note", "").isprintable()
    if facts["n_train"] > len(split.train) or facts["n_train_used"] > facts["n_train"] or not texts_are_plain:
        raise ValueError(UNREADABLE)
    if not job.stop and not facts.keys().isdisjoint(("n_steps", "stopped_at", "watched_loss")):
        raise ValueError(UNREADABLE)
    facts |= {"n_test": n_test, "n_features": n_columns, "n_classes": k}
    if head.status != "ok":
        return Run(head.status, head.reason or "no reason given", head.details, facts)
    n_val = len(held_out_rows(job, task, split))
    values, n_curve = np.frombuffer(arrays), facts.get("n_curve", 0)
    if len(values) != (n_test + n_val) * k + 3 * n_curve or n_curve > POINTS or (n_curve and not job.protocol):
        raise ValueError(UNREADABLE)
    proba, held_out, curve = np.split(values, np.cumsum([n_test * k, n_val * k]))
    validation = Validation(held_out.reshape(n_val, k), np.empty(0, np.int64), np.empty(0, np.int64)) if job.protocol else None
    return Run("ok", facts=facts, proba=proba.reshape(n_test, k), validation=validation, curve=read_curve(curve, n_curve))
