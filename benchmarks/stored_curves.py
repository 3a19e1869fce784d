"""Full learning curves of many configurations, for `benchmarks.early_stopping` to replay.

    python -m benchmarks.stored_curves FOLDER --tables TABLES [--models mlp,xgboost] [--configs 60] [--minutes 30]

TABLES holds a folder a dataset, with data.parquet (features and `target`) and meta.json. Of every table of 400 rows or more that
no network here is tested on, 300 random rows train, 300 validate and up to 1,000 others test (of small ones a third each). A
configuration (the default, then random ones, the same for every table) is fitted once, for all its steps: boosted trees 200
rounds, `mlp` 40 epochs without its patience. FOLDER gets a file a fit: at up to 100 steps the validation and the test log loss,
and the CPU seconds of the fit. What is there is not fitted again; after so many minutes nothing new is begun. The first
configuration of all tables comes before the second, so that what is there when it ends is even.
"""

import argparse
import io
import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from tabbench.data.task import Task, make_task
from tabbench.files import replace_file
from tabbench.metrics import log_loss
from tabbench.models import get_model
from tabbench.models.space import configurations
from tabbench.pfn.evaluate import is_test_set
from tabbench.prepare.preprocess import Preprocessor

MODELS = ("xgboost", "lightgbm", "hist_gbdt", "catboost", "mlp")
N_TRAIN, N_TEST = 300, 1000
ROUNDS, EPOCHS, POINTS = 200, 40, 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tables", type=Path, required=True)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--configs", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--most-tables", type=int, default=20)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    until = time.monotonic() + 60 * args.minutes
    args.folder.mkdir(parents=True, exist_ok=True)
    tasks = tables(args.tables, args.most_tables)
    print(f"{len(tasks)} tables: {', '.join(tasks)}", flush=True)
    for number in range(args.configs):
        for model in args.models.split(","):
            for name, task in tasks.items():
                file = args.folder / f"{name}.{model}.{number:03d}.npz"
                if time.monotonic() > until:
                    return
                if not file.is_file():
                    keep(file, full_curve(task, model, number))
        print(f"{time.strftime('%H:%M')} {number + 1} configurations, {time.process_time():.0f} CPU s", flush=True)


def tables(folder: Path, most: int) -> dict[str, Task]:
    """Tables at hand by name, of few cells first."""
    found = []
    for path in folder.glob("*/meta.json"):
        meta = json.loads(path.read_text(encoding="utf-8"))
        fits = meta["n_rows"] >= 400 and meta["n_classes"] <= 6 and meta["n_features"] <= 60
        if fits and not is_test_set(meta.get("openml_dataset_id"), meta["name"]):
            found.append((meta["n_classes"] * meta["n_features"], meta["name"], path.with_name("data.parquet"), meta))
    return {
        name: make_task(pd.read_parquet(file), "target", name=name, categorical=[*meta.get("categorical", ()), "target"])
        for _, name, file, meta in sorted(found, key=lambda one: one[:2])[:most]
    }


def keep(file: Path, curve: dict[str, np.ndarray]) -> None:
    """Write a curve, whole or not at all."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **curve)
    replace_file(file, lambda temporary: temporary.write_bytes(content.getvalue()))


def full_curve(task: Task, model: str, number: int) -> dict[str, np.ndarray]:
    """Steps, validation and test log loss (n,), the validation loss of class shares, and CPU seconds of one fit."""
    order = np.random.default_rng(0).permutation(len(task.y))
    n = min(N_TRAIN, len(order) // 3)
    train, val, test = order[:n], order[n : 2 * n], order[2 * n : 2 * n + N_TEST]
    present, y = np.unique(task.y[train], return_inverse=True)
    known = [rows[np.isin(task.y[rows], present)] for rows in (val, test)]  # a class without a training row has no loss
    entry = get_model(model)
    assert entry.steps is not None
    config = configurations(model, {}, entry.space, number + 1, 0)[number]
    config[entry.steps.parameter] = EPOCHS if model == "mlp" else ROUNDS
    classifier = entry.build(seed=number, threads=1, **config)
    preprocessor = Preprocessor(entry.needs)
    X = preprocessor.fit_transform(task.X.iloc[train], y)
    parts = [(preprocessor.transform(task.X.iloc[rows]), np.searchsorted(present, task.y[rows])) for rows in known]
    started = time.process_time()
    steps, *losses = FITS[model](classifier, X, y, parts)
    seconds = time.process_time() - started
    keep = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), POINTS)).round().astype(int))
    steps, val_loss, test_loss = np.array([steps, *losses])[:, keep]
    shares = np.bincount(y) / len(y)
    return {
        "steps": steps,
        "val": val_loss,
        "test": test_loss,
        "base": np.array(-np.log(shares[parts[0][1]]).mean()),
        "seconds": np.array(seconds),
    }


def fit_xgboost(classifier, X, y, parts):
    """Steps, validation and test losses of a fit that looks at both; so do the next ones."""
    classifier.set_params(eval_metric="logloss" if y.max() == 1 else "mlogloss")
    classifier.fit(X, y, eval_set=parts, verbose=False)
    losses = [next(iter(part.values())) for part in classifier.evals_result().values()]
    return range(1, ROUNDS + 1), *losses


def fit_lightgbm(classifier, X, y, parts):
    from lightgbm import record_evaluation

    seen: dict = {}
    metric = "binary_logloss" if y.max() == 1 else "multi_logloss"
    classifier.fit(X, y, eval_set=parts, eval_names=["val", "test"], eval_metric=metric, callbacks=[record_evaluation(seen)])
    n = len(seen["val"][metric])
    return range(1, n + 1), seen["val"][metric], seen["test"][metric]


def fit_catboost(classifier, X, y, parts):
    from catboost import CatBoostClassifier

    from tabbench.models.gbdt import _categorical, _fill_categories

    model = CatBoostClassifier(
        **classifier.get_params(), cat_features=_categorical(X), allow_writing_files=False, logging_level="Silent"
    )
    model.fit(_fill_categories(X), y, eval_set=[(_fill_categories(part), codes) for part, codes in parts], use_best_model=False)
    losses = [part["Logloss" if y.max() == 1 else "MultiClass"] for part in list(model.get_evals_result().values())[-2:]]
    return range(1, len(losses[0]) + 1), *losses


def fit_hist_gbdt(classifier, X, y, parts):
    classifier.fit(X, y)
    stages = [classifier[-1].staged_predict_proba(classifier[:-1].transform(part)) for part, _ in parts]
    losses = [[log_loss(codes, proba) for proba in found] for found, (_, codes) in zip(stages, parts, strict=True)]
    return range(1, len(losses[0]) + 1), *losses


def fit_mlp(classifier, X, y, parts):
    points = []

    def after(step: int) -> bool:
        points.append((step, *(log_loss(codes, classifier.predict_proba(part)) for part, codes in parts)))
        return True

    classifier.fit(X, y, patience=10**9, after=after)
    return zip(*points, strict=True)


FITS = {"xgboost": fit_xgboost, "lightgbm": fit_lightgbm, "catboost": fit_catboost, "hist_gbdt": fit_hist_gbdt, "mlp": fit_mlp}


if __name__ == "__main__":
    main()
