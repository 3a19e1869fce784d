"""Time and memory of a default fit of every network and guest on one thread, as a ratio to `mlp` in the same run.

    python benchmarks/nets.py [--rows 1000,10000] [--columns 20] [--models node,saint] [--seconds 10,60]

A fit is done in a process of its own on normal columns and two classes that a product and a sum of columns decide, after
a warm-up of torch. Seconds are of the CPU. Memory is what the fit and the prediction of all rows add to the process's peak.
--seconds: the goal at each number of rows; a network beyond it is marked.
"""

import argparse
import multiprocessing
import resource
import time

import numpy as np
import torch

from tabbench.models import MODELS, get_model, load_models, missing_imports

OURS, GUESTS = "tabbench.models.nets.trainer", "tabbench.models.nets.guests"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="1000,10000")
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--models")
    parser.add_argument("--seconds", default="10,60")
    args = parser.parse_args()
    load_models()
    nets = [name for name, entry in MODELS.items() if {OURS, GUESTS} & {*entry.imports} and not missing_imports(entry)]
    names = ["mlp", *(args.models.split(",") if args.models else nets)]
    for n_rows, goal in zip(map(int, args.rows.split(",")), map(float, args.seconds.split(",")), strict=True):
        print(f"\n{n_rows:,} × {args.columns}\n\n| model | s | × mlp | epochs | MiB |\n|---|---|---|---|---|")
        base = None
        for name in names:
            seconds, epochs, memory = in_a_process(name, n_rows, args.columns)
            base = base or seconds
            mark = " (beyond the goal)" if seconds > goal else ""
            print(f"| {name} | {seconds:.1f}{mark} | {seconds / base:.1f} | {epochs} | {memory:.0f} |", flush=True)


def in_a_process(*what) -> tuple[float, int | str, float]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, what)


def measure(name: str, n_rows: int, n_columns: int) -> tuple[float, int | str, float]:
    """CPU seconds and epochs (of networks of ours) of one fit, MiB that it adds to the peak."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, n_columns))
    y = (X[:, 0] * X[:, 1] + X[:, 2:6].sum(axis=1) / 2 + 0.5 * rng.normal(size=n_rows) > 0).astype(int)
    entry = get_model(name)
    few = {"max_epochs": 1} if "max_epochs" in entry.defaults else {}
    entry.build(seed=0, threads=1, **few).fit(X[:100], y[:100])
    torch.set_num_threads(1)
    before, started = peak(), time.process_time()
    net = entry.build(seed=0, threads=1).fit(X, y)
    seconds = time.process_time() - started
    net.predict_proba(X)
    return seconds, len(net.curve_) if hasattr(net, "curve_") else "–", peak() - before


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
