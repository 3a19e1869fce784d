"""The `tabbench` command: a function per sub-command, in a file per family of commands, no logic of its own."""

import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from tabbench import __version__
from tabbench.border.texts import printable
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
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill ends as cleanly as Ctrl-C
    parser = commands().parser
    if "_ARGCOMPLETE" in os.environ:  # a shell asks for completions
        import argcomplete

        argcomplete.autocomplete(parser)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal of ASCII shows what it can
    try:
        if any("\0" in word for word in argv or ()):  # a shell cannot send it, and no path may hold it
            raise UserError("an argument holds a NUL")
        args = parser.parse_args(argv)
        code = int(args.func(args))
        sys.stdout.flush()
        return code
    except UserError as error:
        return _trouble(str(error))
    except KeyboardInterrupt:
        print("tabbench: interrupted; what is finished is stored: run the same command again to go on", file=sys.stderr)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except UnicodeEncodeError as error:  # pyarrow writes to no such path
        return _trouble(f"{error.object!a}: a name that is no text: give the folder another")
    except OSError as error:  # a full disk, a name that is too long, a folder that may not be read
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what could not be written would be tried again
        return _trouble(f"{error.filename or 'output'}: {error.strerror or error}")


def _trouble(text: str) -> int:
    """Say in one line what is wrong, if anybody can be told."""
    with suppress(OSError):
        print(f"tabbench: {printable(text)}", file=sys.stderr)
    return Exit.USAGE
