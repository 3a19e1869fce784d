"""Job → Run, in this process: subsample, preprocess, fit, predict."""

import json
import resource
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline

from tabbench.border.texts import printable, storable
from tabbench.data.split import Split
from tabbench.data.task import Task
from tabbench.engine.curves import InnerCurve, Watched, inner_curve, mean_curve
from tabbench.engine.model_size import model_size
from tabbench.engine.scoring import error_line, score
from tabbench.engine.stopping import Watch, watch_of
from tabbench.job import Job, Run, Validation
from tabbench.models import Model, get_model
from tabbench.prepare.early_stopping import EarlyStopping
from tabbench.prepare.preprocess import Preprocessor, varies
from tabbench.prepare.subsample import SubsampledClassifier, class_probabilities
from tabbench.tuning.protocols import PROTOCOLS, inner_parts, needs_under, stopping_parts

T = TypeVar("T")
Labelled = tuple[pd.DataFrame, np.ndarray]


def execute(job: Job, task: Task, split: Split) -> Run:
    """Run one job in this process: `attempt` and `score`."""
    return score(job, task, split, attempt(job, task, split))


def attempt(job: Job, task: Task, split: Split) -> Run:
    """Predict the test rows, whose labels are not looked at: a Run without metrics and without labels in its validation.

    Whatever the model raises ends in a Run with status "failed" (or "memory" for MemoryError).
    """
    facts: dict[str, Any] = {
        "n_train": len(split.train),
        "n_train_used": len(split.train),
        "n_features_used": task.X.shape[1],
    }
    validation, curve = None, np.empty((0, 3))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # convergence and the like: the score tells
            if job.protocol:
                proba, validation, curve = _trial(job, task, split, facts)
            else:
                proba = _fit_predict(job, task, (split.train, split.test), facts)
    except MemoryError:
        return Run("memory", "the model ran out of memory", _traceback(), facts)
    except Exception as error:  # noqa: BLE001 - the one place where anything a model does is contained
        return Run("failed", error_line(error), _traceback(), facts)
    facts["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Run("ok", facts=facts, proba=proba, validation=validation, curve=curve)


def _trial(job: Job, task: Task, split: Split, facts: dict[str, Any]) -> tuple[np.ndarray, Validation, np.ndarray]:
    """Predictions of the test rows, and what is kept for choosing among trials, the curve at the end.

    Without a refit one fit serves both.
    """
    started = time.perf_counter()
    parts = inner_parts(job.protocol, task, split, job.inner_seed)
    held_out = np.concatenate([rows for _, rows in parts])
    curves: list[InnerCurve] = []
    if PROTOCOLS[job.protocol].refit:
        unused = {"n_train_used": 0, "n_features_used": 0}
        probas: list[np.ndarray] = []
        steps: int | None = None
        for part in parts:
            watched = bool(job.stop) and not probas
            probas.append(_fit_predict(job, task, part, unused, curves=curves, steps=steps, watched=watched))
            if watched:
                facts |= {name: unused[name] for name in ("n_steps", "watched_loss", "stopped_at") if name in unused}
                steps = facts.get("stopped_at")
        validation = np.concatenate(probas)
        proba = _fit_predict(job, task, (split.train, split.test), facts, steps=steps)
    else:
        [(train, _)] = parts
        facts |= {"n_train": len(train), "n_train_used": len(train)}
        both = _fit_predict(job, task, (train, np.concatenate([split.test, held_out])), facts, held_out, curves)
        proba, validation = both[: len(split.test)], both[len(split.test) :]
    curve = mean_curve(curves) if len(curves) == len(parts) else np.empty((0, 3))
    if len(curve):
        facts["n_curve"] = len(curve)
    facts["trial_seconds"] = time.perf_counter() - started
    return proba, Validation(validation, np.empty(0, np.int64), np.empty(0, np.int64)), curve


def _fit_predict(  # noqa: PLR0913 - a fit, and all that may end it
    job: Job,
    task: Task,
    rows: tuple[np.ndarray, np.ndarray],
    facts: dict[str, Any],
    held_out: np.ndarray | None = None,
    curves: list[InnerCurve] | None = None,
    steps: int | None = None,
    watched: bool = False,
) -> np.ndarray:
    """Probabilities (n, n_classes) of the second rows by a model fitted to the first; the held-out rows may stop it early.

    curves : gets the curve of the fit, if there is one, on the held-out rows, which are the second ones unless given.
    steps : in place of as many as the configuration says. watched : the second rows, whose labels are known, may end the fit.
    """
    train, test = rows
    X_train, X_test = task.X.iloc[train], task.X.iloc[test]
    present, y_train = np.unique(task.y[train], return_inverse=True)
    proba = np.zeros((len(test), len(task.classes)))
    if len(present) == 1:
        proba[:, present[0]] = 1.0
        return _with_note(facts, "one class in the training part: it is predicted", proba)
    if not any(varies(X_train[column]) for column in X_train):
        proba[:, present] = np.bincount(y_train) / len(y_train)
        return _with_note(facts, "no feature varies in the training part: the shares of the classes are predicted", proba)
    model = get_model(job.model)
    fit_rows, stop_rows = _stopping(job, model, task, train, held_out)
    told = _validation(task, test, present) if watched and fit_rows is train else None
    watch = watch_of(job, model, y_train, told[1]) if told else None
    estimator = build_estimator(job, model, told if watch else _validation(task, stop_rows, present), watch, steps)
    fitted = X_train, y_train
    if fit_rows is not train:
        fitted = task.X.iloc[fit_rows], np.searchsorted(present, task.y[fit_rows])
    _, facts["fit_seconds"], facts["fit_cpu_seconds"] = _timed(lambda: estimator.fit(*fitted))
    if not hasattr(estimator, "predict_proba"):
        facts["note"] = "no predict_proba: labels scored as certain"
    part, facts["predict_seconds"], facts["predict_cpu_seconds"] = _timed(
        lambda: class_probabilities(estimator, X_test, len(present))
    )
    _record_subsample(estimator, facts)
    facts |= watch.facts if watch else {}
    if curves is None or held_out is not None:  # the fit that predicts the test rows
        facts |= model_size(estimator)
    if curves is not None:
        by = test if held_out is None else held_out
        rows_of = Watched(task.X.iloc[by], task.y[by], present, len(task.classes))
        curves += inner_curve(estimator, model.steps, rows_of, facts["fit_cpu_seconds"])
    proba[:, present] = part
    return proba


def _stopping(
    job: Job, model: Model, task: Task, train: np.ndarray, held_out: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Rows to fit on, and those that may stop the fit early: where rows come in groups or times, of others than these."""
    if held_out is None and model.steps and model.steps.holds_out and job.max_rows is None and job.max_columns is None:
        parts = stopping_parts(task, train, job.inner_seed)
        if parts:
            return parts
    return train, held_out


def _validation(task: Task, held_out: np.ndarray | None, present: np.ndarray) -> Labelled | None:
    """Held-out rows of the classes that are trained on, with their codes among these."""
    rows = held_out[np.isin(task.y[held_out], present)] if held_out is not None else np.empty(0)
    return (task.X.iloc[rows], np.searchsorted(present, task.y[rows])) if len(rows) else None


def build_estimator(
    job: Job, model: Model, validation: Labelled | None = None, watch: Watch | None = None, steps: int | None = None
) -> Any:
    """Unfitted estimator for DataFrames in normal form: subsampling around preprocessing around the model.

    Given validation rows, a model that is trained in steps, on all rows and columns, stops by them: one that stops anyway, or any
    where the protocol has patience, or one that is watched. steps : in place of as many as the configuration says.
    """
    config = json.loads(job.config)
    if steps is not None and model.steps:
        config[model.steps.parameter] = steps
    classifier = model.build(seed=job.model_seed, threads=job.threads, **config)
    preprocessor = Preprocessor(needs_under(job.protocol, model.needs))
    if job.max_rows is None and job.max_columns is None:
        if validation and watch and model.steps and model.steps.watch:
            return EarlyStopping(preprocessor, classifier, model.steps.watch, validation, watch)
        patience = PROTOCOLS[job.protocol].patience if job.protocol else None
        if validation and model.steps and model.steps.stop and (patience or model.steps.holds_out):
            return EarlyStopping(preprocessor, classifier, model.steps.stop, validation, patience)
        return make_pipeline(preprocessor, classifier)
    return SubsampledClassifier(
        make_pipeline(preprocessor, classifier),
        max_rows=job.max_rows,
        row_policy=job.row_policy or "stratified",
        max_columns=job.max_columns,
        column_policy=job.column_policy or "mutual_info",
        random_state=job.data_seed,
    )


def _record_subsample(estimator: Any, facts: dict[str, Any]) -> None:
    """Rows and columns used, from the harness' own subsampling or from a model that cuts its data itself."""
    last = estimator[-1] if hasattr(estimator, "steps") else estimator
    used = getattr(last, "subsample_", None)
    if used is not None:
        facts["n_train_used"] = min(facts["n_train_used"], int(used.n_rows))
        facts["n_features_used"] = min(facts["n_features_used"], int(used.n_columns))
        facts["note"] = printable(str(used.note))[:1000]


def _with_note(facts: dict[str, Any], note: str, proba: np.ndarray) -> np.ndarray:
    facts |= {
        "note": note,
        "fit_seconds": 0.0,
        "predict_seconds": 0.0,
        "fit_cpu_seconds": 0.0,
        "predict_cpu_seconds": 0.0,
        "model_mb": 0.0,
    }
    return proba


def _timed(action: Callable[[], T]) -> tuple[T, float, float]:
    """Result, wall seconds, CPU seconds (all threads and finished children)."""
    wall, cpu = time.perf_counter(), _cpu_seconds()
    result = action()
    return result, time.perf_counter() - wall, _cpu_seconds() - cpu


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _traceback() -> str:
    """The end of the traceback, which names the error; a model may raise one of any size."""
    try:
        return storable(traceback.format_exc()[-20_000:])
    except Exception:  # noqa: BLE001 - it asks the error for its text
        return ""
