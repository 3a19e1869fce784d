"""`tabbench audit` and `tabbench replay`: what the data warn of, and what stored trials say."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tabbench.cli.parser import Parser


def register(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add the commands to the command line."""
    audit = commands.add_parser("audit", help="warn of leaks, twins, ids and odd columns in the tables of a suite, or in a table")
    audit.add_argument("what", help="name or path of a suite, or a CSV or Parquet file (needs --target)")
    audit.add_argument("--target", help="target column of a file")
    audit.add_argument("--folds", type=int, help="folds among which twins are looked for (default as in run)")
    audit.add_argument("--format", choices=["text", "json"], default="text")
    audit.set_defaults(func=_audit)
    again = commands.add_parser("replay", help="choose among the stored trials of a tuned run again, within a budget")
    again.add_argument("folder", type=Path)
    again.add_argument("--budget", metavar="60s", help="wall seconds (60s, 5m, 2h) of a model's trials on a fold (default: all)")
    again.add_argument("--configs", type=int, metavar="N", help="only the first N trials")
    again.add_argument("--ensemble", choices=["greedy", "none"], default="greedy", help="how trials are put together")
    again.add_argument("--metric", help="metric to rank by (default as in leaderboard)")
    again.add_argument("--format", choices=["text", "csv", "md", "json"], default="text")
    again.set_defaults(func=_replay)


def _audit(args: argparse.Namespace) -> int:
    from tabbench.api import audit_data
    from tabbench.data.audit import format_findings

    is_file = Path(args.what).suffix in (".csv", ".parquet", ".pq")
    found, missing = audit_data(
        None if is_file else args.what, data=args.what if is_file else None, target=args.target, folds=args.folds
    )
    print(format_findings(found, args.format))
    for table in missing:
        print(f"not looked at: {table['name']}: {table['reason']}", file=sys.stderr)
    return 0


def _replay(args: argparse.Namespace) -> int:
    from tabbench.api import replay_trials
    from tabbench.report.leaderboard import default_metric, format_leaderboard, leaderboard
    from tabbench.tuning.replay import Budget, parse_seconds

    budget = Budget(parse_seconds(args.budget) if args.budget else None, args.configs)
    frame = replay_trials(args.folder, budget, ensemble=args.ensemble == "greedy")
    print(format_leaderboard(leaderboard(frame, args.metric or default_metric(frame)), args.format))
    return 0
