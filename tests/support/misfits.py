"""Classifiers that break one requirement of `tabbench.testing` each."""

import os

import numpy as np
from sklearn.naive_bayes import GaussianNB


class Unpicklable(GaussianNB):
    """Breaks none: pickling is not asked for."""

    def __reduce_ex__(self, protocol):
        raise TypeError("holds a connection that cannot be pickled")


class SumsToTwo(GaussianNB):
    def predict_proba(self, X):
        return 2 * super().predict_proba(X)


class Swapped(GaussianNB):
    def predict_proba(self, X):
        return super().predict_proba(X)[:, ::-1]


class Labels(GaussianNB):
    predict_proba = property()


class CountsToFour(GaussianNB):
    """Believes in four classes."""

    def predict_proba(self, X):
        proba = super().predict_proba(X)
        return np.pad(proba, [(0, 0), (0, 4 - proba.shape[1])])


class Moody(GaussianNB):
    def predict_proba(self, X):
        proba = super().predict_proba(X) + np.random.default_rng().random((len(X), len(self.classes_)))
        return proba / proba.sum(axis=1, keepdims=True)


class LooksAround(GaussianNB):
    """Standardises what it predicts by itself."""

    def predict_proba(self, X):
        return super().predict_proba((X - X.mean(axis=0)) / (X.std(axis=0) + 1e-9))


class RefusesOneColumn(GaussianNB):
    def fit(self, X, y):
        if X.shape[1] < 3:
            raise ValueError("three columns\nat least")
        return super().fit(X, y)


class AtHomeOnly(GaussianNB):
    """Works in the process that has set a variable at run time only."""

    def fit(self, X, y):
        os.environ["NEVER_EXPORTED"]
        return super().fit(X, y)


class Reversed(GaussianNB):
    """No misfit: its columns follow its classes_, which stand the other way round."""

    def fit(self, X, y):
        super().fit(X, y)
        self.inner_ = GaussianNB().fit(X, y)
        self.classes_ = self.classes_[::-1]
        return self

    def predict_proba(self, X):
        return self.inner_.predict_proba(X)[:, ::-1]
