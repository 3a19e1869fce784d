"""What other models know that the network does not: its answers averaged with theirs, on the development datasets.

    python benchmarks/pfn_blend.py --dev FOLDER [--models logreg,svm,extra_trees,mlp,catboost] [--splits 1]

Random stratified halves of the development datasets of at most 2,000 rows, models as in pfn_development.py. Prints in Markdown
each model's mean ROC AUC and log loss, on how many datasets the network's ROC AUC is lower, and what changes against the
network alone if a share of the log probabilities is the model's (probabilities below 1e-4 count as that), ± half the 95%
interval over datasets. A model that raises ROC AUC or lowers log loss knows something that the network lacks.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from benchmarks.pfn_development import predict
from tabbench.metrics import compute_metrics
from tabbench.pfn.evaluate import development_tasks, halves

SHARES = (0.2, 0.5)
LEAST = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument("--models", default="logreg,svm,extra_trees,mlp,catboost")
    parser.add_argument("--splits", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    models = args.models.split(",")
    variants = [(model, share) for model in models for share in (1.0, *SHARES)]
    scores: list[list[tuple[float, float]]] = []  # a dataset and half: of the network, then of each variant
    for task in development_tasks(args.dev, 2000):
        for train, test in halves(task, args.splits):
            logs = {name: np.log(np.maximum(predict(name, task, train, test, 1), LEAST)) for name in ("pfn", *models)}
            mixed = [logs["pfn"], *((1 - share) * logs["pfn"] + share * logs[model] for model, share in variants)]
            scores.append([measured(task.y[test], log) for log in mixed])
    report(variants, np.array(scores).reshape(-1, args.splits, 1 + len(variants), 2).mean(1))


def measured(y: np.ndarray, logits: np.ndarray) -> tuple[float, float]:
    """ROC AUC and log loss (nats) of probabilities in proportion to exp(logits)."""
    proba = np.exp(logits - logits.max(axis=1, keepdims=True))
    metrics = compute_metrics(y, proba / proba.sum(axis=1, keepdims=True))
    return metrics["roc_auc_ovo"], metrics["log_loss"]


def report(variants: list[tuple[str, float]], scores: np.ndarray) -> None:
    """Print the table of scores (datasets, 1 + variants, 2)."""
    print(f"pfn: ROC AUC {scores[:, 0, 0].mean():.4f}, log loss {scores[:, 0, 1].mean():.4f}, {len(scores)} datasets\n")
    mixed = "".join(f" share {share}: ROC AUC | log loss |" for share in SHARES)
    print(f"| model | alone: ROC AUC | log loss | pfn behind on |{mixed}")
    print(f"|---|--:|--:|--:|{'--:|--:|' * len(SHARES)}")
    row = ""
    for number, (model, share) in enumerate(variants, 1):
        part = scores[:, number]
        if share == 1.0:
            behind = (scores[:, 0, 0] < part[:, 0]).sum()
            row = f"| {model} | {part[:, 0].mean():.4f} | {part[:, 1].mean():.4f} | {behind} |"
            continue
        changes = part - scores[:, 0]
        for change in changes.T:
            row += f" {change.mean():+.4f} ± {1.96 * change.std(ddof=1) / len(change) ** 0.5:.4f} |"
        if share == SHARES[-1]:
            print(row)


if __name__ == "__main__":
    main()
