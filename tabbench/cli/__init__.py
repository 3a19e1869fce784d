"""The `tabbench` command: a function per sub-command, in a file per family of commands, no logic of its own."""

import os
import signal
import sys
from collections.abc import Sequence

from tabbench import __version__
from tabbench.cli import folders, metafeatures, models, openml, pfn, run, stats, suites, tuning
from tabbench.cli.parser import Commands, Exit, Parser
from tabbench.errors import UserError

GROUPS = ("run", "read", "check", "move", "build")


def commands() -> Commands:
    """The whole command line, in the order in which its help lists it."""
    parser = Parser(
        prog="tabbench",
        description="Which method should I trust on tables like mine, and why?",
        epilog="`tabbench COMMAND --help` says more. Exit codes: 0 done, 1 something was found or did not end well, 2 bad input.",
    )
    parser.add_argument("--version", action="version", version=f"tabbench {__version__}")
    found = Commands(parser, GROUPS)
    for family in (run, tuning, folders, stats, metafeatures, suites, models, openml, pfn):
        family.register(found)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (see `Exit`)."""
    sys.path.insert(0, os.getcwd())  # models and suites of the folder one works in
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill ends as cleanly as Ctrl-C
    parser = commands().parser
    if "_ARGCOMPLETE" in os.environ:  # a shell asks for completions
        import argcomplete

        argcomplete.autocomplete(parser)
    try:
        args = parser.parse_args(argv)
        return int(args.func(args))
    except UserError as error:
        print(f"tabbench: {error}", file=sys.stderr)
        return Exit.USAGE
    except KeyboardInterrupt:
        print("tabbench: interrupted; what is finished is stored: run the same command again to go on", file=sys.stderr)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
