"""Small networks for one problem: trained for so many CPU seconds, kept with what is to be known of them in one file."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from tabbench.files import replace_file
from tabbench.pfn.curriculum import Config, batches
from tabbench.pfn.network import NetworkConfig
from tabbench.pfn.trainer import Problem, Trainer

Network = TypeVar("Network", bound=nn.Module)
SIZES = ("width", "n_layers", "n_heads", "hidden")


def train(problem: Problem, config: Config, cpu_seconds: float, out: Path | None = None) -> nn.Module:
    """Train a network for so many CPU seconds, the learning rate falling to zero; `out` gets its weights, twenty times."""
    trainer = Trainer(config, torch.device("cpu"), problem, torch.float32)
    started, saved, losses = time.process_time(), 0.0, []
    for shape, batch in batches(config, 0, 0, n_workers=0, sample=trainer.sample):
        done = (time.process_time() - started) / cpu_seconds
        if done >= 1:
            break
        losses.append(trainer.advance(batch, shape, trainer.warmup * (1 - done))["loss"])
        if out and done > saved + 0.05:
            saved = done
            _save(trainer, out, losses, done * cpu_seconds)
    if out:
        _save(trainer, out, losses, cpu_seconds)
    network = problem.network(config.network)
    network.load_state_dict(trainer.average)
    return network.eval()


def _save(trainer: Trainer, out: Path, losses: Sequence[float], seconds: float) -> None:
    config = trainer.config.network
    facts = {
        "steps": trainer.step,
        "tasks": trainer.tasks,
        "cpu_seconds": round(seconds),
        "loss": round(float(np.mean(losses[-200:])), 4),
    }
    sizes = {name: getattr(config, name) for name in SIZES}
    halves = {name: value.half() if name != "borders" else value for name, value in trainer.average.items()}
    content = save(halves, metadata={name: str(value) for name, value in {**facts, **sizes}.items()})
    replace_file(out, lambda temporary: temporary.write_bytes(content))


def read(path: Path, make: Callable[[NetworkConfig, Tensor], Network], config: NetworkConfig) -> Network:
    """The network of a file, ready to predict; raises FileNotFoundError if there is none.

    make : from sizes and borders. It computes in float64, so that what follows does not hang on the last bits, which differ
    between processors.
    """
    with safe_open(path, framework="pt") as file:
        facts = file.metadata()
        tensors = {name: file.get_tensor(name).float() for name in file.keys()}
    width, n_layers, n_heads, hidden = (int(facts[name]) for name in SIZES)
    sizes = replace(config, width=width, n_layers=n_layers, n_heads=n_heads, hidden=hidden)
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers go on as if nothing had been drawn
        network = make(sizes, tensors["borders"])
    network.load_state_dict(tensors)
    return network.double().eval()
