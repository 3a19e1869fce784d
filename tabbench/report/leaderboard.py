"""Leaderboard: one row per model, from the results table.

A model's score on a dataset is its mean over the folds. If one of them did not end ok, the model has no score there: it takes
the worst rank of that dataset (shared with other failures) and the normalised score 0. So a failure always costs, and is counted.
What was not run is no failure: models are ranked on the folds and datasets that all of them ran, and what each one lacks is said.
"""

import textwrap
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from tabbench.border.texts import markdown_cell, printable, spreadsheet_cell
from tabbench.files import replace_text
from tabbench.metrics import METRICS
from tabbench.stats.failures import common_folds
from tabbench.stats.summary import Settings, Summary

DEFAULT_METRIC = "roc_auc_ovo"
ANY_CLASSES = "auc_or_log_loss"  # ROC AUC for two classes, log loss for more
POLICY = "a model that does not end ok on every fold of a dataset takes the worst rank there and the normalised score 0"
BAD = ("failed", "timeout", "memory", "unsupported")
DECIMALS = {"mean_rank": 3, "rank_low": 2, "rank_high": 2, "mean_normalized_score": 4, "mean_score": 5}
MOST_PLACES = 4
RATING = ("rating", "rating_low", "rating_high")
ALPHA = 0.05
ROPE = 0.01  # difference of scores that nobody would care about
CONSTANT = ("dummy", "constantpredictor", "ConstantPredictor")  # whom the user of a failed model falls back on
TERMINAL_WIDTH = 100
KEYS = ["task", "repeat", "fold", "model"]


def recorded_metrics(results: pd.DataFrame) -> list[str]:
    """The metrics that have a value, ROC AUC first; it alone where nothing has one.

    Where results come from elsewhere with ROC AUC for two classes only (AMLB, TabArena), what covers all datasets comes first.
    """
    n_datasets = [results["task"][results[name].notna()].nunique() for name in (DEFAULT_METRIC, ANY_CLASSES)]
    order = dict.fromkeys([ANY_CLASSES if n_datasets[1] > n_datasets[0] else DEFAULT_METRIC, DEFAULT_METRIC, *METRICS])
    return [name for name in order if results[name].notna().any()] or [DEFAULT_METRIC]


def default_metric(results: pd.DataFrame) -> str:
    """ROC AUC, or the first metric with a value where the results come without it."""
    return recorded_metrics(results)[0]


@dataclass(frozen=True, eq=False)
class Table:
    """A results table, and what it says whatever the metric: each part is computed once, when it is asked for."""

    results: pd.DataFrame

    @cached_property
    def folds(self) -> pd.DataFrame:
        """Scores by (dataset, repeat, fold, model) and metric; an infinite one is none."""
        names = [name for name in METRICS if name in self.results]
        values = self.results[names].astype(np.float64)
        return values.where(np.isfinite(values)).groupby(self._keys).mean()

    @cached_property
    def used(self) -> pd.DataFrame:
        """Bool by (dataset, repeat, fold) and model: the folds that all models of a dataset were run on."""
        return common_folds(self.results.groupby(KEYS).size().unstack("model").notna())

    @cached_property
    def ran(self) -> pd.DataFrame:
        """Bool (dataset × model)."""
        return self.used.groupby(level="task").any()

    @cached_property
    def failed(self) -> pd.DataFrame:
        """Bool (dataset × model): a fold did not end ok."""
        ended_ok = self.results["status"].eq("ok").groupby(self._keys).all()
        return (~ended_ok.unstack("model", fill_value=True) & self.used).groupby(level="task").any()

    @cached_property
    def bad(self) -> pd.DataFrame:
        """How many jobs did not end ok, by model and status."""
        return self.results.groupby(["model", "status"]).size().unstack(fill_value=0).reindex(columns=BAD, fill_value=0)

    @cached_property
    def seconds(self) -> pd.DataFrame:
        """Median over datasets of the seconds for 1,000 rows, by model: fit, predict."""
        ok, found = self.results[self.results["status"] == "ok"], {}
        for what, rows in (("fit", "n_train"), ("predict", "n_test")):
            seconds = ok[f"{what}_seconds"] / ok[rows].astype(np.float64) * 1000
            found[what] = seconds.groupby([ok["model"], ok["task"]]).mean().groupby(level="model").median()
        return pd.DataFrame(found)

    def scores(self, metric: str, ties: Literal["average", "min"] = "average") -> Summary:
        """Scores by dataset and model, both sorted: means over the folds that all models of a dataset were run on.

        A fold on which the metric is undefined for every model is left out, an infinite score is none. Raises UserError for an
        unknown metric.
        """
        better = METRICS[metric].greater_is_better
        folds, used, ran = self.folds[metric].unstack("model"), self.used, self.ran
        values = folds.where(used).dropna(how="all")
        by_task = values.groupby(level="task")
        counts = by_task.count()
        complete = counts.eq(used.loc[values.index].groupby(level="task").sum()) & counts.gt(0)
        table = by_task.mean().where(complete).reindex(index=ran.index, columns=ran.columns).where(~self.failed)
        scored = table.notna().any(axis=1)
        unscored, table, absent = sorted(table.index[~scored]), table[scored], ~ran[scored]
        baseline = next((name for name in CONSTANT if name in table), None)
        share = _test_share(self.results[self.results["task"].isin(table.index)])
        settings = Settings(better, ROPE, ALPHA, baseline=baseline, test_share=share, ties=ties)
        return Summary(table, absent, settings, folds, unscored)

    @property
    def _keys(self) -> list[pd.Series]:
        return [self.results[key] for key in KEYS]


