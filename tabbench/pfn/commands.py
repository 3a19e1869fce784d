"""`tabbench pfn ...`: the network's own workshop."""

import argparse
from pathlib import Path
from typing import Any


def register(commands: Any) -> None:
    """Add `pfn` with its sub-commands to the command line."""
    pfn = commands.add_parser("pfn", help="sample the prior, train, release and evaluate the network")
    parts = pfn.add_subparsers(title="commands", required=True, metavar="COMMAND")
    train = parts.add_parser("train", help="start or continue a training trunk")
    train.add_argument("--config", default="base", help="name of a config, or path of a TOML file (default base)")
    train.add_argument("--minutes", type=float, required=True)
    train.add_argument("--out", type=Path, required=True, help="folder of the training state and its log")
    train.add_argument("--resume", action="store_true", help="continue the state in --out")
    train.add_argument("--workers", type=int, default=1, help="processes that sample tables ahead (default 1)")
    train.add_argument("--threads", type=int, default=1, help="threads of the network on a CPU (default 1)")
    train.add_argument("--dev", type=Path, help="folder of development datasets to evaluate on at the end")
    train.set_defaults(func=_train)
    release = parts.add_parser("release", help="branch off a trunk, decay the learning rate, write weights and model card")
    release.add_argument("--config", default="base")
    release.add_argument("--trunk", type=Path, required=True, help="folder of a training state")
    release.add_argument("--steps", type=int, required=True, help="steps of the decay")
    release.add_argument("--out", type=Path, required=True, help="weights file to write (.safetensors)")
    release.add_argument("--workers", type=int, default=1)
    release.add_argument("--threads", type=int, default=1)
    release.set_defaults(func=_release)
    evaluate = parts.add_parser("evaluate", help="ROC AUC of weights on development datasets")
    evaluate.add_argument("--weights", type=Path, required=True)
    evaluate.add_argument("--dev", type=Path, required=True, help="folder with <id>/data.parquet and meta.json")
    evaluate.set_defaults(func=_evaluate)
    sample = parts.add_parser("sample", help="draw a picture of tables from the prior")
    sample.add_argument("--out", type=Path, required=True, help="PNG file to write")
    sample.add_argument("--seed", type=int, default=0)
    sample.set_defaults(func=_sample)


def _train(args: argparse.Namespace) -> int:
    import torch

    from tabbench.pfn.train import load_config, train

    torch.set_num_threads(args.threads)
    train(load_config(args.config), args.minutes, args.out, resume=args.resume, n_workers=args.workers, dev=args.dev)
    return 0


def _release(args: argparse.Namespace) -> int:
    import torch

    from tabbench.pfn.train import load_config, release

    torch.set_num_threads(args.threads)
    release(load_config(args.config), args.trunk, args.steps, args.out, n_workers=args.workers)
    return 0


def _evaluate(args: argparse.Namespace) -> int:
    from tabbench.pfn.evaluate import evaluate_network
    from tabbench.pfn.network import load_weights

    scores = evaluate_network(load_weights(args.weights), args.dev)
    for name, auc in scores.items():
        print(f"{name:40} {auc:.4f}")
    print(f"{'mean':40} {scores.mean():.4f}")
    return 0


def _sample(args: argparse.Namespace) -> int:
    from tabbench.pfn.prior_plot import draw_samples

    draw_samples(args.out, args.seed)
    print(args.out)
    return 0
