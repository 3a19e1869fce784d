"""Bake-off of architectures and recipes: equal CPU seconds of training each, one after the other, from scratch, two seeds.

    python benchmarks/pfn_bakeoff.py --minutes 25 --dev FOLDER --out bakeoff.csv [--only NAME,NAME] [--seeds 0,1]

An entrant is one row of the CSV: tasks seen, mean loss on 200 fixed fresh tasks of the prior (nats), on development datasets of
at most 2,000 rows mean ROC AUC and log loss of one pass (one split), and CPU seconds of one pass at 1,000 × 20 + 1,000 rows.
Entrants that the file has are not run again, and one that was interrupted continues from its last checkpoint (a folder beside
the file), so that the command may be killed and repeated. CPU seconds of this process on one thread, drawing tables and
evidence included; the rate decays over the last quarter.
"""

import argparse
import csv
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from benchmarks.support.pfn_cells import CELLS, CellConfig
from tabbench.pfn.card import WEIGHTS
from tabbench.pfn.checkpoint import load_trunk, save_trunk
from tabbench.pfn.curriculum import Config, Stage, batches, load_config
from tabbench.pfn.evaluate import evaluate_network
from tabbench.pfn.evidence import read_context
from tabbench.pfn.network import PFN, Context, load_weights
from tabbench.pfn.prior import sample_batch
from tabbench.pfn.trainer import TABLES, Trainer, averaged, score

COLUMNS = ("entrant", "seed", "minutes", "tasks", "steps", "loss", "roc_auc", "log_loss", "latency")
SHAPES = Stage(10**9, 8, (96, 128, 192, 256, 384, 512), (2, 3, 5, 8, 12, 20), step_rows=4096)
TESTS = ((192, 6), (256, 12), (128, 3), (512, 16))
DECAY = 0.25
CHECKPOINT_SECONDS = 60


def variants(base: Config) -> dict[str, Config]:
    """Name → config; a network over cells hears the kernel alone."""
    config = replace(base, stages=(SHAPES,))
    network = config.network

    def sized(**sizes: int | tuple[str, ...]) -> Config:
        return replace(config, network=replace(network, **sizes))  # type: ignore[arg-type]

    def batch(n_tasks: int, step_rows: int) -> Config:
        return replace(config, stages=(replace(SHAPES, n_tasks=n_tasks, step_rows=step_rows),))

    return {
        "base": config,
        "width 192": sized(width=192, n_heads=3, hidden=384),
        "width 384": sized(width=384, n_heads=6, hidden=768),
        "4 layers": sized(n_layers=4),
        "8 layers": sized(n_layers=8),
        "no column layer": sized(n_cell_layers=0),
        "2 column layers": sized(n_cell_layers=2),
        "column width 96": sized(cell_width=96),
        "over cells": replace(config, network=CellConfig()),  # type: ignore[arg-type]
        "no voices": sized(voices=()),
        **({f"only {name}": sized(voices=(name,)) for name in network.voices} if len(network.voices) > 1 else {}),
        "8 tasks a step and small tables": batch(8, 0),
        "half as many tasks a step": batch(4, 2048),
        "twice as many tasks a step": batch(16, 8192),
        "Muon rate x2": replace(config, muon_lr=2 * config.muon_lr),
        "Muon rate /2": replace(config, muon_lr=config.muon_lr / 2),
        "Adam rate x2": replace(config, adam_lr=2 * config.adam_lr),
        "Adam rate /2": replace(config, adam_lr=config.adam_lr / 2),
    }


def train(config: Config, seconds: float, folder: Path) -> Trainer:
    """Train for so many CPU seconds, those of earlier tries included (the state is kept in `folder`)."""
    how = (CELLS, torch.float32) if isinstance(config.network, CellConfig) else (TABLES, None)
    trainer = Trainer(config, torch.device("cpu"), *how)
    if (folder / "state.json").exists():
        trainer.restore(*load_trunk(folder, torch.device("cpu")))
    before, started, saved = trainer.seconds, time.process_time(), time.monotonic()
    for shape, batch in batches(config, trainer.step, trainer.tasks, 0, trainer.sample):
        if trainer.seconds > seconds:
            break
        rate = min(trainer.warmup, (1 - trainer.seconds / seconds) / DECAY)
        trainer.advance(batch, shape, max(rate, 0.0))
        trainer.seconds = before + time.process_time() - started
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            save_trunk(folder, *trainer.state())
            saved = time.monotonic()
    save_trunk(folder, *trainer.state())
    return trainer


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


class VoicesAlone(PFN):
    """What the voices say, each as far as it is to be trusted, and nothing of the network."""

    def forward(self, x: Tensor, y_context: Tensor, categorical: Tensor) -> Tensor:
        """Logits of the rows behind the labelled ones."""
        n_context = y_context.shape[1]
        reader, _ = read_context(x[:, :n_context], y_context, categorical, self.config.voices)
        return reader.heard(reader.ask(x[:, n_context:]))

    def predict(self, context: Context, x_query: Tensor, voice_share: float = 1.0) -> Tensor:
        """Logits of query rows; the share is all there is."""
        return context.reader.heard(context.reader.ask(x_query))


def measure(network: PFN, dev: Path) -> dict[str, str]:
    """The last columns of a row."""
    scores = evaluate_network(network, dev)
    means = {"loss": fresh_loss(network), **scores.mean().to_dict(), "latency": latency(network)}
    return {name: f"{value:.4f}" for name, value in means.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=25, help="CPU minutes of training an entrant")
    parser.add_argument("--config", default="base")
    parser.add_argument("--dev", type=Path, required=True, help="folder of development datasets")
    parser.add_argument("--out", type=Path, required=True, help="CSV file of results")
    parser.add_argument("--only", help="comma-separated entrants")
    parser.add_argument("--seeds", default="0,1")
    args = parser.parse_args()
    torch.set_num_threads(1)
    base = load_config(args.config)
    entrants = variants(base)
    chosen = args.only.split(",") if args.only else ["weights that ship", "voices alone", *entrants]
    known = set()
    if args.out.exists():
        known = set(pd.read_csv(args.out)[["entrant", "seed"]].itertuples(index=False, name=None))
    for seed in map(int, args.seeds.split(",")):
        for name in chosen:
            if (name, seed) in known or (name not in entrants and seed):
                continue
            row: dict[str, object] = {"entrant": name, "seed": seed, "minutes": 0, "tasks": 0, "steps": 0}
            if name == "weights that ship":
                network = load_weights(WEIGHTS)
                row["tasks"] = json.loads(WEIGHTS.with_suffix(".json").read_text())["tasks"]
            elif name == "voices alone":
                network = VoicesAlone(base.network).eval()
            else:
                folder = args.out.with_suffix("") / f"{name.replace('/', 'over')}-{seed}"
                trainer = train(replace(entrants[name], seed=1000 + seed), 60 * args.minutes, folder)
                network = averaged(trainer)
                row |= {"minutes": args.minutes, "tasks": trainer.tasks, "steps": trainer.step}
            append(args.out, {**row, **measure(network, args.dev)})
    table = pd.read_csv(args.out, dtype=str)
    for cells in (COLUMNS, ["---", *["--:"] * (len(COLUMNS) - 1)], *table.itertuples(index=False)):
        print(f"| {' | '.join(cells)} |")


def append(path: Path, row: dict[str, object], columns: Sequence[str] = COLUMNS) -> None:
    """Add a row to the CSV file."""
    begins = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        if begins:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main()