def scores_of(results: pd.DataFrame, metric: str = DEFAULT_METRIC, ties: Literal["average", "min"] = "average") -> Summary:
    """`Table.scores` of a results table of which one metric is asked."""
    return Table(results).scores(metric, ties)


def _test_share(results: pd.DataFrame) -> float | None:
    """Share of the rows that a fold scores; None: not known."""
    share = float((results["n_test"] / (results["n_train"] + results["n_test"])).astype(np.float64).mean())
    return share if 0 < share < 1 else None


def leaderboard(results: pd.DataFrame, metric: str = DEFAULT_METRIC, ties: Literal["average", "min"] = "average") -> pd.DataFrame:
    """Return one row per model, best mean rank first.

    Columns: model, mean_rank, rank_low, rank_high (95% interval, see `stats.draws.posterior`), mean_normalized_score, mean_score
    (over the datasets it has a score on), rating, rating_low, rating_high (Elo and its interval, see `stats.ratings`), wins,
    ties, losses (against every other model on every dataset), n_tasks (with a score), n_failed, n_timeout, n_memory,
    n_unsupported (jobs), n_not_run (datasets), and fit_seconds_per_1000_rows, predict_seconds_per_1000_rows (of training and test
    rows, median over its datasets).

    ties : "average", scores that differ by float noise being equal; or TabZilla's rule "min": equal to the last bit, best rank.
    `attrs` holds the metric, the unscored datasets, and how many datasets are ranked on and have a score. Raises UserError for an
    unknown metric.
    """
    table = Table(results)
    return board_of(table.scores(metric, ties), table, metric)


def board_of(scores: Summary, table: Table, metric: str) -> pd.DataFrame:
    """Leaderboard from scores that are at hand."""
    models = pd.Index(sorted(table.results["model"].unique()), name="model")
    columns = ["mean_rank", "rank_low", "rank_high", "mean_normalized_score", "mean_score", *RATING, "wins", "ties", "losses"]
    ranked = scores.models.rename(columns={"normalized_score": "mean_normalized_score"}) if scores.n_known else pd.DataFrame()
    board = ranked.reindex(index=models, columns=columns)
    board["mean_score"] = scores.table.mean()
    board = board.fillna({"wins": 0, "ties": 0, "losses": 0}).astype({"wins": int, "ties": int, "losses": int})
    board["n_tasks"] = scores.table.notna().sum().reindex(models, fill_value=0)
    board[[f"n_{status}" for status in BAD]] = table.bad
    board["n_not_run"] = scores.absent.sum().reindex(models, fill_value=0)
    board[[f"{what}_seconds_per_1000_rows" for what in ("fit", "predict")]] = table.seconds
    board = board.reset_index().sort_values(["mean_rank", "model"], ignore_index=True)
    board.attrs = {
        "metric": metric,
        "unscored": scores.unscored,
        "n_ranked": scores.n_datasets,
        "n_scored": scores.n_known,
    }
    return board


def remarks(board: pd.DataFrame) -> list[str]:
    """What must be said beside a leaderboard: the metric, what a failure costs, and what is left out."""
    unscored = board.attrs["unscored"]
    left_out = [f"Not ranked, for want of a score of any model: {', '.join(unscored)}."] if unscored else []
    return [f"Ranked by {board.attrs['metric']}; {POLICY}.", *not_run(board), *left_out]


