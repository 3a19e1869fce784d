"""Constrained search on the fifteen design problems: the network as surrogate against Gaussian processes and random draws.

    python -m benchmarks.constrained_search [--seeds 20] [--iterations 100] [--problems spring,jlh1]

Every method begins with the same uniform points and picks, an iteration at a time, from candidates drawn alike: uniform ones
and such near the five best so far. `pfn-cei`: expected improvement times the probability of feasibility by our network;
`gp-cei`: the same by scikit-learn's Gaussian processes (Matérn 5/2 with a length scale an input, noise), one for the cost and
one a constraint, whose hyperparameters are fitted every `REFIT` iterations, first from two starts, then from the last ones;
`gp-penalty`: one process for cost + ρ Σ max(0, g)², ρ × 1.5 after five iterations without progress; `random`: a uniform point.
Prints by problem and method the share of runs that found a feasible design, the median regret (best feasible cost less the
optimum, over the larger of its size and one) and its quartiles, and the CPU seconds of a choice; then in what share of the runs
that begin alike one method ends better than another.
"""

import argparse
import itertools
import time
import warnings
from collections import defaultdict
from copy import deepcopy
from typing import Any

import numpy as np
from scipy.stats import norm

from tabbench.data.formulas.designs import DESIGNS, Design

N_START, N_UNIFORM, N_NEAR, N_BEST = 20, 300, 20, 5
REFIT = 10
METHODS = ("pfn-cei", "gp-cei", "gp-penalty", "random")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--problems", default=",".join(name for name in DESIGNS if len(DESIGNS[name].lower) <= 12))
    parser.add_argument("--methods", default=",".join(METHODS))
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # of fits that do not converge
    print(f"{args.seeds} seeds, {N_START} starts, {args.iterations} iterations")
    print(f"{'problem':18} {'method':11} {'feasible':>8} {'regret':>9} {'quartiles':>19} {'CPU s':>8}")
    ends: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
    for name in args.problems.split(","):
        for method in args.methods.split(","):
            runs = [search(DESIGNS[name], method, seed, args.iterations) for seed in range(args.seeds)]
            regrets, seconds = np.array(runs).T
            ends[name][method] = regrets
            found = np.isfinite(regrets)
            low, middle, high = np.quantile(regrets[found], (0.25, 0.5, 0.75)) if found.any() else (np.nan,) * 3
            quartiles = f"{low:9.3g}–{high:.3g}"
            print(f"{name:18} {method:11} {found.mean():8.2f} {middle:9.3g} {quartiles:>19} {seconds.mean():8.3f}", flush=True)
    print(
        "\nshare of the runs of a seed in which the first is better than the second, over problems, with 95% bootstrap intervals"
    )
    for a, b in itertools.combinations(args.methods.split(","), 2):
        better = np.array([((one[a] < one[b]) + 0.5 * (one[a] == one[b])).mean() for one in ends.values()])
        draws = better[np.random.default_rng(0).integers(len(better), size=(2000, len(better)))].mean(axis=1)
        low, high = np.quantile(draws, (0.025, 0.975))
        print(f"{a} before {b}: {better.mean():.2f} ({low:.2f}–{high:.2f}), on {(better > 0.5).sum()} of {len(better)} problems")


def search(design: Design, method: str, seed: int, iterations: int) -> tuple[float, float]:
    """Regret after so many iterations (infinite without a feasible point), and mean CPU seconds of a choice."""
    rng = np.random.default_rng(seed)
    d = len(design.lower)
    x = rng.random((N_START, d))
    choose = CHOICES[method](design)
    seconds = 0.0
    for number in range(iterations):
        f, g = design.cost(design.scaled(x)), design.constraints(design.scaled(x))
        order = np.lexsort([f, g.max(axis=1).clip(0)])[:N_BEST]
        near = x[np.repeat(order, N_NEAR)] + 0.1 * rng.normal(size=(N_BEST * N_NEAR, d))
        candidates = np.concatenate([rng.random((N_UNIFORM, d)), near.clip(0, 1)])
        started = time.process_time()
        place = choose(number, x, f, g, candidates)
        seconds += time.process_time() - started
        x = np.concatenate([x, candidates[[place]]])
    f, feasible = design.cost(design.scaled(x)), design.feasible(design.scaled(x))
    best = f[feasible].min() if feasible.any() else np.inf
    return (best - design.optimum) / max(abs(design.optimum), 1.0), seconds / iterations


