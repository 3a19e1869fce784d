"""What tabbench asks of a model, one requirement at a time, for `tabbench check` and for pytest.

    import pytest
    from tabbench.testing import REQUIREMENTS, require

    @pytest.mark.parametrize("requirement", REQUIREMENTS)
    def test_my_model(requirement):
        require("mine:Shrunk", requirement)

Every model of tabbench itself meets them. All tables are small and drawn from fixed seeds; a model sees them as in a run, through
the preprocessing that its needs ask for.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline, make_pipeline

from tabbench.data.split import Split
from tabbench.data.task import Task, make_task
from tabbench.engine.execute import execute
from tabbench.engine.runner import preload
from tabbench.engine.sandbox import Child, start_server, wait_for_any
from tabbench.engine.scoring import reason_unsupported
from tabbench.errors import UserError
from tabbench.job import Job, Run
from tabbench.models import Model, get_model, missing_imports
from tabbench.prepare.preprocess import Preprocessor
from tabbench.prepare.subsample import class_probabilities
from tabbench.registry import Registry

Requirement = Callable[[Model], None]
REQUIREMENTS: Registry[Requirement] = Registry("requirement")
N = 90
SUM_OFF = 1e-5  # of probabilities
ALONE_OFF = 1e-4  # of one row's probabilities from those in a batch, whose sums are taken in another order
AGREEING = 0.9  # share of rows; some classifiers predict by votes, which is not a swapped column
CHILD_SECONDS, CHILD_MB = 600.0, 8000.0


@dataclass(frozen=True)
class Answer:
    """Whether a model meets a requirement. asked : the requirement in plain words. reason : what was seen instead, or empty."""

    asked: str
    reason: str = ""

    def __str__(self) -> str:
        return f"no   {self.asked}: {self.reason}" if self.reason else f"yes  {self.asked}"


def check(name: str) -> list[Answer]:
    """Ask a model, by its name or "package.module:Attribute", everything; raises UserError if there is no such model."""
    answers = []
    _get(name)
    for requirement, function in REQUIREMENTS.items():
        try:
            require(name, requirement)
        except AssertionError as unmet:
            answers.append(Answer(_asked(function), str(unmet)))
        else:
            answers.append(Answer(_asked(function)))
    return answers


def require(name: str, requirement: str) -> None:
    """Raise AssertionError, saying what was seen, unless the model meets the requirement; UserError for unknown names."""
    function, model = REQUIREMENTS[requirement], _get(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function(model)
    except AssertionError:
        raise
    except Exception as error:  # whatever a model raises
        raise AssertionError(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}") from error


def _get(name: str) -> Model:
    model = get_model(name)
    missing = missing_imports(model)
    if missing:
        raise UserError(f"model {name!r} cannot be checked: install {' '.join(missing)}")
    return model


def _asked(function: Requirement) -> str:
    return (function.__doc__ or "").split("\n")[0].rstrip(".")


def _requirement(name: str) -> Callable[[Requirement], Requirement]:
    return lambda function: REQUIREMENTS.add(name, function)


@_requirement("probabilities")
def _probabilities(model: Model) -> None:
    """Probabilities of every class, finite, not negative, with sum 1."""
    table = _mixed()
    fitted = _fit(model, table.X, table.y)
    _expect(hasattr(fitted, "predict_proba"), "it has no predict_proba: its labels would be scored as certain")
    _check_proba(np.asarray(fitted.predict_proba(_mixed(seed=1).X)), N, len(table.classes))


@_requirement("column_order")
def _column_order(model: Model) -> None:
    """Columns in the order of classes_, which are the sorted labels."""
    table = _mixed()
    fitted = _fit(model, table.X, table.y)
    classes = np.asarray(getattr(fitted, "classes_", []))
    _expect(classes.tolist() == [0, 1, 2, 3], f"classes_ is {classes.tolist()} after labels 0, 1, 2, 3")
    agree = np.mean(classes[_proba(fitted, table.X).argmax(axis=1)] == np.asarray(fitted.predict(table.X)).ravel())
    _expect(agree >= AGREEING, f"the most probable class is the predicted one in {agree:.0%} of the rows only")


@_requirement("text_labels")
def _text_labels(model: Model) -> None:
    """Labels that are text, in a job as a run does it."""
    table = _mixed()
    _check_proba(_execute(model, table, _halves()).proba, N // 2, 4)


@_requirement("absent_class")
def _absent_class(model: Model) -> None:
    """A class that no training row has: probability 0."""
    table = _mixed()
    absent = table.classes.index("up")
    split = Split(0, 0, np.flatnonzero(table.y != absent), np.flatnonzero(table.y == absent))
    proba = _execute(model, table, split).proba
    _check_proba(proba, len(split.test), 4)
    _expect(not proba[:, absent].any(), "the absent class has a probability")


@_requirement("missing_and_unseen")
def _missing_and_unseen(model: Model) -> None:
    """Missing values, also where training had none, and levels that training had not."""
    table = _mixed()
    test = pd.DataFrame({column: pd.Series([np.nan] * 3) for column in table.X})
    test = test.assign(c=pd.Categorical(["unseen", None, "red"]), constant=[1.0, 2.0, np.nan])
    _check_proba(_proba(_fit(model, table.X, table.y), test), 3, 4)


@_requirement("same_seed")
def _same_seed(model: Model) -> None:
    """The same bytes from the same seed."""
    table, test = _mixed(), _mixed(seed=1).X
    one, two = (_proba(_fit(model, table.X, table.y, seed=7), test) for _ in range(2))
    _expect(np.array_equal(one, two), f"two fits with seed 7 differ by up to {np.abs(one - two).max():.2g}: use random_state")


@_requirement("test_rows")
def _test_rows(model: Model) -> None:
    """Nothing learned from test rows: others beside it, and what they are, do not change what a row gets."""
    table, split = _mixed(), _halves()
    half = len(split.test) // 2
    rows = np.arange(N)
    rows[split.test[half:]] = split.test[-1]  # the others are all the same
    y = table.y.copy()
    y[split.test[half:]] = y[split.test[half:]][::-1]
    other = Task(table.name, table.X.iloc[rows].reset_index(drop=True), y, table.classes)
    one, two = (_execute(model, task, split).proba[:half] for task in (table, other))
    off = float(np.abs(one - two).max())
    _expect(off <= max(model.tolerance, SUM_OFF), f"with other test rows beside them, rows get up to {off:.2g} more or less")


@_requirement("one_row")
def _one_row(model: Model) -> None:
    """One row to predict, which gets what it gets among others."""
    table, test = _mixed(), _mixed(seed=1).X
    fitted = _fit(model, table.X, table.y)
    alone, among = _proba(fitted, test.iloc[:1]), _proba(fitted, test)[:1]
    _check_proba(alone, 1, 4)
    off = float(np.abs(alone - among).max())
    _expect(off <= ALONE_OFF, f"alone it gets up to {off:.2g} more or less than among others")


@_requirement("one_column")
def _one_column(model: Model) -> None:
    """A table with one column, numbers or levels."""
    y = np.tile([0, 1], 20)
    for column in (pd.Categorical(list("uv") * 20), np.random.default_rng(0).normal(size=40)):
        X = pd.DataFrame({"c": column})
        _check_proba(_proba(_fit(model, X, y), X), 40, 2)


@_requirement("many_levels")
def _many_levels(model: Model) -> None:
    """A column with hundreds of levels."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"id": pd.Categorical([f"id{i:03d}" for i in rng.integers(0, 400, 600)]), "a": rng.normal(size=600)})
    X.loc[::7, "id"] = np.nan
    _check_proba(_proba(_fit(model, X, (X["a"] > 0).to_numpy().astype(int)), X[:9]), 9, 2)


