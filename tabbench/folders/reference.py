"""The reference run that comes with the package, and advice from it for a table of which nothing was run.

It holds numbers of our own runs, never data: scores, times and statuses per fold, metafeatures per table, what every method of
advice said of tables left out, and a card. `benchmarks/reference_freeze.py` makes it.
"""

import json
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from tabbench.border.texts import printable
from tabbench.data.split import make_splits
from tabbench.data.task import Task
from tabbench.engine.costs import SIZES, learn
from tabbench.engine.extract import extract
from tabbench.errors import UserError
from tabbench.files import data_folder
from tabbench.metafeatures.advice import METHODS, RIGHT, SHARE, best_constant, calibration, intervals, judged, losses_and_ranks
from tabbench.metafeatures.analysis import by_dataset, nearest
from tabbench.resources import Resources
from tabbench.stats.more_data import doubled
from tabbench.store.checksums import check_checksums

FOLDER = Path(__file__).parents[1] / "data" / "reference"
METRIC = "roc_auc_ovo"
GROUPS = ("general", "statistical", "info-theory", "tabular")
N_CHECKED = 3  # models that the user is told to run


@dataclass(frozen=True)
class Reference:
    """A frozen run in a folder; raises UserError if a file of it is not what its hash says."""

    folder: Path = FOLDER

    @cached_property
    def card(self) -> dict[str, Any]:
        """Machine, versions, date, limits, tables, and what is left out and why."""
        if not (self.folder / "manifest.json").exists():
            raise UserError("no reference run came with this installation: name a result folder with --results")
        problems = check_checksums(self.folder)
        if problems:
            raise UserError(f"the reference run is damaged: {problems[0]}: install tabbench again")
        card: dict[str, Any] = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
        return card

    @cached_property
    def results(self) -> pd.DataFrame:
        """One row per job, as in a result folder."""
        return pd.read_parquet(self.folder / "results.parquet")

    @cached_property
    def known(self) -> pd.DataFrame:
        """Metafeatures by table."""
        return by_dataset(pd.read_parquet(self.folder / "metafeatures.parquet"))

    @cached_property
    def told(self) -> pd.DataFrame:
        """What the methods said of tables left out, see `metafeatures.advice.left_out`."""
        return pd.read_parquet(self.folder / "left_out.parquet")

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Scores of a few models at several training sizes, see `stats.more_data`."""
        return pd.read_parquet(self.folder / "curves.parquet")

    @property
    def scores(self) -> pd.DataFrame:
        """Mean score (table × model), higher better; 0.5, that of a guess, where a fold did not end ok."""
        return scores_of(self.results).loc[self.known.index]


def scores_of(results: pd.DataFrame) -> pd.DataFrame:
    """Mean ROC AUC over folds (table × model); one that did not end ok counts as a guess, one without a score not at all."""
    values = results[METRIC].where(results["status"] == "ok", 0.5)
    return values.groupby([results["task"], results["model"]]).mean().unstack()


@dataclass(frozen=True, eq=False)
class Expected:
    """What to expect on a table. datasets : distance of the nearest known tables, and what won there.

    models : expected_loss, loss_low, loss_high, expected_rank, rank_low, rank_high, seconds (of a fit on all rows, on this
    machine), best first. more : what twice the rows would bring, see `stats.more_data.doubled`. methods : `judged`; chosen : the
    method with the least loss on tables left out.
    """

    datasets: pd.DataFrame
    models: pd.DataFrame
    more: pd.DataFrame
    methods: pd.DataFrame
    chosen: str
    constant: tuple[str, int]
    n_known: int
    itself: tuple[str, ...] = ()


def expect(task: Task, reference: Reference, resources: Resources) -> Expected:
    """What the reference run lets one expect on a table, its own entry and that entry's family left out."""
    card, told = reference.card, reference.told
    itself = [entry["name"] for entry in card["tasks"] if entry["digest"] == task.digest]
    kin = {name: card["family"].get(name, name) for name in reference.known.index}
    known = reference.known.loc[[name for name in kin if kin[name] not in {kin.get(own) for own in itself}]]
    split = make_splits(task, card["folds"] if task.test_fold is None else None, 1, card["seed"])[0]
    own = by_dataset(extract([(task, split)], data_folder(), resources, groups=GROUPS)).iloc[0]
    scores = reference.scores.loc[known.index]
    losses, ranks = losses_and_ranks(scores)
    methods = judged(told)
    chosen = str(methods.index[0])
    loss, rank = (METHODS[chosen](known, table, own) for table in (losses, ranks))
    models = pd.DataFrame({"expected_loss": loss, "expected_rank": rank})
    for what, expected in (("loss", loss), ("rank", rank)):
        ends = intervals(told, chosen, what, expected)
        least, most = (0.0, 1.0) if what == "loss" else (1.0, float(scores.shape[1]))
        models[[f"{what}_low", f"{what}_high"]] = ends.clip(lower=least, upper=most)
    models["seconds"] = _seconds(reference, models.index, (len(task.y), task.X.shape[1], len(task.classes)))
    near = nearest(known, own)
    best = scores.loc[near.index]
    datasets = near.to_frame().assign(best=best.idxmax(axis=1), score=best.max(axis=1)).reset_index()
    ordered = models.rename_axis("model").sort_values(["expected_loss", "expected_rank"], kind="stable").reset_index()
    more = doubled(reference.curves, len(task.y))
    return Expected(datasets, ordered, more, methods, chosen, best_constant(told), len(known), tuple(itself))


