"""TabNet (Arik and Pfister 2021): steps that each attend to a few columns and add to the answer."""

import torch
from torch import Tensor, nn

from tabbench.models.nets.cells import BatchNorm, GhostNorm, Joined
from tabbench.models.nets.sparse import entmax15, sparsemax
from tabbench.models.nets.trainer import Columns, Network, Rows


class Gated(nn.Module):
    """(n, m) → (n, width): linear (may be shared with other steps), ghost batch norm, gated linear unit (Dauphin et al. 2017)."""

    def __init__(self, linear: nn.Linear, momentum: float) -> None:
        super().__init__()
        self.linear, self.norm = linear, GhostNorm(linear.out_features, momentum=momentum)

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (n, width)."""
        return nn.functional.glu(self.norm(self.linear(x)), dim=-1)


class Transformer(nn.Module):
    """Gated layers; from the second on, with a shortcut, and halved in variance."""

    def __init__(self, linears: list[nn.Linear], momentum: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Gated(linear, momentum) for linear in linears)

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (n, width)."""
        x = self.layers[0](x)
        for layer in self.layers[1:]:
            x = (x + layer(x)) * 0.5**0.5
        return x


class TabNet(Network):
    """(n, m) → `n_steps` × (mask → feature transformer → `width` for the answer, `width` for the next mask) → sum → (n, k).

    m = p + c · embedding. Masks by sparsemax or 1.5-entmax; a column attended to is attended to less later (γ). The loss
    adds `sparsity` × the mean entropy of masks.
    """

    def __init__(  # noqa: PLR0913 - its configuration
        self,
        columns: Columns,
        n_classes: int,
        width: int,
        n_steps: int,
        gamma: float,
        embedding: int,
        n_independent: int,
        n_shared: int,
        momentum: float,
        mask: str,
        sparsity: float,
    ) -> None:
        super().__init__()
        self.inputs = Joined(columns, embedding)
        m, wide = self.inputs.width, 4 * width
        self.norm = BatchNorm(m, momentum=0.01)
        shared = [nn.Linear(2 * width if i else m, wide, bias=False) for i in range(n_shared)]

        def transformer() -> Transformer:
            own = [nn.Linear(2 * width, wide, bias=False) for _ in range(n_independent)]
            return Transformer([*shared, *own], momentum)

        self.first = transformer()
        self.steps = nn.ModuleList(transformer() for _ in range(n_steps))
        self.attention = nn.ModuleList(
            nn.Sequential(nn.Linear(width, m, bias=False), GhostNorm(m, momentum=momentum)) for _ in range(n_steps)
        )
        self.last = nn.Linear(width, n_classes, bias=False)
        self.width, self.gamma, self.sparsity = width, gamma, sparsity
        self.to_mask = sparsemax if mask == "sparsemax" else entmax15

    def steps_and_entropy(self, numbers: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, k) and the mean entropy of masks, in nats."""
        x = self.norm(self.inputs(numbers, codes))
        prior, left = torch.ones_like(x), self.first(x)[:, self.width :]
        answer, entropy = x.new_zeros(len(x), self.width), x.new_zeros(())
        for step, attention in zip(self.steps, self.attention, strict=True):
            mask = self.to_mask(attention(left) * prior)
            entropy = entropy - (mask * (mask + 1e-15).log()).sum(1).mean() / len(self.steps)
            prior = prior * (self.gamma - mask)
            said, left = step(mask * x).split(self.width, dim=1)
            answer = answer + torch.relu(said)
        return self.last(answer), entropy

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Logits (n, k)."""
        return self.steps_and_entropy(numbers, codes)[0]

    def loss(self, rows: Rows) -> Tensor:
        """Cross-entropy and the penalty on dense masks."""
        logits, entropy = self.steps_and_entropy(rows.numbers, rows.codes)
        return nn.functional.cross_entropy(logits, rows.targets) + self.sparsity * entropy