@_requirement("rare_classes")
def _rare_classes(model: Model) -> None:
    """Ten classes in thirty rows, some with one row (if its limits allow so many)."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=30), "b": rng.normal(size=30)})
    y = np.r_[np.arange(10), rng.integers(0, 6, 20)]
    if not _unsupported(model, Task("rare", X, y, tuple("0123456789")), _halves(30)):
        _check_proba(_proba(_fit(model, X, y), X), 30, 10)


@_requirement("own_process")
def _own_process(model: Model) -> None:
    """Found by its name in a process of its own, so that it need not be pickled."""
    start_server(preload([model]))
    child = Child(_elsewhere, (model.name,), seconds=CHILD_SECONDS, memory_mb=CHILD_MB, threads=1)
    try:
        while (outcome := child.poll()) is None:
            wait_for_any([child], 0.1)
    finally:
        child.kill()
    _expect(outcome.status == "done", outcome.reason)
    _expect(not outcome.answer, outcome.answer.decode())


def _elsewhere(name: str) -> bytes:
    """In the child: the reason why a job of the model does not end well, or nothing."""
    try:
        _execute(get_model(name), _mixed(), _halves())
    except (AssertionError, UserError) as error:
        return str(error).encode()
    return b""


def _mixed(seed: int = 0) -> Task:
    """Ninety rows of numbers, levels and gaps under awkward names; the class depends on both kinds, and one has a single row."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            'a b,{"x":[1]}': rng.normal(size=N),
            "<n>": rng.lognormal(size=N) * 1e4,
            "c": rng.choice(["red", "green", "blue"], N),
            "empty": np.full(N, np.nan),
            "constant": np.ones(N),
        }
    )
    label = np.where(frame["c"] == "red", "r", np.where(frame.iloc[:, 0] > 0, "up", "down"))
    label[0] = "rare"
    frame.loc[::9, "<n>"] = np.nan
    frame.loc[::11, "c"] = None
    return make_task(frame.assign(label=label), "label", name="mixed")


