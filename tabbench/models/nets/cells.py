"""Pieces that several networks are made of."""

import torch
from torch import Tensor, nn

from tabbench.models.nets.trainer import Columns


class Dropout(nn.Module):
    """Units are zero with probability `rate` while training, the others grow by 1 / (1 - rate)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Tensor of the same shape."""
        if not (self.training and self.rate):
            return x
        return x * torch.rand(x.shape).ge_(self.rate) / (1 - self.rate)  # as floats: a mask of bools would be converted twice


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation (Ioffe and Szegedy 2015) that takes a batch of one row by its running statistics."""

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (n, d) of the same shape."""
        if self.training and len(x) < 2:
            return nn.functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        return super().forward(x)


class GhostNorm(BatchNorm):
    """Batch normalisation over parts of a batch of at most `part` rows (Hoffer et al. 2017)."""

    def __init__(self, width: int, part: int = 128, momentum: float = 0.1) -> None:
        super().__init__(width, momentum=momentum)
        self.part = part

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (n, d) of the same shape."""
        if not self.training:
            return super().forward(x)
        return torch.cat([super(GhostNorm, self).forward(part) for part in x.chunk(-(-len(x) // self.part))])


class Embedding(nn.Module):
    """Categories (n, c) as vectors (n, c, width); zeros for an unseen level."""

    def __init__(self, columns: Columns, width: int) -> None:
        super().__init__()
        sizes = torch.tensor([n + 1 for n in columns.n_levels], dtype=torch.int64)
        self.register_buffer("offsets", sizes.cumsum(0) - sizes, persistent=False)
        self.offsets: Tensor
        self.table = nn.Embedding(int(sizes.sum()), width)
        nn.init.normal_(self.table.weight, std=width**-0.5)

    def forward(self, codes: Tensor) -> Tensor:
        """Vectors (n, c, width)."""
        return self.table(codes + self.offsets) * (codes > 0).unsqueeze(-1)


class Joined(nn.Module):
    """Numbers and category embeddings side by side: (n, p + c · embedding)."""

    def __init__(self, columns: Columns, embedding: int) -> None:
        super().__init__()
        self.width = columns.n_numbers + embedding * len(columns.n_levels)
        self.embedding = Embedding(columns, embedding) if columns.n_levels else None

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Tensor (n, width)."""
        return torch.cat([numbers, self.embedding(codes).flatten(1)], dim=1) if self.embedding else numbers


class Tokens(nn.Module):
    """A vector per column (n, p + c, width): of a number w x + b with learned w and b, of a category a learned one."""

    def __init__(self, columns: Columns, width: int) -> None:
        super().__init__()
        bound = width**-0.5
        self.weight = nn.Parameter(torch.empty(columns.n_numbers, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(columns.n_numbers, width).uniform_(-bound, bound))
        self.embedding = Embedding(columns, width) if columns.n_levels else None

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Vectors (n, p + c, width)."""
        tokens = numbers.unsqueeze(-1) * self.weight + self.bias
        return torch.cat([tokens, self.embedding(codes)], dim=1) if self.embedding else tokens
