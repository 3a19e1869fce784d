"""DANets (Chen et al. 2022): layers that group columns by learned masks and abstract each group."""

import torch
from torch import Tensor, nn

from tabbench.models.nets.cells import Dropout, GhostNorm
from tabbench.models.nets.sparse import entmax15
from tabbench.models.nets.trainer import Columns, Network


class Abstract(nn.Module):
    """(n, m) → (n, width): `n_masks` masks (1.5-entmax), for each a gated linear map, and the sum of their ReLUs."""

    def __init__(self, n_in: int, width: int, n_masks: int) -> None:
        super().__init__()
        self.masks = nn.Parameter(torch.rand(n_masks, n_in))
        bound = n_in**-0.5
        self.weight = nn.Parameter(torch.empty(n_masks, n_in, 2 * width).uniform_(-bound, bound))
        self.norm = GhostNorm(2 * width * n_masks)

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (n, width)."""
        weights = entmax15(self.masks).unsqueeze(-1) * self.weight
        mapped = self.norm(x @ weights.transpose(0, 1).flatten(1)).unflatten(1, (len(self.masks), -1))
        gate, value = mapped.chunk(2, dim=-1)
        return torch.relu(gate.sigmoid() * value).sum(1)


class Block(nn.Module):
    """Two abstract layers and a shortcut, an abstract layer of the raw columns."""

    def __init__(self, n_in: int, n_raw: int, width: int, n_masks: int, dropout: float) -> None:
        super().__init__()
        self.first = Abstract(n_in, width // 2, n_masks)
        self.second = Abstract(width // 2, width, n_masks)
        self.shortcut = nn.Sequential(Dropout(dropout), Abstract(n_raw, width, n_masks))

    def forward(self, x: Tensor, raw: Tensor) -> Tensor:
        """Tensor (n, width)."""
        return nn.functional.leaky_relu(self.second(self.first(x)) + self.shortcut(raw), 0.01)


class DANet(Network):
    """(n, p) → `n_layers` / 2 blocks of `width` → 512 → ReLU → (n, k)."""

    def __init__(self, columns: Columns, n_classes: int, n_layers: int, width: int, n_masks: int, dropout: float) -> None:
        super().__init__()
        p = columns.n_numbers
        n_blocks = max(1, n_layers // 2)
        self.blocks = nn.ModuleList(Block(width if i else p, p, width, n_masks, dropout) for i in range(n_blocks))
        self.last = nn.Sequential(nn.Linear(width, 512), nn.ReLU(), Dropout(dropout), nn.Linear(512, n_classes))

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Logits (n, k)."""
        x = numbers
        for block in self.blocks:
            x = block(x, numbers)
        return self.last(x)
