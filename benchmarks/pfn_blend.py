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
from scipy.special import softmax

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
    scores: list[list[tuple[float, float]]] = []  # by dataset and half
    for task in development_tasks(args.dev, 2000):
        for train, test in halves(task, args.splits):
            logs = {name: np.log(np.maximum(predict(name, task, train, test, 1), LEAST)) for name in ("pfn", *models)}
            own = logs.pop("pfn")
            mixed = [own, *((1 - share) * own + share * log for log in logs.values() for share in (1.0, *SHARES))]
            scores.append([measured(task.y[test], log) for log in mixed])
    report(models, np.array(scores).reshape(-1, args.splits, len(mixed), 2).mean(1))


def measured(y: np.ndarray, logits: np.ndarray) -> tuple[float, float]:
    """ROC AUC and log loss (nats) of probabilities in proportion to exp(logits)."""
    metrics = compute_metrics(y, softmax(logits, axis=1))
    return metrics["roc_auc_ovo"], metrics["log_loss"]


def report(models: list[str], scores: np.ndarray) -> None:
    """Print the table of scores (datasets, 1 + models × (1 + shares), 2): of the network, then of each model alone and mixed."""
    own, others = scores[:, 0], scores[:, 1:].reshape(len(scores), len(models), 1 + len(SHARES), 2)
    print(f"pfn: ROC AUC {own[:, 0].mean():.4f}, log loss {own[:, 1].mean():.4f}, {len(own)} datasets\n")
    mixed = "".join(f" share {share}: ROC AUC | log loss |" for share in SHARES)
    print(f"| model | alone: ROC AUC | log loss | pfn behind on |{mixed}")
    print(f"|---|--:|--:|--:|{'--:|--:|' * len(SHARES)}")
    for i, model in enumerate(models):
        alone, changes = others[:, i, 0], (others[:, i, 1:] - own[:, None]).reshape(len(own), -1)
        halves_of_95 = 1.96 * changes.std(axis=0, ddof=1) / len(own) ** 0.5
        cells = [model, f"{alone[:, 0].mean():.4f}", f"{alone[:, 1].mean():.4f}", str((own[:, 0] < alone[:, 0]).sum())]
        cells += [f"{mean:+.4f} ± {half:.4f}" for mean, half in zip(changes.mean(axis=0), halves_of_95, strict=True)]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
