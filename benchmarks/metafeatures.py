"""pymfe's values and ours on the same tables: how many differ, and how much longer pymfe takes.

    python -m benchmarks.metafeatures [--suite starter] [--only iris,zoo] [--rows 2000]

All shared groups and the twelve summaries of TabZilla's run, in one process with one thread, each table once by pymfe and five
times by us (the mean) after a small one that warms both up. Seconds are of the CPU: a busy machine disturbs them less. Every
table is the training part of the first of three folds, cut to --rows. Prints a line per table and, last, the ratio of the sums
and the median ratio (goal: 20).

Floor is what part of pymfe's seconds our calls of three routines take, without which there are no equal values: scikit-learn's
trees and canonical correlations and liblinear's machines. No ratio exceeds its inverse.
"""

import argparse
import time

import numpy as np

from benchmarks.support.pymfe_reference import differences, our_values, pymfe_values, training_part
from tabbench.data.suite import load_suite
from tabbench.engine.sandbox import limit_threads
from tabbench.metafeatures.complexity import pair_lines
from tabbench.metafeatures.landmarking import fold_trees
from tabbench.metafeatures.model_based import full_tree
from tabbench.metafeatures.statistical import can_cor
from tabbench.metafeatures.table import Table

REPEATS = 5


def floor_seconds(table: Table) -> float:
    """CPU seconds of the routines that equal values need."""
    table.N  # noqa: B018 - not part of it
    start = time.process_time()
    for routine in (fold_trees, full_tree, pair_lines, can_cor):
        routine(table)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="starter")
    parser.add_argument("--only", help="comma-separated names of datasets")
    parser.add_argument("--rows", type=int, default=2000, help="rows of a table at most (default 2000)")
    args = parser.parse_args()
    limit_threads(1)
    specs = [spec for spec in load_suite(args.suite).tasks if not args.only or spec.name in args.only.split(",")]
    small = training_part(load_suite("smoke").tasks[0], 100)
    our_values(Table(small.raw, small.labels))
    pymfe_values(small)
    times = []
    print(f"{'dataset':16} {'rows':>6} {'columns':>7} {'values':>6} {'differ':>6} {'pymfe s':>8} {'ours s':>7}  ratio  floor")
    for spec in specs:
        table = training_part(spec, args.rows)
        start = time.process_time()
        for _ in range(REPEATS):
            found = our_values(Table(table.raw, table.labels))
        middle = time.process_time()
        theirs = pymfe_values(table)
        seconds = (time.process_time() - middle, (middle - start) / REPEATS)
        floor = floor_seconds(Table(table.raw, table.labels)) / seconds[0]
        times.append(seconds)
        differing = differences(found, theirs)
        n, d = table.raw.shape
        print(
            f"{spec.name:16} {n:6} {d:7} {len(theirs):6} {len(differing):6} {seconds[0]:8.2f} {seconds[1]:7.3f} "
            f"{seconds[0] / seconds[1]:6.1f} {floor:6.1%}  {' '.join(differing[:4])}",
            flush=True,
        )
    theirs_s, ours_s = np.array(times).T
    print(f"ratio of the sums {theirs_s.sum() / ours_s.sum():.1f}, median ratio {np.median(theirs_s / ours_s):.1f}")


if __name__ == "__main__":
    main()
