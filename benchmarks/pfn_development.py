"""PFNClassifier beside default random forest, LightGBM and CatBoost on the development datasets.

    python benchmarks/pfn_development.py --dev FOLDER --out scores.csv [--models pfn,random_forest,lightgbm,catboost] [--again]

Five random stratified halves of every dataset within the network's limits (at most 3,000 training rows, 100 features, 10
classes; none of the 18 test sets), each model with its defaults here (CatBoost with the library's 1,000 trees) and its own
preprocessing. Scores that --out holds are not computed again, unless --again asks for those of --models.

Prints in Markdown the mean ROC AUC by dataset with the difference of the network to each other model: ± is half the 95%
interval over the five splits (Nadeau and Bengio 2003: halves share rows). Below, means and paired differences over all
datasets with 95% bootstrap intervals, datasets being the unit.
"""

import argparse
import csv
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import stats
from sklearn.pipeline import make_pipeline

from tabbench.data.task import Task
from tabbench.metrics import compute_metrics
from tabbench.models import get_model
from tabbench.pfn.evaluate import development_tasks, halves
from tabbench.prepare.preprocess import Preprocessor
from tabbench.prepare.subsample import class_probabilities

N_SPLITS = 5
CONFIGS = {"catboost": {"iterations": 1000}}
COLUMNS = ("dataset", "n_rows", "n_features", "n_classes", "split", "model", "roc_auc", "log_loss", "seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--models", default="pfn,random_forest,lightgbm,catboost")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    models = args.models.split(",")
    known = pd.read_csv(args.out) if args.out.exists() else pd.DataFrame(columns=COLUMNS)
    if args.again:
        known = known[~known["model"].isin(models)]
    known.to_csv(args.out, index=False)
    compute(args.dev, models, set(zip(known["dataset"], known["split"], known["model"], strict=True)), args.out, args.threads)
    report(pd.read_csv(args.out))


def compute(dev: Path, models: list[str], known: set[tuple[str, int, str]], out: Path, threads: int) -> None:
    """Append the scores that are missing, one row at a time."""
    names: set[str] = set()
    with out.open("a", newline="") as file:
        writer = csv.writer(file)
        for task in development_tasks(dev):
            name = task.name if task.name not in names else f"{task.name} ({task.X.shape[1]} features)"
            names.add(name)
            for i, (train, test) in enumerate(halves(task, N_SPLITS)):
                for model in models:
                    if (name, i, model) not in known:
                        scores = score(model, task, train, test, threads)
                        writer.writerow([name, len(task.y), task.X.shape[1], len(task.classes), i, model, *scores])
                        file.flush()


def score(name: str, task: Task, train: np.ndarray, test: np.ndarray, threads: int) -> tuple[float, float, float]:
    """ROC AUC, log loss and CPU seconds of one model on one half."""
    started = time.process_time()
    proba = predict(name, task, train, test, threads)
    seconds = time.process_time() - started
    metrics = compute_metrics(task.y[test], proba)
    return metrics["roc_auc_ovo"], metrics["log_loss"], round(seconds, 3)


def predict(name: str, task: Task, train: np.ndarray, test: np.ndarray, threads: int) -> np.ndarray:
    """Probabilities (n_test, k) of one model on one half."""
    model = get_model(name)
    estimator = make_pipeline(Preprocessor(model.needs), model.build(seed=0, threads=threads, **CONFIGS.get(name, {})))
    present, y = np.unique(task.y[train], return_inverse=True)
    proba = np.zeros((len(test), len(task.classes)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(task.X.iloc[train], y)
        proba[:, present] = class_probabilities(estimator, task.X.iloc[test], len(present))
    return proba


def report(scores: pd.DataFrame) -> None:
    """Print the tables."""
    facts = scores.groupby("dataset", sort=False)[["n_rows", "n_features", "n_classes"]].first()
    by_split = scores.pivot_table(index=["dataset", "split"], columns="model", values="roc_auc")
    others = [name for name in ("random_forest", "lightgbm", "catboost") if name in by_split]
    means = by_split.groupby("dataset").mean().loc[facts.index]
    print(f"| dataset | rows | features | classes | pfn | {' | '.join(f'{name} | pfn − {name}' for name in others)} |")
    print(f"|---|{'--:|' * (4 + 2 * len(others))}")
    for name, row in facts.iterrows():
        cells = [name, *map(str, row), f"{means.loc[name, 'pfn']:.4f}"]
        for other in others:
            gaps = by_split.loc[name, "pfn"] - by_split.loc[name, other]
            half = stats.t.isf(0.025, N_SPLITS - 1) * gaps.std(ddof=1) * np.sqrt(1 / N_SPLITS + 1)
            cells += [f"{means.loc[name, other]:.4f}", f"{gaps.mean():+.4f} ± {half:.4f}"]
        print(f"| {' | '.join(cells)} |")
    draws = np.random.default_rng(0).integers(0, len(means), (10_000, len(means)))
    print("\n| model | mean ROC AUC | mean log loss | pfn − model, 95% interval | pfn ahead on | CPU s per split |")
    print("|---|--:|--:|--:|--:|--:|")
    losses, seconds = scores.groupby("model")["log_loss"].mean(), scores.groupby("model")["seconds"].mean()
    for model in ("pfn", *others):
        gaps = (means["pfn"] - means[model]).to_numpy()
        low, high = np.quantile(gaps[draws].mean(axis=1), [0.025, 0.975])
        paired = "" if model == "pfn" else f"{gaps.mean():+.4f} [{low:+.4f}, {high:+.4f}]"
        ahead = "" if model == "pfn" else f"{int((gaps > 0).sum())} of {len(gaps)}"
        print(f"| {model} | {means[model].mean():.4f} | {losses[model]:.4f} | {paired} | {ahead} | {seconds[model]:.2f} |")


if __name__ == "__main__":
    main()
