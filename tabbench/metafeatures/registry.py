"""The table of metafeatures: each is a function of a Table, and adding one is writing it.

    @metafeature("table")
    def share_missing(table: Table) -> float:
        \"\"\"Share of cells that are missing, in [0, 1].\"\"\"
        return float(table.raw.isna().to_numpy().mean())

The return type says what it gives: `float` is one value under the function's name, `np.ndarray` is a sample that is
summarised (`summaries.py`) as name.mean, name.sd and so on. A trailing underscore is not part of the name.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TypeVar

import numpy as np

from tabbench.metafeatures.summaries import SUMMARIES, summarize
from tabbench.metafeatures.table import Table
from tabbench.registry import Registry

T = TypeVar("T")
Function = Callable[[Table], float | np.ndarray]
F = TypeVar("F", bound=Function)
UNDEFINED = "undefined for this table"
INFINITE = "a value that it sums up is infinite"


@dataclass(frozen=True)
class Metafeature:
    """A registered metafeature. names : the names of its values."""

    name: str
    group: str
    function: Function
    names: tuple[str, ...]


METAFEATURES: Registry[Metafeature] = Registry("metafeature")


def metafeature(group: str) -> Callable[[F], F]:
    """Register `f(table) -> float` or `f(table) -> np.ndarray` (1-D) in a group; what it raises becomes NaN and a reason."""

    def register(function: F) -> F:
        name = function.__name__.rstrip("_")
        is_sample = function.__annotations__["return"] is np.ndarray
        names = tuple(f"{name}.{summary}" for summary in SUMMARIES) if is_sample else (name,)
        METAFEATURES.add(name, Metafeature(name, group, function, names))
        return function

    return register


def shared(function: Callable[[Table], T]) -> Callable[[Table], T]:
    """Let several metafeatures of a table use one result of `function`."""

    @wraps(function)
    def once(table: Table) -> T:
        if function not in table.memo:
            table.memo[function] = function(table)
        return table.memo[function]

    return once


def compute_group(table: Table, group: str) -> tuple[dict[str, float], dict[str, str]]:
    """Values by name, NaN where there is none, and one line why, by value, or by metafeature if it has no value at all."""
    from sklearn import config_context

    entries = [entry for entry in METAFEATURES.values() if entry.group == group]
    with (
        config_context(assume_finite=True, skip_parameter_validation=True),  # its checks take longer than a small fit
        warnings.catch_warnings(),
        np.errstate(all="ignore"),
    ):
        warnings.simplefilter("ignore")  # a NaN tells as much
        results = [_result(entry, table) for entry in entries]
        found = _summarized([result for result, _ in results])
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for entry, own, (result, reason) in zip(entries, found, results, strict=True):
        values |= zip(entry.names, own or [np.nan] * len(entry.names), strict=True)
        if np.isnan(values[entry.names[0]]):
            reasons[entry.name] = reason or _why_none(result)
        else:
            reasons |= {name: _why(result, name) for name in entry.names if np.isnan(values[name])}
    return values, reasons


def _why_none(result: np.ndarray) -> str:
    """Why a metafeature that raised nothing has no value."""
    if result.ndim == 0:
        return UNDEFINED
    if not len(result):
        return "there is nothing to sum up"
    n_undefined = int(np.isnan(result).sum())
    return f"undefined for {n_undefined} of {len(result)} values that it sums up" if n_undefined else INFINITE


def _why(sample: np.ndarray, name: str) -> str:
    """Why a summary of a sample that has a mean is undefined."""
    if len(sample) == 1:
        return "one value has no spread"
    if not np.isfinite(sample).all():
        return INFINITE
    with np.errstate(over="ignore"):
        if not np.isfinite((sample - sample.mean()) ** 4).all():
            return "the values that it sums up are too large"
    return "the values that it sums up are equal, or nearly" if name.endswith((".kurtosis", ".skewness")) else UNDEFINED


def _result(entry: Metafeature, table: Table) -> tuple[np.ndarray, str]:
    """One number, a sample, or nothing and why."""
    try:
        return np.array(entry.function(table), dtype=np.float64), ""
    except Exception as error:  # noqa: BLE001 - one metafeature must not take the others with it
        return np.empty(0), f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]


def _summarized(results: list[np.ndarray]) -> list[list[float]]:
    """The values of every result; samples of one length are looked at together."""
    found = [[float(result)] if result.ndim == 0 else [] for result in results]
    for length in {len(result) for result in results if result.ndim and len(result)}:
        places = [i for i, result in enumerate(results) if result.ndim and len(result) == length]
        for i, own in zip(places, summarize(np.array([results[i] for i in places])), strict=True):
            found[i] = own.tolist()
    return found
