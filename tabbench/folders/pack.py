"""A result folder as one archive: without absolute paths or user names when packed, safe to open when foreign.

An archive is a zip of the files in SHA256SUMS and that list itself. No file in it is executed or unpickled; opening refuses
paths that lead out of the folder, modules that Python could import, and more than the limits below; what is no plain file (a
link, say) is written as one.
"""

import re
import shutil
import tempfile
import zipfile
import zlib
from importlib.machinery import all_suffixes
from pathlib import Path, PurePosixPath
from typing import Any

from tabbench.errors import UserError
from tabbench.files import replace_file
from tabbench.folders.results import Results
from tabbench.store.checksums import NAME as CHECKSUMS
from tabbench.store.checksums import check_checksums, content_files, write_checksums
from tabbench.store.manifest import read_manifest, write_manifest
from tabbench.store.runs import NAME as STORE
from tabbench.store.runs import ResultStore, row_digest

CODE = "is program code, which no result folder holds"
MAX_FILES = 10_000
MAX_BYTES = 20 * 2**30
MAX_RATIO = 1000  # of unpacked to packed size
START_OF_TIME = (1980, 1, 1, 0, 0, 0)  # the first that a zip can tell
_ABSOLUTE = re.compile(r"(?<![\w.~/:])(?:~|[A-Za-z]:)?[/\\](?:[^/\\\s'\"<>|:,;()\[\]]+[/\\])+([^/\\\s'\"<>|:,;()\[\]]*)")


def pack(folder: Path, archive: Path) -> None:
    """Write the archive of a finished result folder, its derived files made again from what the archive holds.

    Raises UserError if it is no result folder, or damaged, or the archive cannot be written.
    """
    read_manifest(folder)
    problems = check_checksums(folder) or [f"{file}: {CODE}" for file in content_files(folder) if _is_code(file)]
    if problems:
        raise UserError(f"{folder}: not packed: {problems[0]}: `tabbench verify` tells more")
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / folder.resolve().name
        for file in content_files(folder):
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / file, copy / file)
        write_manifest(copy, without_paths(read_manifest(folder)))
        if (copy / STORE).exists():
            _scrub_store(copy / STORE)
        Results(copy).write_report()
        write_checksums(copy)
        replace_file(archive, lambda temporary: _write(copy, temporary))


def without_paths(value: Any) -> Any:
    """The value with every absolute path in its texts cut down to the last part."""
    if isinstance(value, str):
        return _ABSOLUTE.sub(lambda found: found.group(1), value)
    if isinstance(value, dict):
        return {key: without_paths(item) for key, item in value.items()}
    return [without_paths(item) for item in value] if isinstance(value, list) else value


def _scrub_store(path: Path) -> None:
    fresh = path.with_suffix(".scrubbed")
    with ResultStore(path) as old, ResultStore(fresh) as new:
        for row, _ in old.rows():
            clean = row._replace(reason=without_paths(row.reason), details=without_paths(row.details))
            new.add_row(clean, row_digest(clean))
    fresh.replace(path)


def _write(folder: Path, path: Path) -> None:
    """Equal folders give equal archives: no times, owners or modes of this machine."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted([*content_files(folder), CHECKSUMS]):
            entry = zipfile.ZipInfo(f"{folder.name}/{name}", START_OF_TIME)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            with (folder / name).open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target)


def unpack(archive: Path, folder: Path) -> None:
    """Open an archive as `folder`, which must not exist yet; nothing of it is there unless all of it is sound.

    Raises UserError: not an archive, a path that leads out, over the limits, no manifest, wrong hashes.
    """
    if folder.exists():
        raise UserError(f"{folder}: is there already: give --out a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unpack-") as name:
        place = Path(name) / "folder"
        place.mkdir()
        try:
            _extract(archive, place)
        except FileNotFoundError:
            raise UserError(f"{archive}: no such file") from None
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError) as error:
            raise UserError(f"{archive}: not an archive of a result folder ({str(error).splitlines()[0]})") from None
        read_manifest(place)
        problems = check_checksums(place)
        if problems:
            raise UserError(f"{archive}: damaged: {problems[0]}")
        place.rename(folder)


def _extract(archive: Path, place: Path) -> None:
    allowed = min(MAX_BYTES, MAX_RATIO * archive.stat().st_size)
    with zipfile.ZipFile(archive) as source:
        entries = source.infolist()
        if len(entries) > MAX_FILES or sum(entry.file_size for entry in entries) > allowed:
            raise UserError(f"{archive}: larger than a result folder may be: not opened")
        for entry in entries:
            target = place.joinpath(*_parts(entry, archive))
            target.parent.mkdir(parents=True, exist_ok=True)
            with source.open(entry) as content, target.open("xb") as file:
                shutil.copyfileobj(content, file)  # no more than `file_size`, which the module holds it to


def _parts(entry: zipfile.ZipInfo, archive: Path) -> tuple[str, ...]:
    """The path of a file below the one folder of the archive."""
    path = PurePosixPath(entry.filename)
    is_plain = entry.filename and not entry.is_dir() and not path.is_absolute() and not set(entry.filename) & set("\\:\0")
    if not is_plain or ".." in path.parts or len(path.parts) < 2 or entry.compress_type not in (0, zipfile.ZIP_DEFLATED):
        raise UserError(f"{archive}: entry {entry.filename[:80]!r} is no plain file inside one folder: not opened")
    if _is_code(path.name):
        raise UserError(f"{archive}: entry {entry.filename[:80]!r} {CODE}: not opened")
    return path.parts[1:]


def _is_code(name: str) -> bool:
    """Whether Python could import the file: a model of that name in the manifest would run it."""
    return name.lower().endswith(tuple(all_suffixes()))
