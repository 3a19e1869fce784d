"""The front door: run models on tables, read the results again, describe and audit tables."""

from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import pandas as pd

from tabbench.data.audit import Finding, audit
from tabbench.data.gather import gather, remarks_on
from tabbench.data.spec import Steering
from tabbench.data.split import make_splits
from tabbench.errors import UserError
from tabbench.files import data_folder
from tabbench.folders.results import Results, open_results, replay_trials
from tabbench.job import Subsample
from tabbench.models import own_names, usual_models
from tabbench.models.custom import name_of
from tabbench.request import Spec
from tabbench.resources import Bounds, Resources

__all__ = [
    "Bounds",
    "Resources",
    "Results",
    "Subsample",
    "UserError",
    "audit_data",
    "metafeatures",
    "open_results",
    "replay_trials",
    "run",
]


def run(  # noqa: PLR0913 - the one call that has everything to say
    suite: str | None = None,
    *,
    data: Any = None,
    target: Any = None,
    classes: bool = False,
    models: Any = None,
    out: str | Path = "results/run",
    groups: str | None = None,
    time: str | None = None,
    gap: str | float | None = None,
    test_fold: str | Sequence[str] | None = None,
    folds: int | None = None,
    repeats: int | None = None,
    holdout: float | None = None,
    window: str | None = None,
    seed: int = 0,
    subsamples: Sequence[Subsample] = (Subsample(),),
    resources: Resources = Resources(),
    protocol: str = "tabbench",
    configs: int | None = None,
    search: str = "random",
    stop: str | None = None,
    limits: Bounds = Bounds(),
    shard: str | None = None,
    retry_failed: bool = False,
    quiet: bool = False,
    log: str | Path | None = None,
    scheduler: str | None = None,
) -> Results:
    """Run every model on every fold of every task, skipping what `out` already holds, and write the report.

    Give either `suite` (a name, the path of a suite file, "openml:suite/99") or `data` with `target`: a file (docs/data.md says
    in which formats), a DataFrame, an array, a dict of columns, an Arrow or polars table, or (X, y), which needs no target.
    classes : a target of numbers is declared to hold classes. models : names, classes or functions of yours that can be imported,
    or one of these; None: the usual ones that are installed. Tables of OpenML that are not on this machine yet are fetched.

    groups, time, test_fold : columns of `data` that steer the splits and are no features: whole groups are held out, the past
    trains and the future tests (gap : what must lie between them, in the unit of the times, of dates "7d" or "12h"; window :
    "sliding" trains on the block just before instead of on all the past), or the table says its test folds itself, a column a
    repeat. folds None: the official folds where a table has them, else 3. repeats None: 1, or as the suite says. holdout : the
    share of the rows that is held out, instead of folds. docs/splits.md says what each means.

    protocol, configs, search : configurations of every model, the default and others that a search ("random", "tpe", "pfn",
    "halving") finds (None: as many as the protocol says); with more than one, default, tuned and ensembled are rows of their own
    (see `replay`). stop : "pfn" ends fits early that have no chance against the best so far (docs/tuning.md). limits : of what is
    chosen and ranked; what exceeds them is stored, but has no scores in the results.
    shard : "i/n", do only the i-th of n parts, for `tabbench merge`; trials of a model on a fold stay together.
    log : file to append events to, JSON lines. scheduler : address of a Dask scheduler; the jobs are done on the workers of its
    cluster, as many as they have threads for.
    Raises UserError on bad input, before anything is run; KeyboardInterrupt leaves a folder that the same call continues.
    """
    from tabbench.folders.run import run as run_spec

    if not isinstance(resources, Resources):
        raise UserError(f"resources is of type {type(resources).__name__}: give a tabbench.api.Resources")
    if isinstance(subsamples, Subsample) or not all(isinstance(one, Subsample) for one in subsamples):
        raise UserError("subsamples must be a list of tabbench.api.Subsample")
    spec = Spec(
        suite=suite,
        file=str(data) if isinstance(data, str | Path) else None,
        target=None if target is None else str(target),
        classes=classes,
        groups=groups,
        time=time,
        gap=gap,
        test_fold=_columns(test_fold),
        models=usual_models()[0] if models is None else _names(models),
        folds=_whole("folds", folds),
        repeats=_whole("repeats", repeats),
        holdout=holdout,
        window=window,
        seed=_whole("seed", seed),
        subsamples=tuple(subsamples),
        protocol=_text("protocol", protocol),
        configs=_whole("configs", configs),
        search=_text("search", search),
        stop=None if stop is None else _text("stop", stop),
        limits=limits,
        shard=_text("shard", shard),
        resources=resources,
    )
    frame = None if isinstance(data, str | Path) else data
    if not isinstance(out, str | Path) or not str(out):
        raise UserError(f"out must be the path of a folder, got {out!r}")
    log = None if log is None else Path(log)
    return run_spec(spec, Path(out), frame, scheduler=scheduler, retry_failed=retry_failed, quiet=quiet, log=log)


