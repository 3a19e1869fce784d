"""Draft: the report of a run that still goes on, so that it can be opened before the end."""

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from tabbench.errors import UserError
from tabbench.folders.results import Results

SHARE = 0.1  # of the time of a run that its drafts may take
FIRST_SECONDS = 10.0  # a run that is shorter has its report soon enough


class Draft:
    """Context manager: `refresh()` writes the report of what is stored so far, beside the run, unless it did so lately."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._thread: threading.Thread | None = None
        self._next = time.monotonic() + FIRST_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread:
            self._thread.join()

    def refresh(self) -> None:
        """Begin to write it; the run does not wait."""
        if time.monotonic() >= self._next and not (self._thread and self._thread.is_alive()):
            self._thread = threading.Thread(target=self._write)
            self._thread.start()

    def _write(self) -> None:
        started = time.monotonic()
        with suppress(UserError, OSError):  # what is wrong with the folder, the run itself will say
            Results(self.folder).write_report()
        now = time.monotonic()
        self._next = now + (now - started) / SHARE
