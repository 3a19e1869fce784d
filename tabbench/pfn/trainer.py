"""One step of training: the loss, its gradients, and the optimisers; fp32 masters, and bf16 products where they are faster."""

import json
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tabbench.errors import UserError
from tabbench.pfn.curriculum import Config, Shape
from tabbench.pfn.evidence import Evidence, read_table
from tabbench.pfn.limits import ATTENDED_ROWS
from tabbench.pfn.muon import Muon
from tabbench.pfn.network import PFN, matrices, multiplications
from tabbench.pfn.prior import sample_batch


@dataclass(frozen=True)
class Problem:
    """What is learned: how batches are drawn, by what network, the loss of a batch, and what a step costs.

    sample : network config → a function of (seed, step, n_tasks, n_rows, n_context, n_features) that gives a tuple of arrays.
    loss : (network, batch as tensors, shape) → loss (nats), {"prior_loss": ..., "accuracy": ...}.
    multiplications : (network config, n_rows, n_context, n_features) → of one pass over one table.
    """

    sample: Callable[[Any], Callable[..., Any]]
    network: Callable[[Any], nn.Module]
    loss: Callable[[nn.Module, Any, Shape], tuple[Tensor, dict[str, float]]]
    multiplications: Callable[..., float]


class Lesson(NamedTuple):
    """Tables as the network reads them: evidence in half precision (float16; trust float32), labels, numbers of classes."""

    cells: np.ndarray
    answers: np.ndarray
    trust: np.ndarray
    y: np.ndarray
    n_classes: np.ndarray


def sample_lesson(voices: tuple[str, ...], seed: int, step: int, **shape: int) -> Lesson:
    """Draw tables of the prior and their evidence, which needs no gradients and so can be computed ahead.

    Of a large context, rows that attention does not see at prediction serve as evidence only and are left out then.
    """
    torch.set_num_threads(1)
    batch = sample_batch(seed, step, **shape)
    x, y, categorical = (torch.from_numpy(part) for part in batch[:3])
    cells, answers, trust = read_table(x, y[:, : shape["n_context"]], categorical, voices)
    kept = np.delete(np.arange(shape["n_rows"]), slice(ATTENDED_ROWS, shape["n_context"]))
    cells, answers = (part[:, kept].half() for part in (cells, answers))
    return Lesson(cells.numpy(), answers.numpy(), trust.numpy(), batch.y[:, kept], batch.n_classes)


def classify(network: nn.Module, batch: Any, shape: Shape) -> tuple[Tensor, dict[str, float]]:
    """Loss of the rows behind the context, the loss of guessing by the context's class shares, and the accuracy."""
    cells, answers, trust, y, n_classes = batch
    assert isinstance(network, PFN)
    n_context = min(shape.n_context, ATTENDED_ROWS)
    logits = network.answer(Evidence(cells, answers, trust), y[:, :n_context])
    loss, accuracy = score(logits, y[:, n_context:], n_classes)
    return loss, {"prior_loss": prior_loss(y, n_context), "accuracy": accuracy.item()}


TABLES = Problem(lambda network: partial(sample_lesson, network.voices), PFN, classify, multiplications)


