"""DeepFM (Guo et al. 2017): a factorisation machine and a perceptron on the same embeddings."""

from itertools import pairwise

from torch import Tensor, nn

from tabbench.models.nets.cells import Dropout, Tokens
from tabbench.models.nets.trainer import Columns, Network


class DeepFM(Network):
    """Logits: linear terms + pairwise products of embeddings (n, p + c, width) + ReLU layers on all embeddings.

    Two classes in the paper; for k classes, a linear map of the pooled products gives one logit a class.
    """

    def __init__(self, columns: Columns, n_classes: int, width: int, widths: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        self.first = Tokens(columns, n_classes)
        self.tokens = Tokens(columns, width)
        self.pairs = nn.Linear(width, n_classes)
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise([width * (columns.n_numbers + len(columns.n_levels)), *widths]):
            layers += [nn.Linear(n_in, n_out), nn.ReLU(), Dropout(dropout)]
        self.deep = nn.Sequential(*layers, nn.Linear(widths[-1], n_classes))

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Logits (n, k)."""
        tokens = self.tokens(numbers, codes)
        products = (tokens.sum(1).square() - tokens.square().sum(1)) / 2
        return self.first(numbers, codes).sum(1) + self.pairs(products / tokens.shape[1]) + self.deep(tokens.flatten(1))