def _halves(n: int = N) -> Split:
    """Even rows train, odd rows are scored."""
    return Split(0, 0, np.arange(0, n, 2), np.arange(1, n, 2))


def _fit(model: Model, X: pd.DataFrame, y: np.ndarray, seed: int = 0) -> Pipeline:
    return make_pipeline(Preprocessor(model.needs), model.build(seed=seed, threads=1)).fit(X, y)


def _proba(fitted: Any, X: pd.DataFrame) -> np.ndarray:
    return class_probabilities(fitted, X, len(fitted.classes_))


def _job(model: Model, task: Task, split: Split) -> Job:
    return Job(task.name, "0", 0, 0, "0", model.name)


def _unsupported(model: Model, task: Task, split: Split) -> str | None:
    return reason_unsupported(_job(model, task, split), task, split)


def _execute(model: Model, task: Task, split: Split) -> Run:
    run = execute(_job(model, task, split), task, split)
    _expect(run.status == "ok", run.reason)
    return run


def _expect(met: bool | np.bool, seen: str) -> None:
    """Raise AssertionError with what was seen unless met; a plain `assert` would be left out under `python -O`."""
    if not met:
        raise AssertionError(seen)


def _check_proba(proba: np.ndarray, n_rows: int, n_classes: int) -> None:
    _expect(proba.shape == (n_rows, n_classes), f"{proba.shape} probabilities for {n_rows} rows and {n_classes} classes")
    _expect(np.isfinite(proba).all(), f"{int((~np.isfinite(proba)).sum())} of {proba.size} probabilities are not finite")
    _expect(proba.min() >= 0, f"a probability of {proba.min():.2g}")
    off = float(np.abs(proba.sum(axis=1) - 1).max())
    _expect(off <= SUM_OFF, f"a sum of probabilities is off by {off:.2g}")
