"""Pretraining: a trunk at a constant learning rate that any later run continues, and decay branches that become releases.

    python -m tabbench.pfn.train --config base --minutes 60 --out runs/pfn [--resume]

needs torch, numpy and safetensors only. The batch of a step is a function of (seed, step), so on one kind of device the
curve does not depend on interruptions or on the number of sampling processes. Warmup–stable–decay after Hu et al. 2024.
"""

import argparse
import csv
import json
import os
import platform
import sys
import time
import tomllib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tabbench.errors import UserError
from tabbench.files import replace_text
from tabbench.pfn.card import write_card
from tabbench.pfn.checkpoint import load_trunk, save_trunk
from tabbench.pfn.muon import Muon
from tabbench.pfn.network import GROUP, PFN, NetworkConfig, matrices, save_weights
from tabbench.pfn.prior import Batch, sample_batch

LOG_COLUMNS = ["step", "tasks", "seconds", "loss", "prior_loss", "accuracy", "lr", "grad_norm", "rows", "features"]
CHECKPOINT_SECONDS = 180
LINE_SECONDS = 60
DEVELOPMENT_SECONDS = 600
DECAY_SHARE = 0.15  # of the trunk's steps, for a release


@dataclass(frozen=True)
class Stage:
    """A part of the curriculum: shapes that steps draw from until `until_tasks` tasks were seen in all."""

    until_tasks: int
    n_tasks: int
    rows: tuple[int, ...]
    features: tuple[int, ...]


@dataclass(frozen=True)
class Config:
    """Everything that decides a training run; read from a TOML file."""

    network: NetworkConfig
    stages: tuple[Stage, ...]
    seed: int
    muon_lr: float
    adam_lr: float
    muon_weight_decay: float
    warmup_steps: int
    clip: float
    ema: float


@dataclass(frozen=True)
class Shape:
    """Sizes of one step."""

    n_tasks: int
    n_rows: int
    n_context: int
    n_features: int


@dataclass(frozen=True)
class Problem:
    """What is learned: how a batch is drawn, by what network, and the loss (nats) and further figures of a batch.

    loss : (network, batch of tensors, shape) → loss, {"prior_loss": ..., "accuracy": ...}.
    """

    sample: Callable[..., Batch]
    network: Callable[[NetworkConfig], nn.Module]
    loss: Callable[[nn.Module, Batch, Shape], tuple[Tensor, dict[str, float]]]


def load_config(name: str) -> Config:
    """Read a config by name (pfn/configs) or path; raises UserError if it is missing or malformed."""
    path = Path(name) if name.endswith(".toml") else Path(__file__).parent / "configs" / f"{name}.toml"
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        stages = tuple(
            Stage(**{**stage, "rows": tuple(stage["rows"]), "features": tuple(stage["features"])}) for stage in raw["stage"]
        )
        return Config(NetworkConfig(**raw["network"]), stages, **raw["training"])
    except FileNotFoundError:
        raise UserError(f"{path}: no such config") from None
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise UserError(f"{path}: bad config: {error}") from None


def shape_of_step(config: Config, step: int, tasks: int) -> Shape:
    """The sizes that step draws, `tasks` tasks into the curriculum; 30 to 90% of the rows are context."""
    stage = next(stage for stage in config.stages if tasks < stage.until_tasks)
    rng = np.random.default_rng([config.seed, step])
    n_rows = int(rng.choice(stage.rows))
    n_context = int(n_rows * rng.choice([0.3, 0.5, 0.7, 0.9]))
    return Shape(stage.n_tasks, n_rows, n_context, int(rng.choice(stage.features)))


def batches(
    config: Config, step: int, tasks: int, n_workers: int, sample: Callable[..., Batch] = sample_batch
) -> Iterator[tuple[Shape, Batch]]:
    """Batches from `step` on, sampled ahead by `n_workers` processes (0: here)."""

    def shapes() -> Iterator[tuple[int, Shape]]:
        at_step, at_tasks = step, tasks
        while True:
            shape = shape_of_step(config, at_step, at_tasks)
            yield at_step, shape
            at_step, at_tasks = at_step + 1, at_tasks + shape.n_tasks

    if n_workers == 0:
        for number, shape in shapes():
            yield shape, sample(config.seed, number, **asdict(shape))
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # for the processes to come
    with ProcessPoolExecutor(n_workers, get_context("spawn"), _end_with_parent) as pool:
        ahead: deque[tuple[Shape, Future[Batch]]] = deque()
        try:
            for number, shape in shapes():
                ahead.append((shape, pool.submit(sample, config.seed, number, **asdict(shape))))
                if len(ahead) > 3 * n_workers:
                    first, future = ahead.popleft()
                    yield first, future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Let a sampling process end when the trainer is killed, instead of waiting for work for ever."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def classify(network: nn.Module, batch: Any, shape: Shape) -> tuple[Tensor, dict[str, float]]:
    """Loss of the rows behind the context, the loss of guessing by the context's class shares, and the accuracy."""
    x, y, categorical, n_classes = batch
    logits = network(x, y[:, : shape.n_context], categorical)
    loss, accuracy = score(logits.float(), y[:, shape.n_context :], n_classes)
    return loss, {"prior_loss": prior_loss(y, shape.n_context), "accuracy": accuracy.item()}


