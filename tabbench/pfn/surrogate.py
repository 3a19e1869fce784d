"""A network that has learned to regress on few points of a search space: the surrogate of a search.

Trained as in `gp`, on draws from Gaussian processes whose hyperparameters are drawn, too (Müller et al. 2023, PFNs4BO, §4, their
HEBO+ prior without its linear kernel): Matérn 3/2 with a length scale an input, some inputs ignored, noisy values. Inputs are
numbers, whole numbers or choices; between choices the distance is one, as in CoCaBO (Ru et al. 2020). Given points and their
noisy values it predicts values without noise at other points, as probabilities of bars, from which the expected improvement
is exact.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from tabbench.pfn import small
from tabbench.pfn.card import SURROGATE
from tabbench.pfn.curriculum import Config, Shape, Stage
from tabbench.pfn.gp import FunctionNetwork
from tabbench.pfn.network import NetworkConfig
from tabbench.pfn.trainer import Problem

MOST_INPUTS = 12
MOST_CHOICES = 8
N_WAVES = 3
CELL = 2 + 2 * N_WAVES + MOST_CHOICES  # inputs of the network for one of the search's
N_BARS = 100
TAIL = 8.0  # outermost borders, in standard deviations of the known values
MOST_KNOWN = 100  # points that are looked at; the network has seen up to 57
NUMBER, WHOLE, CHOICE = range(3)


def sample_searches(
    seed: int, step: int, n_tasks: int, n_rows: int, n_context: int, n_features: int
) -> tuple[np.ndarray, np.ndarray]:
    """Points of search spaces and their values.

    Returns cells (n_tasks, n_rows, MOST_INPUTS × CELL) and values (n_tasks, n_rows), both float32: noisy ones of the first
    `n_context` rows, which have mean 0 and standard deviation 1, on the same scale the others without noise.
    """
    rng = np.random.default_rng([seed, step])
    shape = (n_tasks, 1, n_features)
    kinds = rng.choice(3, shape, p=(0.7, 0.15, 0.15))
    levels = rng.integers(2, MOST_CHOICES + 1, shape)
    x = rng.random((n_tasks, n_rows, n_features))
    x = np.where(kinds == NUMBER, x, np.floor(x * levels))
    x = np.where(kinds == WHOLE, x / (levels - 1), x)
    scale = rng.gamma(1.2107, 1 / 1.5212, shape)
    ignored = rng.random(shape) < 0.3
    ignored[np.arange(n_tasks), 0, rng.integers(n_features, size=n_tasks)] = False
    inverse = np.where(ignored, 0.0, 1 / np.maximum(scale, 0.02))
    difference = x[:, :, None] - x[:, None]
    difference = np.where(kinds[:, None] == CHOICE, difference != 0, difference) * inverse[:, None]
    r = np.sqrt(3 * (difference**2).sum(axis=-1))
    covariance = rng.gamma(0.8452, 1 / 0.3994, (n_tasks, 1, 1)) * ((1 + r) * np.exp(-r) + 1e-6 * np.eye(n_rows))
    f = (np.linalg.cholesky(covariance) @ rng.standard_normal((n_tasks, n_rows, 1)))[..., 0]
    y = f.copy()
    y[:, :n_context] += np.exp(rng.normal(-4.63, 0.5, (n_tasks, 1)) / 2) * rng.standard_normal((n_tasks, n_context))
    known = y[:, :n_context]
    y = (y - known.mean(axis=1, keepdims=True)) / np.maximum(known.std(axis=1, keepdims=True), 1e-3)
    return cells_of(x, np.broadcast_to(kinds, (n_tasks, 1, n_features))), y.clip(-TAIL, TAIL).astype(np.float32)


def cells_of(x: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """What the network reads of points x (..., n, d) of these kinds (..., 1, d): (..., n, MOST_INPUTS × CELL) float32.

    Numbers lie in [0, 1], choices are codes. An input that is not there is all zeros.
    """
    is_choice = np.broadcast_to(kinds == CHOICE, x.shape)
    angles = np.pi * np.arange(1, N_WAVES + 1) * x[..., None]
    number = np.concatenate([x[..., None] - 0.5, np.sin(angles), np.cos(angles)], axis=-1) * ~is_choice[..., None]
    code = (x[..., None] == np.arange(MOST_CHOICES)) & is_choice[..., None]
    cells = np.concatenate([np.ones((*x.shape, 1)), number, code], axis=-1)
    absent = np.zeros((*x.shape[:-1], MOST_INPUTS - x.shape[-1], CELL))
    return np.concatenate([cells, absent], axis=-2).reshape(*x.shape[:-1], -1).astype(np.float32)


class SurrogateNetwork(FunctionNetwork):
    """Rows of a point and its value, through layers of the PFN to log probabilities of bars."""

    borders: Tensor

    def __init__(self, config: NetworkConfig, borders: Tensor | None = None) -> None:
        super().__init__(config, MOST_INPUTS * CELL, N_BARS)
        self.register_buffer("borders", _prior_borders() if borders is None else borders)
        nn.init.normal_(self.embed_x.weight, std=0.3)  # most cells are zero: the usual start would drown points in their values

    def forward(self, cells: Tensor, y_context: Tensor) -> Tensor:
        """Log probabilities (B, N - C, N_BARS) of the bars at the rows of cells (B, N, …) behind the C with values y_context."""
        return self.answer(cells, y_context)


@cache
def _prior_borders() -> Tensor:
    """(N_BARS + 1,) edges of the bars: quantiles of the prior of a value, cut off at `TAIL`."""
    parts = [sample_searches(0, 10**6 + d, 64, 48, 8 + 4 * d, d)[1][:, 8 + 4 * d :] for d in range(1, 9)]
    inner = np.quantile(np.concatenate([part.ravel() for part in parts]), np.arange(1, N_BARS) / N_BARS)
    edges = np.concatenate([[-TAIL], inner, [TAIL]])
    return torch.tensor(edges + 1e-4 * np.arange(N_BARS + 1) - 5e-5 * N_BARS, dtype=torch.float32)  # no two are equal


def regress(network: nn.Module, batch: Any, shape: Shape) -> tuple[Tensor, dict[str, float]]:
    """Mean negative log density (nats) of the rows behind the context, beside that of bars of equal probability."""
    cells, y = batch
    assert isinstance(network, SurrogateNetwork)
    edges, target = network.borders, y[:, shape.n_context :].contiguous()
    bar = (torch.searchsorted(edges, target) - 1).clamp(0, N_BARS - 1)
    width = edges.diff().log()[bar]
    log_bars = network(cells, y[:, : shape.n_context]).gather(-1, bar[..., None])[..., 0]
    return (width - log_bars).mean(), {"prior_loss": float((width + np.log(N_BARS)).mean()), "accuracy": float("nan")}


SEARCHES = Problem(lambda _: sample_searches, SurrogateNetwork, regress, lambda *_: 0.0)
CONFIG = Config(
    NetworkConfig(width=64, n_layers=4, n_heads=4, hidden=128, n_thinking=0),
    (
        Stage(16_000, 32, (32,), (1, 2), (0.3, 0.5, 0.7)),  # it learns to look at its neighbours where they are easy to find
        Stage(10**9, 32, (32, 64), (1, 2, 3, 4, 5, 6, 8, 10, 12), (0.1, 0.2, 0.3, 0.5, 0.7, 0.9)),
    ),
    seed=0,
    muon_lr=2e-2,
    adam_lr=4e-3,
    muon_weight_decay=0.0,
    warmup_steps=30,
    clip=1.0,
    ema=0.99,
)


def learn(cpu_seconds: float, out: Path | None = None, config: Config = CONFIG) -> SurrogateNetwork:
    """Train a network for so many CPU seconds, see `small.train`."""
    return cast(SurrogateNetwork, small.train(SEARCHES, config, cpu_seconds, out))


@cache
def load(path: Path = SURROGATE) -> SurrogateNetwork:
    """The trained network of a file, ready to predict; raises FileNotFoundError if there is none."""
    return small.read(path, SurrogateNetwork, CONFIG.network)


class Surrogate:
    """What the network says of functions that are known at the same points.

    Parameters
    ----------
    x : (n, d) points, numbers in [0, 1], choices as codes below `MOST_CHOICES`. kinds : (d,) NUMBER, WHOLE or CHOICE.
    y : (n, m) values of m functions, finite; of more than `MOST_KNOWN` points the last count.
    network : trained; None: that of the package. Values are brought nearer to a normal distribution, see `_Calm`.
    """

    def __init__(self, x: np.ndarray, kinds: Sequence[int], y: np.ndarray, network: SurrogateNetwork | None = None) -> None:
        self.network = network or load()
        self.kinds = np.array(kinds)[None]
        self.cells = cells_of(x[-MOST_KNOWN:], self.kinds)
        self.calm = [_Calm(values) for values in y[-MOST_KNOWN:].T]

    def bars(self, x: np.ndarray) -> np.ndarray:
        """(m, q, N_BARS) probabilities of the bars at points x (q, d)."""
        cells = np.concatenate([self.cells, cells_of(x, self.kinds)])
        known = np.stack([one.known for one in self.calm])
        exact = self.network.borders.dtype
        with torch.inference_mode():
            rows, values = torch.from_numpy(cells).to(exact), torch.from_numpy(known).to(exact)
            log_bars = self.network(rows.expand(len(values), -1, -1), values)
        return cast(np.ndarray, log_bars.double().exp().numpy())

    def improvement(self, bars: np.ndarray, number: int, best: float) -> np.ndarray:
        """(q,) expected improvement on `best` of one function, which is to be small, on the scale of its calmed values."""
        return expected_improvement(bars[number], self.network.borders.double().numpy(), self.calm[number].of(best))

    def below(self, bars: np.ndarray, number: int, limit: float) -> np.ndarray:
        """(q,) probability that a function is at most `limit`."""
        edges = self.network.borders.double().numpy()
        share = ((self.calm[number].of(limit) - edges[:-1]) / np.diff(edges)).clip(0, 1)
        return bars[number] @ share


def expected_improvement(bars: np.ndarray, edges: np.ndarray, best: float) -> np.ndarray:
    """(q,) mean of max(best - y, 0) of y that is even within each bar: bars (q, k) probabilities, edges (k + 1,)."""
    low, high = edges[:-1], edges[1:]
    within = (best - low).clip(0) ** 2 / (2 * (high - low))
    return cast(np.ndarray, bars @ np.where(best >= high, best - (low + high) / 2, within))


class _Calm:
    """Values standardised after Yeo and Johnson's (2000) power transform, so that no outlier squeezes the rest together."""

    def __init__(self, values: np.ndarray) -> None:
        from scipy.stats import yeojohnson_normmax

        self.middle, self.spread = np.median(values), max(float(np.std(values)), 1e-12)
        scaled = (values - self.middle) / self.spread
        varies = len(values) > 2 and np.ptp(scaled) > 1e-9
        self.power = float(np.clip(yeojohnson_normmax(scaled), -2, 4)) if varies else 1.0
        bent = self._bend(scaled)
        self.mean, self.std = bent.mean(), max(float(bent.std()), 1e-9)
        self.known = ((bent - self.mean) / self.std).clip(-TAIL, TAIL)

    def _bend(self, scaled: np.ndarray) -> np.ndarray:
        from scipy.stats import yeojohnson

        return cast(np.ndarray, yeojohnson(np.asarray(scaled, np.float64), self.power))

    def of(self, value: float) -> float:
        """A value on the calmed scale."""
        return float((self._bend(np.array([(value - self.middle) / self.spread]))[0] - self.mean) / self.std)