def _columns(test_fold: str | Sequence[str] | None) -> str | tuple[str, ...] | None:
    return test_fold if test_fold is None or isinstance(test_fold, str) else tuple(test_fold)


def _whole(name: str, value: Any) -> Any:
    """A whole number of any type (or None) as int."""
    if value is None and name in ("folds", "repeats", "configs"):
        return None
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise UserError(f"{name} must be a whole number, got {value!r}")
    return int(value)


def _text(name: str, value: Any) -> Any:
    if not (value is None or isinstance(value, str)):
        raise UserError(f"{name} must be a text, got {value!r}")
    return value


def _names(models: Any) -> tuple[str, ...]:
    """Names of models: "tree", "logreg, tree", a class, or several of these."""
    if isinstance(models, dict):
        raise UserError("models is a dict: give a list of names, classes or functions")
    if isinstance(models, str):
        models = [name for name in models.split(",") if name.strip()]
    several = isinstance(models, Iterable) and not isinstance(models, type) and not hasattr(models, "fit")
    return own_names(name_of(one) for one in (models if several else [models]))


def metafeatures(  # noqa: PLR0913 - the arguments of `run` that say what the folds are
    suite: str | None = None,
    *,
    data: Any = None,
    target: Any = None,
    classes: bool = False,
    groups: str | None = None,
    time: str | None = None,
    gap: str | float | None = None,
    test_fold: str | Sequence[str] | None = None,
    folds: int | None = None,
    repeats: int | None = None,
    holdout: float | None = None,
    window: str | None = None,
    seed: int = 0,
    resources: Resources = Resources(time_limit=300.0),
    on_part: Callable[[str], None] = lambda _: None,
) -> pd.DataFrame:
    """Metafeatures of the training part of every fold, the folds being those that `run` makes: see `engine.extract`.

    `attrs["missing_tasks"]` lists the datasets that could not be loaded, `attrs["remarks"]` what was not taken as
    written. Raises UserError on bad input.
    """
    from tabbench.engine.extract import extract

    steering = Steering(groups, time, gap, _columns(test_fold))
    tasks, missing = gather(suite, data, target, classes=classes, steering=steering)
    made = [(task, make_splits(task, folds, repeats, seed, holdout=holdout, window=window)) for task in tasks]
    pairs = [(task, split) for task, splits in made for split in splits]
    frame = extract(pairs, data_folder(), resources, on_part)
    frame.attrs |= {"missing_tasks": missing, "remarks": remarks_on(tasks)}
    return frame


def audit_data(  # noqa: PLR0913 - as `metafeatures`
    suite: str | None = None,
    *,
    data: Any = None,
    target: Any = None,
    classes: bool = False,
    groups: str | None = None,
    time: str | None = None,
    gap: str | float | None = None,
    test_fold: str | Sequence[str] | None = None,
    folds: int | None = None,
    repeats: int | None = None,
    holdout: float | None = None,
    window: str | None = None,
    seed: int = 0,
) -> tuple[list[Finding], list[dict[str, str]]]:
    """Findings of the data audit on the folds that `run` makes, and the datasets that could not be loaded.

    Raises UserError on bad input.
    """
    steering = Steering(groups, time, gap, _columns(test_fold))
    tasks, missing = gather(suite, data, target, classes=classes, steering=steering)
    pairs = [(task, make_splits(task, folds, repeats, seed, holdout=holdout, window=window)) for task in tasks]
    return audit(pairs, data_folder() / "audit"), missing