TABLES = Problem(sample_batch, PFN, classify)


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


class Trainer:
    """Network, optimisers and their progress; `advance` makes one step."""

    def __init__(self, config: Config, device: torch.device, problem: Problem = TABLES) -> None:
        self.config, self.device, self.problem = config, device, problem
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.network = self.problem.network(config.network).to(device)
        inner = dict(matrices(self.network))
        rest = [p for name, p in self.network.named_parameters() if name not in inner]
        self.muon = Muon(inner.values(), config.muon_lr, weight_decay=config.muon_weight_decay)
        self.adam = torch.optim.AdamW(rest, config.adam_lr, betas=(0.9, 0.98), weight_decay=0.01)
        self.average = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.step = self.tasks = 0
        self.seconds = self.flops = 0.0

    def advance(self, batch: Batch, shape: Shape, rate: float) -> dict[str, float]:
        """One step at `rate` times the configured learning rates; returns the row of the log."""
        on_device = Batch(*(torch.from_numpy(part).to(self.device) for part in batch))  # type: ignore[arg-type]
        for optimizer, lr in ((self.muon, self.config.muon_lr), (self.adam, self.config.adam_lr)):
            for group in optimizer.param_groups:
                group["lr"] = lr * rate
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            loss, figures = self.problem.loss(self.network, on_device, shape)
        self.network.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        if torch.isfinite(norm):  # a single odd table must not end the run
            self.muon.step()
            self.adam.step()
        self._count(shape)
        return {"loss": loss.item(), **figures, "grad_norm": norm.item()}

    def _count(self, shape: Shape) -> None:
        keep = min(self.config.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.average.values()), list(self.network.state_dict().values()), 1 - keep)
        self.step += 1
        self.tasks += shape.n_tasks
        self.flops += flops(self.config.network, shape)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and facts from which `restore` makes an equal trainer."""
        names = {id(p): name for name, p in self.network.named_parameters()}
        tensors = {f"network/{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"average/{name}": value for name, value in self.average.items()}
        for optimizer in (self.muon, self.adam):
            for parameter, values in optimizer.state.items():
                tensors |= {f"optimizer/{names[id(parameter)]}/{key}": value for key, value in values.items()}
        facts = {"step": self.step, "tasks": self.tasks, "seconds": self.seconds, "flops": self.flops}
        return tensors, facts

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Continue from a saved state; raises UserError if it is of another network."""
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "optimizer": {}}
        for name, value in tensors.items():
            part, rest = name.split("/", 1)
            parts[part][rest] = value
        try:
            self.network.load_state_dict(parts["network"])
        except RuntimeError:
            raise UserError("the training state is of another network than the config's: choose its config") from None
        self.average = {name: parts["average"][name] for name in self.average}
        parameters = dict(self.network.named_parameters())
        inner = dict(matrices(self.network))
        for name, value in parts["optimizer"].items():
            owner, key = name.rsplit("/", 1)
            optimizer = self.muon if owner in inner else self.adam
            optimizer.state[parameters[owner]][key] = value.cpu() if key == "step" else value
        self.step, self.tasks, self.seconds, self.flops = (facts[k] for k in ("step", "tasks", "seconds", "flops"))

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


