"""How near the network of learning curves is to the posterior of its own prior.

    python -m benchmarks.curve_posterior [--curves 100] [--particles 2000] [--weights FILE]

Curves are drawn from `tabbench.pfn.curve_prior`; when 20, 40 and 80 of their 100 values are known, the mean log density (nats) of
the later ones is printed: by the network, by the posterior as sequential Monte Carlo finds it (Chopin 2002: particles of the
prior, tempered towards the known values so that half of their effective number is left at a step, resampled, and moved by
differential evolution, ter Braak 2006), by the values without noise and their noise, an upper bound, and the CPU
seconds of a curve. Monte Carlo that has not found the posterior is worse than it, never better but by chance.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from scipy.special import logsumexp
from scipy.stats import norm

from tabbench.pfn import curves
from tabbench.pfn.curve_prior import N_FACTS, N_STEPS, curves_of
from tabbench.resources import torch_threads

KNOWN = (20, 40, 80)
MOVES = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--curves", type=int, default=100)
    parser.add_argument("--particles", type=int, default=2000)
    parser.add_argument("--weights", type=Path, default=curves.CURVES)
    args = parser.parse_args()
    network, rng = curves.load(args.weights), np.random.default_rng(1)
    found: dict[int, list[tuple[float, float, float]]] = {n: [] for n in KNOWN}
    seconds = np.zeros(2)
    for number in range(args.curves):
        truth, y = draw(rng)
        for n, exact in zip(KNOWN, posterior_densities(y, args.particles, rng, seconds), strict=True):
            began = time.process_time()
            ours = network_density(network, y, n)
            seconds[0] += time.process_time() - began
            known = norm.logpdf(y[n:], truth.values[0, n:], truth.noise[0]).mean()
            found[n].append((ours, exact, known))
        if number % 10 == 9 or number + 1 == args.curves:
            print(f"{number + 1} curves: mean log density, nats")
            for n, rows in found.items():
                means, gap = np.mean(rows, axis=0), np.array(rows)[:, 1] - np.array(rows)[:, 0]
                gaps = f"{gap.mean():.3f} ± {gap.std() / len(gap) ** 0.5:.3f}"
                print(
                    f"  {n} known: network {means[0]:.3f}, posterior {means[1]:.3f} (gap {gaps}), bound {means[2]:.3f}",
                    flush=True,
                )
    print(f"CPU seconds a curve: network {seconds[0] / args.curves:.3f}, posterior {seconds[1] / args.curves:.2f}")


def draw(rng: np.random.Generator):
    """A curve that the prior allows, and its noisy values."""
    while True:
        curve = curves_of(rng.standard_normal((1, N_FACTS)))
        if curve.allowed[0]:
            return curve, curve.values[0] + curve.noise[0] * rng.standard_normal(N_STEPS)


def network_density(network: curves.CurveNetwork, y: np.ndarray, n_known: int) -> float:
    """Mean log density of the values behind the first."""
    cells, known, last = curves.read(np.arange(1.0, N_STEPS + 1)[None], y[None, :n_known])
    exact = network.borders.dtype
    with torch.inference_mode(), torch_threads(1):
        bars = network(torch.from_numpy(cells).to(exact), torch.from_numpy(known).to(exact))
        later = torch.from_numpy(y[None, n_known:] - last).to(exact)
        return float(curves.log_density(bars, network.borders, later.clamp(-curves.SPAN, curves.SPAN)).mean())


def posterior_densities(y: np.ndarray, n: int, rng: np.random.Generator, seconds: np.ndarray) -> list[float]:
    """Mean log density of the later values when so many of `KNOWN` are known, by Monte Carlo."""
    began = time.process_time()
    facts = np.empty((0, N_FACTS))
    while len(facts) < n:
        more = rng.standard_normal((6 * n, N_FACTS))
        facts = np.concatenate([facts, more[curves_of(more).allowed]])
    facts, before, densities = facts[:n], 0, []
    for n_known in KNOWN:
        facts = tempered(facts, y, before, n_known, rng)
        before = n_known
        curve = curves_of(facts)
        logs = norm.logpdf(y[n_known:], curve.values[:, n_known:], curve.noise[:, None])
        densities.append(float((logsumexp(logs, axis=0) - np.log(n)).mean()))
    seconds[1] += time.process_time() - began
    return densities


def tempered(facts: np.ndarray, y: np.ndarray, before: int, known: int, rng: np.random.Generator) -> np.ndarray:
    """Particles of the posterior of the first `known` values, from those of that of the first `before`."""

    def likelihoods(at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        curve = curves_of(at)
        logs = norm.logpdf(y[:known], curve.values[:, :known], curve.noise[:, None])
        return logs[:, :before].sum(axis=1), logs[:, before:].sum(axis=1), curve.allowed

    share, n = 0.0, len(facts)
    old, new, _ = likelihoods(facts)
    while share < 1:
        step = next_step(new, 1 - share)
        share += step
        weights = np.exp(step * new - logsumexp(step * new))
        picked = np.searchsorted(np.cumsum(weights), (np.arange(n) + rng.random()) / n).clip(0, n - 1)
        facts, old, new = facts[picked], old[picked], new[picked]
        for _ in range(MOVES if share < 1 else 3 * MOVES):
            a, b = (facts[rng.permutation(n)] for _ in range(2))
            scale = np.where(rng.random((n, 1)) < 0.1, 1.0, rng.uniform(0.2, 1.2, (n, 1)) * 2.38 / (2 * N_FACTS) ** 0.5)
            mask = rng.random((n, N_FACTS)) < rng.choice([0.2, 0.5, 1.0], (n, 1))
            moved = facts + mask * (scale * (a - b) + 1e-3 * rng.standard_normal(facts.shape))
            old_there, new_there, allowed = likelihoods(moved)
            gain = (facts**2 - moved**2).sum(axis=1) / 2 + old_there - old + share * (new_there - new)
            taken = allowed & (np.log(rng.random(n)) < gain)
            facts = np.where(taken[:, None], moved, facts)
            old, new = np.where(taken, old_there, old), np.where(taken, new_there, new)
    return facts


def next_step(new: np.ndarray, most: float) -> float:
    """The largest step of the temperature that leaves half of the particles' effective number."""

    def effective(step: float) -> float:
        return float(np.exp(2 * logsumexp(step * new) - logsumexp(2 * step * new)) / len(new))

    if effective(most) >= 0.5:
        return most
    low, high = 0.0, most
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if effective(middle) >= 0.5 else (low, middle)
    return max(low, 1e-6)


if __name__ == "__main__":
    main()
