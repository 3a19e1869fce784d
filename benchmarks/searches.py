"""Searches beside each other on stored trials: the surrogate network, TPE, a Gaussian process, and random draws.

    python -m benchmarks.searches FOLDER [--seeds 20] [--trials 20] [--models mlp] [--best-step]

FOLDER: see `benchmarks.stored_curves`. Of every table and model the stored configurations are all that can be tried, each worth
its validation loss after the last step (`--best-step`: at its best, the number of steps being no question then). A run tries
the default, `N_RANDOM` others at random, as our searches do, and then one at a time what the search likes best of the rest:
`pfn` by `tuning.proposal`; `tpe` by the Parzen estimators of Optuna's sampler, a parameter at a time, as it draws; `gp` by the
expected improvement of scikit-learn's process (Matérn 5/2 with a length scale a parameter, noise; losses after Yeo and
Johnson's power transform), its hyperparameters fitted at every `REFIT`-th choice. No search is told of the default. `random`,
and `random × 2` with twice the trials, go on at random.

Prints over tables (each the mean over its models and seeds), with 95% bootstrap intervals: regret, which is how far the least
validation loss found is above the least of all stored ones, as a share of how far the median is; the change of the test loss of
what was chosen from that of `random`, in %, and the share of tables on which it is worse; and the CPU seconds of a choice.
"""

import argparse
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.early_stopping import Curve, read
from tabbench.models import get_model
from tabbench.models.space import Space, configurations
from tabbench.resources import torch_threads
from tabbench.tuning.proposal import Tried, kinds_of, points_of, promise
from tabbench.tuning.search import N_RANDOM, distribution

DRAWS = 2000
REFIT = 5


class Cell(NamedTuple):
    """What can be tried: configurations, their places (n, d), and validation and test losses (n,). The default is the first."""

    space: Space
    configs: list[dict[str, Any]]
    x: np.ndarray
    val: np.ndarray
    test: np.ndarray


Choose = Callable[[Cell, Sequence[int], Sequence[int], dict[str, Any]], int]  # tried, rest, what a run keeps: place in the rest

