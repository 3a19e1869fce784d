"""TabTransformer (Huang et al. 2020): a transformer over the categories, a perceptron over its answers and the numbers."""

import torch
from torch import Tensor, nn

from tabbench.models.nets.cells import Dropout, Embedding
from tabbench.models.nets.ft_transformer import Attention
from tabbench.models.nets.trainer import Columns, Network


class GEGLU(nn.Module):
    """Half of the units, gated by GELU of the other half (Shazeer 2020)."""

    def forward(self, x: Tensor) -> Tensor:
        """(…, 2 m) → (…, m)."""
        value, gate = x.chunk(2, dim=-1)
        return value * nn.functional.gelu(gate)


class Block(nn.Module):
    """Pre-norm attention over columns and a feed-forward layer of 4 × width with GEGLU."""

    def __init__(self, width: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(width), Attention(width, n_heads, dropout)
        self.feed = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 8 * width), GEGLU(), Dropout(dropout), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (n, t, width)."""
        normed = self.norm(x)
        x = x + self.attention(normed, normed)
        return x + self.feed(x)


class TabTransformer(Network):
    """Categories (n, c) → tokens → blocks, flattened, beside LayerNorm of the numbers → 4 ×, 2 × as wide (ReLU) → (n, k).

    Without categories it is LayerNorm and a perceptron.
    """

    def __init__(self, columns: Columns, n_classes: int, width: int, n_blocks: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.embedding = Embedding(columns, width) if columns.n_levels else None
        self.blocks = nn.Sequential(*(Block(width, n_heads, dropout) for _ in range(n_blocks if columns.n_levels else 0)))
        self.norm = nn.LayerNorm(columns.n_numbers) if columns.n_numbers else None
        m = columns.n_numbers + width * len(columns.n_levels)
        wide = min(4 * m, 1024)
        self.last = nn.Sequential(
            nn.Linear(m, wide),
            nn.ReLU(),
            Dropout(dropout),
            nn.Linear(wide, wide // 2),
            nn.ReLU(),
            nn.Linear(wide // 2, n_classes),
        )

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Logits (n, k)."""
        parts = [self.norm(numbers)] if self.norm else []
        if self.embedding:
            parts.append(self.blocks(self.embedding(codes)).flatten(1))
        return self.last(torch.cat(parts, dim=1))
