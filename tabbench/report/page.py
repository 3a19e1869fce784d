"""report.html: one self-contained page, from the results table and the manifest."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from tabbench.files import replace_text
from tabbench.metrics import METRICS
from tabbench.report import plots
from tabbench.report.leaderboard import DEFAULT_METRIC, POLICY, Scores, leaderboard, rounded, score_table, write_leaderboard
from tabbench.stats.ranks import mean_ranks, rank_table
from tabbench.stats.significance import cliques, different, friedman, nemenyi_cd, pairwise_wilcoxon

ALPHA = 0.05
FEW_DATASETS = 10
METRIC_NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "f1": "F1",
    "f1_macro": "macro F1",
    "roc_auc_ovo": "ROC AUC (one against one)",
    "roc_auc_ovr": "ROC AUC (one against rest)",
    "log_loss": "log loss",
    "brier": "Brier score",
    "ece": "calibration error (ECE)",
}


def write_report(folder: Path, results: pd.DataFrame, manifest: Mapping[str, Any]) -> None:
    """Write leaderboard.csv, leaderboard.md and report.html into `folder`."""
    write_leaderboard(folder, leaderboard(results))
    replace_text(folder / "report.html", render(results, manifest))


def render(results: pd.DataFrame, manifest: Mapping[str, Any]) -> str:
    """Return the page as HTML; everything that comes from data is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    scores = score_table(results)
    return environment.get_template("template.html").render(
        manifest=manifest,
        run=manifest["run"],
        metric_name=METRIC_NAMES[DEFAULT_METRIC],
        policy=POLICY,
        verdict=verdict(scores),
        boards=_boards(results),
        default_metric=DEFAULT_METRIC,
        figures=_figures(results, scores),
        heat=_heat(results, scores),
        bands=_bands(scores, manifest["tasks"]),
        troubles=_troubles(results),
        cuts=_cuts(results),
        undefined=scores.undefined,
        statuses=results["status"].value_counts().sort_index().to_dict(),
    )


