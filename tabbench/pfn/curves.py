"""A network that has learned to continue learning curves, after LC-PFN (Adriaensen et al. 2023).

Trained as in `gp`, on the curves of `curve_prior`. Given the first values of a curve it predicts later ones, with their noise, as
probabilities of bars. Bars lie about the last value that is known, so that a curve that hardly moves is told finely.
"""

import math
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from scipy.special import expit, logit
from torch import Tensor, nn

from tabbench.pfn import small
from tabbench.pfn.card import CURVES
from tabbench.pfn.curriculum import Config, Shape, Stage
from tabbench.pfn.curve_prior import N_STEPS, sample_curves
from tabbench.pfn.gp import FunctionNetwork
from tabbench.pfn.network import NetworkConfig
from tabbench.pfn.trainer import Problem

N_WAVES = 4
CELL = 2 + 4 * N_WAVES + 2  # inputs of the network for a step
N_BARS = 300
SPAN = 1.5  # outermost borders, either side of the last known value
N_ASKED = 24  # later steps of a curve that training asks for
SCALE = 4.0  # of values as the network reads them
DELTA = 0.05  # a fit ends if no later step has a larger chance to be better than the best before


def read(steps: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the network reads of curves whose first values are known.

    steps : (n, N), from 1 to `N_STEPS`, those of known values first. known : (n, C) values.
    Returns cells (n, N, CELL), what is known about the last value (n, C), both float32, and the last values (n, 1).
    """
    last, share = known[:, -1:], steps / N_STEPS
    late = np.log(steps) / np.log(N_STEPS)
    angles = np.pi * np.arange(1, N_WAVES + 1) * np.stack([share, late], axis=-1)[..., None]
    waves = np.concatenate([np.sin(angles), np.cos(angles)], axis=-1).reshape(*steps.shape, -1)
    jumps = np.abs(np.diff(known, axis=1))[:, -8:].mean(axis=1) if known.shape[1] > 1 else np.full(len(known), 0.1)
    of_curve = np.stack([last[:, 0] - 0.5, np.log(jumps + 1e-4) / 4 + 1], axis=-1)
    cells = [share[..., None] - 0.5, late[..., None] - 0.5, waves, np.broadcast_to(of_curve[:, None], (*steps.shape, 2))]
    return np.concatenate(cells, axis=-1).astype(np.float32), (SCALE * (known - last)).astype(np.float32), last


def sample_lessons(seed: int, step: int, n_tasks: int, n_rows: int, n_context: int, n_features: int) -> tuple[np.ndarray, ...]:
    """Curves whose first `n_context` values are known: cells, known values (n_tasks, n_context), and later ones (n_tasks, q).

    n_rows : `N_STEPS`. The later values are less the last known one.
    """
    rng = np.random.default_rng([seed, step])
    _, values = sample_curves(rng, n_tasks)
    asked = np.sort(rng.permuted(np.tile(np.arange(n_context, n_rows), (n_tasks, 1)), axis=1)[:, :N_ASKED], axis=1)
    first = np.broadcast_to(np.arange(n_context), (n_tasks, n_context))
    cells, known, last = read(np.concatenate([first, asked], axis=1) + 1.0, values[:, :n_context])
    later = np.take_along_axis(values, asked, axis=1) - last
    return cells, known, later.clip(-SPAN, SPAN).astype(np.float32)


class CurveNetwork(FunctionNetwork):
    """Rows of a step and its value, through layers of the PFN to log probabilities of bars."""

    borders: Tensor

    def __init__(self, config: NetworkConfig, borders: Tensor | None = None) -> None:
        super().__init__(config, CELL, N_BARS)
        self.register_buffer("borders", _prior_borders() if borders is None else borders)

    def forward(self, cells: Tensor, known: Tensor) -> Tensor:
        """Log probabilities (B, N - C, N_BARS) of the bars at the rows of cells (B, N, CELL) behind the C that are known."""
        return self.answer(cells, known)


@cache
def _prior_borders() -> Tensor:
    """(N_BARS + 1,) edges of the bars: quantiles of the prior of a later value, cut off at `SPAN`."""
    parts = [sample_lessons(0, 10**6 + c, 200, N_STEPS, c, 1)[2].ravel() for c in (1, 2, 4, 8, 12, 20, 30, 40, 60, 80, 90)]
    inner = np.quantile(np.concatenate(parts), np.arange(1, N_BARS) / N_BARS)
    edges = np.concatenate([[-SPAN], inner, [SPAN]])
    return torch.tensor(edges + 1e-5 * np.arange(N_BARS + 1) - 5e-6 * N_BARS, dtype=torch.float32)  # no two are equal


def log_density(log_bars: Tensor, edges: Tensor, later: Tensor) -> Tensor:
    """Log density of later values (...) under bars (..., N_BARS)."""
    bar = (torch.searchsorted(edges, later.contiguous()) - 1).clamp(0, N_BARS - 1)
    return log_bars.gather(-1, bar[..., None])[..., 0] - edges.diff().log()[bar]


def regress(network: nn.Module, batch: Any, shape: Shape) -> tuple[Tensor, dict[str, float]]:
    """Mean negative log density (nats) of later values, beside that of bars of equal probability."""
    cells, known, later = batch
    assert isinstance(network, CurveNetwork)
    flat = later.new_full((*later.shape, N_BARS), -float(np.log(N_BARS)))
    loss = -log_density(network(cells, known), network.borders, later).mean()
    return loss, {"prior_loss": -float(log_density(flat, network.borders, later).mean()), "accuracy": float("nan")}


CURVE_LESSONS = Problem(lambda _: sample_lessons, CurveNetwork, regress, lambda *_: 0.0)
CONFIG = Config(
    NetworkConfig(width=64, n_layers=4, n_heads=4, hidden=128, n_thinking=0),
    (Stage(10**9, 128, (N_STEPS,), (1,), (0.01, 0.02, 0.03, 0.05, 0.08, 0.1, 0.14, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)),),
    seed=0,
    muon_lr=2e-2,
    adam_lr=4e-3,
    muon_weight_decay=0.0,
    warmup_steps=30,
    clip=1.0,
    ema=0.99,
)


def learn(cpu_seconds: float, out: Path | None = None, config: Config = CONFIG) -> CurveNetwork:
    """Train a network for so many CPU seconds, see `small.train`."""
    return cast(CurveNetwork, small.train(CURVE_LESSONS, config, cpu_seconds, out))


@cache
def load(path: Path = CURVES) -> CurveNetwork:
    """The trained network of a file, ready to predict; raises FileNotFoundError if there is none."""
    return small.read(path, CurveNetwork, CONFIG.network)


def grid(n_steps: int) -> np.ndarray:
    """Steps of a fit that the network is told of: all, or `N_STEPS` of them, evenly."""
    return np.unique(np.linspace(1, n_steps, min(n_steps, N_STEPS)).round().astype(int))


def checks(n_steps: int) -> list[int]:
    """Steps after which a fit may end: a tenth of them, a fifth, two fifths, four fifths; none that is the first or the last."""
    return sorted({math.ceil(n_steps * part / 20) for part in (2, 4, 8, 16)} - {1, n_steps})


class _Said(NamedTuple):
    """Bars (q, N_BARS) of later values less the `last` known. best : value of the incumbent. gap : of its loss to the start."""

    bars: np.ndarray
    edges: np.ndarray
    last: float
    best: float
    gap: float


def _said(losses: np.ndarray, n_steps: int, start: float, incumbent: float, network: CurveNetwork | None) -> _Said | None:
    """What the network says of the later steps of the grid; see `chances`."""
    network = network or load()
    at = grid(n_steps)
    first = at[at <= len(losses)]
    known = np.asarray(losses, np.float64)[first - 1]
    told = np.flatnonzero(np.isfinite(known))
    later = np.arange(len(first), len(at))
    if not len(told) or not len(later):
        return None
    gap = max(start - incumbent, 0.02 * start, 1e-9)
    values = expit(1 - 2 * (np.append(known[told], incumbent) - incumbent) / gap)
    cells, read_values, last = read(np.concatenate([told, later])[None] + 1.0, values[None, :-1])
    edges = network.borders.double().numpy()
    with torch.inference_mode():
        exact = network.borders.dtype
        bars = network(torch.from_numpy(cells).to(exact), torch.from_numpy(read_values).to(exact))[0].double().exp().numpy()
    return _Said(bars, edges, float(last[0, 0]), float(values[-1]), gap)


def chances(losses: np.ndarray, n_steps: int, start: float, incumbent: float, network: CurveNetwork | None = None) -> np.ndarray:
    """Probability of each later step of the grid that its loss is below the incumbent's.

    losses : (n,) of the first n steps of `n_steps`; what is not finite is left out. start : loss of predicting the shares of the
    classes. The network sees value = 1 / (1 + exp(2 u - 1)), where u is the loss's place between the incumbent's (0) and the
    start (1), as LC-PFN does with losses (its appendix A); an incumbent that is hardly better than the start is taken as a
    fiftieth better. Nothing is known without a finite loss: all are 1.
    """
    said = _said(losses, n_steps, start, incumbent, network)
    if said is None:
        return np.ones((grid(n_steps) > len(losses)).sum())
    share = ((said.edges[1:] - (said.best - said.last)) / np.diff(said.edges)).clip(0, 1)
    return cast(np.ndarray, said.bars @ share)


def band(losses: np.ndarray, n_steps: int) -> np.ndarray:
    """Quantiles (q, 3) of the loss at the later steps of the grid: .05, .5 and .95; none without a finite loss.

    losses : (n,) of the first n steps. Their first and least are taken for the start and the incumbent of `chances`.
    """
    finite = np.asarray(losses)[np.isfinite(losses)]
    said = _said(losses, n_steps, float(finite[0]), float(finite.min()), None) if len(finite) else None
    if said is None:
        return np.empty((0, 3))
    below = np.concatenate([np.zeros((len(said.bars), 1)), said.bars.cumsum(axis=1)], axis=1)
    values = np.array([np.interp((0.95, 0.5, 0.05), shares / shares[-1], said.edges + said.last) for shares in below])
    return cast(np.ndarray, finite.min() + said.gap * (1 - logit(values.clip(0.001, 0.999))) / 2)


def hopeless(losses: np.ndarray, n_steps: int, start: float, incumbent: float, delta: float = DELTA) -> bool:
    """Whether no later step is likely to be better than the incumbent: Pr ≤ delta at every one (Domhan et al. 2015, §4.2).

    Of fewer than two finite losses nothing is said.
    """
    if np.isfinite(losses).sum() < 2:
        return False
    return bool((chances(losses, n_steps, start, incumbent) <= delta).all())
