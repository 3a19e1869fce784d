"""From a result folder to answers: which metafeatures go with a gap between models, and what won on tables like mine."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tabbench.errors import UserError
from tabbench.files import replace_file, replace_text
from tabbench.metafeatures.analysis import by_dataset, correlations, irregularity, meta_models, nearest
from tabbench.metafeatures.extract import extract
from tabbench.metrics import METRICS
from tabbench.report.leaderboard import default_metric, score_table
from tabbench.runner import Resources
from tabbench.split import load_splits, make_splits
from tabbench.stats.ranks import rank_table
from tabbench.task import Task, load_task

# by the beginning of a model's name, in lower case
GBDT = ("xgb", "lightgbm", "catboost", "hist_gbdt", "gbm")
NEURAL = (
    *("mlp", "pfn", "tabpfn", "tabicl", "resnet", "rtdl", "saint", "fttransformer", "node", "danet", "tabnet", "stg", "vime"),
    *("realmlp", "tabm", "mitra", "limix", "fastai", "neural", "torch", "nn"),
)


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
    folder: Path, manifest: dict[str, Any], data: Path, resources: Resources, on_part: Callable[[str], None] = lambda _: None
) -> pd.DataFrame:
    """Metafeatures of every training part of a run (`extract`), also written to its metafeatures.parquet.

    `data` : where prepared tables are kept. Raises UserError if they are not there any more, or if the results were imported.
    """
    if not manifest["tasks"]:
        raise UserError(f"{folder}: its results were imported without their tables: metafeatures need a run of this machine")
    pairs = []
    for entry in manifest["tasks"]:
        path = data / "tasks" / f"{entry['digest']}.parquet"
        if not path.exists():
            raise UserError(f"{folder}: the table of {entry['name']!r} is not in {data / 'tasks'}: run the same command again")
        task = load_task(path)
        splits = load_splits(folder / "splits" / f"{task.name}-{task.digest[:12]}.parquet")
        pairs += [(task, split) for split in splits]
    frame = extract(pairs, data, resources, on_part)
    replace_file(folder / "metafeatures.parquet", lambda temporary: frame.to_parquet(temporary, index=False))
    return frame


def gap_between(results: pd.DataFrame, metric: str, models: tuple[str, str] | None = None) -> tuple[pd.Series, tuple[str, str]]:
    """Score of the first model minus the second's by dataset, signed so that more is better; and what the two are called.

    Without `models`: best neural network or PFN, best gradient-boosted trees. Datasets without both are left out. Raises
    UserError for a model that is not there.
    """
    table = score_table(results, metric).table
    sides, titles = [], []
    for i, (family, title) in enumerate(((NEURAL, "best network"), (GBDT, "best GBDT"))):
        members = [models[i]] if models else [name for name in table if str(name).lower().startswith(family)]
        absent = [name for name in members if name not in table]
        if absent:
            raise UserError(f"no results of {absent[0]!r}: there are {', '.join(table.columns)}")
        if not members:
            raise UserError(f"no {title.removeprefix('best ')} among {', '.join(table.columns)}: name two models with --models")
        signed = table[members] if METRICS[metric].greater_is_better else -table[members]
        sides.append(signed.max(axis=1))
        titles.append(members[0] if models else title)
    return (sides[0] - sides[1]).dropna().rename("gap"), (titles[0], titles[1])


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
    ranked.attrs["correlation"] = float(rho)
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
        lines.append(f"{row.model:14} {row.score:+.2f} by chance {row.by_chance:+.2f} (p = {row.p:.2f})  {what}")
    lines += ["", f"Irregularity correlates with the gap by {found.irregularity.attrs['correlation']:+.2f}. Most irregular:", ""]
    lines += [f"{row.Index:32} {row.irregularity:+8.2f}" for row in found.irregularity.head(5).itertuples()]
    return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Advice:
    """What won on datasets near a table. datasets : task, distance, best, score; models : model, mean_rank, best first."""

    metric: str
    datasets: pd.DataFrame
    models: pd.DataFrame


def recommend(
    task: Task,
    results: pd.DataFrame,
    manifest: dict[str, Any],
    parts: pd.DataFrame,
    data: Path,
    resources: Resources,
    metric: str | None = None,
) -> Advice:
    """Find the datasets of `results` nearest to a task by metafeatures, and how the models ranked there.

    The task is described by the training part of its first fold, the folds being as many as in the run: like is compared with
    like. Raises UserError for an unknown metric, a table too small for the folds, and if fewer than two datasets have scores.
    """
    metric = metric or default_metric(results)
    METRICS[metric]
    scores = score_table(results, metric)
    known = by_dataset(parts)
    known = known.loc[known.index.intersection(scores.table.index)]
    if len(known) < 2:
        raise UserError(f"{len(known)} datasets with metafeatures and scores: at least 2 are needed to compare with")
    split = make_splits(task, manifest["run"]["folds"], 1, manifest["run"]["seed"])[0]
    own = by_dataset(extract([(task, split)], data, resources)).iloc[0]
    near = nearest(known, own)
    ranks = rank_table(scores.filled.loc[near.index], scores.greater_is_better)
    best = scores.table.loc[near.index]
    best = best if scores.greater_is_better else -best
    datasets = near.reset_index().assign(best=best.idxmax(axis=1).to_numpy(), score=best.max(axis=1).abs().to_numpy())
    models = ranks.mean().sort_values(kind="stable").rename("mean_rank").rename_axis("model").reset_index()
    return Advice(metric, datasets, models)


def format_advice(advice: Advice, name: str) -> str:
    """The advice for a terminal."""
    lines = [f"Datasets most like {name} (distance in ranks of metafeatures, 0 to 1), and what won there:", ""]
    for row in advice.datasets.itertuples():
        lines.append(f"{row.task:24} {row.distance:.3f}  {row.best:20} {advice.metric} {row.score:.4f}")
    lines += ["", f"Mean rank on these {len(advice.datasets)} datasets:", ""]
    lines += [f"{row.model:24} {row.mean_rank:.2f}" for row in advice.models.itertuples()]
    lines += ["", "Few neighbours prove little: compare the first two or three on your table with `tabbench run --data`."]
    return "\n".join(lines)
