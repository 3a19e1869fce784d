"""VIME (Yoon et al. 2020): an encoder that learns to undo corruption, and a predictor that corruption should not sway."""

import torch
from torch import Tensor, nn

from tabbench.models.nets.trainer import Columns, Network, Rows


class VIME(Network):
    """(n, p) → linear encoder (p) → ReLU layers 2 × `width` → (n, k).

    The encoder is trained first, for `n_pretrain` epochs, to tell which values were swapped (binary
    cross-entropy) and what they were (`alpha` × squared error), then kept. The predictor's loss adds `beta` × the
    variance of its logits over `n_copies` corrupted copies. `p_mask`: share of values swapped.
    """

    def __init__(  # noqa: PLR0913 - its configuration
        self,
        columns: Columns,
        n_classes: int,
        width: int,
        n_layers: int,
        p_mask: float,
        alpha: float,
        beta: float,
        n_copies: int,
        n_pretrain: int,
    ) -> None:
        super().__init__()
        p = columns.n_numbers
        self.encoder, self.mask, self.values = nn.Linear(p, p), nn.Linear(p, p), nn.Linear(p, p)
        layers: list[nn.Module] = []
        for i in range(n_layers):
            layers += [nn.Linear(width if i else p, width), nn.ReLU()]
        self.predictor = nn.Sequential(*layers, nn.Linear(width, n_classes))
        self.p_mask, self.alpha, self.beta, self.n_copies, self.n_pretrain = p_mask, alpha, beta, n_copies, n_pretrain

    def prepare(self, rows: Rows) -> None:
        """Train the encoder on the training rows, and keep it as it is."""
        self.seen = rows.numbers
        parts = [*self.encoder.parameters(), *self.mask.parameters(), *self.values.parameters()]
        optimizer = torch.optim.AdamW(parts, lr=1e-3, fused=True)
        for _ in range(self.n_pretrain):
            for batch in torch.randperm(len(self.seen)).split(128):
                corrupted, mask = self.corrupt(self.seen[batch])
                encoded = torch.relu(self.encoder(corrupted))
                told = nn.functional.binary_cross_entropy_with_logits(self.mask(encoded), mask)
                optimizer.zero_grad()
                (told + self.alpha * nn.functional.mse_loss(self.values(encoded), self.seen[batch])).backward()
                optimizer.step()
        for parameter in parts:
            parameter.requires_grad_(False)

    def corrupt(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Rows with values swapped for those of other training rows, and where they are (n, p), 1 or 0."""
        others = torch.randint(len(self.seen), numbers.shape)
        mask = torch.rand(numbers.shape) < self.p_mask
        corrupted = torch.where(mask, self.seen.gather(0, others), numbers)
        return corrupted, (corrupted != numbers).float()

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Logits (n, k)."""
        return self.predictor(self.encoder(numbers))

    def loss(self, rows: Rows) -> Tensor:
        """Cross-entropy and the variance over corrupted copies."""
        copies = torch.stack([self(self.corrupt(rows.numbers)[0], rows.codes) for _ in range(self.n_copies)])
        return super().loss(rows) + self.beta * copies.var(dim=0, unbiased=False).mean()
