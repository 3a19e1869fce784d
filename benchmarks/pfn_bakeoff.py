"""Bake-off of architectures and recipes: the same CPU seconds of training each, one after the other, from scratch.

    python benchmarks/pfn_bakeoff.py --seconds 120 --dev ../shared/data/openml

One line a variant: tasks seen, loss on 200 fixed fresh tasks of the prior (lower is better), mean ROC AUC of one pass on the
development datasets of at most 2,000 rows, and CPU seconds to fit 1,000 × 20 and predict 1,000 rows. References: `shipped`, the
weights of the package; `kernel alone`, what kernel ridge regression tells the network; `base`, the recipe that ships. Times are
CPU seconds of this process on one thread, so that a busy machine does not favour anyone.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tabbench.pfn.card import WEIGHTS
from tabbench.pfn.network import PFN, Layer, NetworkConfig, load_weights
from tabbench.pfn.prior import sample_batch
from tabbench.pfn.train import TABLES, Config, Stage, Trainer, batches, load_config, score

SHAPES = Stage(10**9, 4, (96, 128, 192, 256), (2, 3, 5, 8, 12))
TESTS = [(192, 6), (256, 12), (128, 3), (256, 8)]


class NoEvidence(PFN):
    """Cells without the label shares of their neighbours."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        nn.init.zeros_(self.class_code.weight)
        self.class_code.weight.requires_grad_(False)


class NoKernel(PFN):
    """Rows without the answers of kernel ridge regression."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        for parameter in (self.kernel_scale, self.embed_kernel.weight):
            nn.init.zeros_(parameter)
            parameter.requires_grad_(False)


class Neither(NoKernel, NoEvidence):
    """A plain transformer over cells."""


class Shifted(PFN):
    """As many tokens as columns: token j reads columns j, j + 1, j + 3 (circular), instead of disjoint triples."""

    def _group(self, cells: Tensor) -> Tensor:
        return torch.cat([cells.roll(-shift, dims=2) for shift in (0, 1, 3)], dim=-1)


class Uncached(PFN):
    """A variant whose only pass is `forward`."""

    def encode_context(self, *context: Tensor) -> Any:
        """The context itself."""
        return context

    def predict(self, context: Any, x_query: Tensor) -> Tensor:
        """As in PFN."""
        x, y, categorical = context
        return self(torch.cat([x, x_query], dim=1), y, categorical)


class KernelAlone(Uncached):
    """The mean of the kernel's answers, each as far as it is to be trusted, and no network."""

    def forward(self, x: Tensor, y_context: Tensor, categorical: Tensor) -> Tensor:
        """As in PFN."""
        n_context = y_context.shape[1]
        columns, kernel, _ = self._begin(x[:, :n_context], y_context, categorical)
        _, answers = self._queries(x[:, n_context:], columns, kernel)
        return (kernel.trust * answers).mean(2) + kernel.shares[:, 0].log()