Rows = dict[str, dict[str, list[tuple[float, float]]]]  # of searches and tables: regrets, changes of the test loss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--models", help="only these")
    parser.add_argument("--best-step", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # of fits that do not converge
    cells = {
        (table, model): cell_of(model, curves, at_best=args.best_step)
        for (table, model), curves in read(args.folder, args.models.split(",") if args.models else None).items()
        if len(curves) >= 2 * args.trials
    }
    counts = sorted({len(cell.val) for cell in cells.values()})
    n_tables = len({table for table, _ in cells})
    print(f"{n_tables} tables, {counts} stored configurations, {args.seeds} seeds, {args.trials} trials", flush=True)
    overall: Rows = defaultdict(lambda: defaultdict(list))
    seconds: dict[str, list[float]] = defaultdict(list)
    with torch_threads(1):
        for model in sorted({model for _, model in cells}):
            rows: Rows = defaultdict(lambda: defaultdict(list))
            for table, cell in sorted((table, cell) for (table, of), cell in cells.items() if of == model):
                for seed in range(args.seeds):
                    for name, found in runs(cell, args.trials, seed, seconds).items():
                        rows[name][table].append(found)
                        overall[name][table].append(found)
            show(model, rows, seconds)
    show("all models", overall, seconds)


def show(models: str, rows: Rows, seconds: dict[str, list[float]]) -> None:
    """Print a table, a row a search."""
    heads = ("search", "regret", "test loss beside random, %", "tables worse", "CPU s a choice")
    print(f"\n{models}\n\n| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for name, tables in rows.items():
        took = f"{np.mean(seconds[name]):.3f}" if seconds[name] else ""
        print(f"| {name} | {summary(tables)} | {took} |", flush=True)


def cell_of(model: str, curves: Sequence[Curve], *, at_best: bool) -> Cell:
    """Candidates of stored curves, whose configurations are those of `benchmarks.stored_curves`."""
    entry = get_model(model)
    assert entry.steps is not None
    space = {name: values for name, values in entry.space.items() if name != entry.steps.parameter}
    configs = configurations(model, dict(entry.defaults), entry.space, len(curves), 0)
    at = [int(np.argmin(curve.val)) if at_best else len(curve.val) - 1 for curve in curves]
    val, test = np.array([(curve.val[step], curve.test[step]) for curve, step in zip(curves, at, strict=True)]).T
    x = np.concatenate([np.full((1, len(space)), np.nan), points_of(space, configs[1:])])  # the default may lie outside the space
    return Cell(space, configs, x, val, test)


def runs(cell: Cell, n_trials: int, seed: int, seconds: dict[str, list[float]]) -> dict[str, tuple[float, float]]:
    """By search, regret and relative change of the test loss from that of `random`; adds to the seconds of choices."""
    order = [0, *(np.random.default_rng(seed).permutation(len(cell.val) - 1) + 1)]
    tried = {"random": order[:n_trials], "random × 2": order[: 2 * n_trials]}
    for name, choose in SEARCHES.items():
        done, keeps = order[: 1 + N_RANDOM], dict[str, Any]()
        while len(done) < n_trials:
            rest = sorted(set(order) - set(done))
            began = time.process_time()
            done = [*done, rest[choose(cell, done[1:], rest, keeps)]]
            seconds[name].append(time.process_time() - began)
        tried[name] = done
    chosen = {name: min(done, key=lambda place: cell.val[place]) for name, done in tried.items()}
    least, width = cell.val.min(), max(float(np.median(cell.val) - cell.val.min()), 1e-9)
    plain = cell.test[chosen["random"]]
    return {
        name: (float((cell.val[place] - least) / width), float(cell.test[place] / plain - 1)) for name, place in chosen.items()
    }


def summary(tables: dict[str, list[tuple[float, float]]]) -> str:
    """Means over tables with intervals, and the share of tables with a larger test loss than `random`."""
    means = np.array([np.mean(found, axis=0) for found in tables.values()])
    draws = means[np.random.default_rng(0).integers(len(means), size=(DRAWS, len(means)))].mean(axis=1)
    (regret, change), (low, high) = means.mean(axis=0), np.quantile(draws, (0.025, 0.975), axis=0)
    beside = f"{100 * change:+.2f} ({100 * low[1]:+.2f} to {100 * high[1]:+.2f})"
    return f"{regret:.3f} ({low[0]:.3f}–{high[0]:.3f}) | {beside} | {(means[:, 1] > 1e-6).mean():.0%}"


def pfn(cell: Cell, done: Sequence[int], rest: Sequence[int], _: dict[str, Any]) -> int:
    """What `--search pfn` would like best."""
    known = [Tried(cell.configs[place], float(cell.val[place])) for place in done]
    return int(promise(cell.x[done], kinds_of(cell.space), known, cell.x[rest]).argmax())


def tpe(cell: Cell, done: Sequence[int], rest: Sequence[int], _: dict[str, Any]) -> int:
    """The largest ratio of the densities of good and other trials."""
    import optuna
    from optuna.samplers._tpe.sampler import _split_trials, default_gamma  # it says of no given candidate how it likes it

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {name: distribution(values) for name, values in cell.space.items()}
    sampler = optuna.samplers.TPESampler(seed=0)
    study = optuna.create_study(sampler=sampler)
    for place in done:
        params = {name: cell.configs[place][name] for name in space}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=float(cell.val[place])))
    parts = _split_trials(study, study.trials, default_gamma(len(done)))
    score = np.zeros(len(rest))
    for name, values in space.items():
        at = {name: np.array([values.to_internal_repr(cell.configs[place][name]) for place in rest])}
        below, above = (
            sampler._build_parzen_estimator(study, {name: values}, trials, handle_below=good).log_pdf(at)
            for trials, good in zip(parts, (True, False), strict=True)
        )
        score += below - above
    return int(score.argmax())


def gp(cell: Cell, done: Sequence[int], rest: Sequence[int], keeps: dict[str, Any]) -> int:
    """The largest expected improvement by a Gaussian process."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
    from sklearn.preprocessing import power_transform

    from benchmarks.constrained_search import improvement

    y = power_transform(cell.val[done][:, None])[:, 0]
    kernel = ConstantKernel() * Matern(np.ones(cell.x.shape[1]), (0.02, 50), nu=2.5) + WhiteKernel(1e-2, (1e-6, 1))
    kept = {"kernel": keeps["kernel"], "optimizer": None} if keeps.get("choices", 0) % REFIT else {}
    process = GaussianProcessRegressor(**{"kernel": kernel, "random_state": 0, **kept}).fit(cell.x[done], y)
    keeps |= {"choices": keeps.get("choices", 0) + 1, "kernel": process.kernel_}
    mean, std = process.predict(cell.x[rest], return_std=True)
    return int(improvement(mean, std.clip(1e-12), y.min()).argmax())


SEARCHES: dict[str, Choose] = {"pfn": pfn, "tpe": tpe, "gp": gp}

if __name__ == "__main__":
    main()
