"""Classifiers that misbehave, each in one way; the runner must outlive them all."""

import gc
import json
import os
import signal
import sqlite3
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
from sklearn.base import BaseEstimator, ClassifierMixin

from tabbench.models import Limits, Model, Needs
from tabbench.models.space import Range


class _Base(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


class Raises(_Base):
    def fit(self, X, y):
        raise RuntimeError("two lines\nof trouble")


class Hangs(_Base):
    def fit(self, X, y):
        while True:
            time.sleep(1)


class Allocates(_Base):
    def fit(self, X, y):
        self.blocks = [np.ones(4_000_000) for _ in range(32)]  # a GB; the machine is to survive the test if nobody looks
        time.sleep(600)


class Exits(_Base):
    def fit(self, X, y):
        os._exit(7)


class Segfaults(_Base):
    def fit(self, X, y):
        os.kill(os.getpid(), signal.SIGSEGV)


class KillsItsKeeper(_Base):
    def fit(self, X, y):
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)


class KillsItself(_Base):
    def fit(self, X, y):
        os.kill(os.getpid(), signal.SIGKILL)


class KillsItselfOnce(KillsItself):
    def fit(self, X, y):
        return super().fit(X, y) if _is_first(self) else _Base.fit(self, X, y)


class KillsTheServer(_Base):
    """Kills what its keeper was forked from."""

    def fit(self, X, y):
        with suppress(psutil.Error):  # it has died before, as the keeper has
            server = psutil.Process(os.getppid()).parent()
            if server and "multiprocessing.forkserver" in " ".join(server.cmdline()):
                server.kill()
        time.sleep(60)


class KillsTheServerOnce(KillsTheServer):
    def fit(self, X, y):
        return super().fit(X, y) if _is_first(self) else _Base.fit(self, X, y)


class KillsItsKeeperOnce(KillsItsKeeper):
    def fit(self, X, y):
        return super().fit(X, y) if _is_first(self) else _Base.fit(self, X, y)


