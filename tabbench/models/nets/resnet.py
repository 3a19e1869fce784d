"""ResNet for tables (Gorishniy et al. 2021, "Revisiting deep learning models for tabular data", section 3.2)."""

from torch import Tensor, nn

from tabbench.models.nets.cells import BatchNorm, Dropout, Joined
from tabbench.models.nets.trainer import Columns, Network


class Block(nn.Module):
    """x + dropout(linear(dropout(relu(linear(norm(x)))))): width → hidden → width."""

    def __init__(self, width: int, hidden: int, dropouts: tuple[float, float]) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            BatchNorm(width),
            nn.Linear(width, hidden),
            nn.ReLU(),
            Dropout(dropouts[0]),
            nn.Linear(hidden, width),
            Dropout(dropouts[1]),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (n, width)."""
        return x + self.layers(x)


class ResNet(Network):
    """(n, p + c · embedding) → width → blocks of width → hidden → width → batch norm, ReLU → (n, k)."""

    def __init__(
        self,
        columns: Columns,
        n_classes: int,
        n_blocks: int,
        width: int,
        hidden: int,
        dropouts: tuple[float, float],
        embedding: int,
    ) -> None:
        super().__init__()
        self.inputs = Joined(columns, embedding)
        self.first = nn.Linear(self.inputs.width, width)
        self.blocks = nn.Sequential(*(Block(width, hidden, dropouts) for _ in range(n_blocks)))
        self.last = nn.Sequential(BatchNorm(width), nn.ReLU(), nn.Linear(width, n_classes))

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Logits (n, k)."""
        return self.last(self.blocks(self.first(self.inputs(numbers, codes))))
