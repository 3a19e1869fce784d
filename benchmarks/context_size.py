"""ROC AUC of the network against the size of its context, for every row policy.

    python benchmarks/context_size.py [--sizes 64,128,256,512,1024] [--folds 2] [--test-rows 500] [--out context_size.svg]

Every table of the suite `starter` with more than 3,000 and at most 10,000 rows and at most 10 classes; the training part of each
fold is cut to size by the policy, which is fitted on that part, and up to --test-rows random rows of its test part are
predicted. Prints the mean over folds by dataset, policy and size, and the means over datasets with the mean ROC AUC of a random
forest on all training rows beside them; draws one panel a dataset.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tabbench.data.split import make_splits
from tabbench.data.suite import load_spec, load_suite
from tabbench.engine.execute import execute
from tabbench.job import Subsample, plan
from tabbench.models import load_models
from tabbench.prepare.subsample import ROW_POLICIES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="64,128,256,512,1024")
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--test-rows", type=int, default=500)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("context_size.svg"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    load_models()
    sizes = [int(size) for size in args.sizes.split(",")]
    tasks = [task for task in map(load_spec, load_suite("starter").tasks) if 3000 < len(task.y) <= 10_000]
    tasks = [task for task in tasks if len(task.classes) <= 10]  # more are answered by several networks
    rows = []
    for task in tasks:
        rows += scores(task, sizes, args.folds, args.test_rows, args.threads)
        print(f"{task.name} done", flush=True)
    table = pd.DataFrame(rows).pivot_table(index=["task", "policy"], columns="size", values="auc")
    print(table.round(4).to_string())
    print(table.groupby("policy").mean().round(4).to_string())
    draw(table, args.out)
    print(args.out)


def scores(task, sizes: list[int], folds: int, n_test: int, threads: int) -> list[dict[str, object]]:
    """One row per policy, size and fold; a random forest on everything under the policy "forest, all rows"."""
    rng = np.random.default_rng(0)
    splits = [replace(split, test=rng.permutation(split.test)[:n_test]) for split in make_splits(task, folds, 1, 0)]
    cuts = [Subsample(size, policy) for policy in ROW_POLICIES for size in sizes]
    jobs = [*plan([(task, splits)], [("pfn", {})], cuts, 0, threads)]
    jobs += plan([(task, splits)], [("random_forest", {})], [Subsample()], 0, threads)
    by_fold = {(split.repeat, split.fold): split for split in splits}
    rows = []
    for job in jobs:
        run = execute(job, task, by_fold[job.repeat, job.fold])
        if run.status != "ok":
            raise SystemExit(f"{job.task}, {job.entrant}: {run.reason}")
        facts = {"task": task.name, "policy": job.row_policy or "forest, all rows", "auc": run.facts["roc_auc_ovo"]}
        rows += [{**facts, "size": size} for size in ([job.max_rows] if job.max_rows else sizes)]
    return rows


def draw(table: pd.DataFrame, path: Path) -> None:
    """One panel a dataset, one line a policy."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = table.index.unique("task")
    columns = -(-len(names) // 2)
    figure, axes = plt.subplots(2, columns, figsize=(3.6 * columns, 6.4), layout="constrained", squeeze=False)
    colours = plt.get_cmap("tab20")
    for axis, name in zip(axes.flat, names, strict=False):
        for i, (policy, line) in enumerate(table.loc[name].iterrows()):
            style = (
                {"color": "0.4", "ls": "--"}
                if "forest" in policy
                else {"color": colours(2 * i % 20 + 2 * i // 20), "marker": "o", "ms": 3}
            )
            axis.plot(line.index, line, label=policy, **style)
        axis.set(xscale="log", title=name, xticks=line.index, xticklabels=line.index)
        axis.minorticks_off()
    for axis in axes.flat[len(names) :]:
        axis.axis("off")
    figure.supxlabel("rows of the context")
    figure.supylabel("ROC AUC")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
