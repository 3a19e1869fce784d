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
from typing import Any, TypeVar

import numpy as np

from tabbench.metafeatures.summaries import SUMMARIES, summarize
from tabbench.metafeatures.table import Table
from tabbench.registry import Registry

T = TypeVar("T")
Function = Callable[[Table], float | np.ndarray]
F = TypeVar("F", bound=Function)
UNDEFINED = "undefined for this table"


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
    """Values by name, NaN where there is none, and by metafeature the one-line reasons for NaN."""
    from sklearn import config_context

    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    with config_context(assume_finite=True, skip_parameter_validation=True):  # its checks take longer than a small fit
        for entry in METAFEATURES.values():
            if entry.group == group:
                found, reason = _compute(entry, table)
                values |= found
                if reason:
                    reasons[entry.name] = reason
    return values, reasons


def _compute(entry: Metafeature, table: Table) -> tuple[dict[str, float], str]:
    nothing = dict.fromkeys(entry.names, np.nan)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # a NaN tells as much
            result: Any = entry.function(table)
            if len(entry.names) == 1:
                found = {entry.name: float(result)}
            else:
                found = dict(zip(entry.names, summarize(result), strict=True)) if len(result) else nothing
    except Exception as error:  # noqa: BLE001 - one metafeature must not take the others with it
        return nothing, f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
    return found, UNDEFINED if np.isnan(found[entry.names[0]]) else ""
