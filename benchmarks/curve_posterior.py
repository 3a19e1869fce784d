"""How near the network of learning curves is to the posterior of its own prior.

    python -m benchmarks.curve_posterior [--curves 20] [--particles 2000] [--moves 6] [--least-noise 0.03]

Curves are drawn from `tabbench.pfn.curve_prior`; when 20, 40 and 80 of their 100 values are known, the mean log density (nats)
of the later ones is printed: by the network, by the posterior, and by the values without noise and their noise, an upper bound;
and the CPU seconds of a curve. The posterior is found by sequential Monte Carlo (Chopin 2002): particles of the prior, tempered
towards the known values so that half of their effective number is left at a step, resampled, and moved by differential
evolution (ter Braak 2006). It is run twice: from the prior alone, which may miss parts of the posterior and then says too
little, and with the numbers that the curve was drawn from as a particle that is never lost, a draw of the posterior that is
known to be exact, so that it cannot miss where the truth lies and rather says too much (as in bidirectional Monte Carlo, Grosse
et al. 2015). Where both agree the posterior is known: of curves of little noise, whose posteriors are thin and bent, hardly.
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--curves", type=int, default=20)
    parser.add_argument("--particles", type=int, default=2000)
    parser.add_argument("--moves", type=int, default=6, help="of every particle at a temperature")
    parser.add_argument("--least-noise", type=float, default=0.0, help="standard deviation of the noise of a curve that counts")
    parser.add_argument("--weights", type=Path, default=curves.CURVES)
    args = parser.parse_args()
    network, rng = curves.load(args.weights), np.random.default_rng(1)
    found: list[np.ndarray] = []
    seconds = np.zeros(2)
    for number in range(args.curves):
        facts, y = draw(rng, args.least_noise)
        chance = np.random.default_rng([2, number])
        truth = curves_of(facts)
        began = time.process_time()
        ours = [network_density(network, y, n) for n in KNOWN]
        seconds[0] += time.process_time() - began
        began = time.process_time()
        alone, helped = (posterior_densities(y, args.particles, args.moves, chance, kept) for kept in (None, facts))
        seconds[1] += time.process_time() - began
        bound = [norm.logpdf(y[n:], truth.values[0, n:], truth.noise[0]).mean() for n in KNOWN]
        found.append(np.array([ours, alone, helped, bound]))
        print(f"curve {number + 1}: " + "; ".join(" ".join(f"{value:.3f}" for value in row) for row in found[-1].T), flush=True)
    print("| known of 100 | network | from the prior | with the truth | between them | network less: prior, truth | bound |")
    for n, rows in zip(KNOWN, np.moveaxis(np.array(found), 2, 0), strict=True):
        parts = (rows[:, 2] - rows[:, 1], rows[:, 0] - rows[:, 1], rows[:, 0] - rows[:, 2])
        apart, *less = (f"{part.mean():+.3f} ± {part.std(ddof=1) / len(part) ** 0.5:.3f}" for part in parts)
        middle = f"{np.median(np.abs(parts[0])):.3f}"
        ours, alone, helped, bound = rows.mean(axis=0)
        print(
            f"| {n} | {ours:.3f} | {alone:.3f} | {helped:.3f} | {apart}, median {middle} | {less[0]}, {less[1]} | {bound:.3f} |"
        )
    print(f"CPU seconds a curve: network {seconds[0] / args.curves:.3f}, posteriors {seconds[1] / args.curves:.2f}")


def draw(rng: np.random.Generator, least_noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The numbers (1, N_FACTS) of a curve that the prior allows, of so much noise, and its noisy values (N_STEPS,)."""
    while True:
        facts = rng.standard_normal((1, N_FACTS))
        curve = curves_of(facts)
        if curve.allowed[0] and curve.noise[0] >= least_noise:
            return facts, curve.values[0] + curve.noise[0] * rng.standard_normal(N_STEPS)


def network_density(network: curves.CurveNetwork, y: np.ndarray, n_known: int) -> float:
    """Mean log density of the values behind the first."""
    cells, known, last = curves.read(np.arange(1.0, N_STEPS + 1)[None], y[None, :n_known])
    exact = network.borders.dtype
    with torch.inference_mode(), torch_threads(1):
        bars = network(torch.from_numpy(cells).to(exact), torch.from_numpy(known).to(exact))
        later = torch.from_numpy(y[None, n_known:] - last).to(exact)
        return float(curves.log_density(bars, network.borders, later.clamp(-curves.SPAN, curves.SPAN)).mean())


def posterior_densities(
    y: np.ndarray, n: int, moves: int, rng: np.random.Generator, kept: np.ndarray | None = None
) -> list[float]:
    """Mean log density of the later values when so many of `KNOWN` are known, by Monte Carlo with n particles.

    moves : of every particle at a temperature. kept : (1, N_FACTS) of a particle that is never lost.
    """
    facts = np.empty((0, N_FACTS))
    while len(facts) < n:
        more = rng.standard_normal((6 * n, N_FACTS))
        facts = np.concatenate([facts, more[curves_of(more).allowed]])
    facts, before, densities = facts[:n], 0, []
    for n_known in KNOWN:
        facts = tempered(facts, y, (before, n_known), moves, rng, kept)
        before = n_known
        curve = curves_of(facts)
        logs = norm.logpdf(y[n_known:], curve.values[:, n_known:], curve.noise[:, None])
        densities.append(float((logsumexp(logs, axis=0) - np.log(n)).mean()))
    return densities


def tempered(
    facts: np.ndarray, y: np.ndarray, numbers: tuple[int, int], moves: int, rng: np.random.Generator, kept: np.ndarray | None
) -> np.ndarray:
    """Particles of the posterior when the second of these numbers of values is known, from those when the first is."""
    before, known = numbers

    def likelihoods(at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        curve = curves_of(at)
        logs = norm.logpdf(y[:known], curve.values[:, :known], curve.noise[:, None])
        return logs[:, :before].sum(axis=1), logs[:, before:].sum(axis=1), curve.allowed

    share, n = 0.0, len(facts)
    stays = (np.arange(n) == 0) & (kept is not None)
    facts = facts if kept is None else np.concatenate([kept, facts[1:]])
    old, new, _ = likelihoods(facts)
    while share < 1:
        step = next_step(new, 1 - share)
        share += step
        weights = np.exp(step * new - logsumexp(step * new))
        picked = np.where(stays, 0, np.searchsorted(np.cumsum(weights), rng.random(n)).clip(0, n - 1))
        facts, old, new = facts[picked], old[picked], new[picked]
        for _ in range(moves if share < 1 else 3 * moves):
            a, b = (facts[rng.permutation(n)] for _ in range(2))
            scale = np.where(rng.random((n, 1)) < 0.1, 1.0, rng.uniform(0.2, 1.2, (n, 1)) * 2.38 / (2 * N_FACTS) ** 0.5)
            mask = rng.random((n, N_FACTS)) < rng.choice([0.2, 0.5, 1.0], (n, 1))
            moved = facts + mask * (scale * (a - b) + 1e-3 * rng.standard_normal(facts.shape))
            old_there, new_there, allowed = likelihoods(moved)
            gain = (facts**2 - moved**2).sum(axis=1) / 2 + old_there - old + share * (new_there - new)
            taken = allowed & (np.log(rng.random(n)) < gain) & ~stays
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
