"""The voices alone, without a network, on the development datasets: by trust, one by one and together, and what each costs.

    python benchmarks/pfn_voices.py --dev FOLDER [--splits 1]

Random stratified halves of the development datasets of at most 2,000 rows. Prints in Markdown, for every set of voices, the mean
ROC AUC and log loss of its answers summed by trust (logits), or averaged blindly over voices (probabilities), ROC AUC without
`schizo` (whose rows come in groups of one person, which a narrow kernel finds), on how many datasets it is behind the linear
voice, and CPU seconds to fit and ask it on all datasets; the two tables named colic count as one dataset in ROC AUC. Then CPU
seconds of each voice beside a forward pass of an untrained network of the default size in fp32, evidence not included: half the
rows context, 4 tasks.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tabbench.data.task import Task
from tabbench.metrics import compute_metrics
from tabbench.pfn.evaluate import development_tasks, encode, halves
from tabbench.pfn.evidence import read_context, read_table
from tabbench.pfn.network import PFN, NetworkConfig
from tabbench.pfn.prior import sample_batch

SETS = (
    ("kernel",),
    ("linear",),
    ("narrow",),
    ("trees",),
    ("kernel", "linear"),
    ("kernel", "linear", "narrow"),
    ("kernel", "linear", "trees"),
    ("kernel", "linear", "narrow", "trees"),
)
ALONE = ("kernel", "linear", "narrow", "trees")
SHAPES = ((256, 12), (512, 24), (1024, 40))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = [
        row
        for task in development_tasks(args.dev, 2000)
        for train, test in halves(task, args.splits)
        for row in score(task, train, test)
    ]
    print(f"Random halves: {args.splits}\n")
    report(pd.DataFrame(rows))
    print(f"\n| rows × columns | {' s | '.join(ALONE)} s | network s |\n|---|{'--:|' * (len(ALONE) + 1)}")
    for n_rows, n_features in SHAPES:
        print(f"| {n_rows:,} × {n_features} | {' | '.join(f'{s:.3f}' for s in seconds(n_rows, n_features))} |")


def score(task: Task, train: np.ndarray, test: np.ndarray) -> list[dict[str, object]]:
    """One row for every set of voices, and for its blind average where it has several."""
    x, categorical = encode(task)
    x_train, y_train, x_test, flags = (torch.from_numpy(part)[None] for part in (x[train], task.y[train], x[test], categorical))
    rows, alone = [], {}
    for names in SETS:
        started = time.process_time()
        reader, _ = read_context(x_train, y_train, flags, names)
        answer = reader.heard(reader.ask(x_test))[0, :, : len(task.classes)]
        spent = time.process_time() - started
        by_trust = answer.double().softmax(-1).numpy()
        alone[names] = by_trust
        rows.append({"voices": " + ".join(names), "how": "trust", "seconds": spent, **measured(task, test, by_trust)})
        if len(names) > 1:
            blind = np.mean([alone[(name,)] for name in names], axis=0)
            rows.append({"voices": " + ".join(names), "how": "blind", "seconds": np.nan, **measured(task, test, blind)})
    return rows


def measured(task: Task, test: np.ndarray, proba: np.ndarray) -> dict[str, object]:
    metrics = compute_metrics(task.y[test], proba)
    return {"dataset": task.name, "roc_auc": metrics["roc_auc_ovo"], "log_loss": metrics["log_loss"]}


def report(scores: pd.DataFrame) -> None:
    """Print the first table."""
    by_dataset = scores.pivot_table(index="dataset", columns=["voices", "how"], values="roc_auc")
    print("| voices | averaged | ROC AUC | without `schizo` | log loss | behind the linear voice on | CPU s |")
    print("|---|---|--:|--:|--:|--:|--:|")
    linear = by_dataset[("linear", "trust")]
    for (voices, how), part in scores.groupby(["voices", "how"], sort=False):
        own = by_dataset[(voices, how)]
        spent = f"{part['seconds'].sum():.1f}" if how == "trust" else ""
        others = own.drop("schizo", errors="ignore").mean()
        means = f"{own.mean():.4f} | {others:.4f} | {part['log_loss'].mean():.4f}"
        print(f"| {voices} | {how} | {means} | {(own < linear).sum()} | {spent} |")


def seconds(n_rows: int, n_features: int) -> list[float]:
    """CPU seconds a task of each voice, less the cells that they share, and of the network's forward pass."""
    x, y, categorical = (torch.from_numpy(part) for part in sample_batch(0, 0, 4, n_rows, n_rows // 2, n_features)[:3])
    y = y[:, : n_rows // 2]
    network = PFN(NetworkConfig()).eval()

    def spent(act) -> float:
        act()
        started = time.process_time()
        act()
        return (time.process_time() - started) / len(x)

    told = read_table(x, y, categorical, network.config.voices)
    twice = [spent(lambda name=name: read_table(x, y, categorical, [name] * 3)) for name in ALONE]
    once = [spent(lambda name=name: read_table(x, y, categorical, [name])) for name in ALONE]
    with torch.inference_mode():
        passed = spent(lambda: network.answer(told, y))
    return [*((two - one) / 2 for two, one in zip(twice, once, strict=True)), passed]


if __name__ == "__main__":
    main()
