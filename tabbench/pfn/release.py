"""Releases: a decay branch off a trunk becomes weights with their card; and the small copy of a trunk that is kept for good."""

import csv
import json
import platform
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch

from tabbench.pfn.card import write_card
from tabbench.pfn.checkpoint import load_trunk, save_trunk
from tabbench.pfn.curriculum import Config, batches
from tabbench.pfn.network import PFN, save_weights
from tabbench.pfn.trainer import Trainer

DECAY_SHARE = 0.15  # of the trunk's steps, for a release
KEPT_ROWS = 1000  # of the log


def release(config: Config, trunk: Path, steps: int | None, out: Path, *, n_workers: int) -> None:
    """Branch off the trunk, decay the learning rate to zero over `steps` steps, and write weights and model card.

    The trunk is left as it is. Without `steps`, the decay has 15% of the trunk's steps.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trainer = Trainer(config, device)
    trainer.restore(*load_trunk(trunk, device))
    start, started = trainer.step, time.monotonic()
    steps = steps or max(1, round(DECAY_SHARE * start))
    for shape, batch in batches(config, trainer.step, trainer.tasks, n_workers, trainer.sample):
        trainer.advance(batch, shape, 1 - (trainer.step - start) / steps)
        if trainer.step - start >= steps:
            break
    trainer.seconds += time.monotonic() - started
    hardware = torch.cuda.get_device_name() if device.type == "cuda" else f"{platform.machine()} CPU"
    facts: dict[str, Any] = {
        "tasks": trainer.tasks,
        "steps": trainer.step,
        "decay_steps": steps,
        "flops": trainer.flops,
        "seconds": round(trainer.seconds),
        "hardware": hardware,
        "products": str(trainer.dtype).removeprefix("torch."),
        "parameters": sum(p.numel() for p in trainer.network.parameters()),
    }
    save_weights(cast(PFN, trainer.network.half()), out, {"tasks": str(trainer.tasks)})  # half the file; read back as fp32
    write_card(out, {**facts, "config": asdict(config)}, trunk / "log.csv")
    print(json.dumps(facts), flush=True)


def keep(trunk: Path, out: Path) -> None:
    """Copy a trunk in half precision, without optimisers (a resume warms up anew), with a log of at most 1,000 means."""
    tensors, facts = load_trunk(trunk, torch.device("cpu"))
    save_trunk(out, {name: value.half() for name, value in tensors.items() if name.startswith("network/")}, facts)
    with (trunk / "log.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row["step"]) <= facts["step"]]
    with (out / "log.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        size = -(-len(rows) // KEPT_ROWS)
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            means = {name: f"{sum(float(row[name]) for row in part) / len(part):.6g}" for name in rows[0]}
            writer.writerow({**means, **{name: part[-1][name] for name in ("step", "tasks", "seconds")}})
