"""Results: what is in a result folder, read and told again; nothing is run for it."""

import re
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from tabbench.errors import UserError
from tabbench.files import replace_file
from tabbench.metrics import METRICS
from tabbench.report.leaderboard import Table, default_metric, leaderboard, recorded_metrics, remarks, rounded
from tabbench.report.verdict import Comparison, compare
from tabbench.request import Spec
from tabbench.resources import Bounds
from tabbench.store.importers import family_by_name, read_imported
from tabbench.store.manifest import read_manifest, spec_of
from tabbench.store.metadata import write_metadata
from tabbench.store.runs import NAME as STORE
from tabbench.store.runs import ResultStore
from tabbench.tuning.protocols import PROTOCOLS, Protocol
from tabbench.tuning.replay import Budget, check_met, curve_points, keep_within, replay, trials_table


@dataclass(frozen=True)
class Results:
    """A result folder: runs, imported results, or both. `frame` : one row per job (docs/architecture.md lists the columns)."""

    path: Path

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest of the run."""
        return read_manifest(self.path)

    @cached_property
    def spec(self) -> Spec | None:
        """What the run was asked for; None: the results come from elsewhere."""
        return spec_of(self.manifest)

    @property
    def protocol(self) -> Protocol | None:
        """By which configurations were chosen, if they were."""
        return PROTOCOLS[self.spec.protocol] if self.spec and self.spec.protocol else None

    @property
    def limits(self) -> Bounds:
        """Limits of what is chosen and ranked, as the run was asked for."""
        return self.spec.limits if self.spec else Bounds()

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The results table, from the store and from what was imported."""
        return self.within(self.limits)

    def within(self, limits: Bounds) -> pd.DataFrame:
        """The results table under other limits than those of the run; what was imported is as it is."""
        imported = read_imported(self.path)
        if len(imported) and not (self.path / STORE).exists():
            return imported
        with ResultStore(self.path / STORE) as store:
            if self.protocol:
                frame = replay(store, self.protocol, limits=limits)
            else:
                frame = keep_within(store.results(list(METRICS)), limits)
        return pd.concat([frame, imported], ignore_index=True) if len(imported) else frame

    @cached_property
    def families(self) -> dict[str, str]:
        """Family of every model of the results table: as recorded, or by its name if it was run elsewhere or long ago."""
        recorded = self.manifest.get("families", {})
        names = {name: re.split(r" [\[(]", name)[0] for name in self.frame["model"].unique()}
        return {name: recorded.get(base) or family_by_name(base) for name, base in names.items()}

    @property
    def described(self) -> dict[str, Any]:
        """The manifest with the family of every model, as the report takes it."""
        return {**self.manifest, "families": self.families}

    @cached_property
    def jobs(self) -> pd.DataFrame:
        """One row per job: of a tuned run its trials (see `trials_table`), else the results table."""
        if not self.protocol:
            return self.frame
        with ResultStore(self.path / STORE) as store:
            return trials_table(store)

    @cached_property
    def points(self) -> pd.DataFrame | None:
        """The training curves of a tuned run, point by point (see `curve_points`); None without any."""
        if not self.protocol:
            return None
        with ResultStore(self.path / STORE) as store:
            points = curve_points(store)
        return points if len(points) else None

    def leaderboard(self, metric: str | None = None, ties: Literal["average", "min"] = "average") -> pd.DataFrame:
        """One row per model, best mean rank first; metric None: ROC AUC, or the first that was recorded.

        Raises UserError for an unknown metric.
        """
        metric = metric or default_metric(self.frame)
        return leaderboard(self.frame, metric, ties) if ties == "min" else self.compared(metric).board

    @cached_property
    def _compared(self) -> dict[str, Comparison]:
        return {}

    @cached_property
    def _table(self) -> Table:
        return Table(self.frame)

    def compared(self, metric: str) -> Comparison:
        """The comparison by a metric, made once: its intervals are what a report spends its time on."""
        if metric not in self._compared:
            self._compared[metric] = compare(self._table, metric)
        return self._compared[metric]

    @property
    def comparisons(self) -> list[Comparison]:
        """The comparisons by every recorded metric, the default one first."""
        return [self.compared(metric) for metric in recorded_metrics(self.frame)]

    def _repr_html_(self) -> str:
        """The leaderboard for a notebook; with a link to the report where it has been written."""
        report = self.path / "report.html"
        link = f'<p><a href="{escape(report.resolve().as_uri())}">report</a></p>' if report.exists() else ""
        board = self.leaderboard()
        remark = "<br>".join(map(escape, remarks(board)))
        return f"{rounded(board).to_html(index=False, border=0, na_rep='–', escape=True)}<p>{remark}</p>{link}"

    def write_report(self) -> Path:
        """Write results.parquet, leaderboard.csv, leaderboard.md, report.html and the metadata; return the report's path.

        Of a tuned run trials.parquet as well.
        """
        from tabbench.report.page import write_report
        from tabbench.report.training import stopped_trials

        replace_file(self.path / "results.parquet", lambda temporary: self.frame.to_parquet(temporary, index=False))
        if self.jobs is not self.frame:
            replace_file(self.path / "trials.parquet", lambda temporary: self.jobs.to_parquet(temporary, index=False))
        write_report(self.path, self.frame, self.described, self.comparisons, self.points, stopped_trials(self.jobs))
        write_metadata(self.path, self.manifest)
        return self.path / "report.html"


def open_results(folder: str | Path) -> Results:
    """The results in an existing folder; raises UserError if it is no result folder."""
    read_manifest(Path(folder))
    return Results(Path(folder))


def replay_trials(
    folder: str | Path, budget: Budget = Budget(), *, ensemble: bool = True, limits: Bounds = Bounds()
) -> pd.DataFrame:
    """Results table of a tuned run as it would be within a budget and limits, from the stored trials (see `replay`).

    Raises UserError if the folder holds no tuned run, or the limits leave nothing.
    """
    results = open_results(folder)
    if not results.protocol:
        raise UserError(f"{folder}: not a tuned run: make one with `tabbench run --configs N`")
    with ResultStore(results.path / STORE) as store:
        frame = replay(store, results.protocol, budget, ensemble=ensemble, limits=limits)
    check_met(frame, limits)
    return frame