def not_run(board: pd.DataFrame) -> list[str]:
    """What models were not run on, and on what they are compared then; nothing where all ran everywhere."""
    lacking = board[board["n_not_run"] > 0].sort_values(["n_not_run", "model"], ascending=[False, True])
    if lacking.empty:
        return []
    named = ", ".join(f"{row.model} on {row.n_not_run}" for row in lacking.itertuples())
    alone = board["model"][board["mean_rank"].isna() & (board["n_tasks"] > 0)].tolist()
    apart = [f"Not ranked, for want of a dataset in common with the others: {', '.join(alone)}."] if alone else []
    n, of = board.attrs["n_ranked"], board.attrs["n_scored"]
    return [f"Ranked on {n} of {of} datasets, those that all ranked models were run on; not run: {named}.", *apart]


def rounded(board: pd.DataFrame) -> pd.DataFrame:
    """The leaderboard as text with the decimals it is published with: equal runs give equal bytes."""
    text = board.astype(object)
    for column in board.columns[1:]:
        places = 4 if "seconds" in column else DECIMALS.get(column, 0)
        text[column] = ["" if pd.isna(value) else f"{value:.{places}f}" for value in board[column]]
    return text


def format_leaderboard(board: pd.DataFrame, form: Literal["text", "csv", "md", "json"] = "text") -> str:
    """The leaderboard as CSV, as Markdown with the remarks, as JSON records, or as a table for a terminal."""
    if form == "csv":
        return csv_text(rounded(board)).rstrip()
    if form == "json":
        return str(board.to_json(orient="records", indent=1))
    return _markdown(board) if form == "md" else _terminal_table(board)


def _terminal_table(board: pd.DataFrame) -> str:
    """Table and remarks of at most 100 columns; times are seconds per 1,000 rows, long names are cut."""
    columns = {
        "rank": [_number(value, 2) for value in board["mean_rank"]],
        "95%": [_range(*ends, 1) for ends in zip(board["rank_low"], board["rank_high"], strict=True)],
        "Elo": [_number(value, 0) for value in board["rating"]],
        "norm.": [_number(value, 3) for value in board["mean_normalized_score"]],
        "score": [_number(value, 4) for value in board["mean_score"]],
        "w/t/l": [f"{row.wins}/{row.ties}/{row.losses}" for row in board.itertuples()],
        "fit s/1k": [_number(value, 3) for value in board["fit_seconds_per_1000_rows"]],
        "pred. s/1k": [_number(value, 3) for value in board["predict_seconds_per_1000_rows"]],
        "not ok": [str(value) for value in board[[f"n_{status}" for status in BAD]].sum(axis=1)],
        **({"not run": [str(value) for value in board["n_not_run"]]} if board["n_not_run"].any() else {}),
    }
    blocks = [[cell.rjust(max(map(len, [title, *cells]))) for cell in (title, *cells)] for title, cells in columns.items()]
    space = TERMINAL_WIDTH - sum(2 + len(block[0]) for block in blocks)
    names = [name if len(name) <= space else name[: space - 1] + "…" for name in ("model", *map(printable, board["model"]))]
    width = max(map(len, names))
    lines = ["  ".join(line) for line in zip([name.ljust(width) for name in names], *blocks, strict=True)]
    return "\n".join([*lines, *(textwrap.fill(printable(remark), TERMINAL_WIDTH) for remark in remarks(board))])


def csv_text(table: pd.DataFrame) -> str:
    """A table as CSV, whose texts no spreadsheet runs."""
    safe = table.rename(columns=lambda name: spreadsheet_cell(str(name)))
    texts = [column for column in safe if not pd.api.types.is_numeric_dtype(safe[column].dtype)]
    safe = safe.assign(**{column: [spreadsheet_cell(v) if isinstance(v, str) else v for v in safe[column]] for column in texts})
    return str(safe.to_csv(index=False, lineterminator="\n"))


def _number(value: float, places: int) -> str:
    return "–" if pd.isna(value) else f"{value:.{places}f}"


def _range(low: float, high: float, places: int) -> str:
    """Both ends, with so many places as tell them apart."""
    if pd.isna(low):
        return "–"
    text = f"{low:.{places}f}–{high:.{places}f}"
    return text if high - low >= 10**-places or places == MOST_PLACES else _range(low, high, places + 1)


def _markdown(board: pd.DataFrame) -> str:
    text = rounded(board)
    rows = [[markdown_cell(str(value)) for value in row] for row in text.itertuples(index=False)]
    lines = [list(text.columns), ["---", *["--:"] * (text.shape[1] - 1)], *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n\n".join([table, *map(markdown_cell, remarks(board))])


def write_leaderboard(folder: Path, board: pd.DataFrame) -> None:
    """Write leaderboard.csv and, with the remarks, leaderboard.md."""
    replace_text(folder / "leaderboard.csv", format_leaderboard(board, "csv") + "\n")
    replace_text(folder / "leaderboard.md", format_leaderboard(board, "md") + "\n")
