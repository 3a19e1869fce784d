"""A results table and manifest as a run would leave them, from a seed: close and clear models, failures, limits, subsampling."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tabbench.metrics import METRICS
from tabbench.store.importers import family_by_name

SKILL = {
    "dummy": 0.0,
    "tree": 0.25,
    "knn": 0.3,
    "logreg": 0.33,
    "svm": 0.36,
    "mlp": 0.37,
    "random_forest": 0.4,
    "xgboost": 0.41,
    "lightgbm": 0.412,
    "pfn": 0.42,
    "catboost": 0.43,
}
MODELS = list(SKILL)
TIMES = ["fit_seconds", "predict_seconds", "fit_cpu_seconds", "predict_cpu_seconds"]


def make_results(
    n_tasks: int = 12,
    seed: int = 0,
    sizes: tuple[int | None, ...] = (None,),
    models: list[str] = MODELS,
    n_folds: int = 3,
    metrics: Sequence[str] = tuple(METRICS),
) -> pd.DataFrame:
    """Folds of each task; on the first tasks one model each times out, fails, is unsupported or cut to 1,024 rows."""
    rng = np.random.default_rng(seed)
    rows = []
    for t in range(n_tasks):
        hardness, n = rng.uniform(0.5, 1.1), int(10 ** rng.uniform(2.2, 4.3))
        liking = {model: 0.05 * rng.normal() for model in MODELS}
        for fold in range(n_folds):
            rows += [_row(rng, t, fold, m, size, hardness + liking[m], n) for m in models for size in sizes]
    frame = pd.DataFrame(rows).astype({"max_rows": "Int64", "max_columns": "Int64"})
    frame[[name for name in METRICS if name not in metrics]] = np.nan
    spoil(frame, "mlp", "task01", "timeout", "stopped after the time limit of 60 s")
    spoil(frame, "tree", "task02", "failed", "ValueError: <b>odd</b> input")
    spoil(frame, "knn", "task03", "unsupported", "5000 rows exceed the limit of 10")
    spoil(frame, "svm", "task02", "memory", "needed more than 4,000 MB", folds=(1,))
    cut = (frame["model"] == "pfn") & (frame["n_train"] > 1024)
    frame.loc[cut, "n_train_used"] = 1024
    frame.loc[cut, "note"] = [f"1,024 of {n:,} rows (stratified)" for n in frame.loc[cut, "n_train"]]
    return frame


def _row(rng, t, fold, model, size, hardness, n):
    auc = float(np.clip(0.5 + SKILL[model] * hardness + 0.01 * rng.normal() - (0.05 if size else 0), 0.4, 1))
    row = {"key": f"{t}-{fold}-{model}-{size}", "task": f"task{t:02}", "repeat": 0, "fold": fold}
    row |= {"model": f"{model} [stratified {size} rows]" if size else model, "config": "{}", "seed": 0, "threads": 1}
    row |= {"max_rows": size, "row_policy": "stratified" if size else "", "max_columns": None, "column_policy": ""}
    row |= {"status": "ok", "reason": "", "n_train": 2 * n, "n_train_used": min(size or 2 * n, 2 * n), "n_test": n, "note": ""}
    row |= {"n_features": 4 + t, "n_features_used": 4 + t, "n_classes": 2 + t % 3}
    row |= {"fit_seconds": n / 1000 * rng.lognormal(12 * SKILL[model] - 4), "fit_cpu_seconds": 1.0, "peak_rss_mb": 300.0}
    row |= {"predict_seconds": n / 1000 * rng.lognormal(-3), "predict_cpu_seconds": 1.0}
    return row | {name: auc if metric.greater_is_better else 1 - auc for name, metric in METRICS.items()}


def spoil(frame: pd.DataFrame, model: str, task: str, status: str, reason: str, folds: Sequence[int] = range(10)) -> None:
    """Make the jobs of a model on a task end badly, in place."""
    rows = (frame["model"] == model) & (frame["task"] == task) & frame["fold"].isin(folds)
    frame.loc[rows, ["status", "reason"]] = [status, reason]
    frame.loc[rows, [*METRICS, *TIMES]] = np.nan


def make_manifest(results: pd.DataFrame) -> dict:
    """A manifest that fits the results; task00 has a link, task01 one that must not become a link."""
    sizes = results.groupby("task")[["n_train", "n_test", "n_features", "n_classes"]].first()
    urls = {"task00": "https://example.org/task00", "task01": "javascript:alert(1)"}
    tasks = [
        {
            "name": name,
            "n_rows": int(row["n_train"] + row["n_test"]),
            "n_features": int(row["n_features"]),
            "n_categorical": 3 * (i % 2),
            "n_missing": 10 * (i % 3),
            "n_classes": int(row["n_classes"]),
            "minority_share": 0.02 + 0.4 * (i % 5) / 5,
            "digest": f"{i:064x}",
            "title": f"Table {name} & others",
            "source": "synthetic",
            "licence": "CC BY 4.0",
            "openml_id": 40 + i if i % 2 else None,
            "url": urls.get(name),
        }
        for i, (name, row) in enumerate(sizes.iterrows())
    ]
    run = {"suite": "synthetic", "folds": 3, "repeats": 1, "seed": 0, "threads": 1, "workers": 2, "time_limit": 60.0}
    machine = {"python": "3.11", "platform": "Linux", "cpu": "some processor", "cores": 2, "memory_mb": 8000}
    families = {name: family_by_name(name) for name in results["model"].unique()}
    return {
        "format": 1,
        "families": families,
        "run": {**run, "memory_limit": 0},
        "tasks": tasks,
        "missing_tasks": [{"name": "gone", "reason": "gone: no such <file>"}],
        "environment": {"tabbench": "0.1.0", **machine, "packages": {"numpy": "2.0"}},
        "git": {"commit": "0123456789abcdef", "dirty": False},
        "argv": ["tabbench", "run", "--data", "my table.csv"],
        "started": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T00:10:00+00:00",
    }
