"""Leaderboard: one row per model, from the results table.

A model's score on a dataset is its mean over the folds. If one of them did not end ok, the model has no score there: it takes
the worst rank of that dataset (shared with other failures) and the normalised score 0. So a failure always costs, and is counted.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tabbench.files import replace_text
from tabbench.metrics import METRICS
from tabbench.stats.ranks import mean_ranks, normalized_scores, win_tie_loss

DEFAULT_METRIC = "roc_auc_ovo"
POLICY = "a model that fails on a fold takes the worst rank on that dataset and the normalised score 0"
BAD = ("failed", "timeout", "memory", "unsupported")


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of a metric by dataset and model.

    table : NaN where a model has none. worst : of each dataset. filled : complete, failures below the worst.
    undefined : datasets on which no model has a score; they are in neither table.
    """

    metric: str
    greater_is_better: bool
    table: pd.DataFrame
    worst: pd.Series
    filled: pd.DataFrame
    undefined: list[str]


def score_table(results: pd.DataFrame, metric: str = DEFAULT_METRIC) -> Scores:
    """Mean over folds by dataset and model (columns, sorted); a fold on which the metric is undefined for all is left out."""
    better = METRICS[metric].greater_is_better
    folds = results.pivot_table(
        index=["task", "repeat", "fold"], columns="model", values=metric, aggfunc="mean", dropna=False, observed=True
    )
    folds = folds.reindex(columns=sorted(results["model"].unique())).dropna(how="all")
    table = folds.groupby(level="task").agg(lambda values: values.mean(skipna=False))
    undefined = sorted(set(results["task"]) - set(table.index))
    hopeless = table.isna().all(axis=1)
    undefined = sorted([*undefined, *table.index[hopeless]])
    table = table[~hopeless]
    table.index.name, table.columns.name = "task", "model"
    low, high = table.min(axis=1), table.max(axis=1)
    below = low - (high - low) - 1 if better else high + (high - low) + 1
    return Scores(metric, better, table, low if better else high, table.T.fillna(below).T, undefined)


def leaderboard(results: pd.DataFrame, metric: str = DEFAULT_METRIC) -> pd.DataFrame:
    """Return one row per model, best mean rank first.

    Columns: model, mean_rank, mean_normalized_score, mean_score (of its own datasets), wins, ties, losses (against every
    other model on every dataset), n_tasks (with a score), n_failed, n_timeout, n_memory, n_unsupported (jobs), and
    fit_seconds_per_1000_rows, predict_seconds_per_1000_rows (means over its ok jobs). Raises UserError for an unknown metric.
    """
    scores = score_table(results, metric)
    models = pd.Index(sorted(results["model"].unique()), name="model")
    board = pd.DataFrame(index=models)
    if len(scores.table):
        observed = scores.table.T.fillna(scores.worst).T
        normalized = normalized_scores(observed, scores.greater_is_better)
        board["mean_rank"] = mean_ranks(scores.filled, scores.greater_is_better)
        board["mean_normalized_score"] = normalized.where(scores.table.notna(), 0.0).mean()
        board["mean_score"] = scores.table.mean()
        board[["wins", "ties", "losses"]] = win_tie_loss(scores.filled, scores.greater_is_better)
    else:
        board[["mean_rank", "mean_normalized_score", "mean_score"]] = np.nan
        board[["wins", "ties", "losses"]] = 0
    board["n_tasks"] = scores.table.notna().sum().reindex(models, fill_value=0)
    counts = pd.crosstab(results["model"], results["status"]).reindex(index=models, columns=BAD, fill_value=0)
    board[[f"n_{status}" for status in BAD]] = counts
    ok = results[results["status"] == "ok"]
    for what, rows in (("fit", "n_train"), ("predict", "n_test")):
        seconds = ok[f"{what}_seconds"] / ok[rows].astype("float64") * 1000
        board[f"{what}_seconds_per_1000_rows"] = seconds.groupby(ok["model"]).mean()
    return board.reset_index().sort_values(["mean_rank", "model"], ignore_index=True)


def rounded(board: pd.DataFrame) -> pd.DataFrame:
    """The leaderboard with the decimals it is published with, as text: equal runs give equal bytes."""
    decimals = {"mean_rank": 3, "mean_normalized_score": 4, "mean_score": 5}
    text = board.copy()
    for column in board.columns[1:]:
        places = 4 if "seconds" in column else decimals.get(column, 0)
        text[column] = ["" if pd.isna(value) else f"{value:.{places}f}" for value in board[column]]
    return text


def format_leaderboard(board: pd.DataFrame) -> str:
    """Text of at most 100 columns for a terminal."""
    text = rounded(board)
    bad = board[[f"n_{status}" for status in BAD]].sum(axis=1)
    shown = pd.DataFrame(
        {
            "model": text["model"].str.slice(0, 36),
            "rank": [f"{value:.2f}" for value in board["mean_rank"]],
            "norm.": text["mean_normalized_score"],
            "score": text["mean_score"],
            "w/t/l": [f"{row.wins}/{row.ties}/{row.losses}" for row in board.itertuples()],
            "fit s/1k": [f"{value:.2f}" for value in board["fit_seconds_per_1000_rows"]],
            "pred s/1k": [f"{value:.2f}" for value in board["predict_seconds_per_1000_rows"]],
            "not ok": bad,
        }
    )
    return shown.to_string(index=False)


def write_leaderboard(folder: Path, board: pd.DataFrame, metric: str = DEFAULT_METRIC) -> None:
    """Write leaderboard.csv and leaderboard.md."""
    text = rounded(board)
    replace_text(folder / "leaderboard.csv", text.to_csv(index=False))
    lines = ["| " + " | ".join(text.columns) + " |", "|" + "---|" * len(text.columns)]
    lines += ["| " + " | ".join(str(value).replace("|", "\\|") for value in row) + " |" for row in text.itertuples(index=False)]
    replace_text(folder / "leaderboard.md", "\n".join(lines) + f"\n\nRanked by {metric}; {POLICY}.\n")
