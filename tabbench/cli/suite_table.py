"""What is in a suite: sizes, what is on this machine, and what is beyond the network's limits."""

import pandas as pd

from tabbench.data.openml.tables import sizes_of
from tabbench.data.spec import TaskSpec
from tabbench.data.suite import load_spec, load_suite
from tabbench.errors import UserError
from tabbench.pfn.limits import MAX_CLASSES, MAX_ROWS

COLUMNS = ["name", "source", "rows", "features", "classes", "here", "beyond the PFN"]


def suite_table(name: str) -> pd.DataFrame:
    """One row per table of a suite, in the suite's order; sizes as published where the table is not on this machine.

    `here` : whether the table can be loaded now; `beyond the PFN` : in what it exceeds the limits of one context.
    Raises UserError for an unknown suite.
    """
    frame = pd.DataFrame([_row(spec) for spec in load_suite(name).tasks], columns=COLUMNS, dtype=object)
    sizes = dict.fromkeys(["rows", "features", "classes"], "Int64")
    return frame.astype(sizes)


def _row(spec: TaskSpec) -> list[object]:
    name, sizes, here = spec.name, (spec.rows, spec.features, spec.classes), True
    try:
        if spec.source == "openml":  # large tables: their sizes are written down
            name, *counts = sizes_of(spec)
            sizes = counts[0], counts[1], counts[2]
        else:
            task = load_spec(spec)
            sizes = len(task.X), task.X.shape[1], len(task.classes)
    except UserError:
        here = False
    return [name, f"{spec.source}:{spec.path}", *sizes, here, ", ".join(_beyond(sizes[0], sizes[2]))]


def _beyond(rows: int | None, classes: int | None) -> list[str]:
    sizes = {"rows": (rows, MAX_ROWS), "classes": (classes, MAX_CLASSES)}
    return [what for what, (size, limit) in sizes.items() if size is not None and size > limit]


def format_suite(table: pd.DataFrame) -> str:
    """Return the table as text, with a line that counts."""
    shown = table.assign(here=table["here"].map({True: "yes", False: "no"}))
    for column in ("rows", "features", "classes"):
        shown[column] = ["?" if pd.isna(value) else f"{value:,}" for value in table[column]]
    text = shown.to_string(index=False, justify="right")
    beyond = int((table["beyond the PFN"] != "").sum())
    return f"{text}\n{len(table)} tables, {int(table['here'].sum())} on this machine, {beyond} beyond one context of the PFN"
