"""From a result folder to answers: which metafeatures go with a gap between models, and what won on tables like mine."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tabbench.data.spec import TaskSpec
from tabbench.data.split import Split, load_splits, make_splits, splits_file
from tabbench.data.suite import load_spec
from tabbench.data.task import Task, load_task
from tabbench.errors import UserError
from tabbench.files import data_folder, file_name, replace_file, replace_text
from tabbench.metafeatures.analysis import (
    IRREGULARITY,
    METAFEATURES_FILE,
    MIN_DATASETS,
    by_dataset,
    correlations,
    irregularity,
    meta_models,
    nearest,
    spearman_interval,
)
from tabbench.metafeatures.extract import extract
from tabbench.metafeatures.groups import GROUPS, names_of
from tabbench.metrics import METRICS
from tabbench.report.gaps import gap_between
from tabbench.report.leaderboard import N_DRAWS, default_metric, score_table
from tabbench.resources import Resources
from tabbench.stats.ranks import rank_table
from tabbench.stats.ratings import rank_intervals
from tabbench.store.manifest import spec_of

BRIEF_GROUPS = ("general", "statistical", "info-theory", "tabular")  # TabZilla's irregularity is among them
BRIEF_SECONDS = 10.0
OPENML_TASK = re.compile(r"openml__.+__(\d+)")  # how TabZilla names the tasks of OpenML


@dataclass(frozen=True, eq=False)
class Analysis:
    """What `analyze` found. sides : what the gap is between, positive where the first is better; gap : by dataset."""

    metric: str
    sides: tuple[str, str]
    gap: pd.Series
    correlations: pd.DataFrame
    meta_models: pd.DataFrame
    irregularity: pd.DataFrame


def describe_results(
    folder: Path,
    manifest: dict[str, Any],
    tasks: Sequence[str],
    resources: Resources,
    on_part: Callable[[str], None] = lambda _: None,
) -> pd.DataFrame:
    """Metafeatures of every training part of a run (`extract`), also written to its metafeatures.parquet.

    Imported results are described by the first official fold of the datasets that were fetched from OpenML. tasks : the datasets
    that have results. Raises UserError if the prepared tables are not there any more, or no imported one was fetched.
    """
    frame = extract(_parts(folder, manifest, tasks), data_folder(), resources, on_part)
    replace_file(folder / METAFEATURES_FILE, lambda temporary: frame.to_parquet(temporary, index=False))
    return frame


def known_metafeatures(
    folder: Path,
    manifest: dict[str, Any],
    tasks: Sequence[str],
    resources: Resources,
    on_part: Callable[[str], None] = lambda _: None,
) -> pd.DataFrame:
    """The metafeatures that a run or `analyze` has left in a folder, if they are of all `tasks`.

    Else the quick groups, of the first training part of every dataset; nothing is written into the folder. Raises UserError as
    `describe_results` does.
    """
    known = _described(folder)
    if set(tasks) <= set(known["task"]):
        return known
    first = {task.digest: (task, split) for task, split in reversed(_parts(folder, manifest, tasks))}
    return extract(list(first.values()), data_folder(), resources, on_part, BRIEF_GROUPS)


def _parts(folder: Path, manifest: dict[str, Any], tasks: Sequence[str]) -> list[tuple[Task, Split]]:
    return _recorded(folder, manifest) if manifest["tasks"] else _fetched(folder, tasks)


def _recorded(folder: Path, manifest: dict[str, Any]) -> list[tuple[Task, Split]]:
    pairs, stored = [], data_folder() / "tasks"
    for entry in manifest["tasks"]:
        path = stored / f"{file_name(entry['digest'])}.parquet"
        if not path.exists():
            raise UserError(f"{folder}: the table of {entry['name']!r} is not in {stored}: run the same command again")
        task = load_task(path)
        pairs += [(task, split) for split in load_splits(folder / splits_file(task.name, task.digest))]
    return pairs


def _fetched(folder: Path, tasks: Sequence[str]) -> list[tuple[Task, Split]]:
    pairs = []
    for name in tasks:
        number = OPENML_TASK.fullmatch(name)
        if number:
            with suppress(UserError):  # not fetched: one dataset fewer
                task = load_spec(TaskSpec(name, "openml", f"task/{number[1]}"))
                pairs.append((task, make_splits(task, None, 1, 0)[0]))
    if not pairs:
        raise UserError(
            f"{folder}: its results were imported without their tables: give metafeatures with --metafeatures FILE, or fetch the "
            "tables of TabZilla with `tabbench fetch tabzilla`"
        )
    return pairs


def describe_briefly(folder: Path, first_parts: Sequence[tuple[Task, Split]], resources: Resources) -> None:
    """Give a run the metafeatures of its report: the quick groups, on one training part of every dataset, within seconds each.

    What is there already, as of `tabbench analyze`, stays; too few datasets have none.
    """
    known = _described(folder)
    lacking = [(task, split) for task, split in first_parts if task.name not in set(known["task"])]
    if lacking and len(first_parts) >= MIN_DATASETS:
        frame = extract(lacking, data_folder(), replace(resources, time_limit=BRIEF_SECONDS), groups=BRIEF_GROUPS)
        _write_parts(folder, [known, frame])


def describe_merged(folders: Sequence[Path], out: Path, manifest: dict[str, Any]) -> None:
    """Give a merged run the metafeatures of its parts, and what its report lacks then if the tables are at hand.

    Of a training part that several have described, what has most values is kept.
    """
    parts = pd.concat([_described(folder) for folder in folders], ignore_index=True)
    _write_parts(out, [parts.loc[parts.notna().sum(axis=1).sort_values(ascending=False, kind="stable").index]])
    if {entry["name"] for entry in manifest["tasks"]} - set(parts["task"]):
        with suppress(UserError):  # a table is not at hand
            first = {task.digest: (task, split) for task, split in reversed(_recorded(out, manifest))}
            describe_briefly(out, list(first.values()), Resources())


def _described(folder: Path) -> pd.DataFrame:
    """The metafeatures of training parts that a folder has; none if there is no file, or a damaged one."""
    with suppress(OSError, ValueError):
        return pd.read_parquet(folder / METAFEATURES_FILE)
    return pd.DataFrame({"task": [], "repeat": [], "fold": []})


def _write_parts(folder: Path, frames: Sequence[pd.DataFrame]) -> None:
    parts = pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)
    parts = parts.drop_duplicates(["task", "repeat", "fold"]).sort_values(["task", "repeat", "fold"], kind="stable")
    if len(parts):
        replace_file(folder / METAFEATURES_FILE, lambda temporary: parts.to_parquet(temporary, index=False))


def analyze(
    folder: Path, results: pd.DataFrame, parts: pd.DataFrame, metric: str | None = None, models: tuple[str, str] | None = None
) -> Analysis:
    """Relate metafeatures to a gap; writes metafeature_correlations.csv and metafeature_analysis.md into the folder.

    Raises UserError for an unknown metric or model, and with too few datasets.
    """
    metric = metric or default_metric(results)
    METRICS[metric]
    gap, sides = gap_between(results, metric, models)
    metafeatures = by_dataset(parts)
    irregular = irregularity(metafeatures).rename("irregularity")
    table = correlations(metafeatures, gap)
    shared = irregular.index.intersection(gap.index)
    rho = irregular[shared].corr(gap[shared], method="spearman") if irregular.notna().all() else np.nan
    ranked = pd.DataFrame({"irregularity": irregular, "gap": gap}).sort_values("irregularity", ascending=False)
    ranked.attrs["correlation"] = (rho, *spearman_interval(np.asarray(rho), len(shared)))
    found = Analysis(metric, sides, gap, table, meta_models(metafeatures, gap), ranked)
    replace_file(
        folder / "metafeature_correlations.csv", lambda temporary: table.to_csv(temporary, index=False, float_format="%.6g")
    )
    replace_text(folder / "metafeature_analysis.md", format_analysis(found) + "\n")
    return found


def format_analysis(found: Analysis, rows: int = 12) -> str:
    """The analysis as Markdown that also reads well in a terminal."""
    first, second = found.sides
    wins = int((found.gap > 0).sum())
    sure = int((found.correlations["p_adjusted"] < 0.05).sum())
    lines = [
        f"# Metafeatures and the gap {first} − {second} in {found.metric}",
        f"{first} is ahead on {wins} of {len(found.gap)} datasets; the median gap is {found.gap.median():+.4f}.",
        f"{sure} of {len(found.correlations)} metafeatures correlate with the gap beyond chance (adjusted for looking at all; "
        "intervals are 95% for one; the unit is the dataset).",
        "",
        f"{'metafeature':32} {'Spearman':>8} {'95% interval':>16} {'p':>7} {'adjusted':>8}",
    ]
    for row in found.correlations.head(rows).itertuples():
        interval = f"{row.low:+.2f} … {row.high:+.2f}"
        lines.append(f"{row.metafeature:32} {row.correlation:+8.2f} {interval:>16} {row.p:7.4f} {row.p_adjusted:8.4f}")
    lines += ["", "Told from the metafeatures of a dataset that was left out (by chance: with the gaps shuffled):", ""]
    for row in found.meta_models.itertuples():
        what = "R² of the gap" if row.target == "gap" else f"accuracy of the winner (the commoner one: {row.baseline:.2f})"
        interval = f"{row.low:+.2f} … {row.high:+.2f}"
        lines.append(f"{row.model:14} {row.score:+.2f}  {interval:>15}  by chance {row.by_chance:+.2f} (p = {row.p:.2f})  {what}")
    rho, low, high = found.irregularity.attrs["correlation"]
    if np.isnan(rho):
        return "\n".join([*lines, "", f"No irregularity: it takes {', '.join(IRREGULARITY)}."])
    lines += ["", f"Irregularity correlates with the gap by {rho:+.2f} ({low:+.2f} … {high:+.2f}). Most irregular:", ""]
    lines += [f"{row.Index:32} {row.irregularity:+8.2f}" for row in found.irregularity.head(5).itertuples()]
    return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Advice:
    """What won on datasets near a table. datasets : task, distance, best, score, nearest first.

    models : model, mean_rank, rank_low, rank_high (95%, these few datasets being resampled), overall_rank (on all `n_known`
    datasets), best first.
    """

    metric: str
    datasets: pd.DataFrame
    models: pd.DataFrame
    n_known: int


def recommend(
    task: Task,
    results: pd.DataFrame,
    manifest: dict[str, Any],
    parts: pd.DataFrame,
    resources: Resources,
    metric: str | None = None,
) -> Advice:
    """Find the datasets of `results` nearest to a task by metafeatures, and how the models ranked there.

    The task is described by the training part of its first fold, the folds being as many as in the run, and by the groups that
    `parts` has: like is compared with like. Raises UserError for an unknown metric, a table too small for the folds, and if
    fewer than two datasets have scores.
    """
    metric = metric or default_metric(results)
    METRICS[metric]
    scores = score_table(results, metric)
    known = by_dataset(parts)
    known = known.loc[known.index.intersection(scores.filled.index)]
    if len(known) < 2:
        raise UserError(f"{len(known)} datasets with metafeatures and scores: at least 2 are needed to compare with")
    spec = spec_of(manifest)
    split = make_splits(task, spec.folds if spec else None, 1, spec.seed if spec else 0)[0]
    groups = [group for group in GROUPS if set(parts).intersection(names_of(group))]
    own = by_dataset(extract([(task, split)], data_folder(), resources, groups=groups)).iloc[0]
    near = nearest(known, own)
    ranks = rank_table(scores.filled.loc[known.index], scores.greater_is_better)
    low, high = rank_intervals(ranks.loc[near.index], N_DRAWS)
    models = pd.DataFrame(
        {"mean_rank": ranks.loc[near.index].mean(), "rank_low": low, "rank_high": high, "overall_rank": ranks.mean()}
    )
    best = scores.table.loc[near.index, scores.filled.columns]
    best = best if scores.greater_is_better else -best
    datasets = near.reset_index().assign(best=best.idxmax(axis=1).to_numpy(), score=best.max(axis=1).abs().to_numpy())
    models = models.sort_values("mean_rank", kind="stable").rename_axis("model").reset_index()
    return Advice(metric, datasets, models, len(known))


def format_advice(advice: Advice, name: str) -> str:
    """The advice for a terminal."""
    lines = [f"Datasets most like {name} (distance in ranks of metafeatures, 0 to 1), and what won there:", ""]
    for row in advice.datasets.itertuples():
        lines.append(f"{row.task:24} {row.distance:.3f}  {row.best:20} {advice.metric} {row.score:.4f}")
    lines += ["", f"Mean rank on these {len(advice.datasets)} datasets, its 95% interval, and on all {advice.n_known}:", ""]
    for row in advice.models.itertuples():
        lines.append(f"{row.model:24} {row.mean_rank:5.2f} ({row.rank_low:.2f} … {row.rank_high:.2f}) {row.overall_rank:8.2f}")
    lines += ["", "Few neighbours prove little: compare the first two or three on your table with `tabbench run --data`."]
    return "\n".join(lines)
