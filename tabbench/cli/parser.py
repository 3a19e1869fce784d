"""What every part of the command line is made with."""

import argparse
from typing import NoReturn

from tabbench.errors import UserError


class Parser(argparse.ArgumentParser):
    """A usage error is one line."""

    def error(self, message: str) -> NoReturn:
        """Raise UserError with the message."""
        raise UserError(f"{message} (see {self.prog} --help)")
