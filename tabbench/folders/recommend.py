"""What won on the datasets of a result folder that are most like a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tabbench.border.texts import printable
from tabbench.data.split import make_splits
from tabbench.data.task import Task
from tabbench.engine.extract import extract
from tabbench.errors import UserError
from tabbench.files import data_folder
from tabbench.metafeatures.analysis import (
    by_dataset,
    nearest,
)
from tabbench.metafeatures.groups import GROUPS, names_of
from tabbench.metrics import METRICS
from tabbench.report.leaderboard import default_metric, scores_of
from tabbench.resources import Resources
from tabbench.stats.ratings import rank_intervals
from tabbench.store.manifest import spec_of


@dataclass(frozen=True, eq=False)
class Advice:
    """What won on datasets near a table. datasets : task, distance, best, score, nearest first.

    models : model, mean_rank, rank_low, rank_high (95%, these few datasets being resampled), overall_rank (on all `n_known`
    datasets), best first. itself : datasets that hold the very table; they are left out.
    """

    metric: str
    datasets: pd.DataFrame
    models: pd.DataFrame
    n_known: int
    itself: Sequence[str] = ()


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
    scores = scores_of(results, metric)
    known = by_dataset(parts)
    known = known.loc[known.index.intersection(scores.filled.index)]
    itself = [entry["name"] for entry in manifest["tasks"] if entry["digest"] == task.digest]
    known = known.drop(index=known.index.intersection(itself))
    if len(known) < 2:
        raise UserError(f"{len(known)} datasets with metafeatures and scores: at least 2 are needed to compare with")
    spec = spec_of(manifest)
    split = make_splits(task, spec.folds if spec else None, 1, spec.seed if spec else 0)[0]
    groups = [group for group in GROUPS if set(parts).intersection(names_of(group))]
    own = by_dataset(extract([(task, split)], data_folder(), resources, groups=groups)).iloc[0]
    near = nearest(known, own)
    ranks = scores.ranks.loc[known.index]
    low, high = rank_intervals(ranks.loc[near.index])
    models = pd.DataFrame(
        {"mean_rank": ranks.loc[near.index].mean(), "rank_low": low, "rank_high": high, "overall_rank": ranks.mean()}
    )
    best = scores.table.loc[near.index, scores.filled.columns]
    best = best if scores.settings.greater_is_better else -best
    datasets = near.reset_index().assign(best=best.idxmax(axis=1).to_numpy(), score=best.max(axis=1).abs().to_numpy())
    models = models.sort_values("mean_rank", kind="stable").rename_axis("model").reset_index()
    return Advice(metric, datasets, models, len(known), itself)


def format_advice(advice: Advice, name: str) -> str:
    """The advice for a terminal."""
    lines = [f"Datasets most like {name} (distance in ranks of metafeatures, 0 to 1), and what won there:", ""]
    for row in advice.datasets.itertuples():
        lines.append(f"{row.task:24} {row.distance:.3f}  {row.best:20} {advice.metric} {row.score:.4f}")
    lines += ["", f"Mean rank on these {len(advice.datasets)} datasets, its 95% interval, and on all {advice.n_known}:", ""]
    for row in advice.models.itertuples():
        lines.append(f"{row.model:24} {row.mean_rank:5.2f} ({row.rank_low:.2f} … {row.rank_high:.2f}) {row.overall_rank:8.2f}")
    lines += ["", "Few neighbours prove little: compare the first two or three on your table with `tabbench run --data`."]
    if advice.itself:
        lines += [f"Left out, for it is the table itself: {', '.join(advice.itself)}."]
    return "\n".join(map(printable, lines))