class RowWise(Uncached):
    """Column, then row, then in-context learning: two layers over cells, rows pooled, then layers over rows alone."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(replace(config, n_layers=2))
        wide = replace(config, width=2 * config.width, hidden=4 * config.width, n_layers=4)
        self.join = nn.Linear(2 * config.width, wide.width)
        self.layers.extend(Layer(wide) for _ in range(wide.n_layers))
        self.config = config

    def rows(self, stream: Tensor, n_labelled: int) -> Tensor:
        """(B, L, T, D) → (B, L, 2 D)."""
        for layer in self._layers()[:2]:
            stream = layer(stream, layer.row_keys(stream[:, :n_labelled]))
        rows = self.join(self._pool(stream))[:, :, None]
        for layer in self._layers()[2:]:
            by_token = layer.norms[0](rows).transpose(1, 2).flatten(0, 1)
            seen = layer.over_rows(by_token, layer.row_keys(rows[:, :n_labelled])).unflatten(0, (len(rows), -1))
            rows = rows + seen.transpose(1, 2)
            rows = rows + layer.mlp(layer.norms[2](rows))
        return self.norm(rows[:, :, 0])

    def forward(self, x: Tensor, y_context: Tensor, categorical: Tensor) -> Tensor:
        """As in PFN."""
        n_context = y_context.shape[1]
        columns, kernel, rows = self._begin(x[:, :n_context], y_context, categorical)
        queries, answers = self._queries(x[:, n_context:], columns, kernel)
        pooled = self.rows(torch.cat([rows, queries], dim=1), rows.shape[1])
        votes = self.vote_key(pooled[:, self.config.n_thinking : rows.shape[1]])
        return self._decode(pooled[:, rows.shape[1] :], votes, y_context, kernel.trust * answers)


def variants(config: Config) -> dict[str, tuple[type[PFN], Config]]:
    """Name → architecture and config."""
    small = replace(config, stages=(SHAPES,), warmup_steps=50)
    return {
        "base": (PFN, small),
        "no kernel": (NoKernel, small),
        "no evidence": (NoEvidence, small),
        "neither": (Neither, small),
        "shifted triples": (Shifted, small),
        "column-row-ICL": (RowWise, small),
        "8 tasks a step": (PFN, replace(small, stages=(replace(SHAPES, n_tasks=8),))),
        "2 tasks a step": (PFN, replace(small, stages=(replace(SHAPES, n_tasks=2),))),
        "Muon rate x2": (PFN, replace(small, muon_lr=2 * small.muon_lr)),
        "Muon rate /2": (PFN, replace(small, muon_lr=small.muon_lr / 2)),
        "no thinking rows": (PFN, replace(small, network=replace(small.network, n_thinking=0))),
        "width 128": (PFN, replace(small, network=replace(small.network, width=128, hidden=256))),
    }


def train(architecture: type[PFN], config: Config, seconds: float) -> tuple[PFN, int]:
    """Train for so many CPU seconds; the rate decays over the last third. Returns the network and the tasks seen."""
    trainer = Trainer(config, torch.device("cpu"), replace(TABLES, network=architecture))
    used = 0.0
    for shape, batch in batches(config, 0, 0, 0):
        started = time.process_time()
        rate = min(1.0, (trainer.step + 1) / config.warmup_steps, 3 * (1 - used / seconds))
        trainer.advance(batch, shape, max(rate, 0.0))
        used += time.process_time() - started
        if used > seconds:
            return trainer.network.eval(), trainer.tasks
    raise AssertionError("batches end never")


def fresh_loss(network: PFN, n_batches: int = 50) -> float:
    """Mean loss on tasks of another seed than training's."""
    total = 0.0
    for i in range(n_batches):
        rows, features = TESTS[i % len(TESTS)]
        x, y, categorical, n_classes = (torch.from_numpy(part) for part in sample_batch(99, i, 4, rows, rows // 2, features))
        with torch.inference_mode():
            logits = network(x, y[:, : rows // 2], categorical)
        total += score(logits, y[:, rows // 2 :], n_classes)[0].item()
    return total / n_batches


def latency(network: PFN) -> float:
    """CPU seconds of one member at 1,000 × 20 training and 1,000 test rows; the better of two."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 2000, 20, generator=generator)
    y = torch.randint(0, 3, (1, 1000), generator=generator)
    categorical = torch.zeros(1, 20, dtype=torch.bool)
    times = []
    with torch.inference_mode():
        for _ in range(2):
            started = time.process_time()
            network(x, y, categorical)
            times.append(time.process_time() - started)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120, help="CPU seconds of training a variant")
    parser.add_argument("--dev", type=Path, help="folder of development datasets")
    parser.add_argument("--only", help="comma-separated variants")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'variant':18} {'tasks':>6} {'loss':>7} {'AUC':>7} {'CPU s':>6}")
    base = load_config("base")
    entrants: dict[str, Callable[[], tuple[PFN, int]]] = {
        "shipped": lambda: (load_weights(WEIGHTS), json.loads(WEIGHTS.with_suffix(".json").read_text())["tasks"]),
        "kernel alone": lambda: (KernelAlone(base.network).eval(), 0),
        **{name: partial(train, *variant, args.seconds) for name, variant in variants(base).items()},
    }
    for name, make in entrants.items():
        if args.only and name not in args.only.split(","):
            continue
        network, tasks = make()
        auc = float("nan")
        if args.dev:
            from tabbench.pfn.evaluate import evaluate_network

            auc = evaluate_network(network, args.dev).mean()
        print(f"{name:18} {tasks:6} {fresh_loss(network):7.4f} {auc:7.4f} {latency(network):6.2f}", flush=True)


if __name__ == "__main__":
    main()
