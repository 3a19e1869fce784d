"""Neural additive models (Agarwal et al. 2021): a small network for each column, and the sum of what they say."""

import torch
from torch import Tensor, nn

from tabbench.models.nets.cells import Dropout
from tabbench.models.nets.trainer import Columns, Network, Rows


class NAM(Network):
    """(n, p) → per column: `n_units` ExU units clamp((x − b) exp(w), 0, 1) → `width` ReLU units → k contributions, summed.

    The loss adds `penalty` times the mean square of contributions. More than two classes: one contribution a class.
    """

    def __init__(
        self,
        columns: Columns,
        n_classes: int,
        n_units: int,
        width: int,
        dropout: float,
        feature_dropout: float,
        penalty: float,
    ) -> None:
        super().__init__()
        p = columns.n_numbers
        self.slopes = nn.Parameter(torch.randn(p, n_units) * 0.5)
        self.signs = nn.Parameter(torch.randint(0, 2, (p, n_units)) * 2.0 - 1.0)
        self.shifts = nn.Parameter(torch.randn(p, n_units))
        self.hidden = nn.Parameter(torch.randn(p, n_units, width) * (2 / n_units) ** 0.5)
        self.hidden_bias = nn.Parameter(torch.zeros(p, width))
        self.out = nn.Parameter(torch.randn(p, width, n_classes) * width**-0.5)
        self.bias = nn.Parameter(torch.zeros(n_classes))
        self.dropout, self.feature_dropout = Dropout(dropout), Dropout(feature_dropout)
        self.penalty = penalty

    def contributions(self, numbers: Tensor) -> Tensor:
        """What each column says (n, p, k)."""
        units = ((numbers.unsqueeze(-1) - self.shifts) * self.signs * self.slopes.exp()).clamp(0, 1)
        hidden = torch.relu(torch.einsum("npu,puw->npw", self.dropout(units), self.hidden) + self.hidden_bias)
        return torch.einsum("npw,pwk->npk", self.dropout(hidden), self.out)

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Logits (n, k)."""
        return self.contributions(numbers).sum(1) + self.bias

    def loss(self, rows: Rows) -> Tensor:
        """Cross-entropy, columns dropped at random, and the penalty."""
        parts = self.contributions(rows.numbers)
        kept = self.feature_dropout(torch.ones(parts.shape[:2])).unsqueeze(-1)
        logits = (parts * kept).sum(1) + self.bias
        return nn.functional.cross_entropy(logits, rows.targets) + self.penalty * parts.square().mean()
