"""`tabbench pfn ...`: the network's own workshop."""

import argparse
from pathlib import Path

from tabbench.cli.parser import Commands, Exit


def register(commands: Commands) -> None:
    """Add `pfn` with its sub-commands."""
    parts = Commands(
        commands.add(
            "pfn",
            "sample the prior, train, release, calibrate and evaluate the network",
            example="tabbench pfn sample --out prior.png",
            group="build",
        )
    )
    train = parts.add(
        "train", "start or continue a training trunk", example="tabbench pfn train --config base --minutes 60 --out runs/trunk"
    )
    train.add_argument("--config", default="base", help="name of a config, or path of a TOML file (default base)")
    train.add_argument("--minutes", type=float, required=True, help="how long; cut off at any moment, it can be continued")
    train.add_argument("--out", type=Path, required=True, help="folder of the training state and its log")
    train.add_argument("--resume", action="store_true", help="continue the state in --out")
    train.add_argument("--start", type=Path, help="begin a new trunk with released weights instead of at random")
    train.add_argument("--workers", type=int, default=1, help="processes that sample tables ahead (default 1)")
    train.add_argument("--threads", type=int, default=1, help="threads of the network on a CPU (default 1)")
    train.add_argument("--dev", type=Path, help="folder of development datasets to evaluate on every ten minutes")
    train.set_defaults(func=_train)
    release = parts.add(
        "release",
        "branch off a trunk, decay the learning rate, write weights and model card",
        example="tabbench pfn release --trunk runs/trunk --out runs/weights.safetensors",
    )
    release.add_argument("--config", default="base")
    release.add_argument("--trunk", type=Path, required=True, help="folder of a training state")
    release.add_argument("--steps", type=int, help="steps of the decay (default: 15%% of the trunk's)")
    release.add_argument("--out", type=Path, required=True, help="weights file to write (.safetensors)")
    release.add_argument("--workers", type=int, default=1)
    release.add_argument("--threads", type=int, default=1)
    release.set_defaults(func=_release)
    keep = parts.add(
        "keep",
        "copy a trunk in half precision and without optimisers, to be continued later",
        example="tabbench pfn keep --trunk runs/trunk --out runs/kept",
    )
    keep.add_argument("--trunk", type=Path, required=True, help="folder of a training state")
    keep.add_argument("--out", type=Path, required=True, help="folder to write")
    keep.set_defaults(func=_keep)
    calibrate = parts.add(
        "calibrate",
        "fit the temperature of released weights and write it into their card",
        example="tabbench pfn calibrate --weights runs/weights.safetensors",
    )
    calibrate.add_argument("--weights", type=Path, required=True, help="weights file with its model card")
    calibrate.set_defaults(func=_calibrate)
    evaluate = parts.add(
        "evaluate",
        "ROC AUC of one network pass on development datasets, beside a random forest",
        example="tabbench pfn evaluate --dev development",
    )
    evaluate.add_argument("--weights", type=Path, help="weights file (default: those that ship)")
    evaluate.add_argument("--dev", type=Path, required=True, help="folder with <id>/data.parquet and meta.json")
    evaluate.add_argument("--max-rows", type=int, default=6000, help="skip larger datasets; half the rows are trained on")
    evaluate.add_argument("--splits", type=int, default=5, help="random halves of each dataset (default 5)")
    evaluate.set_defaults(func=_evaluate)
    sample = parts.add("sample", "draw a picture of tables from the prior", example="tabbench pfn sample --out prior.png")
    sample.add_argument("--out", type=Path, required=True, help="PNG file to write")
    sample.add_argument("--seed", type=int, default=0)
    sample.set_defaults(func=_sample)


def _train(args: argparse.Namespace) -> int:
    import torch

    from tabbench.pfn.curriculum import load_config
    from tabbench.pfn.train import train

    torch.set_num_threads(args.threads)
    config = load_config(args.config)
    train(config, args.minutes, args.out, resume=args.resume, start=args.start, n_workers=args.workers, dev=args.dev)
    return Exit.OK


def _release(args: argparse.Namespace) -> int:
    import torch

    from tabbench.pfn.curriculum import load_config
    from tabbench.pfn.release import release

    torch.set_num_threads(args.threads)
    release(load_config(args.config), args.trunk, args.steps, args.out, n_workers=args.workers)
    return Exit.OK


def _keep(args: argparse.Namespace) -> int:
    from tabbench.pfn.release import keep

    keep(args.trunk, args.out)
    print(args.out)
    return Exit.OK


def _calibrate(args: argparse.Namespace) -> int:
    from tabbench.pfn.calibrate import calibrate

    temperature, before, after = calibrate(args.weights)
    print(f"temperature {temperature}: log loss on fresh tables {before:.4f} without it, {after:.4f} with it")
    return Exit.OK


def _evaluate(args: argparse.Namespace) -> int:
    from tabbench.pfn.card import WEIGHTS
    from tabbench.pfn.evaluate import compare_with_forest
    from tabbench.pfn.network import load_weights

    table = compare_with_forest(load_weights(args.weights or WEIGHTS), args.dev, args.max_rows, args.splits)
    print(table.round(4).to_string())
    means = table.mean()
    print(
        f"{len(table)} datasets, mean ROC AUC: network {means['pfn']:.4f} (log loss {means['log_loss']:.4f}), "
        f"forest {means['forest']:.4f}"
    )
    return Exit.OK


def _sample(args: argparse.Namespace) -> int:
    from tabbench.pfn.prior_plot import draw_samples

    draw_samples(args.out, args.seed)
    print(args.out)
    return Exit.OK
