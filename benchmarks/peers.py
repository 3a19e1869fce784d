"""Ours beside the packages that others use for the same: CPU seconds of both on the same input, in one process with one thread.

    python -m benchmarks.peers [--datasets 40] [--models 8]

pymfe: the metafeatures that both have, of a real table. bencheval: Elo ratings with intervals of a results table, as many
resamples for both. autorank: its whole analysis of scores (which tests, ranks, effect sizes). scikit-posthocs: Nemenyi's test
and every pair by Wilcoxon's. baycomp: three pairs by the Bayesian signed-rank test, as many draws for both.
What is timed gives the same answers as far as both give them (tests/test_metafeatures.py, tests/test_stats*.py). Both sides run
once on a small input first, and then --repeats times, of which the quickest counts. A package that is not installed is left out.
"""

import argparse
import io
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from importlib.util import find_spec
from itertools import combinations

import numpy as np
import pandas as pd

from benchmarks.support.pymfe_reference import our_values, pymfe_values, training_part
from tabbench.data.suite import load_suite
from tabbench.engine.sandbox import limit_threads
from tabbench.metafeatures.table import Table
from tabbench.stats.bayes import N_SAMPLES, signed_rank_test
from tabbench.stats.effects import rank_biserial
from tabbench.stats.ranks import mean_ranks
from tabbench.stats.ratings import ratings
from tabbench.stats.significance import friedman, nemenyi, nemenyi_cd, pairwise_wilcoxon

SMALL = (6, 3)  # datasets and models of the first, untimed call
DRAWS, ROPE, TABLE = 100, 0.01, "hearts"
Pair = tuple[Callable[[], object], Callable[[], object]]


def scores(datasets: int, models: int) -> pd.DataFrame:
    """Scores with the same gaps on every dataset, and noise."""
    rng = np.random.default_rng(0)
    found = 0.8 + 0.02 * np.arange(models) / models + 0.02 * rng.normal(size=(datasets, models))
    return pd.DataFrame(found, [f"d{i:03}" for i in range(datasets)], [f"m{i:02}" for i in range(models)])


def pymfe(*size: int) -> Pair:
    """All metafeatures that both have."""
    [spec] = [task for task in load_suite("starter").tasks if task.name == TABLE]
    table = training_part(spec, 60 if size == SMALL else 2000)
    return lambda: our_values(Table(table.raw, table.labels)), lambda: pymfe_values(table)


def bencheval(*size: int) -> Pair:
    """Elo ratings with intervals."""
    from bencheval.elo_utils import EloHelper

    table = scores(*size)
    long = (-table).rename_axis("task").rename_axis("method", axis=1).stack().rename("metric_error").reset_index()
    helper = EloHelper()
    ours = lambda: ratings(table, True, n_draws=DRAWS)  # noqa: E731
    return ours, lambda: helper.compute_elo_ratings_from_ranks(long, BOOTSTRAP_ROUNDS=DRAWS, show_process=False)


def autorank(*size: int) -> Pair:
    """Ranks, Friedman's test, critical difference, effect sizes."""
    from autorank import autorank as analyse

    table = scores(*size)

    def ours() -> object:
        differences = (table.to_numpy()[:, :, None] - table.to_numpy()[:, None]).reshape(len(table), -1).T
        return friedman(table, True), mean_ranks(table, True), nemenyi_cd(size[1], len(table)), rank_biserial(differences)

    return ours, lambda: analyse(table, alpha=0.05, verbose=False, force_mode="nonparametric", order="descending")


def scikit_posthocs(*size: int) -> Pair:
    """Nemenyi's test, and Wilcoxon's of every pair with Holm's correction."""
    import scikit_posthocs as posthocs

    table = scores(*size)
    long = table.stack().rename("score").rename_axis(["dataset", "model"]).reset_index()

    def theirs() -> object:
        pairs = posthocs.posthoc_wilcoxon(long, val_col="score", group_col="model", p_adjust="holm")
        return posthocs.posthoc_nemenyi_friedman(table.to_numpy()), pairs

    return lambda: (nemenyi(table, True), pairwise_wilcoxon(table, True)), theirs


def baycomp(*size: int) -> Pair:
    """The Bayesian signed-rank test of every pair of three models."""
    from baycomp import SignedRankTest

    table = scores(*size)
    pairs = [(table[a].to_numpy(), table[b].to_numpy()) for a, b in combinations(table.columns[:3], 2)]
    ours = lambda: [signed_rank_test(a - b, ROPE) for a, b in pairs]  # noqa: E731
    return ours, lambda: [SignedRankTest.probs(a, b, ROPE, nsamples=N_SAMPLES, random_state=0) for a, b in pairs]


PEERS = {"pymfe": pymfe, "bencheval": bencheval, "autorank": autorank, "scikit_posthocs": scikit_posthocs, "baycomp": baycomp}


def measure(size: tuple[int, int], repeats: int) -> Iterator[tuple[str, str, float, float]]:
    """Package, what is computed, and the CPU seconds of ours and theirs."""
    for name, peer in PEERS.items():
        if find_spec(name) is None:
            continue
        for call in peer(*SMALL):
            seconds(call)
        ours, theirs = (min(seconds(call) for _ in range(repeats)) for call in peer(*size))
        yield name.replace("_", "-"), (peer.__doc__ or "").rstrip("."), ours, theirs


def seconds(call: Callable[[], object]) -> float:
    """CPU seconds of a call."""
    start = time.process_time()
    with redirect_stdout(io.StringIO()):  # autorank prints its table
        call()
    return time.process_time() - start


def main() -> None:
    """Print a row a package."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=int, default=40)
    parser.add_argument("--models", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    limit_threads(1)
    warnings.simplefilter("ignore")
    print("| package | the same by us | theirs, s | ours, s | ratio |\n|---|---|--:|--:|--:|")
    for name, what, ours, theirs in measure((args.datasets, args.models), args.repeats):
        print(f"| {name} | {what} | {theirs:.3f} | {ours:.4f} | {theirs / ours:.0f} × |", flush=True)


if __name__ == "__main__":
    main()