def _is_first(model):
    """Whether no other of its class has asked, by a file of the folder ASKED."""
    try:
        os.close(os.open(Path(os.environ["ASKED"], type(model).__name__), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


class IgnoresSigterm(_Base):
    def fit(self, X, y):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(1)


class ForkBomb(_Base):
    def fit(self, X, y):
        for _ in range(7):  # 128 processes, which the machine survives whatever becomes of the limits
            os.fork()
            time.sleep(0.2)
        time.sleep(600)
        os._exit(0)


class Daemonises(_Base):
    """Ends well, but for a process of a session of its own that would never end."""

    def fit(self, X, y):
        if os.fork() == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(3600)
        os.wait()
        return super().fit(X, y)


class FloodsStdout(_Base):
    def fit(self, X, y):
        for _ in range(2000):
            print("x" * 10_000)
            print("y" * 10_000, file=sys.stderr)
        return super().fit(X, y)


class RaisesHugely(_Base):
    def fit(self, X, y):
        raise RuntimeError("huge " * 4_000_000)


class PredictsNaN(_Base):
    def predict_proba(self, X):
        return super().predict_proba(X) * np.nan


class WrongShape(_Base):
    def predict_proba(self, X):
        return np.ones((len(X), 1))


class WalksTheStack(_Base):
    """Answers with the labels of the test rows, if they are anywhere in its process."""

    def predict_proba(self, X):
        found = list(self._of_frames())
        k, proba = len(self.classes_), super().predict_proba(X)
        for rows in (value.test for value in found if hasattr(value, "test") and hasattr(value, "train")):
            for y in [*found, *gc.get_objects()]:
                y = getattr(y, "y", y) if type(y).__name__ == "Task" else y
                is_long = isinstance(y, np.ndarray) and y.dtype.kind in "iu" and y.ndim == 1 and len(y) > rows.max()
                if is_long and len(X) >= len(rows) and set(np.unique(y[rows])) == set(range(k)):
                    proba[: len(rows)] = np.eye(k)[y[rows]]
                    return proba
        return proba

    def _of_frames(self):
        frame = sys._getframe()
        while frame:
            yield from list(frame.f_locals.values())
            frame = frame.f_back


class RemovesTheTables(_Base):
    """And damages one that is there again."""

    def fit(self, X, y):
        for file in Path(os.environ["TABBENCH_DATA"], "tasks").iterdir():
            if file.stat().st_size % 2:
                file.write_bytes(b"no table")
            else:
                file.unlink()
        return super().fit(X, y)


class _GetsAtTheStore(_Base):
    """Does something to the file STORE."""

    def fit(self, X, y):
        path = Path(os.environ["STORE"])
        with suppress(OSError, sqlite3.Error):
            self.spoil(path)
        return super().fit(X, y)

    def sql(self, path, statement):
        with sqlite3.connect(path) as db:
            db.execute(statement)


class PlantsATrigger(_GetsAtTheStore):
    def spoil(self, path):
        self.sql(path, "CREATE TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM runs WHERE id < NEW.id; END")


class DeletesRows(_GetsAtTheStore):
    def spoil(self, path):
        self.sql(path, "DELETE FROM runs")


class ForgesRows(_GetsAtTheStore):
    def spoil(self, path):
        self.sql(path, "UPDATE runs SET facts = json_set(facts, '$.accuracy', 1.0), sha256 = 'mine'")


class RemovesTheStore(_GetsAtTheStore):
    def spoil(self, path):
        path.unlink()


class ReplacesTheStore(_GetsAtTheStore):
    def spoil(self, path):
        path.rename(path.with_name("old"))
        path.write_bytes(path.with_name("old").read_bytes())


class WithoutProba(ClassifierMixin, BaseEstimator):
    """Says what ANSWER is for every row."""

    ANSWER: object = 0

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.array([self.ANSWER] * len(X))


class PredictsMinusOne(WithoutProba):
    ANSWER = -1


class PredictsTooMuch(WithoutProba):
    ANSWER = 7


class PredictsHalves(WithoutProba):
    ANSWER = 0.5


class PredictsWords(WithoutProba):
    ANSWER = "yes"


class PredictsText(WithoutProba):
    ANSWER = "1"


class PredictsFloats(WithoutProba):
    ANSWER = 1.0


class ReversesItsClasses(_Base):
    """Sure of the first class, which it has last."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)[::-1]
        return self

    def predict_proba(self, X):
        return np.tile([*[0.0] * (len(self.classes_) - 1), 1.0], (len(X), 1))


class LacksAClass(_Base):
    def fit(self, X, y):
        self.classes_ = np.array([0, 5])
        return self


class RaisesSurrogates(_Base):
    def fit(self, X, y):
        raise RuntimeError("\udc80\x1b[2Jverdict: fine")


class RaisesTheUntellable(_Base):
    def fit(self, X, y):
        class Untellable(Exception):
            def __str__(self):
                raise ValueError

        raise Untellable


class CutsStrangely(_Base):
    """Says of its data what can be no count."""

    def fit(self, X, y):
        from types import SimpleNamespace

        self.subsample_ = SimpleNamespace(n_rows=-5, n_columns=10**30, note={"a": "\udc80"})
        return super().fit(X, y)


class _Answers(_Base):
    """Writes an answer of its own into the pipe, and waits for what becomes of it."""

    ANSWER = b""

    def fit(self, X, y):
        from tests.support.children import begin_to_answer

        begin_to_answer(len(self.ANSWER).to_bytes(8, "little") + self.ANSWER)


COUNTS = {"n_train": 1, "n_train_used": 1, "n_features_used": 1}


def _head(**changes):
    return json.dumps({"status": "ok", "reason": "", "details": "", "facts": COUNTS, **changes}).encode() + b"\n"


ANSWERS = {
    "five": b"5\n",
    "empty": b"",
    "no table": b"no table\n",
    "brackets": b"[" * 200_000,
    "objects": b'{"a":' * 100_000,
    "status": _head(status=5),
    "other status": _head(status="unsupported"),
    "counts": _head(facts={**COUNTS, "n_train": -1}),
    "too many rows": _head(facts={**COUNTS, "n_train": 10**6}),
    "metrics": _head(facts={**COUNTS, "accuracy": 1.0}),
    "infinite": _head(facts={**COUNTS, "fit_seconds": 0.5}).replace(b"0.5", b"1e999"),
    "no number": _head(facts={**COUNTS, "fit_seconds": float("nan")}),
    "surrogate": _head(status="failed", reason="\udc80"),
    "control": _head(status="failed", reason="a\nverdict: fine"),
    "no UTF-8": b'{"status": "\xff"}\n',
    "no predictions": _head(),
    "odd bytes": _head() + b"123",
}
for _name, _answer in ANSWERS.items():
    globals()[f"Answers{_name.title().replace(' ', '')}"] = type(f"Answers{_name}", (_Answers,), {"ANSWER": _answer})


class LabelsOnly(ClassifierMixin, BaseEstimator):
    """Not hostile: it just has no predict_proba."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.common_ = np.bincount(y).argmax()
        return self

    def predict(self, X):
        return np.full(len(X), self.common_)


class Sleeps(LabelsOnly):
    """Slow enough to run beside another."""

    def fit(self, X, y):
        time.sleep(0.7)
        return super().fit(X, y)


class Waits(LabelsOnly):
    """Fits as soon as it has taken a ticket, a file of the folder GATE; at once if there is no such variable."""

    def fit(self, X, y):
        while "GATE" in os.environ and not self._takes_a_ticket():
            time.sleep(0.01)
        return super().fit(X, y)

    def _takes_a_ticket(self):
        for ticket in Path(os.environ["GATE"]).iterdir():
            with suppress(FileNotFoundError):  # another job was faster
                ticket.unlink()
                return True
        return False


SEARCHED = Model("searched", lambda seed, threads, depth=1: LabelsOnly(), Needs(), Limits(), (), space={"depth": Range(1, 9)})
LIMITED = Model("limited", lambda seed, threads: LabelsOnly(), Needs(), Limits(classes=10), ())
