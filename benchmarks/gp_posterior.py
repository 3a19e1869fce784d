"""The Bayesian check: how near a trained network comes to the exact posterior of a Gaussian process.

    python benchmarks/gp_posterior.py [--steps 24000] [--out gp_posterior.png]

Trains for a quarter of an hour on a CPU, prints by number of known values the mean absolute error of mean and standard
deviation and the gap in negative log density (nats; goal ≤ 0.05 at each) over 1,000 functions, and draws both posteriors for
four functions.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from tabbench.pfn.gp import FunctionNetwork, compare, learn, moments, posterior, sample_functions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=24000)
    parser.add_argument("--out", type=Path, default=Path("gp_posterior.png"))
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    started = time.process_time()
    network = learn(args.steps)
    print(f"{args.steps} steps of 16 functions in {time.process_time() - started:.0f} CPU seconds")
    print("known values   error of mean   error of std   gap in nats   standard error")
    gaps = []
    for n_context in (1, 2, 5, 10, 19, 32, 44, 57):
        gap = compare(network, n_context)
        gaps.append(gap.nats)
        print(f"{n_context:12d}   {gap.mean_error:13.4f}   {gap.std_error:12.4f}   {gap.nats:11.4f}   {gap.nats_error:14.4f}")
    print(f"mean gap {np.mean(gaps):.4f} nats, largest {max(gaps):.4f} (goal ≤ 0.05)")
    draw(network, args.out)
    print(args.out)


def draw(network: FunctionNetwork, path: Path) -> None:
    """Mean ± 2 standard deviations of both posteriors for four functions with 5, 10, 20 and 40 known values."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(14, 3.2), sharey=True, layout="constrained")
    grid = np.linspace(0, 1, 200)
    for axis, n in zip(axes, (5, 10, 20, 40), strict=True):
        batch = sample_functions(7, n, 1, n, n, 1)
        known_x, known_y = batch.x[0, :, 0].astype(float), batch.y[0].astype(float)
        x = torch.from_numpy(np.concatenate([known_x, grid]).astype(np.float32))[None, :, None]
        with torch.inference_mode():
            ours = [part[0].numpy() for part in moments(network(x, torch.from_numpy(batch.y)))]
        for (mean, std), colour, name in ((posterior(known_x, known_y, grid), "0.3", "exact"), (ours, "C1", "network")):
            axis.plot(grid, mean, color=colour, label=name)
            axis.fill_between(grid, mean - 2 * std, mean + 2 * std, color=colour, alpha=0.2, linewidth=0)
        axis.plot(known_x, known_y, "k.", markersize=4)
        axis.set_title(f"{n} known values")
    axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
