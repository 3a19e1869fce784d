"""What came from OpenML, as Parquet and JSON: runs read it, and a mirror carries it to machines without a network.

    datasets/<id>/data.parquet, meta.json     every column, typed as OpenML's metadata say
    tasks/<id>/splits.parquet, meta.json      target and official splits: one row a table row, one column a repeat
    suites/<id>/meta.json                     name and task ids
    index.json                                all that is complete, with hashes; derived

An entry is renamed into place whole, so what exists is complete, and an entry that exists is never written to.
"""

import configparser
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
import numpy as np
import pandas as pd

from tabbench.border.forms import Count, Few, LongText, Text, fit
from tabbench.errors import UserError
from tabbench.files import data_folder, file_hash, replace_text

FORMAT = 1
Kind = Literal["datasets", "tasks", "suites"]
KINDS: tuple[Kind, ...] = ("datasets", "tasks", "suites")
TABLE = {"datasets": "data.parquet", "tasks": "splits.parquet"}
DEFAULT_SERVER = "https://www.openml.org/api/v1/xml"


class _Feature(msgspec.Struct):
    name: LongText
    type: Text
    distinct: Count
    role: Text


class _Dataset(msgspec.Struct):
    name: Text
    version: Count | Text | None
    licence: LongText | None
    url: LongText | None
    target: LongText | None
    rows: Count
    columns: Count
    features: list[_Feature]


class _Task(msgspec.Struct):
    dataset: Count
    target: LongText | None
    repeats: Few


class _Suite(msgspec.Struct):
    name: LongText | None
    tasks: list[Count]


_FORMS: dict[Kind, type[msgspec.Struct]] = {"datasets": _Dataset, "tasks": _Task, "suites": _Suite}


def server_url() -> str:
    """Address of the API: OPENML_SERVER, else the client's own configuration file, else www.openml.org."""
    if os.environ.get("OPENML_SERVER"):
        return os.environ["OPENML_SERVER"]
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    file = Path(home) / "openml" / "config"
    settings = configparser.RawConfigParser()
    try:
        settings.read_string("[openml]\n" + file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, configparser.Error):
        return DEFAULT_SERVER
    return settings.get("openml", "server", fallback=DEFAULT_SERVER)


def open_cache() -> "Cache":
    """Return the cache of the configured server, under TABBENCH_DATA."""
    host = urlsplit(server_url()).netloc
    return Cache(data_folder() / "openml" / re.sub(r"[^\w.-]", "_", host or "server"))


@dataclass(frozen=True)
class Cache:
    """A folder of datasets, tasks and suites; it need not exist yet."""

    folder: Path

    def path(self, kind: Kind, number: int) -> Path:
        """Folder of an entry."""
        return self.folder / kind / str(number)

    def has(self, kind: Kind, number: int) -> bool:
        """Whether an entry is complete."""
        return (self.path(kind, number) / "meta.json").exists()

    def meta(self, kind: Kind, number: int) -> dict[str, Any]:
        """Facts of an entry; raises UserError if it is absent, damaged or of a newer format."""
        file = self.path(kind, number) / "meta.json"
        try:
            meta: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            written = int(meta["format"])
            if written <= FORMAT:
                fit(meta, _FORMS[kind])
        except FileNotFoundError:
            raise UserError(
                f"OpenML {kind[:-1]} {number} is not on this machine: run `tabbench fetch` where there is a network, "
                "or `tabbench mirror import`"
            ) from None
        except (OSError, ValueError, KeyError, TypeError, RecursionError, UserError):
            raise UserError(f"{file}: damaged: run `tabbench fetch` again") from None
        if written > FORMAT:
            raise UserError(f"{file}: format {written} was written by a newer tabbench: upgrade it")
        return meta

    def files(self, kind: Kind, number: int) -> list[Path]:
        """Files of an entry."""
        return [self.path(kind, number) / name for name in (TABLE.get(kind), "meta.json") if name]

    def check(self, kind: Kind, number: int) -> None:
        """Raise UserError if an entry is absent or does not match its hash."""
        meta = self.meta(kind, number)
        for file in self.files(kind, number)[:-1]:
            if not file.exists() or file_hash(file) != meta["sha256"]:
                raise UserError(f"{file}: damaged: run `tabbench fetch` again")

    def is_sound(self, kind: Kind, number: int) -> bool:
        """Whether an entry is complete and its content matches its hash."""
        try:
            self.check(kind, number)
        except UserError:
            return False
        return True

    def table(self, kind: Literal["datasets", "tasks"], number: int) -> pd.DataFrame:
        """Table of a dataset or of a task's splits; raises UserError if it is absent or does not match its hash."""
        self.check(kind, number)
        return pd.read_parquet(self.path(kind, number) / TABLE[kind])

    def add_dataset(self, number: int, frame: pd.DataFrame, meta: dict[str, Any]) -> None:
        """Store a dataset. `meta` : name, features (name, type, role) and what else is known."""
        sizes = {"rows": len(frame), "columns": frame.shape[1]}
        self._add("datasets", number, {**meta, **sizes}, lambda file: frame.to_parquet(file, index=False))

    def add_task(self, number: int, test_fold: np.ndarray, meta: dict[str, Any]) -> None:
        """Store a task. `test_fold` : (n, repeats) test fold of every row, -1 where it always trains."""
        frame = pd.DataFrame(test_fold, columns=[f"repeat{r}" for r in range(test_fold.shape[1])])
        self._add("tasks", number, {**meta, "repeats": frame.shape[1]}, lambda file: frame.to_parquet(file, index=False))

    def add_suite(self, number: int, meta: dict[str, Any]) -> None:
        """Store a suite. `meta` : name and tasks (ids)."""
        self._add("suites", number, meta, None)

    def _add(self, kind: Kind, number: int, meta: dict[str, Any], write: Callable[[Path], object] | None) -> None:
        fit(meta, _FORMS[kind], f"OpenML {kind[:-1]} {number}")
        parent = self.folder / kind
        parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{number}-", dir=parent))
        try:
            meta = {"format": FORMAT, "id": number, **meta}
            if write is not None:
                write(scratch / TABLE[kind])
                meta["sha256"] = file_hash(scratch / TABLE[kind])
            (scratch / "meta.json").write_text(json.dumps(meta, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            self.place(scratch, kind, number)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def place(self, scratch: Path, kind: Kind, number: int) -> None:
        """Let a folder beside the entry become the entry; whoever comes second leaves the first in peace."""
        scratch.chmod(0o755)
        try:
            scratch.rename(self.path(kind, number))
        except OSError:
            if not self.has(kind, number):
                raise

    def discard(self, kind: Kind, number: int) -> None:
        """Remove an entry that turned out to be damaged or out of date."""
        shutil.rmtree(self.path(kind, number), ignore_errors=True)

    def entries(self, kind: Kind) -> Iterator[int]:
        """Ids of the complete entries, ascending."""
        for number in sorted(int(path.name) for path in (self.folder / kind).glob("[0-9]*") if path.name.isdecimal()):
            if self.has(kind, number):
                yield number

    def write_index(self, server: str) -> None:
        """Write index.json: the server's name, and for every complete entry its name, size and hash."""
        entries: dict[str, Any] = {kind: {str(n): _brief(self.meta(kind, n)) for n in self.entries(kind)} for kind in KINDS}
        index = {"format": FORMAT, "server": server, **entries}
        replace_text(self.folder / "index.json", json.dumps(index, indent=1, ensure_ascii=False) + "\n")


def _brief(meta: dict[str, Any]) -> dict[str, Any]:
    return {key: meta[key] for key in ("name", "dataset", "rows", "sha256") if key in meta}
