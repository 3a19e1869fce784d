"""What every part of the command line is made with: the parser, its groups of commands, lists that add up, exit codes."""

import argparse
from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NoReturn

from tabbench.errors import UserError

if TYPE_CHECKING:
    from tabbench.resources import Bounds


class Exit(IntEnum):
    """The exit codes."""

    OK = 0
    FOUND = 1  # `verify`, `diff` or `check` found something, a table was not fetched, a job failed under --strict
    USAGE = 2  # bad input: one line says what to do
    INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """A usage error is one line, and help keeps the lines it is given."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        """Raise UserError with the message."""
        raise UserError(f"{message} (see {self.prog} --help)")


class Commands:
    """The commands of a parser, whose help lists them by group with an example of each.

    Parameters
    ----------
    parser : gets the commands. groups : in the order of its help. required : whether a command must be given.
    """

    def __init__(self, parser: Parser, groups: Sequence[str] = ("commands",), *, required: bool = True) -> None:
        self.parser = parser
        self.examples: list[str] = []
        self._foot = parser.epilog or ""
        self._lines: dict[str, list[str]] = {group: [] for group in groups}
        self._actions = parser.add_subparsers(required=required, metavar="COMMAND", prog=parser.prog, help=argparse.SUPPRESS)
        parser.usage = f"{parser.prog} {'COMMAND …' if required else '[COMMAND …]'}"

    def add(self, name: str, does: str, *, example: str, group: str = "commands") -> Parser:
        """The parser of a new command. does : one line of help. example : a whole call of it."""
        self.examples.append(example)
        self._lines[group].append(f"  {name:13} {does}\n{'':16}{example}")
        groups = [f"{title}:\n" + "\n".join(lines) for title, lines in self._lines.items() if lines]
        self.parser.epilog = "\n\n".join([*groups, self._foot]).rstrip()
        return self._actions.add_parser(name, description=f"{does[0].upper()}{does[1:]}.", epilog=f"example:\n  {example}")


class AddUp(argparse.Action):
    """A list: an option that is given again adds to it; what is named twice counts once, in the order of the first."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: Any = None) -> None:
        """Add the values."""
        given: Sequence[Any] = [] if getattr(namespace, self.dest) is self.default else getattr(namespace, self.dest)
        setattr(namespace, self.dest, list(dict.fromkeys([*given, *values])))


def add_splits(parser: argparse.ArgumentParser) -> None:
    """Give a command the options that say how splits are made; `splits_asked` reads them."""
    add = parser.add_argument
    add("--folds", type=int, help="folds (default: the official ones where a table has them, else 3 stratified)")
    add("--repeats", type=int, help="repeats of the folds (default: 1, or as the suite says)")
    add("--holdout", type=float, metavar="SHARE", help="hold out this share of the rows, e.g. 0.2, instead of folds")
    add("--groups", metavar="COLUMN", help="rows of --data that belong together: whole groups are held out")
    add("--time", metavar="COLUMN", help="when a row of --data was: the past trains, the future tests")
    add("--gap", help="what must lie between them, in the unit of --time; of dates e.g. 7d or 12h")
    add(
        "--window",
        choices=["expanding", "sliding"],
        help="what of the past trains: all (default) or the block just before",
    )
    add("--test-fold", metavar="COLUMN,…", type=names, action=AddUp, help="columns of --data with test folds, one a repeat")


def splits_asked(args: argparse.Namespace) -> dict[str, Any]:
    """What the options of `add_splits` say, by the arguments of `run`."""
    said = ("folds", "repeats", "holdout", "groups", "time", "gap", "window")
    test_fold = tuple(args.test_fold) if args.test_fold else None
    return {**{name: getattr(args, name) for name in said}, "test_fold": test_fold}


def complete_suites(prefix: str, **_: Any) -> list[str]:
    """What a shell offers after --suite."""
    from tabbench.data.suite import list_suites

    return [name for name in list_suites() if name.startswith(prefix)]


def complete_models(prefix: str, **_: Any) -> list[str]:
    """What a shell offers after --models: names for the last of a list."""
    from tabbench.models import MODELS, load_models

    load_models()
    head, comma, last = prefix.rpartition(",")
    return [f"{head}{comma}{name}" for name in MODELS if name.startswith(last)]


def names(text: str) -> list[str]:
    """Names from a text with commas.

    >>> names("tree, mine:Shrunk")
    ['tree', 'mine:Shrunk']
    """
    return [name.strip() for name in text.split(",")]


def whole_numbers(text: str) -> list[int]:
    """Whole numbers from a text with commas."""
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: give whole numbers separated by commas") from None


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Add the options that limit what is chosen and ranked."""
    parser.add_argument(
        "--limit-fit-seconds", type=float, metavar="S", help="choose and rank only models fitted in S wall seconds"
    )
    parser.add_argument("--limit-model-mb", type=float, metavar="MB", help="only fitted models of at most so many MB")
    parser.add_argument("--limit-rss-mb", type=float, metavar="MB", help="only models whose process held at most so many MB")


def limits_of(args: argparse.Namespace) -> "Bounds":
    """The limits that are given."""
    from tabbench.resources import Bounds

    return Bounds(args.limit_fit_seconds, args.limit_model_mb, args.limit_rss_mb)
