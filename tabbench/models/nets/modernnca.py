"""ModernNCA (Ye et al. 2025): neighbourhood components analysis (Goldberger et al. 2004) with a deep encoder."""

from typing import Self

import torch
from torch import Tensor, nn

from tabbench.models.nets.cells import BatchNorm, Dropout
from tabbench.models.nets.plr import PLR
from tabbench.models.nets.trainer import Columns, Network, Rows

LEAST = 1e-7  # of a probability, before its logarithm


class ModernNCA(Network):
    """A row's class probabilities are the labels of training rows, weighted by softmax(−distance of encodings).

    Encoder: PLR embeddings → width, then residual-free blocks batch norm → hidden → ReLU → width. A training step looks at a
    random `share` of the training rows, never at a row itself; prediction at `n_candidates` of them at most, drawn once.
    """

    def __init__(  # noqa: PLR0913 - its configuration
        self,
        columns: Columns,
        n_classes: int,
        width: int,
        hidden: int,
        n_blocks: int,
        dropout: float,
        n_frequencies: int,
        sigma: float,
        embedding: int,
        share: float,
        n_candidates: int,
    ) -> None:
        super().__init__()
        self.inputs = PLR(columns, n_frequencies, sigma, embedding)
        blocks = [
            nn.Sequential(BatchNorm(width), nn.Linear(width, hidden), nn.ReLU(), Dropout(dropout), nn.Linear(hidden, width))
            for _ in range(n_blocks)
        ]
        self.encoder = nn.Sequential(nn.Linear(self.inputs.width, width), *blocks, BatchNorm(width))
        self.n_classes, self.share, self.n_candidates = n_classes, share, n_candidates

    def prepare(self, rows: Rows) -> None:
        """Keep the rows that answers are made of."""
        self.candidates = rows.take(torch.randperm(len(rows.targets))[: self.n_candidates])

    def encode(self, rows: Rows) -> Tensor:
        """Encodings (n, width)."""
        return self.encoder(self.inputs(rows.numbers, rows.codes))

    def train(self, mode: bool = True) -> Self:
        """Encode all candidates once when training ends."""
        super().train(mode)
        if not mode:
            with torch.no_grad():
                self.keys = torch.cat(
                    [self.encode(Rows(*part)) for part in zip(*(t.split(4096) for t in self.candidates), strict=True)]
                )
        return self

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Logarithms of probabilities (n, k), in evaluation mode."""
        queries = self.encode(Rows(numbers, codes, codes))
        return self._answer(torch.cdist(queries, self.keys), self.candidates.targets)

    def loss(self, rows: Rows) -> Tensor:
        """Cross-entropy of the batch by its other rows and a random share of the candidates."""
        n = len(rows.targets)
        some = torch.randperm(len(self.candidates.targets))[: max(1, int(self.share * len(self.candidates.targets)))]
        others = self.candidates.take(some)
        encoded = self.encode(Rows(*(torch.cat(pair) for pair in zip(rows, others, strict=True))))
        # squared distances have a gradient at zero, where the root has none
        squares = (encoded[:n].square().sum(1, keepdim=True) + encoded.square().sum(1) - 2 * encoded[:n] @ encoded.T).clamp_min(
            1e-6
        )
        row_ids = torch.cat([rows.numbers, rows.codes.float()], 1)
        other_ids = torch.cat([torch.cat([rows.numbers, others.numbers]), torch.cat([rows.codes, others.codes]).float()], 1)
        itself = (torch.cdist(row_ids, other_ids) == 0) & (torch.arange(n + len(some)) >= n)
        itself[:, :n] = torch.eye(n, dtype=torch.bool)
        distances = squares.sqrt().masked_fill(itself, 1e9)
        return nn.functional.nll_loss(self._answer(distances, torch.cat([rows.targets, others.targets])), rows.targets)

    def _answer(self, distances: Tensor, targets: Tensor) -> Tensor:
        weights = torch.softmax(-distances, dim=1)
        return (weights @ nn.functional.one_hot(targets, self.n_classes).to(weights.dtype) + LEAST).log()
