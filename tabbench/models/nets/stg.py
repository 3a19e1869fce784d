"""Feature selection by stochastic gates (Yamada et al. 2020)."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from tabbench.models.nets.trainer import Columns, Network, Rows


class STG(Network):
    """Tanh layers behind gates clamp(μ + ½ + σε, 0, 1), a gate a column.

    The loss adds `penalty` times the expected share of open gates.
    """

    def __init__(self, columns: Columns, n_classes: int, widths: tuple[int, ...], penalty: float, sigma: float) -> None:
        super().__init__()
        self.gates = nn.Parameter(0.01 * torch.randn(columns.n_numbers))
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise([columns.n_numbers, *widths]):
            layers += [nn.Linear(n_in, n_out), nn.Tanh()]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], n_classes))
        self.penalty, self.sigma = penalty, sigma

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Logits (n, k)."""
        noise = self.sigma * torch.randn(numbers.shape) if self.training else 0.0
        return self.layers(numbers * (self.gates + 0.5 + noise).clamp(0, 1))

    def loss(self, rows: Rows) -> Tensor:
        """Cross-entropy and the penalty."""
        return super().loss(rows) + self.penalty * torch.special.ndtr((self.gates + 0.5) / self.sigma).mean()
