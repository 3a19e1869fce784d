"""SHA256SUMS: the hash of every file of a result folder, in the form that `sha256sum -c SHA256SUMS` reads."""

from pathlib import Path

from tabbench.errors import UserError
from tabbench.files import file_hash, replace_text

NAME = "SHA256SUMS"
PASSING = ("-wal", "-shm", ".lock", ".tmp", ".damaged", ".jsonl")  # logs, and files that come and go

SOURCES = ("manifest.json", "store.sqlite", "splits/", "imported.parquet")  # all other files are derived from these


def content_files(folder: Path) -> list[str]:
    """Relative paths of the files that make up a result folder, sorted; not SHA256SUMS itself."""
    files = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(name for name in files if name != NAME and not name.endswith(PASSING))


def write_checksums(folder: Path, *, derived_only: bool = False) -> None:
    """Write the hash of every file; `derived_only` keeps what is recorded of the others, so that it goes on telling of damage."""
    sums = {name: file_hash(folder / name) for name in content_files(folder)}
    if derived_only and (folder / NAME).exists():
        sums |= {name: digest for name, digest in read_checksums(folder).items() if name.startswith(SOURCES)}
    replace_text(folder / NAME, "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())))


def read_checksums(folder: Path) -> dict[str, str]:
    """Relative path → hash; raises UserError if the file is absent or of another form."""
    path = folder / NAME
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        pairs = [line.split("  ", 1) for line in lines]
        return {name: digest for digest, name in pairs}
    except FileNotFoundError:
        raise UserError(f"{folder}: no {NAME}: the run is not finished; the command that made it goes on with it") from None
    except (OSError, ValueError):
        raise UserError(f"{path}: damaged: its lines should be a hash, two spaces and a path") from None


def check_checksums(folder: Path) -> list[str]:
    """What differs from SHA256SUMS, one line a file; raises UserError if there is none."""
    sums, here = read_checksums(folder), set(content_files(folder))
    problems = [f"{name}: missing" for name in sums if name not in here]
    problems += [f"{name}: not listed in {NAME}" for name in here if name not in sums]
    problems += [f"{name}: content has changed" for name in here if name in sums and file_hash(folder / name) != sums[name]]
    return sorted(problems)
