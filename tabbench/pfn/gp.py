"""The Bayesian check: a network of the same layers, trained by the same trainer, learns to do Gaussian-process regression.

The posterior of a Gaussian process with known kernel is exact, so it shows whether training on draws from a prior yields
Bayesian prediction (Müller et al. 2022, Transformers Can Do Bayesian Inference, §4 and Figure 3). One input in [0, 1], squared
exponential kernel, Gaussian noise; the answer is a distribution over bars of equal prior probability (their §5).
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tabbench.pfn.curriculum import Config, Shape, Stage, batches
from tabbench.pfn.network import Layer, NetworkConfig, Norm
from tabbench.pfn.prior import Batch
from tabbench.pfn.trainer import Problem, Trainer

LENGTH_SCALE = 0.2
NOISE = 0.1  # standard deviation
N_BARS = 200
TAIL = 4.5  # outermost borders, in standard deviations of the prior
N_WAVES = 8


def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared exponential covariance with unit variance between inputs a (..., n) and b (..., m): (..., n, m)."""
    return np.exp(-0.5 * ((a[..., :, None] - b[..., None, :]) / LENGTH_SCALE) ** 2)


def sample_functions(seed: int, step: int, n_tasks: int, n_rows: int, n_context: int, n_features: int) -> Batch:
    """Noisy values of random functions at random inputs: x (n_tasks, n_rows, 1), y (n_tasks, n_rows), both float32."""
    rng = np.random.default_rng([seed, step])
    x = rng.random((n_tasks, n_rows))
    covariance = kernel(x, x) + (NOISE**2 + 1e-9) * np.eye(n_rows)
    y = (np.linalg.cholesky(covariance) @ rng.standard_normal((n_tasks, n_rows, 1)))[..., 0]
    unused = np.zeros((n_tasks, 1), bool)
    return Batch(x[..., None].astype(np.float32), y.astype(np.float32), unused, np.zeros(n_tasks, np.int64))


