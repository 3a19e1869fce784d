"""`tabbench replay`: what stored trials say."""

import argparse
from pathlib import Path

from tabbench.cli.parser import Commands, Exit


def register(commands: Commands) -> None:
    """Add the command."""
    replay = commands.add(
        "replay",
        "choose among the stored trials of a tuned run again, within a budget; nothing is fitted",
        example="tabbench replay results/tuned --budget 60s",
        group="read",
    )
    replay.add_argument("folder", type=Path)
    replay.add_argument("--budget", metavar="60s", help="wall seconds (60s, 5m, 2h) of a model's trials on a fold (default: all)")
    replay.add_argument("--configs", type=int, metavar="N", help="only the first N trials")
    replay.add_argument("--ensemble", choices=["greedy", "none"], default="greedy", help="how trials are put together")
    replay.add_argument("--metric", help="metric to rank by (default as in leaderboard)")
    replay.add_argument("--format", choices=["text", "csv", "md", "json"], default="text")
    replay.set_defaults(func=_replay)


def _replay(args: argparse.Namespace) -> int:
    from tabbench.api import replay_trials
    from tabbench.report.leaderboard import default_metric, format_leaderboard, leaderboard
    from tabbench.tuning.replay import Budget, parse_seconds

    budget = Budget(parse_seconds(args.budget) if args.budget else None, args.configs)
    frame = replay_trials(args.folder, budget, ensemble=args.ensemble == "greedy")
    print(format_leaderboard(leaderboard(frame, args.metric or default_metric(frame)), args.format))
    return Exit.OK