def verdict(scores: Scores) -> list[str]:
    """What the numbers allow one to say, in plain sentences."""
    n, k = scores.filled.shape
    if n == 0:
        return ["No model has a score on any dataset, so there is nothing to compare."]
    ranks = mean_ranks(scores.filled, scores.greater_is_better).sort_values(kind="stable")
    leader = ranks.index[0]
    if k == 1:
        return [f"{leader} ran alone on {_count(n, 'dataset')}: there is nothing to compare it with."]
    sentences = [f"{leader} leads on {_count(n, 'dataset')} with a mean rank of {ranks.iloc[0]:.2f} among {k} models."]
    if n < 2:
        return [*sentences, "One dataset says nothing about others."]
    test = friedman(scores.filled, scores.greater_is_better)
    if test.f_p >= ALPHA:
        sentences.append(f"The differences between the models could be chance (Iman–Davenport p = {_p(test.f_p)}).")
    else:
        sentences.append(f"The models are not all alike (Iman–Davenport p = {_p(test.f_p)}).")
        differ = different(pairwise_wilcoxon(scores.filled, scores.greater_is_better), list(ranks.index), ALPHA)
        beaten = [name for name in ranks.index if differ.loc[leader, name]]
        open_ones = [name for name in ranks.index[1:] if name not in beaten]
        if beaten:
            sentences.append(f"{leader} is better than {_listing(beaten)} beyond chance (Wilcoxon signed-rank, Holm, 5%).")
        if open_ones:
            sentences.append(f"Between {leader} and {_listing(open_ones)} these datasets do not decide.")
    if n < FEW_DATASETS:
        sentences.append(f"{_count(n, 'dataset').capitalize()} are few: expect the order to change on others.")
    return sentences


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _listing(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"


def _boards(results: pd.DataFrame) -> list[dict[str, Any]]:
    """One leaderboard a metric, as text cells."""
    boards = []
    for metric, entry in METRICS.items():
        board = rounded(leaderboard(results, metric))
        arrow = "↑" if entry.greater_is_better else "↓"
        boards.append({"metric": metric, "name": f"{METRIC_NAMES.get(metric, metric)} {arrow}", "rows": board.to_dict("records")})
    return boards


def _figures(results: pd.DataFrame, scores: Scores) -> dict[str, str]:
    """SVG by name; a figure that the data does not allow is left out."""
    figures = {}
    n, k = scores.filled.shape
    if n > 1 and k > 1:
        ranks = mean_ranks(scores.filled, scores.greater_is_better)
        tests = pairwise_wilcoxon(scores.filled, scores.greater_is_better)
        groups = cliques(ranks, different(tests, list(ranks.index), ALPHA))
        figures["cd"] = plots.critical_difference(ranks, groups, nemenyi_cd(k, n, ALPHA))
    board = leaderboard(results).set_index("model")
    seconds = board["fit_seconds_per_1000_rows"] + board["predict_seconds_per_1000_rows"]
    figures["pareto"] = plots.time_quality(seconds, board["mean_normalized_score"], "mean normalised score")
    lines = _learning_curves(results, scores)
    if lines:
        figures["curves"] = plots.curves(lines, METRIC_NAMES[scores.metric])
    return figures


def _learning_curves(results: pd.DataFrame, scores: Scores) -> dict[str, dict[int, float]]:
    """Mean score by model and training size, over the datasets that have a score at every size of every model."""
    entrants = results.loc[results["max_rows"].notna(), ["model", "max_rows"]].drop_duplicates()
    if entrants["max_rows"].nunique() < 2:
        return {}
    complete = scores.table[entrants["model"]].dropna()
    lines: dict[str, dict[int, float]] = {}
    for model, size in entrants.itertuples(index=False):
        if len(complete):
            lines.setdefault(model.split(" [")[0], {})[int(size)] = float(complete[model].mean())
    return {model: line for model, line in lines.items() if len(line) > 1}


def _heat(results: pd.DataFrame, scores: Scores) -> dict[str, Any]:
    """Dataset × model scores; shade: 0 for the last to 4 for the first rank of the dataset."""
    order = leaderboard(results)["model"].tolist()
    status = results[results["status"] != "ok"].groupby(["task", "model"])["status"].first()
    rows = []
    if len(scores.table):
        ranks = rank_table(scores.filled, scores.greater_is_better)
        best = rank_table(scores.filled, scores.greater_is_better, ties="min") == 1
        shades = np.round(4 * (len(order) - ranks) / max(len(order) - 1, 1)).astype(int)
        for task in scores.table.index:
            cells = []
            for model in order:
                value = scores.table.loc[task, model]
                if np.isnan(value):
                    cells.append({"text": status.get((task, model), "missing"), "shade": "bad"})
                else:
                    cells.append({"text": f"{value:.3f}", "shade": shades.loc[task, model], "best": best.loc[task, model]})
            rows.append({"task": task, "cells": cells})
    return {"models": order, "rows": rows}


def _bands(scores: Scores, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Best mean ranks within kinds of datasets."""
    facts = pd.DataFrame(tasks).set_index("name").reindex(scores.filled.index)
    kinds = {
        "under 1,000 rows": facts["n_rows"] < 1000,
        "1,000 to 5,000 rows": facts["n_rows"].between(1000, 4999),
        "5,000 rows and more": facts["n_rows"] >= 5000,
        "two classes": facts["n_classes"] == 2,
        "more classes": facts["n_classes"] > 2,
        "numbers only": facts["n_categorical"] == 0,
        "with categories": facts["n_categorical"] > 0,
        "with missing cells": facts["n_missing"] > 0,
        "smallest class under 10%": facts["minority_share"] < 0.1,
    }
    bands = []
    for name, chosen in kinds.items():
        if chosen.sum():
            ranks = rank_table(scores.filled[chosen], scores.greater_is_better).mean().sort_values(kind="stable")
            best = [f"{model} {rank:.2f}" for model, rank in ranks.head(3).items()]
            bands.append({"name": name, "n": int(chosen.sum()), "best": ", ".join(best)})
    return bands


def _troubles(results: pd.DataFrame) -> list[dict[str, Any]]:
    """Jobs that did not end ok, grouped by model, dataset, status and reason."""
    bad = results[results["status"] != "ok"]
    groups = bad.groupby(["status", "model", "task", "reason"], sort=True).size()
    return [dict(zip(("status", "model", "task", "reason"), key, strict=True), n=int(n)) for key, n in groups.items()]


def _cuts(results: pd.DataFrame) -> list[dict[str, Any]]:
    """What ran on less than its training part, or with another remark."""
    noted = results[(results["status"] == "ok") & (results["note"] != "")]
    groups = noted.groupby(["model", "task"])["note"].agg(lambda notes: "; ".join(sorted(set(notes))))
    return [{"model": model, "task": task, "note": note} for (model, task), note in groups.items()]
