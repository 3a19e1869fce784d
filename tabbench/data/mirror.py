"""Mirrors: a folder of fetched tables, tasks and suites that a machine without a network takes in as if it had fetched them.

A mirror is laid out like the cache (see `cache`), with the server's name in its index. Every file is checked against its hash
on the way out and on the way in.
"""

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from tabbench.data.openml.cache import FORMAT, KINDS, Cache, Kind, open_cache
from tabbench.data.openml.pull import parse_path
from tabbench.data.suite import OPENML, load_suite
from tabbench.errors import UserError
from tabbench.files import data_folder

Entry = tuple[Kind, int]


def export_mirror(folder: Path, suite: str | None = None) -> dict[Kind, int]:
    """Copy what is complete in the cache (of a suite, or all) to `folder`; returns how many entries of each kind it holds.

    Raises UserError if there is nothing to copy, if a table of the suite is missing or damaged, or if `folder` holds
    something else.
    """
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / "index.json").exists())):
        raise UserError(f"{folder}: holds something else: give a new folder, or a mirror to add to")
    cache, mirror = open_cache(), Cache(folder)
    entries = list(_everything(cache) if suite is None else _entries_of(cache, suite))
    if not entries:
        raise UserError(f"nothing of {cache.folder.name} is on this machine yet: run `tabbench fetch` first")
    for kind, number in entries:
        _copy(cache, mirror, kind, number)
    mirror.write_index(cache.folder.name)
    return {kind: sum(1 for _ in mirror.entries(kind)) for kind in KINDS}


def import_mirror(folder: Path) -> dict[Kind, int]:
    """Take what a mirror holds into the cache; what is there already stays. Returns the number of entries of each kind.

    Raises UserError if `folder` is no mirror, or if something in it is missing or damaged (the rest is taken in).
    """
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        entries: list[Entry] = [(kind, int(number)) for kind in KINDS for number in index[kind]]
        server, written = str(index["server"]), int(index["format"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{folder}: is no mirror (it has no sound index.json): make one with `tabbench mirror export`") from None
    if written > FORMAT:
        raise UserError(f"{folder}: format {written} was written by a newer tabbench: upgrade it")
    if Path(server).name != server or server in ("", ".", ".."):
        raise UserError(f"{folder}: its index names an impossible server {server!r}")
    mirror, cache = Cache(folder), Cache(data_folder() / "openml" / server)
    damaged = []
    for kind, number in entries:
        try:
            _copy(mirror, cache, kind, number)
        except UserError:
            damaged.append(f"{kind}/{number}")
    cache.write_index(server)
    if damaged:
        raise UserError(f"{folder}: {len(damaged)} of {len(entries)} entries are damaged ({damaged[0]}, …): copy it again")
    return {kind: len(index[kind]) for kind in KINDS}


def _everything(cache: Cache) -> Iterator[Entry]:
    for kind in KINDS:
        for number in cache.entries(kind):
            yield kind, number


def _entries_of(cache: Cache, suite: str) -> Iterable[Entry]:
    """Tasks, datasets and, if it is one of OpenML's, the suite itself, each once; raises UserError if one is not here."""
    entries: dict[Entry, None] = {}
    if suite.startswith(OPENML):
        kind, number = parse_path(suite.removeprefix(OPENML))
        if kind == "suite":
            entries["suites", number] = None
    for spec in load_suite(suite).tasks:
        if spec.source == "openml":
            kind, number = parse_path(spec.path)
            if kind == "task":
                entries["tasks", number] = None
                number = cache.meta("tasks", number)["dataset"]
            entries["datasets", number] = None
    return entries


def _copy(source: Cache, target: Cache, kind: Kind, number: int) -> None:
    if target.has(kind, number) and target.is_sound(kind, number):
        return
    source.check(kind, number)
    target.discard(kind, number)
    parent = target.folder / kind
    parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{number}-", dir=parent))
    try:
        for file in source.files(kind, number):
            shutil.copyfile(file, scratch / file.name)
        target.place(scratch, kind, number)
        target.check(kind, number)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