def pfn_cei(_: Design):
    """Expected improvement × probability of feasibility, by the network of the package."""
    from tabbench.pfn.surrogate import NUMBER, Surrogate, load
    from tabbench.resources import torch_threads

    network = deepcopy(load()).float()  # half the time; nothing here is to repeat itself on other machines

    def choose(_, x, f, g, candidates):
        with torch_threads(1):
            model = Surrogate(x, [NUMBER] * x.shape[1], np.column_stack([f, g]), network)
            bars = model.bars(candidates)
        likely = np.prod([model.below(bars, 1 + j, 0.0) for j in range(g.shape[1])], axis=0)
        within = (g <= 0).all(axis=1)
        gain = model.improvement(bars, 0, f[within].min()) if within.any() else 1.0
        return int((gain * likely).argmax())

    return choose


class Processes:
    """Gaussian processes of several values at the same points; hyperparameters are fitted every `REFIT` calls."""

    def __init__(self) -> None:
        self.kernels: dict[int, Any] = {}

    def predict(self, number, x, values, at):
        """Mean and standard deviation (q, m) at points `at` (q, d) on the scale of the values (n, m)."""
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

        found = []
        for j, column in enumerate(values.T):
            fresh = ConstantKernel() * Matern(np.ones(x.shape[1]), (0.02, 50), nu=2.5) + WhiteKernel(1e-3, (1e-6, 1))
            options = (
                {"n_restarts_optimizer": int(number == 0), "random_state": 0} if number % REFIT == 0 else {"optimizer": None}
            )
            process = GaussianProcessRegressor(self.kernels.get(j, fresh), normalize_y=True, **options).fit(x, column)
            self.kernels[j] = process.kernel_
            found.append(process.predict(at, return_std=True))
        mean, std = zip(*found, strict=True)
        return np.stack(mean, axis=1), np.stack(std, axis=1).clip(1e-12)


def improvement(mean, std, best):
    """(q,) expected improvement of normals on `best`, which is to be small."""
    z = (best - mean) / std
    return std * (z * norm.cdf(z) + norm.pdf(z))


def gp_cei(_: Design):
    """Expected improvement × probability of feasibility, by Gaussian processes."""
    processes = Processes()

    def choose(number, x, f, g, candidates):
        mean, std = processes.predict(number, x, np.column_stack([f, g]), candidates)
        likely = norm.cdf(-mean[:, 1:] / std[:, 1:]).prod(axis=1)
        within = (g <= 0).all(axis=1)
        gain = improvement(mean[:, 0], std[:, 0], f[within].min()) if within.any() else 1.0
        return int((gain * likely).argmax())

    return choose


def gp_penalty(_: Design):
    """Expected improvement of the cost plus a penalty that grows while there is no progress."""
    processes, state = Processes(), {"rho": 1.0, "best": np.inf, "waited": 0}

    def choose(number, x, f, g, candidates):
        scale = max(float(f.std()), 1e-9)
        punished = f / scale + state["rho"] * (g.clip(0) ** 2).sum(axis=1)
        feasible = f[(g <= 0).all(axis=1)].min(initial=np.inf)
        state["waited"] = 0 if feasible < state["best"] else state["waited"] + 1
        state["best"] = min(feasible, state["best"])
        if state["waited"] >= 5:
            state["rho"], state["waited"] = 1.5 * state["rho"], 0
        mean, std = processes.predict(number, x, punished[:, None], candidates)
        return int(improvement(mean[:, 0], std[:, 0], punished.min()).argmax())

    return choose


def random(_: Design):
    """The first candidate, which is a uniform point."""
    return lambda *_: 0


CHOICES = {"pfn-cei": pfn_cei, "gp-cei": gp_cei, "gp-penalty": gp_penalty, "random": random}

if __name__ == "__main__":
    main()
