"""TabM (Gorishniy, Kotelnikov and Babenko 2025): an ensemble of perceptrons that share nearly all weights."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from tabbench.models.nets.cells import Dropout, Joined
from tabbench.models.nets.trainer import Columns, Network, Rows


class EnsembleLinear(nn.Module):
    """Linear layer of `k` members (Wen et al. 2020, BatchEnsemble): W is shared, scales of inputs and outputs and bias are not.

    (n, k, n_in) → (n, k, n_out). Scales start at 1; with `signs`, those of the inputs at random signs, so that members differ.
    """

    def __init__(self, n_in: int, n_out: int, k: int, *, signs: bool = False) -> None:
        super().__init__()
        bound = n_in**-0.5
        self.weight = nn.Parameter(torch.empty(n_out, n_in).uniform_(-bound, bound))
        self.r = nn.Parameter(torch.randint(0, 2, (k, n_in)) * 2.0 - 1.0 if signs else torch.ones(k, n_in))
        self.s = nn.Parameter(torch.ones(k, n_out))
        self.bias = nn.Parameter(torch.empty(n_out).uniform_(-bound, bound).repeat(k, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (n, k, n_out)."""
        return nn.functional.linear(x * self.r, self.weight) * self.s + self.bias


class TabM(Network):
    """(n, m) → k copies → `n_blocks` shared ReLU layers of `width` with dropout → k heads of their own → (n, classes).

    Members are trained each by its own cross-entropy; their probabilities are averaged.
    """

    def __init__(
        self, columns: Columns, n_classes: int, n_members: int, n_blocks: int, width: int, dropout: float, embedding: int
    ) -> None:
        super().__init__()
        self.inputs = Joined(columns, embedding)
        sizes = [self.inputs.width, *[width] * n_blocks]
        self.layers = nn.ModuleList(EnsembleLinear(*pair, n_members, signs=i == 0) for i, pair in enumerate(pairwise(sizes)))
        self.dropout = Dropout(dropout)
        bound = width**-0.5
        self.heads = nn.Parameter(torch.empty(n_members, width, n_classes).uniform_(-bound, bound))
        self.biases = nn.Parameter(torch.empty(n_members, n_classes).uniform_(-bound, bound))

    def members(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Logits of each member (n, members, classes)."""
        x = self.inputs(numbers, codes).unsqueeze(1)
        for layer in self.layers:
            x = self.dropout(torch.relu(layer(x)))
        return torch.einsum("nkd,kdc->nkc", x, self.heads) + self.biases

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Logarithm of the mean probabilities (n, classes)."""
        logs = torch.log_softmax(self.members(numbers, codes), dim=-1)
        return torch.logsumexp(logs, dim=1)

    def loss(self, rows: Rows) -> Tensor:
        """Mean cross-entropy of the members."""
        logits = self.members(rows.numbers, rows.codes)
        return nn.functional.cross_entropy(logits.flatten(0, 1), rows.targets.repeat_interleave(logits.shape[1]))
