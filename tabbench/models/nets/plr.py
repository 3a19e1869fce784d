"""Periodic embeddings of numbers, and a perceptron on them (Gorishniy et al. 2022, "On embeddings for numerical features")."""

from itertools import pairwise
from math import pi

import torch
from torch import Tensor, nn

from tabbench.models.nets.cells import Dropout, Embedding
from tabbench.models.nets.trainer import Columns, Network


class PLR(nn.Module):
    """Columns as vectors (n, (p + c) · width), flat.

    A number x becomes relu(linear([cos 2πfx, sin 2πfx])), with frequencies f of its own, learned from sd `sigma`, and
    one linear map for all columns ("lite"); a category its embedding.
    """

    def __init__(self, columns: Columns, n_frequencies: int, sigma: float, width: int) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(sigma * torch.randn(columns.n_numbers, n_frequencies))
        self.linear = nn.Linear(2 * n_frequencies, width)
        self.embedding = Embedding(columns, width) if columns.n_levels else None
        self.width = width * (columns.n_numbers + len(columns.n_levels))

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Tensor (n, width)."""
        angles = 2 * pi * numbers.unsqueeze(-1) * self.frequencies
        parts = [torch.relu(self.linear(torch.cat([angles.cos(), angles.sin()], dim=-1))).flatten(1)]
        return torch.cat([*parts, self.embedding(codes).flatten(1)], dim=1) if self.embedding else parts[0]


class PLRMLP(Network):
    """PLR embeddings → `n_layers` ReLU layers of `width` with dropout → (n, k)."""

    def __init__(  # noqa: PLR0913 - its configuration
        self,
        columns: Columns,
        n_classes: int,
        n_layers: int,
        width: int,
        dropout: float,
        n_frequencies: int,
        sigma: float,
        embedding: int,
    ) -> None:
        super().__init__()
        self.inputs = PLR(columns, n_frequencies, sigma, embedding)
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise([self.inputs.width, *[width] * n_layers]):
            layers += [nn.Linear(n_in, n_out), nn.ReLU(), Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(width, n_classes))

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Logits (n, k)."""
        return self.layers(self.inputs(numbers, codes))
