"""Classifiers that misbehave, each in one way; the runner must outlive them all."""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
from sklearn.base import BaseEstimator, ClassifierMixin

from tabbench.models import Limits, Model, Needs


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


LIMITED = Model("limited", lambda seed, threads: LabelsOnly(), Needs(), Limits(classes=10), ())
