"""`tabbench stats`: rank statistics of results from anywhere."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tabbench.cli.parser import Commands, Exit
from tabbench.errors import UserError

if TYPE_CHECKING:
    from tabbench.store.plain_table import PlainTable


def register(commands: Commands) -> None:
    """Add the command."""
    stats = commands.add(
        "stats",
        "rank statistics of any results table, long or wide, or of a result folder",
        example="tabbench stats scores.csv --control catboost",
        group="read",
    )
    stats.add_argument(
        "file", type=Path, help="result folder, or CSV or Parquet file: a row a dataset and a column a model, or a row a score"
    )
    stats.add_argument("--dataset", metavar="COLUMN", help="column that names the datasets")
    stats.add_argument("--model-column", metavar="COLUMN", help="column of a long table that names the models")
    stats.add_argument("--score", metavar="COLUMN", help="score column of a long table")
    stats.add_argument("--metric", help="metric to take of a table that has several, or of a result folder")
    stats.add_argument(
        "--empty", choices=["failed", "not-run"], help="what an empty cell means (default: failed, asked where it is of a fold)"
    )
    direction = stats.add_mutually_exclusive_group()
    direction.add_argument("--lower-is-better", action="store_true", default=None, help="scores are errors or losses")
    direction.add_argument(
        "--greater-is-better", dest="lower_is_better", action="store_false", help="they are not, whatever they are called"
    )
    stats.add_argument("--rope", type=float, default=0.01, help="difference that nobody would care about (default 0.01)")
    stats.add_argument("--alpha", type=float, default=0.05, help="level of tests and intervals (default 0.05)")
    stats.add_argument("--baseline", metavar="MODEL", help="model that stands in for a missing score")
    stats.add_argument("--control", metavar="MODEL", help="test every other model against this one")
    stats.add_argument("--test-share", type=float, metavar="S", help="share of the rows a fold scores (default 1 / folds)")
    stats.add_argument("--format", choices=["text", "md", "json"], default="text")
    stats.set_defaults(func=_stats)


def _stats(args: argparse.Namespace) -> int:
    from tabbench.report.summary_text import format_summary
    from tabbench.stats.summary import Settings, summarize
    from tabbench.store.manifest import NAME as MANIFEST
    from tabbench.store.plain_table import Named, read_plain_table

    named = Named(args.dataset, args.model_column, args.score, args.metric, args.empty)
    table = _of_folder(args) if (args.file / MANIFEST).is_file() else read_plain_table(args.file, named)
    lower = table.is_loss if args.lower_is_better is None else args.lower_is_better
    test_share = table.test_share if args.test_share is None else args.test_share
    settings = Settings(not lower, args.rope, args.alpha, args.baseline, args.control, test_share)
    summary = summarize(table.scores, settings, table.folds, table.absent)
    print(format_summary(summary, settings, args.format, table.remarks))
    return Exit.OK


def _of_folder(args: argparse.Namespace) -> "PlainTable":
    """The scores of a result folder by one metric, which knows what the options about columns and direction ask."""
    from tabbench.api import open_results
    from tabbench.report.leaderboard import POLICY, default_metric, scores_of
    from tabbench.store.plain_table import PlainTable

    if any(value is not None for value in (args.dataset, args.model_column, args.score, args.empty, args.lower_is_better)):
        raise UserError(f"{args.file}: a result folder says its columns and directions itself: only --metric chooses")
    frame = open_results(args.file).frame
    metric = args.metric or default_metric(frame)
    scores = scores_of(frame, metric)
    is_loss, share = not scores.settings.greater_is_better, scores.settings.test_share
    folds = scores.folds if scores.folds is not None and len(scores.folds) > len(scores.table) else None
    return PlainTable(scores.table, scores.absent, folds, is_loss, (f"Scores are {metric}, means over folds; {POLICY}",), share)
