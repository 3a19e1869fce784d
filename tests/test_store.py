import hashlib
import json
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace

import numpy as np
import pytest

from tabbench.errors import UserError
from tabbench.store.runs import ResultStore
from tests.support.runs import JOB, LIMITS, OK


@pytest.fixture
def store(tmp_path):
    with ResultStore(tmp_path / "store.sqlite") as store:
        yield store


def test_round_trip(store):
    store.add(JOB, OK, LIMITS)
    assert store.proba(JOB.key).tolist() == OK.proba.tolist()
    row = store.results(["accuracy", "brier"]).iloc[0]
    assert (row["key"], row["model"], row["status"], row["n_test"], row["accuracy"]) == (JOB.key, "knn", "ok", 3, 0.5)
    assert np.isnan(row["brier"])


def test_results_of_an_empty_store(store):
    frame = store.results(["accuracy"])
    assert len(frame) == 0
    assert {"key", "status", "accuracy", "fit_seconds"} <= set(frame)


def test_order_does_not_depend_on_arrival(store, tmp_path):
    jobs = [replace(JOB, model=model, fold=fold) for model in ("svm", "knn") for fold in (1, 0)]
    for job in jobs:
        store.add(job, OK, LIMITS)
    with ResultStore(tmp_path / "other.sqlite") as other:
        for job in reversed(jobs):
            other.add(job, OK, LIMITS)
        assert store.results(["accuracy"]).equals(other.results(["accuracy"]))


@pytest.mark.parametrize(
    ("status", "limits", "retry", "settled"),
    [
        ("ok", LIMITS, True, True),
        ("failed", LIMITS, False, True),
        ("failed", LIMITS, True, False),
        ("unsupported", LIMITS, False, False),
        ("timeout", LIMITS, True, True),
        ("timeout", {**LIMITS, "seconds": 20.0}, False, False),
        ("memory", {**LIMITS, "memory_mb": 2000.0}, False, False),
    ],
)
def test_what_is_settled(store, status, limits, retry, settled):
    store.add(JOB, replace(OK, status=status), LIMITS)
    assert (JOB.key in store.settled(limits, retry)) is settled


def test_damaged_predictions_are_noticed(store):
    store.add(JOB, OK, LIMITS)
    with store._db:
        store._db.execute("UPDATE runs SET proba = zeroblob(48)")
    with pytest.raises(UserError, match="damaged"):
        store.proba(JOB.key)


@pytest.mark.parametrize(
    "change",
    [
        "proba = zeroblob(48)",
        "facts = replace(facts, '0.5', '0.9')",
        "status = 'failed'",
        "job = CAST(x'ff' AS TEXT)",
        "limits = 3",
    ],
)
def test_a_changed_column_is_noticed_and_its_job_is_missing_again(store, change):
    other = replace(JOB, fold=1)
    store.add(JOB, OK, LIMITS)
    store.add(other, OK, LIMITS)
    with store._db:
        store._db.execute(f"UPDATE runs SET {change} WHERE key = ?", (JOB.key,))
    damaged = store.damaged()
    assert list(damaged) == [JOB.key]
    assert damaged[JOB.key] in ("knn on t, repeat 0, fold 0", f"job {JOB.key}")
    assert [stored.job for stored in store.runs()] == [other]
    store.remove(damaged)
    assert store.settled(LIMITS, False) == {other.key}


def test_what_was_stored_since(store):
    store.add(JOB, replace(OK, status="failed", reason="why"), LIMITS)
    mark = store.mark()
    assert store.stored_since(mark, JOB.key) is None
    store.add(JOB, OK, LIMITS)  # a retry by another runner
    assert store.stored_since(mark, JOB.key).status == "ok"


def format_1(path, n=3):
    """A store as version 0.1.0 wrote it."""
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        db.execute("INSERT INTO meta VALUES ('format', '1')")
        columns = "job TEXT, status TEXT, reason TEXT, details TEXT, facts TEXT, limits TEXT, proba BLOB, proba_sha256 TEXT"
        db.execute(f"CREATE TABLE runs (key TEXT PRIMARY KEY, {columns})")
        for fold in range(n):
            job, proba = replace(JOB, fold=fold), OK.proba.tobytes()
            texts = (json.dumps(asdict(job)), "ok", "", "", json.dumps(OK.facts), json.dumps(LIMITS))
            row = (job.key, *texts, proba, hashlib.sha256(proba).hexdigest())
            db.execute("INSERT INTO runs VALUES (?,?,?,?,?,?,?,?,?)", row)
        db.execute("UPDATE runs SET proba = zeroblob(48) WHERE key = ?", (job.key,))


def test_format_1_is_brought_to_format_2_and_its_damage_stays_known(tmp_path):
    format_1(tmp_path / "old.sqlite")
    for _ in range(2):
        with ResultStore(tmp_path / "old.sqlite") as store:
            assert len(store.results(["accuracy"])) == 3
            assert list(store.damaged().values()) == ["knn on t, repeat 0, fold 2"]
            assert store.proba(JOB.key).tolist() == OK.proba.tolist()


def test_foreign_and_newer_files_are_refused(tmp_path):
    (tmp_path / "text").write_text("not a database, but long enough to be taken for one" * 20)
    with pytest.raises(UserError, match="cannot be opened"):
        ResultStore(tmp_path / "text")
    ResultStore(tmp_path / "new").close()
    with sqlite3.connect(tmp_path / "new") as db:
        db.execute("UPDATE meta SET value = '99'")
    with pytest.raises(UserError, match="newer tabbench"):
        ResultStore(tmp_path / "new")


def test_a_killed_writer_loses_nothing_that_was_added(tmp_path):
    script = (
        "import sys; from dataclasses import replace; from pathlib import Path; from tests.support.runs import *\n"
        "from tabbench.store.runs import ResultStore\n"
        "store = ResultStore(Path(sys.argv[1]))\n"
        "for fold in range(10**6):\n"
        "    store.add(replace(JOB, fold=fold), OK, LIMITS)\n"
        "    print(fold, flush=True)\n"
    )
    path = tmp_path / "store.sqlite"
    writer = subprocess.Popen([sys.executable, "-c", script, path], stdout=subprocess.PIPE, text=True)
    while int(writer.stdout.readline()) < 20:
        time.sleep(0.001)
    writer.kill()
    told = [int(line) for line in writer.stdout.read().split()]
    with ResultStore(path) as store:
        frame = store.results(["accuracy"])
        assert len(frame) >= max(told, default=20) + 1
        assert all(store.proba(key).shape == (3, 2) for key in frame["key"])


def test_a_new_store_waits_for_another_process_that_begins_it(tmp_path):
    other = sqlite3.connect(tmp_path / "store.sqlite", check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    closer = threading.Timer(0.2, other.close)
    closer.start()
    with ResultStore(tmp_path / "store.sqlite") as store:
        assert store.mark() == 0
    closer.join()
