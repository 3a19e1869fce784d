"""All groups of metafeatures, and a table's values of all of them."""

import numpy as np

from tabbench.metafeatures import (  # noqa: F401 - importing them registers the metafeatures
    clustering,
    complexity,
    general,
    info_theory,
    landmarking,
    model_based,
    neighbourhood,
    statistical,
    tabular,
)
from tabbench.metafeatures.registry import METAFEATURES, compute_group
from tabbench.metafeatures.relative import relative
from tabbench.metafeatures.table import Table

GROUPS = tuple(dict.fromkeys(entry.group for entry in METAFEATURES.values()))


def names_of(group: str) -> list[str]:
    """The names of a group's values."""
    return [name for entry in METAFEATURES.values() if entry.group == group for name in entry.names]


def compute(table: Table) -> tuple[dict[str, float], dict[str, str]]:
    """All metafeatures of a table in this process, without limits: values by name, and reasons for NaN (see `compute_group`)."""
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for group in GROUPS:
        found, why = compute_group(table, group)
        found, why = complete(group, found, why)
        values |= found
        reasons |= why
    return values, reasons


def complete(group: str, values: dict[str, float], reasons: dict[str, str]) -> tuple[dict[str, float], dict[str, str]]:
    """The values of a group and the reasons for NaN, with those that follow from them."""
    if group != "landmarking":
        return values, reasons
    places = relative(values)
    lacking = {name: "a landmarker has no value to be ranked" for name, place in places.items() if np.isnan(place)}
    return values | places, lacking | reasons
