"""Classifiers that misbehave, each in one way; the runner must outlive them all."""

import os
import signal
import sys
import time

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
        self.blocks = []
        while True:
            self.blocks.append(np.ones(4_000_000))


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


class KillsTheServer(_Base):
    """Kills what its keeper was forked from."""

    def fit(self, X, y):
        psutil.Process(os.getppid()).parent().kill()
        time.sleep(60)


class KillsTheServerOnce(KillsTheServer):
    def fit(self, X, y):
        try:
            os.close(os.open(os.environ["KILLED_ONCE"], os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return _Base.fit(self, X, y)
        return super().fit(X, y)


class IgnoresSigterm(_Base):
    def fit(self, X, y):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(1)


class ForkBomb(_Base):
    def fit(self, X, y):
        give_up = time.monotonic() + 20  # whatever becomes of the limits, the machine is to survive the test
        while time.monotonic() < give_up:
            os.fork()
            time.sleep(0.2)
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
    """Slow enough to be caught in the middle of a run."""

    def fit(self, X, y):
        time.sleep(0.7)
        return super().fit(X, y)


LIMITED = Model("limited", lambda seed, threads: LabelsOnly(), Needs(), Limits(classes=10), ())
