"""Tables per second of the prior on one core, beside TabICL's prior at the same shape.

    python benchmarks/prior_speed.py [--seconds 5]

TabICL's prior (package `tabicl`) is measured in two forms where they can be imported: `mix_scm`, of its paper (Qu et al. 2025;
needs xgboost too), and the later `graph_scm`. Defaults otherwise, which filter nothing; both priors draw 2 to 10 classes and
take half of the rows as context. Every prior runs on one core for the given time, after one batch that does not count. Rates
are by CPU seconds of the process, so that other work on the machine counts little. Goal: 200 tables a second at 1,024 × 20.
"""

import argparse
import os
import time
from collections.abc import Callable

from tabbench.engine.sandbox import limit_threads
from tabbench.pfn.prior import sample_batch

SHAPES = ((256, 10), (1024, 20), (1024, 100))
BATCH = 4
Draw = Callable[[int], object]  # draws the batch of that number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5, help="CPU seconds a prior and shape (default 5)")
    seconds = parser.parse_args().seconds
    if hasattr(os, "sched_setaffinity"):  # Linux: one core, whatever number of threads a package asks for
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    limit_threads(1)
    print(f"{'table':>10} {'prior':18} {'tables/s':>9} {'tabbench is faster by':>22}")
    for rows, columns in SHAPES:
        shape = f"{rows} × {columns}"
        ours = rate(tabbench(rows, columns), seconds)
        print(f"{shape:>10} {'tabbench':18} {ours:9.1f}", flush=True)
        for kind in ("mix_scm", "graph_scm"):
            name = f"tabicl {kind}"
            try:
                theirs = rate(tabicl(kind, rows, columns), seconds)
            except ImportError as error:
                print(f"{shape:>10} {name:18} not measured: package {error.name} is not installed")
                continue
            print(f"{shape:>10} {name:18} {theirs:9.1f} {ours / theirs:21.1f}×", flush=True)


def rate(draw: Draw, seconds: float) -> float:
    """Tables per CPU second; the first batch warms up and does not count."""
    draw(0)
    n_batches, started = 0, time.process_time()
    while time.process_time() - started < seconds:
        n_batches += 1
        draw(n_batches)
    return n_batches * BATCH / (time.process_time() - started)


def tabbench(rows: int, columns: int) -> Draw:
    return lambda i: sample_batch(0, i, BATCH, rows, rows // 2, columns)


def tabicl(kind: str, rows: int, columns: int) -> Draw:
    import numpy as np
    import torch
    from tabicl.prior import PriorDataset

    torch.set_num_threads(1)
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - the package draws from the global state
    prior = PriorDataset(
        batch_size=BATCH,
        batch_size_per_gp=1,  # tables of a group are alike; one a group averages over more kinds
        min_features=columns,
        max_features=columns,
        max_seq_len=rows,
        min_train_size=0.5,
        max_train_size=0.5,
        prior_type=kind,
        n_jobs=1,
    )
    return lambda i: prior.get_batch()


if __name__ == "__main__":
    main()