def score(logits: Tensor, y: Tensor, n_classes: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy (nats) and accuracy over the classes a task has; logits (B, Q, K), y (B, Q)."""
    absent = torch.arange(logits.shape[-1], device=logits.device) >= n_classes[:, None, None]
    logits = logits.masked_fill(absent, -1e9)
    loss = F.cross_entropy(logits.flatten(0, 1), y.flatten())
    return loss, (logits.argmax(-1) == y).float().mean()


def prior_loss(y: Tensor, n_context: int) -> float:
    """Loss of predicting the context's class shares: what a network that sees no features can reach."""
    shares = F.one_hot(y[:, :n_context]).float().mean(1) + 1e-3
    logits = (shares / shares.sum(-1, keepdim=True)).log()[:, None].expand(-1, y.shape[1] - n_context, -1)
    return F.cross_entropy(logits.flatten(0, 1), y[:, n_context:].flatten()).item()


def fast_type(device: torch.device) -> torch.dtype:
    """The type in which products are fastest: bf16 on GPUs, and on CPUs with instructions for it where they are the faster ones.

    They are on AMD's Zen 4; those of Intel's Emerald Rapids without AMX have .6 times the speed of fp32. So it is measured.
    """
    if device.type == "cuda":
        return torch.bfloat16
    abilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    if not (abilities.get("avx512_bf16") or abilities.get("amx_bf16")):
        return torch.float32
    return min((torch.float32, torch.bfloat16), key=_seconds_of_products)


@cache
def _seconds_of_products(dtype: torch.dtype) -> float:
    """CPU seconds of a matrix product as the layers over rows make it, the best of ten."""
    left, right = torch.ones(2048, 256, dtype=dtype), torch.ones(256, 512, dtype=dtype)
    spent = []
    for _ in range(10):
        started = time.thread_time()
        left @ right
        spent.append(time.thread_time() - started)
    return min(spent)


class Trainer:
    """Network, optimisers and their progress; `advance` makes one step.

    dtype : of the products (None: the fastest here). The network that learns is in fp32; in bf16 steps a copy of it computes.
    """

    def __init__(self, config: Config, device: torch.device, problem: Problem = TABLES, dtype: torch.dtype | None = None) -> None:
        self.config, self.device, self.problem = config, device, problem
        self.dtype = dtype or fast_type(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.network = self.problem.network(config.network).to(device)
        self.worker = self.network if self.dtype == torch.float32 else deepcopy(self.network).to(self.dtype)
        inner = dict(matrices(self.network))
        rest = [p for name, p in self.network.named_parameters() if name not in inner]
        self.muon = Muon(inner.values(), config.muon_lr, weight_decay=config.muon_weight_decay, dtype=self.dtype)
        self.adam = torch.optim.AdamW(rest, config.adam_lr, betas=(0.9, 0.98), weight_decay=0.01)
        self.average = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.step = self.tasks = self.began = 0
        self.seconds = self.flops = 0.0

    @property
    def sample(self) -> Callable[..., Any]:
        """The function that draws a batch."""
        return self.problem.sample(self.config.network)

    @property
    def warmup(self) -> float:
        """Share of the full learning rate at this step of the trunk; optimisers that began anew warm up again."""
        return min(1.0, (self.step - self.began + 1) / self.config.warmup_steps)

    def advance(self, batch: Any, shape: Shape, rate: float) -> dict[str, float]:
        """One step at `rate` times the configured learning rates; returns the row of the log."""
        on_device = tuple(torch.from_numpy(part).to(self.device) for part in batch)
        for optimizer, lr in ((self.muon, self.config.muon_lr), (self.adam, self.config.adam_lr)):
            for group in optimizer.param_groups:
                group["lr"] = lr * rate
        loss, figures = self.problem.loss(self.worker, on_device, shape)
        self.worker.zero_grad(set_to_none=True)
        loss.backward()
        if self.worker is not self.network:
            for master, copy in zip(self.network.parameters(), self.worker.parameters(), strict=True):
                master.grad = None if copy.grad is None else copy.grad.float()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        if torch.isfinite(norm):  # a single odd table must not end the run
            self.muon.step()
            self.adam.step()
            self._refresh()
        self._count(shape)
        return {"loss": loss.item(), **figures, "grad_norm": norm.item()}

    def _refresh(self) -> None:
        """Bring the copy that computes up to date."""
        if self.worker is not self.network:
            with torch.no_grad():
                torch._foreach_copy_(list(self.worker.parameters()), list(self.network.parameters()))

    def _count(self, shape: Shape) -> None:
        keep = min(self.config.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.average.values()), list(self.network.state_dict().values()), 1 - keep)
        self.step += 1
        self.tasks += shape.n_tasks
        self.flops += step_flops(self.problem, self.config, shape)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and facts from which `restore` makes an equal trainer."""
        names = {id(p): name for name, p in self.network.named_parameters()}
        tensors = {f"network/{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"average/{name}": value for name, value in self.average.items()}
        for optimizer in (self.muon, self.adam):
            for parameter, values in optimizer.state.items():
                tensors |= {f"optimizer/{names[id(parameter)]}/{key}": value for key, value in values.items()}
        facts = {"step": self.step, "tasks": self.tasks, "seconds": self.seconds, "flops": self.flops, "began": self.began}
        return tensors, facts

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Continue from a saved state; raises UserError if it is of another network.

        A voice that the state does not know yet joins with an embedding of zeros. A state without optimisers warms up anew.
        """
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "optimizer": {}}
        for name, value in tensors.items():
            part, rest = name.split("/", 1)
            parts[part][rest] = value.float()
        begun = self.network.state_dict()
        known = {**{name: value for name, value in begun.items() if _is_of_a_voice(name)}, **parts["network"]}
        try:
            self.network.load_state_dict(known)
        except RuntimeError:
            raise UserError("the training state is of another network than the config's: choose its config") from None
        now = self.network.state_dict()
        self.average = {name: parts["average"].get(name, now[name]).clone() for name in now}
        parameters = dict(self.network.named_parameters())
        inner = dict(matrices(self.network))
        for name, value in parts["optimizer"].items():
            owner, key = name.rsplit("/", 1)
            optimizer = self.muon if owner in inner else self.adam
            optimizer.state[parameters[owner]][key] = value.cpu() if key == "step" else value
        self.step, self.tasks, self.seconds, self.flops = (facts[k] for k in ("step", "tasks", "seconds", "flops"))
        self.began = facts["began"] if parts["optimizer"] else self.step
        self._refresh()

    def start_from(self, weights: Path) -> None:
        """Begin a trunk with released weights and the counts of their card; parts that the release lacked begin at random.

        Raises UserError if the file or its card is missing, or if they are of another network.
        """
        try:
            tensors = load_file(weights, device=str(self.device))
            card = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
            self.network.load_state_dict({name: value.float() for name, value in tensors.items()}, strict=False)
            self.step, self.tasks, self.seconds, self.flops = (card[k] for k in ("steps", "tasks", "seconds", "flops"))
        except (SafetensorError, OSError, RuntimeError, ValueError, KeyError) as error:
            raise UserError(f"{weights}: cannot start from these weights ({str(error).splitlines()[0]})") from None
        self.average = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.began = self.step
        self._refresh()


def _is_of_a_voice(name: str) -> bool:
    return name.startswith(("hear.", "voice_scale."))


def step_flops(problem: Problem, config: Config, shape: Shape) -> float:
    """Floating-point operations of one step (forward and backward), matrix products of the network only."""
    return 6 * shape.n_tasks * problem.multiplications(config.network, shape.n_rows, shape.n_context, shape.n_features)


def averaged(trainer: Trainer) -> Any:
    """The problem's network with the running average of its weights."""
    network = trainer.problem.network(trainer.config.network)
    network.load_state_dict({name: value.cpu() for name, value in trainer.average.items()})
    return network.eval()
