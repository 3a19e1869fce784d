"""`tabbench replay`: what stored trials say."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tabbench.cli.parser import Commands, Exit, add_limits, limits_of

if TYPE_CHECKING:
    import numpy as np


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
    add_limits(replay)
    replay.add_argument("--curves", type=Path, metavar="FILE", help="draw validation loss by boosting round or epoch, as SVG")
    replay.add_argument("--format", choices=["text", "csv", "md", "json"], default="text")
    replay.set_defaults(func=_replay)


def _replay(args: argparse.Namespace) -> int:
    from tabbench.api import replay_trials
    from tabbench.report.leaderboard import default_metric, format_leaderboard, leaderboard
    from tabbench.tuning.replay import Budget, parse_seconds

    budget = Budget(parse_seconds(args.budget) if args.budget else None, args.configs)
    frame = replay_trials(args.folder, budget, ensemble=args.ensemble == "greedy", limits=limits_of(args))
    print(format_leaderboard(leaderboard(frame, args.metric or default_metric(frame)), args.format))
    if args.curves:
        _draw_curves(args.folder, args.curves)
    return Exit.OK


def _draw_curves(folder: Path, file: Path) -> None:
    from tabbench.api import open_results
    from tabbench.errors import UserError
    from tabbench.files import replace_text
    from tabbench.report.plots import standalone
    from tabbench.report.training import training_figure, trainings

    points = open_results(folder).points
    figure = "" if points is None else training_figure(points, _foretell())
    if points is None or not figure:
        raise UserError(f"{folder}: no trial has a curve with a loss: models trained in steps record them since tabbench 0.2")
    replace_text(file, standalone(figure))
    for row in trainings(points):
        losses = f"least validation log loss {row.at_end:.4f} at the end, {row.at_best:.4f} at the best step"
        seconds = f"{row.seconds_to_best:.1f} of {row.seconds:.1f} CPU seconds a fold"
        print(f"{row.model}: {losses}, after {row.share:.0%} of the steps; {seconds} ({row.n_curves} curves)")
    print(f"curves: {file}")


def _foretell() -> "Callable[[np.ndarray, int], np.ndarray] | None":
    """What the network of curves says of the rest of one; None where it cannot be asked."""
    from importlib.util import find_spec

    from tabbench.pfn.card import CURVES

    if find_spec("torch") is None or not CURVES.is_file():
        return None
    from tabbench.pfn.curves import band
    from tabbench.resources import torch_threads

    def foretell(losses: "np.ndarray", n_steps: int) -> "np.ndarray":
        with torch_threads(1):
            return band(losses, n_steps)

    return foretell
