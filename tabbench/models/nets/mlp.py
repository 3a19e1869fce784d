"""Multilayer perceptrons: the project's own, and that of Gorishniy et al. (2021) as TabZilla ran it."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from tabbench.models.nets.cells import Dropout, Joined
from tabbench.models.nets.trainer import Columns, Network


class MLP(Network):
    """GELU layers with dropout on inputs squashed by 3 tanh(x / 3), so that one extreme value cannot dominate.

    (n, p) → (n, width) × `n_layers` → (n, k). Weights are normal with variance 2 / inputs (He et al. 2015), small in the last
    layer; biases start at zero. Categories must be 0/1 columns.
    """

    def __init__(self, columns: Columns, n_classes: int, n_layers: int, width: int, dropout: float) -> None:
        super().__init__()
        sizes = [columns.n_numbers, *[width] * n_layers, n_classes]
        layers = [nn.utils.skip_init(nn.Linear, n_in, n_out) for n_in, n_out in pairwise(sizes)]
        self.hidden, self.last = nn.ModuleList(layers[:-1]), layers[-1]
        self.dropout = Dropout(dropout)
        with torch.no_grad():
            for layer in layers:
                layer.weight.copy_(torch.randn(layer.weight.shape) * (2 / layer.weight.shape[1]) ** 0.5)
                layer.bias.zero_()
            self.last.weight.mul_(0.1)

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Logits (n, k) of numbers (n, p)."""
        x = 3 * torch.tanh(numbers / 3)
        for layer in self.hidden:
            x = self.dropout(nn.functional.gelu(layer(x)))
        return self.last(x)


class RtdlMLP(Network):
    """ReLU layers with dropout on numbers and category embeddings side by side (Gorishniy et al. 2021, section 3.1).

    (n, p + c · embedding) → widths → (n, k).
    """

    def __init__(self, columns: Columns, n_classes: int, widths: tuple[int, ...], dropout: float, embedding: int) -> None:
        super().__init__()
        self.inputs = Joined(columns, embedding)
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise([self.inputs.width, *widths]):
            layers += [nn.Linear(n_in, n_out), nn.ReLU(), Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], n_classes))

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Logits (n, k)."""
        return self.layers(self.inputs(numbers, codes))
