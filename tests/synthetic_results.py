"""A results table and manifest as a run would leave them, from a seed."""

import numpy as np
import pandas as pd

from tabbench.metrics import METRICS

MODELS = {
    "dummy": 0.0,
    "tree": 0.25,
    "knn": 0.3,
    "logreg": 0.33,
    "mlp": 0.37,
    "random_forest": 0.4,
    "lightgbm": 0.41,
    "catboost": 0.43,
}


def make_results(n_tasks: int = 12, seed: int = 0, sizes: tuple[int | None, ...] = (None,)) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for t in range(n_tasks):
        hardness, n = rng.uniform(0.5, 1.1), int(10 ** rng.uniform(2.2, 4.5))
        for fold in range(3):
            for model, skill in MODELS.items():
                for size in sizes:
                    auc = float(np.clip(0.5 + skill * hardness + 0.02 * rng.normal() - (0.05 if size else 0), 0.5, 1))
                    row = {"key": f"{t}-{fold}-{model}-{size}", "task": f"task{t:02}", "repeat": 0, "fold": fold}
                    row |= {
                        "model": f"{model} [stratified {size} rows]" if size else model,
                        "config": "{}",
                        "seed": 0,
                        "threads": 1,
                    }
                    row |= {
                        "max_rows": size,
                        "row_policy": "stratified" if size else "",
                        "max_columns": None,
                        "column_policy": "",
                    }
                    row |= {"status": "ok", "reason": "", "n_train": 2 * n, "n_train_used": size or 2 * n, "n_test": n}
                    row |= {"n_features": 10, "n_features_used": 10, "n_classes": 2 + t % 3, "note": ""}
                    row |= {"fit_seconds": rng.lognormal(3 * skill), "predict_seconds": rng.lognormal(0), "peak_rss_mb": 300.0}
                    row |= {"fit_cpu_seconds": 1.0, "predict_cpu_seconds": 1.0}
                    row |= {name: auc if metric.greater_is_better else 1 - auc for name, metric in METRICS.items()}
                    rows.append(row)
    frame = pd.DataFrame(rows).astype({"max_rows": "Int64", "max_columns": "Int64"})
    spoil(frame, "mlp", "task01", "timeout", "stopped after the time limit of 60 s")
    spoil(frame, "tree", "task02", "failed", "ValueError: <b>odd</b> input")
    spoil(frame, "knn", "task03", "unsupported", "5000 rows exceed the limit of 10")
    frame.loc[(frame["model"] == "mlp") & (frame["task"] == "task04"), ["n_train_used", "note"]] = [
        100,
        "100 of 900 rows (stratified)",
    ]
    return frame


def spoil(frame: pd.DataFrame, model: str, task: str, status: str, reason: str) -> None:
    rows = (frame["model"] == model) & (frame["task"] == task)
    frame.loc[rows, ["status", "reason"]] = [status, reason]
    frame.loc[rows, [*METRICS, "fit_seconds", "predict_seconds", "fit_cpu_seconds", "predict_cpu_seconds"]] = np.nan


def make_manifest(results: pd.DataFrame) -> dict:
    sizes = results.groupby("task")[["n_train", "n_test", "n_features", "n_classes"]].first()
    tasks = [
        {
            "name": name,
            "n_rows": int(row["n_train"] + row["n_test"]),
            "n_features": int(row["n_features"]),
            "n_categorical": 3 * (i % 2),
            "n_missing": 10 * (i % 3),
            "n_classes": int(row["n_classes"]),
            "minority_share": 0.2,
            "digest": "0" * 64,
            "title": f"Table {name} & others",
            "source": "synthetic",
            "licence": "none",
        }
        for i, (name, row) in enumerate(sizes.iterrows())
    ]
    return {
        "format": 1,
        "run": {
            "suite": "synthetic",
            "folds": 3,
            "repeats": 1,
            "seed": 0,
            "threads": 1,
            "workers": 2,
            "time_limit": 60.0,
            "memory_limit": 0,
        },
        "tasks": tasks,
        "missing_tasks": [{"name": "gone", "reason": "gone: no such <file>"}],
        "environment": {
            "tabbench": "0.1.0",
            "python": "3.11",
            "platform": "Linux",
            "cpu": "some",
            "cores": 2,
            "memory_mb": 8000,
            "packages": {"numpy": "2.0"},
        },
        "git": {"commit": "0123456789abcdef", "dirty": False},
        "argv": ["tabbench", "run", "--suite", "synthetic"],
        "started": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T00:10:00+00:00",
    }