def flops(config: NetworkConfig, shape: Shape) -> float:
    """Floating-point operations of one step (forward and backward), matrix products only."""
    tokens = -(-shape.n_features // GROUP) + 1
    rows = shape.n_rows + config.n_thinking
    weights = 8 * config.width**2 + 2 * config.width * config.hidden
    looks = 2 * config.width * (shape.n_context + config.n_thinking + tokens)
    return 3 * 2 * shape.n_tasks * rows * tokens * config.n_layers * (weights + looks)


def warmup(config: Config, step: int) -> float:
    """Share of the full learning rate at a step of the trunk."""
    return min(1.0, (step + 1) / config.warmup_steps)


def train(
    config: Config,
    minutes: float,
    out: Path,
    *,
    resume: bool = False,
    start: Path | None = None,
    n_workers: int,
    dev: Path | None,
) -> None:
    """Run or continue a trunk for so many minutes, with checkpoints in `out`; raises UserError if `out` is in the way.

    A new trunk begins at random, or with the released weights `start`.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trainer = Trainer(config, device)
    if resume:
        tensors, facts = load_trunk(out, device)
        trainer.restore(tensors, facts)
        _cut_log(out / "log.csv", trainer.step)
    elif (out / "state.json").exists():
        raise UserError(f"{out}: holds a training state: add --resume, or choose another --out")
    elif start is not None:
        trainer.start_from(start)
    log = Log(out / "log.csv", trainer, minutes)
    started = saved = evaluated = time.monotonic()
    before = trainer.seconds
    for shape, batch in batches(config, trainer.step, trainer.tasks, n_workers):
        rate = warmup(config, trainer.step)
        row = trainer.advance(batch, shape, rate)
        now = time.monotonic()
        trainer.seconds = before + now - started
        log.add({**row, "lr": rate * config.muon_lr, "rows": shape.n_rows, "features": shape.n_features})
        done = now - started > 60 * minutes
        if done or now - saved > CHECKPOINT_SECONDS:
            log.flush()
            save_trunk(out, *trainer.state())
            saved = now
        if dev is not None and (done or now - evaluated > DEVELOPMENT_SECONDS):
            report_development(trainer, dev, out / "forest.json")
            evaluated = time.monotonic()
        if done:
            break


def report_development(trainer: Trainer, dev: Path, cache: Path) -> None:
    """Print the mean ROC AUC of the averaged weights on the development datasets, where pandas and scikit-learn are at hand."""
    try:
        from tabbench.pfn.evaluate import compare_with_forest
    except ImportError as error:
        print(f"development datasets skipped: {error.name} is not installed", flush=True)
        return
    table = compare_with_forest(averaged(trainer), dev, max_rows=2000, n_splits=1, cache=cache)
    means, wins = table.mean(), int((table["pfn"] > table["forest"]).sum())
    print(
        f"step {trainer.step} development ROC AUC {means['pfn']:.4f}, forest {means['forest']:.4f}, "
        f"ahead on {wins} of {len(table)}",
        flush=True,
    )


def averaged(trainer: Trainer) -> PFN:
    """The network with the running average of its weights."""
    network = PFN(trainer.config.network)
    network.load_state_dict({name: value.cpu() for name, value in trainer.average.items()})
    return network.eval()


class Log:
    """The curve as a CSV file, and one line a minute for people."""

    def __init__(self, path: Path, trainer: Trainer, minutes: float) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.trainer, self.minutes = trainer, minutes
        self.file = path.open("a", newline="", encoding="utf-8")
        self.writer = csv.DictWriter(self.file, LOG_COLUMNS)
        if self.file.tell() == 0:
            self.writer.writeheader()
        self.recent: list[dict[str, float]] = []
        self.started = self.last = time.monotonic()
        self.tasks_then = trainer.tasks

    def add(self, row: dict[str, float]) -> None:
        """Append one step; print the mean of the last minute when it is over."""
        counts = {"step": self.trainer.step, "tasks": self.trainer.tasks, "seconds": round(self.trainer.seconds, 2)}
        self.writer.writerow({**counts, **{name: f"{value:.6g}" for name, value in row.items()}})
        self.recent.append(row)
        now = time.monotonic()
        if now - self.last < LINE_SECONDS:
            return
        mean = {name: sum(r[name] for r in self.recent) / len(self.recent) for name in ("loss", "prior_loss", "accuracy")}
        speed = (self.trainer.tasks - self.tasks_then) / (now - self.last)
        left = self.minutes - (now - self.started) / 60
        print(
            f"step {self.trainer.step} tasks {self.trainer.tasks} loss {mean['loss']:.4f} "
            f"gain {mean['prior_loss'] - mean['loss']:.4f} accuracy {mean['accuracy']:.3f} "
            f"{speed:.1f} tasks/s, {left:.0f} min left",
            flush=True,
        )
        self.recent, self.last, self.tasks_then = [], now, self.trainer.tasks
        self.flush()

    def flush(self) -> None:
        """Bring the file to disk."""
        self.file.flush()


def _cut_log(path: Path, step: int) -> None:
    """Forget the rows after the state that is continued."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    kept = [line for line in lines if not line.split(",")[0].isdigit() or int(line.split(",")[0]) <= step]
    replace_text(path, "".join(line for line in kept if line.endswith("\n")))


def release(config: Config, trunk: Path, steps: int | None, out: Path, *, n_workers: int) -> None:
    """Branch off the trunk, decay the learning rate to zero over `steps` steps, and write weights and model card.

    The trunk is left as it is. Without `steps`, the decay has 15% of the trunk's steps.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trainer = Trainer(config, device)
    trainer.restore(*load_trunk(trunk, device))
    start, started = trainer.step, time.monotonic()
    steps = steps or max(1, round(DECAY_SHARE * start))
    for shape, batch in batches(config, trainer.step, trainer.tasks, n_workers):
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
        "parameters": sum(p.numel() for p in trainer.network.parameters()),
    }
    save_weights(cast(PFN, trainer.network.half()), out, {"tasks": str(trainer.tasks)})  # half the file; read back as fp32
    write_card(out, {**facts, "config": asdict(config)}, trunk / "log.csv")
    print(json.dumps(facts), flush=True)


def main() -> int:
    """Entry point of a bare checkout; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", default="base")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--start", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dev", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    try:
        config = load_config(args.config)
        train(config, args.minutes, args.out, resume=args.resume, start=args.start, n_workers=args.workers, dev=args.dev)
    except UserError as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
