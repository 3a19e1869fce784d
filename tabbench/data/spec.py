"""TaskSpec: one table of a suite, where it comes from and what is known of it, and what steers its splits."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Scheme:
    """How splits are made; None: not said here. holdout : share of the rows. window : "expanding" or "sliding", of the past."""

    folds: int | None = None
    repeats: int | None = None
    holdout: float | None = None
    window: str | None = None

    def over(self, other: "Scheme") -> "Scheme":
        """What this says, and where it says nothing, the other; who says folds or a holdout says both."""
        ours = self.folds is not None or self.holdout is not None
        return Scheme(
            self.folds if ours else other.folds,
            other.repeats if self.repeats is None else self.repeats,
            self.holdout if ours else other.holdout,
            other.window if self.window is None else self.window,
        )


@dataclass(frozen=True)
class Steering:
    """The columns of a table that steer its splits and are no features.

    groups : rows that belong together. time : when a row was; gap : what must lie between training and test rows, in the unit
    of the times ("7d", "12h" for dates). test_fold : the fold that tests a row, one column a repeat.
    """

    groups: str | None = None
    time: str | None = None
    gap: str | float | None = None
    test_fold: str | tuple[str, ...] | None = None


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
    time: str | None = None
    gap: str | float | None = None
    test_fold: str | tuple[str, ...] | None = None
    folds: int | None = None
    repeats: int | None = None
    holdout: float | None = None
    window: str | None = None
    title: str | None = None
    licence: str = "not stated by the carrier"
    openml_id: int | None = None
    url: str | None = None
    notes: str | None = None
    rows: int | None = None
    features: int | None = None
    classes: int | None = None
    folder: Path = Path()

    @property
    def steering(self) -> Steering:
        """The columns that steer its splits."""
        return Steering(self.groups, self.time, self.gap, self.test_fold)

    @property
    def scheme(self) -> Scheme:
        """How its splits are made."""
        return Scheme(self.folds, self.repeats, self.holdout, self.window)
