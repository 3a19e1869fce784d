"""Where data is kept, and writing files so that a reader sees the old content or the new one, never half of it."""

import hashlib
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tabbench.errors import UserError


def data_folder() -> Path:
    """Where prepared and fetched tables are kept: TABBENCH_DATA, else the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TABBENCH_DATA") or Path(cache) / "tabbench")


_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f-\x9f\ud800-\udfff]|^\.")  # leads elsewhere, is hidden, or cannot be written
MAX_NAME = 150  # bytes; file systems allow 255, and endings are added


def file_name(name: str) -> str:
    """A name that comes from data as that of one file: itself if it is plain, else with %XX for what leads elsewhere, and cut.

    Whatever data call a thing, its file lies in the folder that it is meant for. Two names may give one file name: where both
    can occur in one folder, add a digest.
    """
    plain = _UNSAFE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass")), name)
    content = plain.encode()
    if plain and len(content) <= MAX_NAME:
        return plain
    return f"{content[:MAX_NAME].decode(errors='ignore')}~{hashlib.sha256(content).hexdigest()[:12]}"


def check_file(path: Path) -> None:
    """Raise UserError if a file cannot be called so, because that is a folder."""
    if not path.name or path.is_dir():
        raise UserError(f"{path}: is a folder: name a file")


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it into place; on an error nothing is left behind.

    Raises UserError if the file cannot be written, e.g. on a full disk.
    """
    check_file(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)  # a link that somebody has laid there would be followed
        write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def refuse_links(folder: Path) -> None:
    """Raise UserError if something in a folder, or below, is a symbolic link, whose target lies elsewhere, or a pipe or device.

    Who opens a pipe waits, perhaps for ever.
    """
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            if path.is_symlink():
                raise UserError(f"{str(path)!r}: is a symbolic link, which no result folder holds: remove it")
            if not (path.is_file() or path.is_dir()):
                raise UserError(f"{str(path)!r}: is no file, which no result folder holds: remove it")


def remove_temporaries(folder: Path) -> None:
    """Remove what processes that were killed have left of `replace_file` in a folder and below."""
    import psutil  # the trainer, which writes files, does without

    for temporary in folder.rglob(".*.*.tmp"):
        pid = temporary.name.split(".")[-2]
        if pid.isdecimal() and (int(pid) == os.getpid() or not psutil.pid_exists(int(pid))):  # else it may be moved any moment
            temporary.unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """`replace_file` for UTF-8 text with Unix line ends."""
    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n"))


def file_hash(path: Path) -> str:
    """SHA-256 of a file, as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
