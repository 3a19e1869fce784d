"""All groups of metafeatures, and a table's values of all of them."""

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
    """All metafeatures of a table in this process, without limits: values by name, and reasons for NaN by metafeature."""
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for group in GROUPS:
        found, why = compute_group(table, group)
        values |= complete(group, found)
        reasons |= why
    return values, reasons


def complete(group: str, values: dict[str, float]) -> dict[str, float]:
    """The values of a group, with those that follow from it."""
    return values | relative(values) if group == "landmarking" else values
