"""What the page's tables show, as plain values ready for the template."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from tabbench.report.leaderboard import ALPHA, BAD
from tabbench.report.verdict import Comparison
from tabbench.stats.failures import fill_worst
from tabbench.stats.ranks import rank_table, ranked
from tabbench.stats.significance import different

N_SHADES = 5
SIZES = ["n_rows", "n_features", "n_classes"]


def dataset_facts(results: pd.DataFrame, tasks: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Facts by dataset, smallest first; of a dataset that the manifest does not describe, what the results tell."""
    told = results.groupby("task")[["n_train", "n_test", "n_features", "n_classes"]].max().astype(np.float64)
    told["n_rows"] = told.pop("n_train") + told.pop("n_test")
    known = pd.DataFrame(list(tasks), columns=list({"name": 0, **{key: 0 for task in tasks for key in task}}))
    facts = known.drop_duplicates("name").set_index("name").reindex(told.index.union(known["name"].unique()))
    for column in SIZES:
        facts[column] = facts[column].astype(np.float64).fillna(told[column]) if column in facts else told[column]
    for column in ("n_categorical", "n_missing", "minority_share"):
        facts[column] = facts[column].astype(np.float64) if column in facts else np.nan
    facts.index.name = "name"
    return facts.reset_index().sort_values(["n_rows", "name"]).set_index("name")


def board_rows(board: pd.DataFrame) -> list[dict[str, Any]]:
    """Leaderboard rows with the jobs that did not end ok in one cell ("2 timeout, 1 memory")."""
    rows = []
    for row in board.to_dict("records"):
        bad = {status: row[f"n_{status}"] for status in BAD if row[f"n_{status}"]}
        rows.append({**row, "bad": ", ".join(f"{n} {status}" for status, n in bad.items()), "n_bad": sum(bad.values())})
    return rows


@dataclass(frozen=True)
class Cell:
    """shade : 0 (worst) to 4 (best), "bad" (no score) or "none". marked : underlined."""

    text: str
    shade: int | str = "none"
    marked: bool = False


@dataclass(frozen=True)
class Row:
    """name, and n datasets where that is told, before the cells: one a model, in the order of the leaderboard."""

    name: str
    cells: Sequence[Cell]
    n: int | None = None


