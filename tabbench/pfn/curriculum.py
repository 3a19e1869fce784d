"""What a training run sees: its config, the shapes of its steps, and batches drawn ahead by other processes.

The batch of a step is a function of (seed, step), so a curve does not depend on interruptions or on the number of processes.
"""

import os
import tomllib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from tabbench.errors import UserError
from tabbench.pfn.network import NetworkConfig, network_config


@dataclass(frozen=True)
class Stage:
    """A part of the curriculum: shapes that steps draw from until `until_tasks` tasks were seen in all.

    context : shares of the rows that are labelled. step_rows : a step of small tables has more than `n_tasks` of them, up to
    so many rows in all, since optimisers cost the same after every step, and gradients of few rows are noisy.
    """

    until_tasks: int
    n_tasks: int
    rows: tuple[int, ...]
    features: tuple[int, ...]
    context: tuple[float, ...] = (0.3, 0.5, 0.7, 0.9)
    step_rows: int = 0


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


def _values(table: dict[str, Any]) -> dict[str, Any]:
    """Lists of a TOML table as tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}


def load_config(name: str) -> Config:
    """Read a config by name (pfn/configs) or path; raises UserError if it is missing or malformed."""
    path = Path(name) if name.endswith(".toml") else Path(__file__).parent / "configs" / f"{name}.toml"
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        stages = tuple(Stage(**_values(stage)) for stage in raw["stage"])
        return Config(network_config(raw["network"]), stages, **raw["training"])
    except FileNotFoundError:
        raise UserError(f"{path}: no such config") from None
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise UserError(f"{path}: bad config: {error}") from None


def shape_of_step(config: Config, step: int, tasks: int) -> Shape:
    """The sizes that step draws, `tasks` tasks into the curriculum."""
    stage = next(stage for stage in config.stages if tasks < stage.until_tasks)
    rng = np.random.default_rng([config.seed, step])
    n_rows = int(rng.choice(stage.rows))
    n_context = int(n_rows * rng.choice(stage.context))
    n_tasks = max(stage.n_tasks, stage.step_rows // n_rows)
    return Shape(n_tasks, n_rows, n_context, int(rng.choice(stage.features)))


def batches(config: Config, step: int, tasks: int, n_workers: int, sample: Callable[..., Any]) -> Iterator[tuple[Shape, Any]]:
    """Batches from `step` on, drawn by `sample` (seed, step, **shape) ahead of time in `n_workers` processes (0: here)."""

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
        ahead: deque[tuple[Shape, Future[Any]]] = deque()
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
