"""ResultStore: the runs of a result folder in one SQLite file (WAL), which survives a kill at any moment.

Format 1. Table `runs`: key (the job's content hash), job (JSON), status, reason, details, facts (JSON: counts, times, metrics),
limits (JSON: seconds, memory_mb), proba (float64, row-major, n_test × n_classes), proba_sha256. A run and its predictions are
one row, so they appear together or not at all. Table `meta`: format.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tabbench.errors import UserError
from tabbench.execute import Run
from tabbench.job import Job

FORMAT = 1
STATUSES = ("ok", "failed", "timeout", "memory", "unsupported")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    key TEXT PRIMARY KEY, job TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL, details TEXT NOT NULL,
    facts TEXT NOT NULL, limits TEXT NOT NULL, proba BLOB NOT NULL, proba_sha256 TEXT NOT NULL
);
"""
IDENTITY = {
    **dict.fromkeys(["key", "task"], str),
    **dict.fromkeys(["repeat", "fold"], "int64"),
    **dict.fromkeys(["model", "config"], str),
    **dict.fromkeys(["seed", "threads"], "int64"),
    **{"max_rows": "Int64", "row_policy": str, "max_columns": "Int64", "column_policy": str},
}
COUNTS = ["n_train", "n_train_used", "n_test", "n_features", "n_features_used", "n_classes"]
TIMES = ["fit_seconds", "predict_seconds", "fit_cpu_seconds", "predict_cpu_seconds", "peak_rss_mb"]


class ResultStore:
    """Append, resume and read runs; raises UserError if the file is no store or of a newer format."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._db = sqlite3.connect(path, timeout=60)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.executescript(_SCHEMA)
            self._db.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (str(FORMAT),))
            self._db.commit()
            found = self._db.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()[0]
        except sqlite3.Error as error:
            raise UserError(f"{path}: cannot be opened as a result store ({error})") from None
        if int(found) > FORMAT:
            raise UserError(f"{path}: format {found} was written by a newer tabbench: upgrade it")

    def __enter__(self) -> "ResultStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()

    def add(self, job: Job, run: Run, limits: dict[str, float]) -> None:
        """Record one run, replacing an earlier one of the same job, in one transaction."""
        proba = np.ascontiguousarray(run.proba, np.float64).tobytes()
        digest = hashlib.sha256(proba).hexdigest()
        texts = (
            json.dumps(asdict(job)),
            run.status,
            run.reason,
            run.details[-20_000:],
            json.dumps(run.facts),
            json.dumps(limits),
        )
        try:
            with self._db:
                self._db.execute("INSERT OR REPLACE INTO runs VALUES (?,?,?,?,?,?,?,?,?)", (job.key, *texts, proba, digest))
        except sqlite3.Error as error:
            raise UserError(f"{self.path}: cannot write ({error}): what was stored is safe; run the same command again") from None

    def settled(self, limits: dict[str, float], retry_failed: bool) -> set[str]:
        """Keys that need no new attempt.

        Unsupported jobs are looked at again (a package may have been installed); a timeout or memory kill is settled unless
        the limits have grown since; a failure is settled unless `retry_failed`.
        """
        keys = set()
        for key, status, old in self._db.execute("SELECT key, status, limits FROM runs"):
            grown = any(limits[name] > value for name, value in json.loads(old).items())
            again = {"ok": False, "failed": retry_failed, "unsupported": True}.get(status, grown)
            if not again:
                keys.add(key)
        return keys

    def proba(self, key: str) -> np.ndarray:
        """(n_test, n_classes) predictions of an ok run; raises UserError if they are absent or do not match their hash."""
        row = self._db.execute("SELECT proba, proba_sha256, facts FROM runs WHERE key = ? AND status = 'ok'", (key,)).fetchone()
        if row is None:
            raise UserError(f"{self.path}: no predictions of job {key}")
        if hashlib.sha256(row[0]).hexdigest() != row[1]:
            raise UserError(f"{self.path}: the predictions of job {key} are damaged")
        return np.frombuffer(row[0]).reshape(json.loads(row[2])["n_test"], -1)

    def _rows(self) -> Iterator[dict[str, Any]]:
        for key, job, status, reason, facts in self._db.execute("SELECT key, job, status, reason, facts FROM runs"):
            values = json.loads(job)
            entrant = Job(**values).entrant
            yield {"key": key, **values, "model": entrant, "status": status, "reason": reason, **json.loads(facts)}

    def results(self, metrics: list[str]) -> pd.DataFrame:
        """The results table: one row per job, sorted by task, repeat, fold and model; unknown values are missing."""
        floats = dict.fromkeys([*TIMES, *metrics], "float64")
        types = {**IDENTITY, "status": str, "reason": str, **dict.fromkeys(COUNTS, "Int64"), "note": str, **floats}
        rows = [{"note": "", **row} for row in self._rows()]
        frame = pd.DataFrame(rows, columns=list(types), dtype=object).astype(types)
        return frame.sort_values(["task", "repeat", "fold", "model", "key"], ignore_index=True)