def reasons(results: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Why a model has no score on a dataset, in a word: its most frequent bad status, and on how many of the folds.

    A pair that is not here has not run at all.
    """
    n_jobs = results.groupby(["task", "model"]).size()
    n_folds = results[["task", "repeat", "fold"]].drop_duplicates().groupby("task").size()
    found = {
        (task, model): "undefined" if n == n_folds[task] else f"not run {n_folds[task] - n}/{n_folds[task]}"
        for (task, model), n in n_jobs.items()
    }
    for key, status in results[results["status"] != "ok"].groupby(["task", "model"])["status"]:
        share = f" {len(status)}/{n_jobs[key]}" if len(status) < n_jobs[key] else ""
        found[key] = f"{status.mode()[0]}{share}"
    return found


def heat_map(comparison: Comparison, datasets: Sequence[str], why: Mapping[tuple[str, str], str]) -> list[Row]:
    """One row a dataset, one cell a model: its score, or why it has none."""
    scores = comparison.scores
    order = [name for name in datasets if name in scores.table.index]
    if not order:
        return []
    models = comparison.board["model"].tolist()
    table = scores.table.loc[order, models]
    better = scores.settings.greater_is_better
    values, ranks = table.to_numpy(), rank_table(fill_worst(table, better), better).to_numpy()
    rows = _rows(order, ranks, values, "{:.3f}")
    missing = {(i, j) for i, j in np.argwhere(np.isnan(values)).tolist()}
    return [
        Row(
            row.name,
            [
                Cell(why.get((row.name, model), "not run"), "bad") if (i, j) in missing else cell
                for j, (model, cell) in enumerate(zip(models, row.cells, strict=True))
            ],
        )
        for i, row in enumerate(rows)
    ]


def _rows(names: Sequence[str], ranks: np.ndarray, values: np.ndarray, form: str) -> list[Row]:
    """Rows of values, shaded by their ranks (1 is best), the best ones marked."""
    last = max(ranks.shape[1] - 1, 1)
    shades = np.round((N_SHADES - 1) * (ranks.shape[1] - ranks) / last).astype(int).tolist()
    marked = (ranks == ranks.min(axis=1, keepdims=True)).tolist()
    return [
        Row(name, [Cell(form.format(value), *rest) for value, *rest in zip(*line, strict=True)])
        for name, *line in zip(names, values.tolist(), shades, marked, strict=True)
    ]


def kinds(comparison: Comparison, facts: pd.DataFrame) -> list[Row]:
    """Mean ranks of the models within kinds of datasets."""
    facts = facts.reindex(comparison.scores.ranks.index)
    chosen_by_kind = {
        "under 1,000 rows": facts["n_rows"] < 1000,
        "1,000 to 4,999 rows": facts["n_rows"].between(1000, 4999),
        "5,000 rows and more": facts["n_rows"] >= 5000,
        "two classes": facts["n_classes"] == 2,
        "more classes": facts["n_classes"] > 2,
        "numbers only": facts["n_categorical"] == 0,
        "with categories": facts["n_categorical"] > 0,
        "no missing cell": facts["n_missing"] == 0,
        "with missing cells": facts["n_missing"] > 0,
        "smallest class under 10%": facts["minority_share"] < 0.1,
    }
    chosen_by_kind = {name: chosen for name, chosen in chosen_by_kind.items() if chosen.any()}
    if not chosen_by_kind:
        return []
    ranks = comparison.scores.ranks[comparison.ranked]
    means = np.stack([ranks[chosen].mean().to_numpy() for chosen in chosen_by_kind.values()])
    rows = _rows(list(chosen_by_kind), ranked(means), means, "{:.2f}")
    return [replace(row, n=int(chosen_by_kind[row.name].sum())) for row in rows]


def duels(comparison: Comparison) -> list[Row]:
    """Win rates in % of the row's model against the column's; marked where the two differ beyond chance."""
    if not comparison.scores.several:
        return []
    models = comparison.ranked
    rates = comparison.scores.win_rates.to_numpy()
    differ = different(comparison.scores.tests, models, ALPHA).to_numpy()
    shades = np.minimum(N_SHADES * rates, N_SHADES - 1).astype(int)
    return [
        Row(
            name,
            [
                Cell("") if i == j else Cell(f"{np.floor(100 * rates[i, j] + 0.5):.0f}", int(shades[i, j]), bool(differ[i, j]))
                for j in range(len(models))
            ],
        )
        for i, name in enumerate(models)
    ]


def failure_policies(comparison: Comparison) -> list[dict[str, Any]]:
    """Mean rank of every model by what a missing score means, and the places it moves; empty where no score is missing.

    Keys: model, complete_case, worst_rank, baseline (only with a model that is constant), shift.
    """
    table = comparison.scores.table
    return comparison.scores.failures.reset_index().to_dict("records") if table.isna().any(axis=None) else []


def troubles(results: pd.DataFrame) -> list[dict[str, Any]]:
    """Jobs that did not end ok, grouped by status, model, dataset and reason."""
    bad = results[results["status"] != "ok"]
    groups = bad.groupby(["status", "model", "task", "reason"], sort=True).size()
    return [dict(zip(("status", "model", "task", "reason"), key, strict=True), n=int(n)) for key, n in groups.items()]


def cuts(results: pd.DataFrame) -> list[dict[str, Any]]:
    """What ran on less than its training part, or with another remark; sizes are those of the smallest fold."""
    less = (results["n_train_used"] < results["n_train"]) | (results["n_features_used"] < results["n_features"])
    cut = results[(results["status"] == "ok") & (less.fillna(False).astype(bool) | (results["note"] != ""))]
    return [
        {
            "model": model,
            "task": task,
            "rows": _of(jobs["n_train_used"], jobs["n_train"]),
            "features": _of(jobs["n_features_used"], jobs["n_features"]),
            "note": "; ".join(sorted(set(jobs["note"]) - {""})),
        }
        for (model, task), jobs in cut.groupby(["model", "task"])
    ]


def _of(used: pd.Series, there: pd.Series) -> str:
    return f"{int(used.min()):,} of {int(there.min()):,}" if (used < there).any() else "all"


def n_not_run(results: pd.DataFrame) -> int:
    """Jobs that a full table of models and folds would have and this one has not."""
    n_folds = len(results[["task", "repeat", "fold"]].drop_duplicates())
    return n_folds * results["model"].nunique() - len(results)
