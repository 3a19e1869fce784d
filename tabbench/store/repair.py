"""Damage in a store: found by hash, taken out, and told, so that only the jobs it hit are done again."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from tabbench.store.claims import Claims
from tabbench.store.runs import CONTENT, DamagedStoreError, ResultStore, Row, is_intact


def repair_store(path: Path, claims: Claims) -> list[str]:
    """Take damaged runs out of the store; return a line for each loss.

    A file whose pages are damaged is written anew from the runs that can still be read; the old one stays as `<name>.damaged`.
    Raises UserError if that would pull the file from under another runner.
    """
    try:
        with ResultStore(path) as store:
            damaged = store.damaged()
            store.remove(damaged)
    except DamagedStoreError:
        with claims.alone() as alone:
            if not alone:
                raise
            return [_rebuild(path)]
    return [f"{path}: the stored run of {name} is damaged: it is done again" for name in damaged.values()]


def _rebuild(path: Path) -> str:
    rows = list(_readable(path))
    fresh = path.with_name(f"{path.name}.tmp")
    _remove(fresh)
    with ResultStore(fresh) as store:
        for row, digest in rows:
            store.add_row(row, digest)
    os.replace(path, path.with_name(f"{path.name}.damaged"))
    _remove(path)  # its log, too, belongs to the damaged file
    os.replace(fresh, path)
    return f"{path}: damaged pages: {len(rows)} runs could be read, the others are done again"


def _readable(path: Path) -> Iterator[tuple[Row, str]]:
    """Rows that are intact, asked for one by one, so that one bad page does not hide the others."""
    db = sqlite3.connect(path)
    db.text_factory = lambda raw: raw.decode(errors="backslashreplace")
    try:
        last = _last_id(db)
        for number in range(1, last + 1):
            try:
                found = db.execute(f"SELECT {CONTENT}, sha256 FROM runs WHERE id = ?", (number,)).fetchone()
            except sqlite3.Error:
                continue
            if found and is_intact(row := Row(*found[:-1]), found[-1]):
                yield row, found[-1]
    finally:
        db.close()


def _last_id(db: sqlite3.Connection) -> int:
    for query in ("SELECT seq FROM sqlite_sequence WHERE name = 'runs'", "SELECT max(id) FROM runs"):
        try:
            row = db.execute(query).fetchone()
        except sqlite3.Error:
            continue
        if row and isinstance(row[0], int):
            return row[0]
    return 0


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
