"""`tabbench fetch` and `tabbench mirror`: the command line's door to OpenML."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tabbench.border.texts import say
from tabbench.cli.parser import Commands, Exit
from tabbench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tabbench.data.openml.cache import Kind


def register(commands: Commands) -> None:
    """Add the commands."""
    fetch = commands.add(
        "fetch",
        "fetch the tables of a suite from OpenML; afterwards runs need no network",
        example="tabbench fetch tabzilla-hard",
        group="move",
    )
    fetch.add_argument("suite", help="name or path of a suite, or openml:suite/99, openml:task/3, openml:data/31")
    fetch.add_argument("--workers", type=int, default=4, help="downloads at a time (default 4)")
    fetch.add_argument("--quiet", action="store_true", help="no progress")
    fetch.set_defaults(func=_fetch)
    mirror = Commands(
        commands.add(
            "mirror",
            "carry fetched tables to machines without a network",
            example="tabbench mirror export stick --suite cc18",
            group="move",
        )
    )
    export = mirror.add(
        "export", "write what was fetched (of a suite, or all) into a folder", example="tabbench mirror export stick --suite cc18"
    )
    export.add_argument("folder", type=Path)
    export.add_argument("--suite", help="only the tables of this suite")
    export.set_defaults(func=_export)
    imports = mirror.add("import", "take in such a folder", example="tabbench mirror import stick")
    imports.add_argument("folder", type=Path)
    imports.set_defaults(func=_import)


def _fetch(args: argparse.Namespace) -> int:
    from tabbench.data.openml.pull import parse_path, pull, suite_tasks
    from tabbench.data.suite import OPENML, load_suite

    if args.workers < 1:
        raise UserError("--workers must be positive")
    if args.suite.startswith(OPENML):
        kind, number = parse_path(args.suite.removeprefix(OPENML))
        if kind == "suite":
            suite_tasks(number, fresh=True)
    paths = [spec.path for spec in load_suite(args.suite).tasks if spec.source == "openml"]
    failed = pull(paths, workers=args.workers, quiet=args.quiet, check=True)
    if paths and len(failed) == len(paths):
        raise UserError(f"nothing could be fetched: {next(iter(failed.values()))}")
    for reason in failed.values():
        say(f"not fetched: {reason}", file=sys.stderr)
    print(f"{len(paths) - len(failed)} of {len(paths)} tables are on this machine")
    return Exit.FOUND if failed else Exit.OK


def _export(args: argparse.Namespace) -> int:
    from tabbench.data.mirror import export_mirror

    say(f"{args.folder} holds {_counts(export_mirror(args.folder, args.suite))}")
    return Exit.OK


def _import(args: argparse.Namespace) -> int:
    from tabbench.data.mirror import import_mirror

    print(f"taken in: {_counts(import_mirror(args.folder))}")
    return Exit.OK


def _counts(counts: "Mapping[Kind, int]") -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())
