"""TaskSpec: one table of a suite, where it comes from and what is known of it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TaskSpec:
    """One table of a suite; `tabbench.data.suite` explains the fields. folder : where relative paths start."""

    name: str
    source: str
    path: str
    target: str = "target"
    categorical: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    na: tuple[str | int | float, ...] = ()
    groups: str | None = None
    test_fold: str | tuple[str, ...] | None = None
    title: str | None = None
    licence: str = "not stated by the carrier"
    openml_id: int | None = None
    url: str | None = None
    notes: str | None = None
    rows: int | None = None
    features: int | None = None
    classes: int | None = None
    folder: Path = Path()
