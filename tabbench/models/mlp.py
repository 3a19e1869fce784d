"""A multilayer perceptron in torch, trained with AdamW and early stopping."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from tabbench.models import Steps, model
from tabbench.models.space import Range
from tabbench.resources import torch_threads

if TYPE_CHECKING:
    import torch

    Layers = list[tuple[torch.Tensor, torch.Tensor]]
    Rows = tuple[torch.Tensor, torch.Tensor]

BATCH_SIZES = (32, 256)  # 8 batches per epoch, if these bounds allow
HELD_OUT_EVERY = 5  # one training row in five decides when to stop
MAX_EPOCHS = 200
MAX_STEPS = 4000  # of large tables, so that time does not grow with rows for ever
PATIENCE = 12


@model(
    "mlp",
    family="network",
    imports=("torch", "torch._dynamo"),
    tolerance=1e-5,  # torch promises no equal bits
    steps=Steps("max_epochs", lambda mlp, train, validation, patience: mlp.fit(*train, validation, patience)),
    space={
        "n_layers": Range(1, 4, whole=True),
        "width": Range(64, 512, log=True, whole=True),
        "dropout": Range(0.0, 0.5),
        "learning_rate": Range(1e-4, 1e-2, log=True),
        "weight_decay": Range(1e-4, 1e-1, log=True),
    },
)
def mlp(  # noqa: PLR0913 - its configuration
    seed: int,
    threads: int,
    n_layers: int = 3,
    width: int = 256,
    dropout: float = 0.1,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-2,
    max_epochs: int = MAX_EPOCHS,
) -> ClassifierMixin:
    """Multilayer perceptron, 3 layers of 256, AdamW and early stopping, after the MLP of Gorishniy et al. (2021)."""
    return MLP(n_layers, width, dropout, learning_rate, weight_decay, max_epochs, random_state=seed, n_threads=threads)


class MLP(ClassifierMixin, BaseEstimator):
    """Multilayer perceptron for scaled numbers and 0/1 columns without missing values.

    Inputs are squashed by 3 tanh(x / 3), so that one extreme value cannot dominate. GELU layers with dropout follow.
    Each epoch visits four fifths of the rows in mini-batches; training stops when the log loss on the other fifth
    (stratified) has not improved for `PATIENCE` epochs, and the best epoch is kept. Given validation rows, it visits all rows
    and stops by those. Every draw comes from one generator of its own, seeded by `random_state`; the same seed and number of
    threads give the same network.
    """

    def __init__(  # noqa: PLR0913 - its configuration
        self,
        n_layers: int = 3,
        width: int = 256,
        dropout: float = 0.1,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        max_epochs: int = MAX_EPOCHS,
        random_state: int = 0,
        n_threads: int = 1,
    ) -> None:
        self.n_layers = n_layers
        self.width = width
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.max_epochs = max_epochs
        self.random_state = random_state
        self.n_threads = n_threads

    def fit(
        self, X: np.ndarray, y: np.ndarray, validation: tuple[np.ndarray, np.ndarray] | None = None, patience: int = PATIENCE
    ) -> Self:
        """Fit to `X` (n, d) and `y` (n,); `validation`: X and y of the rows that say when to stop, of the same classes."""
        import torch

        self.classes_, codes = np.unique(y, return_inverse=True)
        generator = torch.Generator().manual_seed(int(self.random_state))
        rows = _tensors(X, codes)
        sizes = [rows[0].shape[1], *[self.width] * self.n_layers, len(self.classes_)]
        with torch_threads(self.n_threads):
            layers = _init_layers(sizes, generator)
            if validation is None:
                train, held_out = ((rows[0][part], rows[1][part]) for part in _inner_split(codes, generator))
            else:
                train, held_out = rows, _tensors(validation[0], np.searchsorted(self.classes_, validation[1]))
            self.layers_ = self._train(layers, train, held_out, patience, generator)
        return self

    def _train(self, layers: Layers, train: Rows, held_out: Rows, patience: int, generator: torch.Generator) -> Layers:
        """Layers of the epoch with the least held-out log loss."""
        import torch

        inputs, targets = train
        parameters = [tensor for layer in layers for tensor in layer]
        optimizer = torch.optim.AdamW(parameters, lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)
        batch_size = int(np.clip(len(targets) // 8, *BATCH_SIZES))
        best_loss, best, n_waited = float("inf"), layers, 0
        n_epochs = min(self.max_epochs, -(-MAX_STEPS * batch_size // len(targets)))
        for _ in range(n_epochs):
            for rows in torch.randperm(len(targets), generator=generator).split(batch_size):
                logits = _forward(layers, inputs[rows], self.dropout, generator)
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(logits, targets[rows]).backward()
                optimizer.step()
            with torch.no_grad():
                loss = float(torch.nn.functional.cross_entropy(_forward(layers, held_out[0]), held_out[1]))
            n_waited += 1
            if loss < best_loss:
                best_loss, best, n_waited = loss, [(w.detach().clone(), b.detach().clone()) for w, b in layers], 0
            elif n_waited == patience:
                break
        return best

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Class probabilities (n, k) float64."""
        import torch

        with torch.no_grad(), torch_threads(self.n_threads):
            logits = _forward(self.layers_, torch.as_tensor(np.asarray(X), dtype=torch.float32))
            return torch.softmax(logits.double(), dim=1).numpy()

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Most probable class (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def _tensors(X: np.ndarray, codes: np.ndarray) -> Rows:
    import torch

    return torch.as_tensor(np.asarray(X), dtype=torch.float32), torch.as_tensor(codes)


def _init_layers(sizes: list[int], generator: torch.Generator) -> Layers:
    """Weights (out, in), normal with variance 2 / in (He et al. 2015), small in the last layer; biases of zero."""
    import torch

    layers = []
    for n_in, n_out in pairwise(sizes):
        weight = torch.randn(n_out, n_in, generator=generator) * (2 / n_in) ** 0.5
        layers.append((weight, torch.zeros(n_out)))
    layers[-1][0].mul_(0.1)
    for layer in layers:
        for tensor in layer:
            tensor.requires_grad_(True)
    return layers


def _forward(layers: Layers, x: torch.Tensor, dropout: float = 0.0, generator: torch.Generator | None = None) -> torch.Tensor:
    """Logits (n, k) of `x` (n, d); units are dropped only if `dropout` is given."""
    import torch

    x = 3 * torch.tanh(x / 3)
    for weight, bias in layers[:-1]:
        x = torch.nn.functional.gelu(torch.nn.functional.linear(x, weight, bias))
        if dropout:
            x = x * (torch.rand(x.shape, generator=generator) >= dropout) / (1 - dropout)
    return torch.nn.functional.linear(x, *layers[-1])


def _inner_split(codes: np.ndarray, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows to train on and rows held out: every fifth of a shuffled list sorted by class, but no class's only row."""
    import torch

    shuffled = torch.randperm(len(codes), generator=generator).numpy()
    by_class = shuffled[np.argsort(codes[shuffled], kind="stable")]
    held_out = np.zeros(len(codes), dtype=bool)
    held_out[by_class[HELD_OUT_EVERY // 2 :: HELD_OUT_EVERY]] = True
    held_out &= np.bincount(codes)[codes] > 1
    if not held_out.any():
        return torch.arange(len(codes)), torch.arange(len(codes))
    return torch.as_tensor(np.flatnonzero(~held_out)), torch.as_tensor(np.flatnonzero(held_out))
