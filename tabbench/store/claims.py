"""Claims: which jobs of a result folder are being done right now, by this runner or by another one on the same machine.

A claim is an advisory lock on one byte of an empty file, at an offset given by the job's key. The kernel drops the locks of a
process that dies, so no claim outlives its runner and a killed runner's jobs are free at once.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tabbench.errors import UserError

NAME = "store.lock"
FOLDER_BYTE = 0  # held by who writes the files of the folder as a whole
RUNNER_BYTE = 1  # shared by all runners of the folder


class Claims:
    """The claims of one runner on the jobs of a result folder; raises UserError if the lock file cannot be made."""

    def __init__(self, folder: Path) -> None:
        try:
            self._file = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            raise UserError(f"{folder}: cannot be written ({error.strerror}): give --out another folder") from None
        fcntl.lockf(self._file, fcntl.LOCK_SH, 1, RUNNER_BYTE)

    def __enter__(self) -> "Claims":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def take(self, key: str) -> bool:
        """Claim a job; False if another runner has it."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _offset(key))
        except OSError:
            return False
        return True

    def release(self, key: str) -> None:
        """Give a claim back."""
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _offset(key))

    @contextmanager
    def whole_folder(self) -> Iterator[None]:
        """Wait until no other runner writes manifest, report or hashes, and keep them from it."""
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, FOLDER_BYTE)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, FOLDER_BYTE)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether no other runner uses the folder; while the answer is yes, one that starts has to wait."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, RUNNER_BYTE)
        except OSError:
            yield False
            return
        try:
            yield True
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_SH, 1, RUNNER_BYTE)


def _offset(key: str) -> int:
    return 2 + int(key[:15], 16)  # 60 bits of the key: below the largest offset, and no two of a million jobs agree
