"""The recipe of a network's training; entries of networks have one without importing torch."""

from dataclasses import dataclass

RATE_EPOCHS = 20


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    batch_sizes : bounds of the batch size, an eighth of the rows if they allow. max_steps : so that time does not grow with
    rows for ever; at least one epoch is done. rate_factor : of the learning rate, every `RATE_EPOCHS` epochs. even : batches are
    of one size, give or take a row, for networks that look at a batch as a whole; else the last has what is left. pairs : of
    columns are looked at, so batches are smaller beyond `trainer.MANY_COLUMNS` columns.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    max_epochs: int = 200
    max_steps: int = 4000
    batch_sizes: tuple[int, int] = (32, 256)
    rate_factor: float = 1.0
    even: bool = False
    pairs: bool = False
