"""Neural oblivious decision ensembles (Popov, Morozov and Babenko 2020)."""

import torch
from torch import Tensor, nn

from tabbench.models.nets.sparse import entmax15, entmoid15
from tabbench.models.nets.trainer import Columns, Network, Rows

N_START = 1000  # rows that set thresholds and scales


def reached(right: Tensor) -> Tensor:
    """How far each of 2^d leaves is reached (…, 2^d), given how far rows go right at each of d splits (…, d)."""
    weights = right.new_ones(*right.shape[:-1], 1)
    for side in right.split(1, dim=-1):
        weights = torch.cat([weights * side, weights * (1 - side)], dim=-1)
    return weights


class Trees(nn.Module):
    """(n, m) → (n, trees, out): oblivious trees of soft splits: feature choice by 1.5-entmax, side by entmoid.

    A leaf's weight is the product of what the upper and the lower half of the splits give it; these are summed one after
    the other, so that no (n, trees, 2^depth) is made.
    """

    def __init__(self, n_in: int, n_trees: int, depth: int, n_out: int) -> None:
        super().__init__()
        self.choice = nn.Parameter(torch.rand(n_trees * depth, n_in))
        self.threshold = nn.Parameter(torch.zeros(n_trees, depth))
        self.log_scale = nn.Parameter(torch.zeros(n_trees, depth))
        self.leaves = nn.Parameter(torch.randn(n_trees, 2**depth, n_out))

    def chosen(self, x: Tensor) -> Tensor:
        """Feature values that splits look at (n, trees, depth)."""
        return (x @ entmax15(self.choice).T).unflatten(1, self.threshold.shape)

    def start(self, x: Tensor) -> None:
        """Thresholds at random quantiles of what splits see, scales so that all rows lie on the slope."""
        seen = self.chosen(x)
        rank = (torch.rand(self.threshold.shape) * (len(x) - 1)).round().long()
        self.threshold.copy_(seen.sort(dim=0).values.gather(0, rank.unsqueeze(0))[0])
        self.log_scale.copy_((seen - self.threshold).abs().amax(0).clamp_min(1e-4).log())

    def forward(self, x: Tensor) -> Tensor:
        """Answers of each tree (n, trees, out)."""
        right = entmoid15((self.chosen(x) - self.threshold) * torch.exp(-self.log_scale))
        sides, half = right.transpose(0, 1), right.shape[2] // 2
        upper, lower = reached(sides[..., :half]), reached(sides[..., half:])
        leaves = self.leaves.unflatten(1, (upper.shape[2], -1))
        below = (upper @ leaves.flatten(2)).unflatten(2, leaves.shape[2:])
        return torch.einsum("tnl,tnlo->nto", lower, below)


class NODE(Network):
    """Layers of trees, each sees the inputs and all earlier answers; logits are the mean over trees of their first k outputs.

    Trees have k + `n_extra` outputs, `n_trees` / `n_layers` trees a layer.
    """

    def __init__(self, columns: Columns, n_classes: int, n_layers: int, n_trees: int, depth: int, n_extra: int) -> None:
        super().__init__()
        n_out, n_each = n_classes + n_extra, max(1, n_trees // n_layers)
        self.layers = nn.ModuleList(Trees(columns.n_numbers + i * n_each * n_out, n_each, depth, n_out) for i in range(n_layers))
        self.n_classes = n_classes

    @torch.no_grad()
    def prepare(self, rows: Rows) -> None:
        """Start every layer from what it sees of some training rows."""
        x = rows.numbers[torch.randperm(len(rows.numbers))[:N_START]]
        for layer in self.layers:
            assert isinstance(layer, Trees)
            layer.start(x)
            x = torch.cat([x, layer(x).flatten(1)], dim=1)

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Logits (n, k)."""
        x, answers = numbers, []
        for layer in self.layers:
            answers.append(layer(x))
            x = torch.cat([x, answers[-1].flatten(1)], dim=1)
        return torch.cat(answers, dim=1)[..., : self.n_classes].mean(1)
