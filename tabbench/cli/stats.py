"""`tabbench stats` and `tabbench suites hardest`."""

import argparse
from pathlib import Path
from typing import Any

from tabbench.errors import UserError


def register_stats(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command `stats`."""
    stats = commands.add_parser("stats", help="rank statistics of any results table, long or wide")
    stats.add_argument("file", type=Path, help="CSV or Parquet file: a row a dataset and a column a model, or a row a score")
    stats.add_argument("--score", metavar="COLUMN", help="score column of a long table")
    stats.add_argument("--lower-is-better", action="store_true", help="scores are errors or losses")
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
    from tabbench.store.plain_table import read_plain_table

    settings = Settings(not args.lower_is_better, args.rope, args.alpha, args.baseline, args.control, args.test_share)
    table = read_plain_table(args.file, args.score)
    print(format_summary(summarize(table.scores, settings, table.folds), settings, args.format))
    return 0


def print_hardest(folder: Path | None) -> int:
    """Print the hard datasets of a result folder by log loss, one a line; raises UserError without a folder."""
    from tabbench.api import open_results
    from tabbench.report.hardest import hardest
    from tabbench.report.leaderboard import score_table

    if folder is None:
        raise UserError("name a result folder: tabbench suites hardest results/x")
    scores = score_table(open_results(folder).frame, "log_loss")
    found = hardest(scores.table, scores.greater_is_better)
    for row in found.itertuples():
        gaps = " ".join("   –" if gap != gap else f"{gap:.2f}" for gap in (row.baseline_gap, row.fourth_gap, row.gbdt_gap))
        print(f"{row.Index:40} {gaps}  {row.why}")
    print(
        f"{len(found)} of {len(scores.table)} datasets are hard. Gaps: best simple model, fourth best model, best boosted trees."
    )
    return 0