def posterior(x: np.ndarray, y: np.ndarray, x_query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exact mean and standard deviation (q,) of values at x_query (q,), given x, y (n,) (Rasmussen and Williams 2006, §2.2)."""
    solved = np.linalg.solve(kernel(x, x) + NOISE**2 * np.eye(len(x)), np.column_stack([y, kernel(x, x_query)]))
    mean = kernel(x_query, x) @ solved[:, 0]
    variance = 1 + NOISE**2 - np.sum(kernel(x_query, x).T * solved[:, 1:], axis=0)
    return mean, np.sqrt(variance)


@cache
def borders() -> Tensor:
    """(N_BARS + 1,) edges of the bars: quantiles of the prior of a value, cut off at `TAIL` standard deviations."""
    prior = torch.distributions.Normal(0.0, float(np.sqrt(1 + NOISE**2)))
    inner = prior.icdf(torch.arange(1, N_BARS) / N_BARS)
    end = torch.tensor([TAIL * prior.stddev.item()])
    return torch.cat([-end, inner, end])


class FunctionNetwork(nn.Module):
    """Rows of an input and its value, through layers of the PFN to log probabilities of bars."""

    def __init__(self, config: NetworkConfig, n_inputs: int = 2 * N_WAVES, n_bars: int = N_BARS) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.embed_x = nn.Linear(n_inputs, width)
        self.embed_y = nn.Linear(1, width)
        self.unknown = nn.Parameter(torch.randn(width))
        self.layers = nn.ModuleList(Layer(width, config.n_heads, config.hidden) for _ in range(config.n_layers))
        self.norm = Norm(width)
        self.head = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, n_bars))

    def forward(self, x: Tensor, y_context: Tensor) -> Tensor:
        """Log probabilities (B, N - C, N_BARS) of the bars at the rows of x (B, N, 1) behind the C with values y_context."""
        angles = torch.pi * torch.arange(1, N_WAVES + 1, device=x.device) * x
        return self.answer(torch.cat([angles.sin(), angles.cos()], dim=-1), y_context)

    def answer(self, inputs: Tensor, y_context: Tensor) -> Tensor:
        """As `forward`, of rows as the network takes them (B, N, n_inputs)."""
        n_context = y_context.shape[1]
        unknown = self.unknown.expand(len(inputs), inputs.shape[1] - n_context, -1)
        stream = self.embed_x(inputs) + torch.cat([self.embed_y(y_context[..., None]), unknown], dim=1)
        for layer in self.layers:
            stream = layer(stream, n_seen=n_context)
        return F.log_softmax(self.head(self.norm(stream[:, n_context:])), dim=-1)


def log_density(log_bars: Tensor, y: Tensor) -> Tensor:
    """Log density of values y (...) under bars (..., N_BARS); values beyond the outermost borders count as at them."""
    edges = borders().to(y)
    bar = (torch.searchsorted(edges, y.contiguous()) - 1).clamp(0, N_BARS - 1)
    return log_bars.gather(-1, bar[..., None])[..., 0] - edges.diff().log()[bar]


def moments(log_bars: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (...) of a distribution that is even within each bar (..., N_BARS)."""
    edges, p = borders().double(), log_bars.double().exp()
    middle, width = (edges[1:] + edges[:-1]) / 2, edges.diff()
    mean = p @ middle
    return mean, (p @ (middle**2 + width**2 / 12) - mean**2).clamp(min=0).sqrt()


def regress(network: nn.Module, batch: Any, shape: Shape) -> tuple[Tensor, dict[str, float]]:
    """Mean negative log density (nats) of the rows behind the context, beside that of the prior."""
    x, y = batch[:2]
    loss = -log_density(network(x, y[:, : shape.n_context]), y[:, shape.n_context :]).mean()
    return loss, {"prior_loss": 0.5 * float(1 + np.log(2 * np.pi * (1 + NOISE**2))), "accuracy": float("nan")}


FUNCTIONS = Problem(lambda _: sample_functions, FunctionNetwork, regress, lambda *_: 0.0)
N_ROWS = 64
CONFIG = Config(
    NetworkConfig(width=64, n_layers=4, n_heads=4, hidden=128, n_thinking=0),
    (Stage(10**9, 16, (N_ROWS,), (1,), (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)),),
    seed=0,
    muon_lr=2e-2,
    adam_lr=4e-3,
    muon_weight_decay=0.0,
    warmup_steps=30,
    clip=1.0,
    ema=0.99,
)


def learn(steps: int, config: Config = CONFIG) -> FunctionNetwork:
    """Train a network for so many steps, the learning rate falling to zero."""
    trainer = Trainer(config, torch.device("cpu"), FUNCTIONS, torch.float32)  # bf16 rounds more than the posterior's error may be
    for shape, batch in batches(config, 0, 0, n_workers=0, sample=trainer.sample):
        trainer.advance(batch, shape, trainer.warmup * (1 - trainer.step / steps))
        if trainer.step == steps:
            break
    return cast(FunctionNetwork, trainer.network.eval())


@dataclass(frozen=True)
class Gap:
    """Distance of a network from the exact posterior, mean over queries: of mean, of standard deviation, and in nats.

    nats_error : standard error of `nats` over functions, which some hundred functions need to be small.
    """

    mean_error: float
    std_error: float
    nats: float
    nats_error: float


def compare(network: FunctionNetwork, n_context: int, n_tasks: int = 1000, seed: int = 1) -> Gap:
    """Distance on fresh functions with `n_context` known values each."""
    batch = sample_functions(seed, n_context, n_tasks, N_ROWS, n_context, 1)
    x, y = torch.from_numpy(batch.x), torch.from_numpy(batch.y)
    with torch.inference_mode():
        log_bars = network(x, y[:, :n_context])
        nats = -log_density(log_bars, y[:, n_context:]).double().numpy()
        mean, std = (part.numpy() for part in moments(log_bars))
    inputs, values = batch.x[..., 0].astype(np.float64), batch.y.astype(np.float64)
    exact = [posterior(xs[:n_context], ys[:n_context], xs[n_context:]) for xs, ys in zip(inputs, values, strict=True)]
    true_mean, true_std = (np.stack(parts) for parts in zip(*exact, strict=True))
    true_nats = 0.5 * ((values[:, n_context:] - true_mean) / true_std) ** 2 + np.log(true_std) + 0.5 * np.log(2 * np.pi)
    gaps = (nats - true_nats).mean(axis=1)
    mean_error, std_error = float(np.abs(mean - true_mean).mean()), float(np.abs(std - true_std).mean())
    return Gap(mean_error, std_error, float(gaps.mean()), float(gaps.std(ddof=1) / len(gaps) ** 0.5))
