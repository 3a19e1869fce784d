"""FT-Transformer (Gorishniy et al. 2021, section 3.3): a token per column, and transformer blocks that read them all."""

import torch
from torch import Tensor, nn

from tabbench.models.nets.cells import Dropout, Tokens
from tabbench.models.nets.trainer import Columns, Network


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017): (n, a, width) looks at (n, b, width)."""

    def __init__(self, width: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.n_heads = n_heads
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Tensor (n, a, width)."""
        q, k, v = (
            part.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for part in (self.query(x), self.key(context), self.value(context))
        )
        weights = torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, dim=-1)
        return self.out((self.dropout(weights) @ v).transpose(1, 2).flatten(-2))


class ReGLU(nn.Module):
    """Half of the units, gated by ReLU of the other half (Shazeer 2020)."""

    def forward(self, x: Tensor) -> Tensor:
        """(…, 2 m) → (…, m)."""
        value, gate = x.chunk(2, dim=-1)
        return value * torch.relu(gate)


class Block(nn.Module):
    """Pre-norm block; the first has no norm before its attention, as the paper found best."""

    def __init__(self, width: int, n_heads: int, dropouts: tuple[float, float], *, first: bool) -> None:
        super().__init__()
        hidden = int(width * 4 / 3)
        self.norm = nn.Identity() if first else nn.LayerNorm(width)
        self.attention = Attention(width, n_heads, dropouts[0])
        self.feed = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * hidden), ReGLU(), Dropout(dropouts[1]), nn.Linear(hidden, width)
        )

    def forward(self, x: Tensor, n_read: int) -> Tensor:
        """First `n_read` tokens of (n, t, width) after the block."""
        normed = self.norm(x)
        x = x[:, :n_read] + self.attention(normed[:, :n_read], normed)
        return x + self.feed(x)


class FTTransformer(Network):
    """(n, p + c) → tokens (n, 1 + p + c, width) → blocks → first token → norm, ReLU → (n, k).

    Feed-forward width 4/3 of `width` with ReGLU; dropouts: of attention weights and of feed-forward units.
    """

    def __init__(
        self, columns: Columns, n_classes: int, n_blocks: int, width: int, n_heads: int, dropouts: tuple[float, float]
    ) -> None:
        super().__init__()
        self.tokens = Tokens(columns, width)
        self.cls = nn.Parameter(torch.empty(width).uniform_(-(width**-0.5), width**-0.5))
        self.blocks = nn.ModuleList(Block(width, n_heads, dropouts, first=i == 0) for i in range(n_blocks))
        self.last = nn.Sequential(nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, n_classes))

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Logits (n, k)."""
        x = torch.cat([self.cls.expand(len(numbers), 1, -1), self.tokens(numbers, codes)], dim=1)
        for block in self.blocks:
            x = block(x, 1 if block is self.blocks[-1] else x.shape[1])
        return self.last(x[:, 0])
