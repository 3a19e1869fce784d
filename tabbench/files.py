"""Where data is kept, and writing files so that a reader sees the old content or the new one, never half of it."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tabbench.errors import UserError


def data_folder() -> Path:
    """Where prepared and fetched tables are kept: TABBENCH_DATA, else the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TABBENCH_DATA") or Path(cache) / "tabbench")


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it into place; on an error nothing is left behind.

    Raises UserError if the file cannot be written, e.g. on a full disk.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_temporaries(folder: Path) -> None:
    """Remove what processes that were killed have left of `replace_file` in a folder and below."""
    import psutil  # the trainer, which writes files, does without

    for temporary in folder.rglob(".*.*.tmp"):
        pid = temporary.name.split(".")[-2]
        if pid.isdecimal() and (int(pid) == os.getpid() or not psutil.pid_exists(int(pid))):  # else it may be moved any moment
            temporary.unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """`replace_file` for UTF-8 text with Unix line ends."""
    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline="\n"))
