"""ResultStore: the runs of a result folder in one SQLite file (WAL), which survives a kill at any moment.

Format 3. Table `runs`: id (grows with every run stored), key (the job's content hash), job (JSON), status, reason, details,
facts (JSON: counts, times, metrics), limits (JSON: seconds, memory_mb), proba (float64, row-major, n_test × n_classes; of a
tuning trial followed by the n_val × n_classes predictions of the validation rows, the codes of both and the curve, see
`job.encode`), sha256 (over all the others but id). A run and its predictions are one row, so they appear together or not at all.
Table `meta`: format. Format 2 had no curves; it is read as it is, and the first run that is added makes it format 3.
Format 1 had no id and hashed the predictions alone; it is brought to the present format when it is opened.
"""

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import pandas as pd

from tabbench.border.texts import one_line, storable
from tabbench.errors import UserError
from tabbench.job import COUNTS, Job, Run, decode, encode, read_facts, read_job
from tabbench.resources import LIMITS

FORMAT = 3
AS_IT_IS = 2  # the earliest format that need not be changed to be read
LOCKED_SECONDS = 60.0  # patience with others that write to the file
NAME = "store.sqlite"
EMPTY_BYTES = 4096  # a page: no table yet
STATUSES = ("ok", "failed", "timeout", "memory", "unsupported")
_META = "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)"
_SCHEMA = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, job TEXT NOT NULL, status TEXT NOT NULL,
    reason TEXT NOT NULL, details TEXT NOT NULL, facts TEXT NOT NULL, limits TEXT NOT NULL, proba BLOB NOT NULL,
    sha256 TEXT NOT NULL
)
"""
_EXPECTED = {" ".join(text.split()) for text in (_META, _SCHEMA, "CREATE TABLE sqlite_sequence(name,seq)")}
_FORMAT_1 = ["key", "job", "status", "reason", "details", "facts", "limits", "proba", "proba_sha256"]  # columns
IDENTITY = {
    **dict.fromkeys(["key", "task"], str),
    **dict.fromkeys(["repeat", "fold"], "int64"),
    **dict.fromkeys(["model", "config"], str),
    **dict.fromkeys(["seed", "threads"], "int64"),
    **{"max_rows": "Int64", "row_policy": str, "max_columns": "Int64", "column_policy": str},
}
TIMES = ["fit_seconds", "predict_seconds", "fit_cpu_seconds", "predict_cpu_seconds", "peak_rss_mb"]
LATER = ["model_mb"]  # columns that earlier versions did not record: there where a job has one

MISFIT = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)  # what reading impossible values raises
DAMAGE = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)  # not: locked, full, read-only


class DamagedStoreError(UserError):
    """The file is no intact store; see `tabbench.store.repair`."""


class Row(NamedTuple):
    """A row as it is in the file, but for its id and hash; job, facts and limits are JSON, proba is the bytes of `job.encode`."""

    key: str
    job: str
    status: str
    reason: str
    details: str
    facts: str
    limits: str
    proba: bytes


CONTENT = ", ".join(Row._fields)  # what the hash of a row covers, in this order


class Stored(NamedTuple):
    """A job of the store, under its key, and what came back."""

    key: str
    job: Job
    run: Run


class ResultStore:
    """Append, resume and read runs; raises UserError if the file is no store or of a newer format."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._reading("cannot be opened as a result store"):
            self._db = _connect(path)
            found = self._format()
            if found < AS_IT_IS:
                self._upgrade()
        if found > FORMAT:
            raise UserError(f"{path}: format {found} was written by a newer tabbench: upgrade it")
        self._place = _identity(path)
        self._added: dict[str, str] = {}  # by key the hash of what was added here

    def __enter__(self) -> "ResultStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it."""
        try:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:
            pass  # a full disk or another reader: the log stays beside the file and is part of it
        self._db.close()

    def _format(self) -> int:
        """Format of the file; 0 if it is new."""
        if self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is None:
            self._check_schema(0)
            return 0
        row = self._db.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
        found = int(row[0]) if row else 0
        if found <= FORMAT:
            self._check_schema(found)
        return found

    def _check_schema(self, found: int) -> None:
        """Raise UserError if the file has anything but our tables: somebody's trigger or view would act when we write or read."""
        for kind, name, of, text in self._db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"):
            is_key = kind == "index" and text is None and of in ("runs", "meta")
            is_old = found == 1 and (kind, name) == ("table", "runs") and self._columns(name) == _FORMAT_1
            if not (is_key or is_old or " ".join(str(text).split()) in _EXPECTED):
                raise UserError(
                    f"{self.path}: holds the {kind} {str(name)[:60]!r}, which no store of ours has: take another folder"
                )

    def _columns(self, table: str) -> list[str]:
        return [str(name) for _, name, *_, hidden in self._db.execute(f"PRAGMA table_xinfo({table})") if not hidden]

    def _upgrade(self) -> None:
        """Make a new file a store, or bring format 1 to the present one, in one transaction; of two runners one does it."""
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            found = self._format()
            if found >= AS_IT_IS:
                return
            if found == 0:
                self._db.execute(_META)
            if found == 1:
                self._db.execute("ALTER TABLE runs RENAME TO runs_1")
            self._db.execute(_SCHEMA)
            if found == 1:
                for *row, old in self._db.execute(f"SELECT {CONTENT}, proba_sha256 FROM runs_1"):
                    content = Row(*row)
                    intact = hashlib.sha256(content.proba).hexdigest() == old
                    self._insert(content, row_digest(content) if intact else old)
                self._db.execute("DROP TABLE runs_1")
            self._stamp()

    def _stamp(self) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('format', ?)", (str(FORMAT),))

    def _insert(self, row: Row, digest: str) -> None:
        marks = ",".join("?" * (len(row) + 1))
        self._db.execute(f"INSERT OR REPLACE INTO runs ({CONTENT}, sha256) VALUES ({marks})", (*row, digest))

    def add(self, job: Job, run: Run, limits: dict[str, float]) -> None:
        """Record one run, replacing an earlier one of the same job, in one transaction."""
        row = run_row(job, run, limits)
        self.add_row(row, row_digest(row))

    def add_row(self, row: Row, digest: str) -> None:
        """Record a row as `rows` gives it; raises UserError if that fails, e.g. on a full disk."""
        self._check_place()
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._check_schema(FORMAT)
                self._stamp()
                self._insert(row, digest)
        except sqlite3.Error as error:
            raise UserError(f"{self.path}: cannot write ({error}): what was stored is safe; run the same command again") from None
        self._added[row.key] = digest

    def _check_place(self) -> None:
        if _identity(self.path) != self._place:
            raise UserError(f"{self.path}: has vanished, or another file is in its place: run the same command again")

    def require(self, keys: Iterable[str]) -> None:
        """Raise UserError unless there is an intact run of every one of these jobs, those added here as they were added."""
        self._check_place()
        with self._reading():
            self._check_schema(FORMAT)
            held = dict(self._db.execute("SELECT key, sha256 FROM runs"))
        wanted = set(keys)
        changed = {key for key, digest in self._added.items() if held.get(key, digest) != digest}
        gone = {key for key in wanted | self._added.keys() if key not in held}
        if gone or changed:
            raise UserError(
                f"{self.path}: {len(gone)} of {len(wanted)} results are missing and {len(changed)} were changed by something "
                "else: run the same command again"
            )

    def mark(self) -> int:
        """Id of the latest run, for `stored_since`."""
        with self._reading():
            row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'runs'").fetchone()
        return row[0] if row else 0

    def stored_since(self, mark: int, key: str) -> Run | None:
        """The run of a job if one was stored after `mark` was taken (without its predictions), else None."""
        with self._reading():
            row = self._db.execute("SELECT status, reason, facts FROM runs WHERE key = ? AND id > ?", (key, mark)).fetchone()
            if row is None:
                return None
            status, reason, facts = row
            return Run(status, reason, facts=read_facts(facts))

    def outcomes(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Key, status and facts of every run."""
        with self._reading():
            for key, status, facts in self._db.execute("SELECT key, status, facts FROM runs"):
                yield key, status, read_facts(facts)

    def settled(self, limits: dict[str, float], retry_failed: bool) -> set[str]:
        """Keys that need no new attempt.

        Unsupported jobs are looked at again (a package may have been installed); a timeout or memory kill is settled unless
        the limits have grown since; a failure is settled unless `retry_failed`.
        """
        keys = set()
        with self._reading():
            for key, status, old in self._db.execute("SELECT key, status, limits FROM runs"):
                if status in ("timeout", "memory"):
                    again = any(limits[name] > value for name, value in json.loads(old).items())
                else:
                    again = status == "unsupported" or (status == "failed" and retry_failed)
                if not again:
                    keys.add(key)
        return keys

    def proba(self, key: str) -> np.ndarray:
        """(n_test, n_classes) predictions of an ok run; raises UserError if they are absent or do not match their hash."""
        return self.stored(key).run.proba

    def stored(self, key: str) -> Stored:
        """An ok run; raises UserError if it is absent or does not match its hash."""
        with self._reading():
            query = f"SELECT {CONTENT}, sha256 FROM runs WHERE key = ? AND status = 'ok'"
            found = self._db.execute(query, (key,)).fetchone()
        if found is None:
            raise UserError(f"{self.path}: no predictions of job {key}")
        row, digest = Row(*found[:-1]), found[-1]
        if not is_intact(row, digest):
            raise UserError(f"{self.path}: the predictions of job {key} are damaged")
        return _stored(row)

    def trials(self) -> list[dict[str, Any]]:
        """Return what `replay` needs of every job, by the names of the results table.

        Besides: base (the model's name), model (without its configuration), trial and seconds (all that the trial took).
        """
        trials = []
        with self._reading():
            for key, text, status, reason, facts, limits in self._db.execute(
                "SELECT key, job, status, reason, facts, limits FROM runs"
            ):
                job, known = read_job(text), read_facts(facts)
                seconds = known.get("fit_seconds", 0.0) + known.get("predict_seconds", 0.0)
                seconds = json.loads(limits)["seconds"] if status == "timeout" else known.get("trial_seconds", seconds)
                names = {"base": job.model, "model": job.contender, "seconds": seconds}
                trials.append({"key": key, **asdict(job), **names, "status": status, "reason": reason, **known})
        return trials

    def curves(self) -> Iterator[Stored]:
        """Every intact run that has a curve, by key."""
        with self._reading():
            query = f"SELECT {CONTENT}, sha256 FROM runs WHERE facts LIKE '%\"n_curve\"%' AND status = 'ok' ORDER BY key"
            for *row, digest in self._db.execute(query):
                if is_intact(Row(*row), digest):
                    yield _stored(Row(*row))

    def rows(self) -> Iterator[tuple[Row, str]]:
        """Every row by key, with its hash."""
        with self._reading():
            for *row, digest in self._db.execute(f"SELECT {CONTENT}, sha256 FROM runs ORDER BY key"):
                yield Row(*row), digest

    def runs(self) -> Iterator[Stored]:
        """Every intact run, by key."""
        return (_stored(row) for row, digest in self.rows() if is_intact(row, digest))

    def damaged(self) -> dict[str, str]:
        """Runs that do not match their hash: key → what it was, as far as it can be read."""
        return {row.key: _name(row) for row, digest in self.rows() if not is_intact(row, digest)}

    def remove(self, keys: Iterable[str]) -> None:
        """Forget runs, so that their jobs are missing again."""
        with self._reading(), self._db:
            self._db.executemany("DELETE FROM runs WHERE key = ?", ((key,) for key in keys))

    def results(self, metrics: list[str]) -> pd.DataFrame:
        """The results table: one row per job, sorted by task, repeat, fold and model; unknown values are missing."""
        with self._reading():
            return as_table(self._facts(), metrics)

    def _facts(self) -> Iterator[dict[str, Any]]:
        for key, job, status, reason, facts in self._db.execute("SELECT key, job, status, reason, facts FROM runs"):
            made = read_job(job)
            yield {"key": key, **asdict(made), "model": made.entrant, "status": status, "reason": reason, **read_facts(facts)}

    @contextmanager
    def _reading(self, trouble: str = "cannot be read") -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            kind = DamagedStoreError if error.sqlite_errorcode & 0xFF in DAMAGE else UserError
            raise kind(f"{self.path}: {trouble} ({error})") from None
        except MISFIT as error:
            raise DamagedStoreError(
                f"{self.path}: {trouble} (damaged: {one_line(error)}): `tabbench run` again does lost jobs again"
            ) from None


def column_types(numbers: Iterable[str]) -> dict[str, Any]:
    """The columns of the results table in their order, with their types; numbers : metrics and the like, after the times."""
    floats = dict.fromkeys([*TIMES, *numbers], "float64")
    return {**IDENTITY, "status": str, "reason": str, **dict.fromkeys(COUNTS, "Int64"), "note": str, **floats}


def as_table(rows: Iterable[dict[str, Any]], metrics: list[str]) -> pd.DataFrame:
    """Rows in the columns, types and order of the results table."""
    rows = list(rows)
    later = [name for name in LATER if any(name in row for row in rows)]
    types = column_types([*later, *metrics])
    frame = pd.DataFrame([{"note": "", **row} for row in rows], columns=list(types), dtype=object).astype(types)
    return frame.sort_values(["task", "repeat", "fold", "model", "key"], ignore_index=True)


def _connect(path: Path) -> sqlite3.Connection:
    real = path.resolve()
    if path.exists() and not os.access(real.parent, os.W_OK):  # a read-only medium: no log can be kept beside the file
        db = sqlite3.connect(f"file:{quote(str(real))}?immutable=1", uri=True)
    else:
        _let_no_journal_act(path)
        db = sqlite3.connect(path, timeout=LOCKED_SECONDS)
        _patiently(lambda: db.execute("PRAGMA journal_mode=WAL"))
        db.execute("PRAGMA synchronous=NORMAL")  # a kill loses nothing; a power cut may lose the last runs, never the file
    db.execute("PRAGMA cell_size_check=ON")
    db.execute("PRAGMA trusted_schema=OFF")  # the file may be a stranger's
    db.text_factory = lambda raw: raw.decode(errors="backslashreplace")  # a damaged text is read, and fails its hash
    return db


def _let_no_journal_act(path: Path) -> None:
    """Raise UserError for a store with a rollback journal, which may name any file of ours for SQLite to delete.

    A store has a write-ahead log instead; a kill in its very first moment leaves a journal beside an empty file: that is removed.
    """
    journal = path.with_name(f"{path.name}-journal")
    if not os.path.lexists(journal):
        return
    if path.exists() and path.stat().st_size > EMPTY_BYTES:
        raise UserError(f"{journal}: is a rollback journal, which no store of ours has: remove it, or take another folder")
    journal.unlink(missing_ok=True)


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another that takes its name; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _patiently(action: Callable[[], object]) -> None:
    """Do what SQLite refuses, without waiting for its timeout, while another process does the same to the file."""
    deadline = time.monotonic() + LOCKED_SECONDS
    while True:
        try:
            action()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def run_row(job: Job, run: Run, limits: dict[str, float]) -> Row:
    """The row of a run."""
    head, arrays = encode(run)
    texts = (run.status, storable(run.reason), storable(run.details), json.dumps(head["facts"]), json.dumps(limits))
    return Row(job.key, json.dumps(asdict(job)), *texts, arrays)


def row_digest(row: Row) -> str:
    """SHA-256 over the columns of a row."""
    *texts, arrays = row
    sha = hashlib.sha256(json.dumps(texts).encode())
    sha.update(arrays)
    return sha.hexdigest()


def is_intact(row: Row, digest: str) -> bool:
    """Whether a row matches its hash, and says something possible: a hash is made to fit easily."""
    try:
        return row_digest(row) == digest and _stored(row).run.status in STATUSES
    except MISFIT:  # a column of another type than was written, say
        return False


def _stored(row: Row) -> Stored:
    head = {"status": row.status, "reason": row.reason, "details": row.details, "facts": read_facts(row.facts)}
    limits = json.loads(row.limits)
    known = {"seconds", "memory_mb"} <= limits.keys() <= LIMITS
    if not known or not all(type(value) in (int, float) for value in limits.values()):
        raise ValueError(f"its limits are {str(limits)[:60]}")
    return Stored(row.key, read_job(row.job), decode(head, row.proba))


def _name(row: Row) -> str:
    try:
        return str(read_job(row.job))
    except MISFIT:
        return f"job {row.key}"