def _seconds(reference: Reference, models: pd.Index, sizes: tuple[int, int, int]) -> list[float]:
    """CPU seconds of a fit by the reference's, and by how fast this machine does a fixed piece of work."""
    frame = reference.results.assign(fit_seconds=reference.results["fit_cpu_seconds"], predict_seconds=0.0)
    costs = learn(frame[["model", "status", "fit_seconds", "predict_seconds", "peak_rss_mb", *SIZES]])
    pace = calibration() / reference.card["calibration_seconds"]
    return [pace * costs.seconds(model, sizes) for model in models]


def format_expected(found: Expected, reference: Reference, name: str, data: str, target: str) -> str:
    """The advice for a terminal."""
    card, n, n_models = reference.card, int(found.methods["n"].iloc[0]), len(found.models)
    lines = [
        f"From the reference run ({card['made'][:10]}): {found.n_known} tables, {n_models} models, {card['folds']} folds.",
        "",
        f"Tables most like {name} (distance in ranks of metafeatures, 0 to 1), and what won there:",
        *(f"  {row.task:26} {row.distance:.3f}  {row.best:14} ROC AUC {row.score:.4f}" for row in found.datasets.itertuples()),
        "",
        f"What to expect: ROC AUC lost to the best model, and rank, with {SHARE:.0%} intervals; CPU seconds of a fit here:",
    ]
    for row in found.models.itertuples():
        lines.append(
            f"  {row.model:14} {row.expected_loss:.3f} ({row.loss_low:.3f} – {row.loss_high:.3f})   "
            f"rank {row.expected_rank:4.1f} ({row.rank_low:.1f} – {row.rank_high:.1f})   {row.seconds:8.2f} s"
        )
    constant, right = found.constant
    chosen = found.methods.loc[found.chosen]
    others = "; ".join(
        f"{method}: {int(row.right)} right, {row.mean_loss:.4f} lost"
        for method, row in found.methods.iterrows()
        if method != found.chosen
    )
    lines += [
        "",
        f"This advice (method: {found.chosen}) was right, within {RIGHT} of the best, for {int(chosen['right'])} of {n} left-out "
        f"tables, and lost {chosen['mean_loss']:.4f} on average; always-{constant}, chosen with hindsight: {right}. ({others})",
    ]
    if found.chosen == "fixed":
        lines.append(
            "Nothing learned from metafeatures beat a fixed choice on tables left out: the order is the same for every table."
        )
    if found.itself:
        lines.append(f"Left out, for it is the table itself: {', '.join(found.itself)}.")
    lines += [
        "",
        f"Twice the rows would bring, in ROC AUC (mean, and {SHARE:.0%} of tables), as on {found.more['n'].max()} larger tables "
        "cut to about as many:",
        *(f"  {row.Index:14} {row.gain:+.3f} ({row.low:+.3f} – {row.high:+.3f})" for row in found.more.itertuples()),
    ]
    first = ",".join(found.models["model"].head(N_CHECKED))
    command = f"tabbench run --data {shlex.quote(data)} --target {shlex.quote(target)} --models {first}"
    lines += ["", f"Check the first {N_CHECKED} on your table:", f"  {command}"]
    return "\n".join(map(printable, lines))
