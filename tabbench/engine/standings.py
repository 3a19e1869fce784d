"""Standings: who leads so far, told while a run goes on. The leaderboard has intervals; these are plain means."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tabbench.job import Job
from tabbench.metrics import METRICS
from tabbench.stats.ranks import ranked

METRIC = "roc_auc_ovo"  # that of the leaderboard

Fold = tuple[str, int, int]


class Standings:
    """Mean rank of every contender on the folds that all of them have ended, best first; what did not end ok is last there.

    jobs : all of a run, done or not. Trials of a search are not ranked: what is chosen among them is not known yet.
    """

    def __init__(self, jobs: Iterable[Job] = ()) -> None:
        ranked = [job for job in jobs if not job.protocol]
        self.contenders = list(dict.fromkeys(job.contender for job in ranked))
        self.n_tasks = len({job.task for job in ranked})
        self._awaited: dict[Fold, set[str]] = {}
        for job in ranked:
            self._awaited.setdefault(_fold(job), set()).add(job.contender)
        self._scores: dict[Fold, dict[str, float]] = {fold: {} for fold in self._awaited}
        self._ranks: dict[Fold, np.ndarray] = {}

    def add(self, job: Job, status: str, facts: Mapping[str, Any]) -> bool:
        """Take the outcome of a job; return whether a dataset (with one dataset: a fold) is now complete."""
        fold = _fold(job)
        if job.protocol or job.contender not in self._awaited.get(fold, ()):
            return False
        self._awaited[fold].discard(job.contender)
        sign = 1.0 if METRICS[METRIC].greater_is_better else -1.0
        self._scores[fold][job.contender] = sign * float(facts.get(METRIC, np.nan)) if status == "ok" else -np.inf
        if self._awaited[fold]:
            return False
        scores = np.array([self._scores[fold].get(name, -np.inf) for name in self.contenders])
        if not np.isnan(scores).any():  # a fold without a class has no score for anybody
            self._ranks[fold] = ranked(-scores[None])[0]
        same = [other for name, other in self._awaited.items() if name[0] == job.task]
        return self.n_tasks == 1 or not any(same)

    @property
    def n_folds(self) -> int:
        """Folds that are ranked on."""
        return len(self._ranks)

    @property
    def mean_ranks(self) -> list[tuple[str, float]]:
        """Contender and mean rank, best first; empty before the first fold is complete."""
        if not self._ranks:
            return []
        means = np.mean(list(self._ranks.values()), axis=0)
        return [(self.contenders[i], float(means[i])) for i in np.argsort(means, kind="stable")]

    def __str__(self) -> str:
        leaders = ", ".join(f"{name} {rank:.2f}" for name, rank in self.mean_ranks)
        n_tasks = len({fold[0] for fold in self._ranks})
        return f"mean ranks on {self.n_folds} folds of {n_tasks} dataset{'s' * (n_tasks != 1)}: {leaders}"


def _fold(job: Job) -> Fold:
    return job.task, job.repeat, job.fold
