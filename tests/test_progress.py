"""The time left that a run shows, replayed from the times of jobs: events of a clock of our own, no waiting."""

import heapq
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tabbench.engine.costs import GROWTH, learn
from tabbench.engine.progress import Progress

BESIDE = 0.1  # seconds of a job beside fit and predictions
MODELS = {  # floor, factor and exponents of rows, columns and classes, about those of the usual ten on one core
    "dummy": (0.002, 1e-8, 1.0, 0.0, 0.0),
    "logreg": (0.01, 2e-7, 1.1, 0.9, 1.0),
    "knn": (0.004, 3e-7, 1.2, 0.5, 0.0),
    "tree": (0.003, 1e-6, 1.1, 0.8, 0.2),
    "random_forest": (0.12, 3e-5, 1.0, 0.5, 0.2),
    "xgboost": (0.15, 1.5e-4, 0.8, 0.8, 1.0),
    "lightgbm": (0.1, 1e-4, 0.8, 0.6, 1.0),
    "catboost": (0.8, 2e-4, 0.8, 0.7, 1.0),
    "mlp": (0.5, 3e-4, 1.0, 0.2, 0.0),
    "pfn": (0.4, 2e-4, 1.2, 0.2, 0.1),
}


def times(small_first=False):
    """Jobs of ten models on 23 tables × 3 folds, in the order of a run."""
    rng = np.random.default_rng(0)
    tables = [
        (f"t{i:02}", int(np.exp(rng.uniform(4.4, 9.0))), int(np.exp(rng.uniform(1.4, 4.1))), int(rng.choice([2, 2, 3, 5, 10])))
        for i in range(23)
    ]
    if small_first:
        tables.sort(key=lambda table: table[1] * table[2])
    rows = [
        (name, model, fold, n, d, k, (floor + c * n**a * d**b * k**e) * np.exp(0.25 * rng.normal()))
        for name, n, d, k in tables
        for model, (floor, c, a, b, e) in MODELS.items()
        for fold in range(3)
    ]
    return pd.DataFrame(rows, columns=["task", "model", "fold", "n_train", "n_features", "n_classes", "seconds"])


def replay(rows, workers):
    """(time, seconds left as said) at the end of every job, and the time of the last."""
    now = [0.0]
    progress = Progress(quiet=True, workers=workers, clock=lambda: now[0])
    jobs = [
        SimpleNamespace(
            key=str(i), contender=row.model, task_digest=row.task, task=row.task, repeat=0, fold=row.fold, protocol="t"
        )
        for i, row in enumerate(rows.itertuples())
    ]
    progress.begin(jobs, {row.task: (row.n_train, row.n_features, row.n_classes) for row in rows.itertuples()})
    waiting, running, said = iter(zip(jobs, rows["seconds"], strict=True)), [], []
    for number in range(len(jobs) + workers):
        if (begun := next(waiting, None)) is not None:
            heapq.heappush(running, (now[0] + BESIDE + begun[1], number, *begun))
        if len(running) == workers or (begun is None and running):
            now[0], _, job, seconds = heapq.heappop(running)
            progress.last_shown = np.inf
            facts = {"fit_seconds": 0.9 * seconds, "predict_seconds": 0.1 * seconds, "peak_rss_mb": 100.0}
            progress.advance(job, SimpleNamespace(status="ok", reason="", facts=facts))
            said.append((now[0], progress.seconds_left() if number % 60 == 0 else None))
    return [(moment, left) for moment, left in said if left is not None], now[0]


@pytest.mark.parametrize(("workers", "small_first"), [(1, False), (2, False), (4, False), (2, True)])
def test_the_time_left_is_about_right_from_a_third_on(workers, small_first):
    said, end = replay(times(small_first), workers)
    late = [left / (end - moment) for moment, left in said if end / 3 <= moment <= 0.9 * end]
    assert len(late) > 3
    assert 0.6 < min(late)
    assert max(late) < 1.6


def test_nothing_is_said_before_a_job_has_ended():
    progress = Progress(quiet=True)
    assert progress.seconds_left() is None


def rows_of(seconds, sizes, model="m"):
    frame = pd.DataFrame(sizes, columns=["n_train", "n_features", "n_classes"])
    return frame.assign(model=model, status="ok", fit_seconds=seconds, predict_seconds=0.0, peak_rss_mb=10.0)


def test_small_tables_on_the_floor_tell_nothing_of_growth():
    small = [(n, 5, 2) for n in (50, 60, 80, 100, 120, 150, 200, 250)]
    costs = learn(rows_of([0.5 + 1e-3 * n for n, _, _ in [*small, (2000, 5, 2)]], [*small, (2000, 5, 2)]))
    assert costs.seconds("m", (20_000, 5, 2)) == pytest.approx(20.5, rel=0.35)
    assert costs.seconds("m", (10, 5, 2)) == pytest.approx(0.51, rel=0.35)


def test_one_run_is_enough_to_begin_with():
    costs = learn(rows_of([2.0], [(100, 10, 2)]))
    assert costs.seconds("m", (100, 10, 2)) == pytest.approx(2.0)
    assert 2.0 < costs.seconds("m", (1000, 10, 2)) < 2.0 * 10 ** GROWTH[0] * 1.01
    assert costs.seconds("new", (100, 10, 2)) == pytest.approx(2.0)
    assert np.isnan(learn(rows_of([2.0], [(100, 10, 2)]).assign(status="failed")).seconds("m", (100, 10, 2)))
