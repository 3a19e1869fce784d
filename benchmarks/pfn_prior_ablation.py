"""What each part of the prior is good for: the default network trained from scratch without it, for equal CPU seconds.

    python benchmarks/pfn_prior_ablation.py --minutes 25 --dev FOLDER --out ablation.csv [--only PART,PART] [--seeds 0,1]

A part is a family of functions (their shares grow to fill the gap) or an overlay. Training, clock and checkpoints are those of
pfn_bakeoff.py, so that the command may be killed and repeated. Prints in Markdown what leaving a part out changes against the
whole prior of the same seed, mean of the seeds: log loss on 200 fresh tasks of the whole prior, log loss on 80 fresh tasks of
that family alone, mean ROC AUC and log loss on the development datasets of at most 2,000 rows (one pass, one split). A part
that does not help the development datasets is a candidate for dropping; the last two columns differ by chance as much as two
seeds of the whole prior do, which is printed below.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch

from benchmarks.pfn_bakeoff import SHAPES, append, fresh_loss, train
from tabbench.pfn import prior
from tabbench.pfn.curriculum import load_config
from tabbench.pfn.evaluate import evaluate_network
from tabbench.pfn.network import PFN
from tabbench.pfn.trainer import averaged, score

WHOLE = "nothing"
OVERLAYS = ("repeat_rows", "add_junk", "tie_values", "warp", "make_categorical", "drop_cells")
COLUMNS = ("without", "seed", "minutes", "tasks", "loss", *prior.FAMILIES, "roc_auc", "log_loss")


@contextmanager
def without(part: str) -> Iterator[None]:
    """The prior lacks a part while this holds."""
    if part in prior.FAMILIES:
        kept = {name: entry for name, entry in prior.FAMILIES.items() if name != part}
        with patch.dict(prior.FAMILIES, kept, clear=True):
            yield
    elif part in OVERLAYS:
        with patch.object(prior, part, lambda rng, x, *rest: np.zeros(x.shape[1], bool)):
            yield
    else:
        yield


def family_loss(network: PFN, family: str, n_tables: int = 80) -> float:
    """Mean loss (nats) on fresh tables of one family, 256 × 8, half of the rows context."""
    total = 0.0
    for i in range(n_tables):
        rng = np.random.Generator(np.random.SFC64([98, i]))
        x, y, categorical = (torch.from_numpy(part)[None] for part in prior.sample_table(rng, 256, 128, 8, family))
        with torch.inference_mode():
            logits = network(x, y[:, :128], categorical)
        total += score(logits, y[:, 128:], y.max(1).values + 1)[0].item()
    return total / n_tables


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=25, help="CPU minutes of training each")
    parser.add_argument("--dev", type=Path, required=True, help="folder of development datasets")
    parser.add_argument("--out", type=Path, required=True, help="CSV file of results")
    parser.add_argument("--only", help="comma-separated parts to leave out, one at a time")
    parser.add_argument("--seeds", default="0,1")
    args = parser.parse_args()
    torch.set_num_threads(1)
    config = replace(load_config("base"), stages=(SHAPES,))
    parts = [WHOLE, *(args.only.split(",") if args.only else [*prior.FAMILIES, *OVERLAYS])]
    known = set()
    if args.out.exists():
        known = set(pd.read_csv(args.out)[["without", "seed"]].itertuples(index=False, name=None))
    for seed in map(int, args.seeds.split(",")):
        for part in parts:
            if (part, seed) in known:
                continue
            with without(part):
                trainer = train(replace(config, seed=1000 + seed), 60 * args.minutes, args.out.with_suffix("") / f"{part}-{seed}")
            network = averaged(trainer)
            losses = {family: family_loss(network, family) for family in prior.FAMILIES}
            figures = {"loss": fresh_loss(network), **losses, **evaluate_network(network, args.dev).mean().to_dict()}
            row = {"without": part, "seed": seed, "minutes": args.minutes, "tasks": trainer.tasks}
            append(args.out, {**row, **{name: f"{value:.4f}" for name, value in figures.items()}}, COLUMNS)
    report(pd.read_csv(args.out))


def report(scores: pd.DataFrame) -> None:
    """Print the changes of means over seeds, and how far seeds of the whole prior are apart."""
    table = scores.set_index(["without", "seed"])
    whole = table.loc[WHOLE]
    print("| without | loss | on its own tables | ROC AUC | log loss |\n|---|--:|--:|--:|--:|")
    for part in scores["without"].unique():
        if part != WHOLE:
            change = table.loc[part].mean() - whole.mean()
            of_family = f"{change[part]:+.4f}" if part in change else ""
            print(f"| {part} | {change['loss']:+.4f} | {of_family} | {change['roc_auc']:+.4f} | {change['log_loss']:+.4f} |")
    for name in ("loss", "roc_auc", "log_loss"):
        values = whole[name]
        print(f"\nWhole prior, {name}: {values.mean():.4f}; {len(values)} seeds are {values.max() - values.min():.4f} apart")


if __name__ == "__main__":
    main()
