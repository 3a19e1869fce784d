"""SAINT (Somepalli et al. 2021): attention over a row's columns and over rows."""

import torch
from torch import Tensor, nn

from tabbench.models.nets.cells import Dropout, Embedding
from tabbench.models.nets.tabtransformer import GEGLU, Block
from tabbench.models.nets.trainer import Columns, Network, Rows

N_CONTEXT = 128  # training rows that predictions look at
ROW_WIDTH = 64  # of a head that looks at rows


class RowAttention(nn.Module):
    """Rows as one vector each (n, m): a row looks at itself and at the context rows (b, m); plus a feed-forward layer."""

    def __init__(self, m: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads, inner = n_heads, n_heads * ROW_WIDTH
        self.norm, self.qkv, self.out = nn.LayerNorm(m), nn.Linear(m, 3 * inner, bias=False), nn.Linear(inner, m)
        self.feed = nn.Sequential(
            nn.LayerNorm(m), nn.Linear(m, 2 * ROW_WIDTH), GEGLU(), Dropout(dropout), nn.Linear(ROW_WIDTH, m)
        )
        self.dropout = Dropout(dropout)

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys, values (heads, n, width)."""
        q, k, v = (part.unflatten(1, (self.n_heads, -1)).transpose(0, 1) for part in self.qkv(self.norm(x)).chunk(3, dim=1))
        return q, k, v

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        """Rows (n, m) after attention; without context they look at each other."""
        q, k, v = self.heads(x)
        if context is None:
            weights = torch.softmax(q @ k.transpose(1, 2) * ROW_WIDTH**-0.5, dim=-1)
            said = self.dropout(weights) @ v
        else:
            _, k_context, v_context = self.heads(context)
            scores = torch.cat([q @ k_context.transpose(1, 2), (q * k).sum(-1, keepdim=True)], dim=2)
            weights = torch.softmax(scores * ROW_WIDTH**-0.5, dim=-1)
            said = weights[..., :-1] @ v_context + weights[..., -1:] * v
        x = x + self.out(said.transpose(0, 1).flatten(1))
        return x + self.feed(x)


class SAINT(Network):
    """(n, p + c) → tokens (n, 1 + p + c, width) → depth × (attention over columns, over rows) → first token → (n, k).

    A number becomes a token by a perceptron of its own, 1 → 100 → width. In training, rows look at the rows of their batch; in
    evaluation at `N_CONTEXT` training rows drawn once and at themselves (the paper: at the other test rows), so an answer
    depends on no other test row. No contrastive pre-training.
    """

    def __init__(self, columns: Columns, n_classes: int, width: int, depth: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        p = columns.n_numbers
        self.weight, self.bias = nn.Parameter(torch.randn(p, 100)), nn.Parameter(torch.zeros(p, 100))
        self.second = nn.Parameter(torch.randn(p, 100, width) * 0.1)
        self.second_bias = nn.Parameter(torch.zeros(p, width))
        self.embedding = Embedding(columns, width) if columns.n_levels else None
        self.cls = nn.Parameter(torch.randn(width) * 0.1)
        m = width * (1 + p + len(columns.n_levels))
        self.columns = nn.ModuleList(Block(width, n_heads, dropout) for _ in range(depth))
        self.rows = nn.ModuleList(RowAttention(m, n_heads, dropout) for _ in range(depth))
        self.last = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, n_classes))

    def prepare(self, rows: Rows) -> None:
        """Keep the rows that predictions look at."""
        self.context = rows.take(torch.randperm(len(rows.targets))[:N_CONTEXT])

    def tokens(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Tokens (n, 1 + p + c, width)."""
        hidden = torch.relu(numbers.unsqueeze(-1) * self.weight + self.bias)
        parts = [self.cls.expand(len(numbers), 1, -1), torch.einsum("nph,phw->npw", hidden, self.second) + self.second_bias]
        return torch.cat([*parts, self.embedding(codes)] if self.embedding else parts, dim=1)

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Logits (n, k)."""
        x = self.tokens(numbers, codes)
        context = None if self.training else self.tokens(self.context.numbers, self.context.codes)
        for over_columns, over_rows in zip(self.columns, self.rows, strict=True):
            x = over_columns(x)
            if context is None:
                x = over_rows(x.flatten(1), None).view_as(x)
            else:
                context = over_columns(context)
                x = over_rows(x.flatten(1), context.flatten(1)).view_as(x)
                context = over_rows(context.flatten(1), None).view_as(context)
        return self.last(x[:, 0])
