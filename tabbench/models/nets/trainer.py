"""The one trainer of all networks: batches, AdamW, patience on held-out log loss, the best state kept, every draw seeded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from torch import Tensor, nn

from tabbench.metrics import log_loss
from tabbench.models.nets.recipe import RATE_EPOCHS, Recipe
from tabbench.resources import torch_threads

HELD_OUT_EVERY = 5  # one training row in five decides when to stop
PATIENCE = 12
CHUNK, MANY_COLUMNS = 4096, 64  # rows predicted at once, so that memory does not grow with a table; fewer beyond so many columns
LEAST_BATCH, LEAST_CHUNK = 16, 64  # however many columns there are
Labelled = tuple[Any, np.ndarray]
LARGEST = 1e15  # of an input, so that its square is a float32 number


class Columns(NamedTuple):
    """What a network is given. n_numbers : numeric columns. n_levels : levels of each categorical column."""

    n_numbers: int
    n_levels: tuple[int, ...]


class Rows(NamedTuple):
    """Rows of a table. numbers : (n, p) float32. codes : (n, c) int64, 0 for an unseen level, else 1 + level. targets : (n,)."""

    numbers: Tensor
    codes: Tensor
    targets: Tensor

    def take(self, which: Tensor) -> Rows:
        """Those rows."""
        return Rows(self.numbers[which], self.codes[which], self.targets[which])


class Point(NamedTuple):
    """A point of a validation curve. step : epochs done. loss : held-out, in nats. seconds : of CPU, so far."""

    step: int
    loss: float
    seconds: float


class Network(nn.Module):
    """A network for tables: `forward(numbers, codes)` gives logits (n, k); in evaluation mode each row's are its own affair."""

    def prepare(self, rows: Rows) -> None:
        """Look at the training rows once, before the first step."""

    def loss(self, rows: Rows) -> Tensor:
        """What a training step makes less: cross-entropy, unless a paper adds to it."""
        return nn.functional.cross_entropy(self(rows.numbers, rows.codes), rows.targets)


class NetClassifier(ClassifierMixin, BaseEstimator):
    """A network as a scikit-learn classifier.

    Takes complete tables, (n, d) arrays of numbers or frames of float64 and `category` columns. Without validation rows, a
    stratified fifth is held out; training stops when its log loss, in evaluation mode, has not improved for `PATIENCE` epochs,
    and the best is kept. Given validation rows, it visits all rows and stops by those. Numbers further from the training rows'
    range than its width are drawn in. Draws are those of `random_state`; torch's own generator and thread count are left as
    found. The same seed and number of threads give the same network.

    Attributes
    ----------
    classes_, net_ : the labels, and the fitted network. curve_ : a `Point` for each epoch.
    """

    def __init__(
        self,
        module: Callable[..., Network],
        config: Mapping[str, Any],
        recipe: Recipe = Recipe(),
        random_state: int = 0,
        n_threads: int = 1,
    ) -> None:
        self.module = module
        self.config = config
        self.recipe = recipe
        self.random_state = random_state
        self.n_threads = n_threads

    def fit(
        self,
        X: Any,
        y: np.ndarray,
        validation: tuple[Any, np.ndarray] | None = None,
        patience: int | None = None,
        after: Callable[[int], bool] = lambda _: True,
    ) -> Self:
        """Fit to `X` (n, d) and `y` (n,); `validation`: X and y of the rows that say when to stop, of the same classes.

        patience : epochs without a better loss; None: `PATIENCE`. after : told the number of each epoch; False ends the training.
        """
        self.classes_, codes = np.unique(y, return_inverse=True)
        numbers = _numbers(X)
        low, high = numbers.min(axis=0), numbers.max(axis=0)
        self.bounds_ = (2 * low - high).clip(-LARGEST, LARGEST), (2 * high - low).clip(-LARGEST, LARGEST)
        rows = self._rows(X, codes)
        with own_torch(self.n_threads, int(self.random_state)):
            self.net_ = self.module(_columns(X), len(self.classes_), **self.config)
            if validation is None:
                train_rows, held_out = (rows.take(part) for part in inner_split(codes))
            else:
                train_rows, held_out = rows, self._rows(validation[0], np.searchsorted(self.classes_, validation[1]))
            self.net_.prepare(train_rows)
            self.curve_ = train(self.net_, train_rows, held_out, self.recipe, patience or PATIENCE, after)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Class probabilities (n, k) float64."""
        with own_torch(self.n_threads, 0):
            logits = _predict(self.net_, self._rows(X, np.zeros(len(X), np.int64)))
            return torch.softmax(logits.double(), dim=1).numpy()

    def predict(self, X: Any) -> np.ndarray:
        """Most probable class (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _rows(self, X: Any, targets: np.ndarray) -> Rows:
        numbers = _numbers(X).clip(*self.bounds_)
        codes = [X[c].cat.codes.to_numpy(np.int64) + 1 for c in X if _is_category(X[c])] if isinstance(X, pd.DataFrame) else []
        stacked = np.stack(codes, axis=1) if codes else np.zeros((len(numbers), 0), np.int64)
        return Rows(torch.as_tensor(numbers, dtype=torch.float32), torch.as_tensor(stacked), torch.as_tensor(targets))


def watch(net: NetClassifier, train: Labelled, validation: Labelled, after: Callable[[int, float], bool]) -> None:
    """Fit as usual, and tell `after` of each epoch and the log loss of validation rows (see `models.Steps.watch`)."""
    X, y = validation

    def tell(epoch: int) -> bool:
        return after(epoch, log_loss(np.searchsorted(net.classes_, y), net.predict_proba(X)))

    net.fit(*train, after=tell)


def train(
    net: Network, rows: Rows, held_out: Rows, recipe: Recipe, patience: int, after: Callable[[int], bool] = lambda _: True
) -> list[Point]:
    """Train until held-out log loss has not improved for `patience` epochs, restore the best epoch; return the curve.

    after : see `NetClassifier.fit`.
    """
    size = int(np.clip(len(rows.targets) // 8, *recipe.batch_sizes))
    if recipe.pairs:
        size = min(size, _at_once(recipe.batch_sizes[1], rows, LEAST_BATCH))
    parameters = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)
    best_loss, best, curve, waited = float("inf"), _copy(net), [], 0
    started = time.process_time()
    for epoch in range(min(recipe.max_epochs, -(-recipe.max_steps * size // len(rows.targets)))):
        optimizer.param_groups[0]["lr"] = recipe.learning_rate * recipe.rate_factor ** (epoch // RATE_EPOCHS)
        net.train()
        order = torch.randperm(len(rows.targets))
        for batch in order.tensor_split(-(-len(order) // size)) if recipe.even else order.split(size):
            optimizer.zero_grad()
            net.loss(rows.take(batch)).backward()
            optimizer.step()
        loss = float(nn.functional.cross_entropy(_predict(net, held_out), held_out.targets))
        curve.append(Point(epoch + 1, loss, time.process_time() - started))
        waited += 1
        if loss < best_loss:
            best_loss, best, waited = loss, _copy(net), 0
        elif waited == patience:
            break
        if not after(epoch + 1):
            break
    net.load_state_dict(best)
    return curve


def _copy(net: Network) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}


def _at_once(most: int, rows: Rows, least: int) -> int:
    """How many rows to look at together, `most` up to `MANY_COLUMNS` columns, beyond fewer, by the square."""
    n_columns = rows.numbers.shape[1] + rows.codes.shape[1]
    return max(least, int(most * min(1.0, MANY_COLUMNS / max(1, n_columns)) ** 2))


def _predict(net: Network, rows: Rows) -> Tensor:
    """Logits (n, k) in evaluation mode, a chunk of rows at a time: of wide tables fewer, since attention takes columns²."""
    size = _at_once(CHUNK, rows, LEAST_CHUNK)
    net.eval()
    with torch.no_grad():
        return torch.cat([net(*part) for part in zip(rows.numbers.split(size), rows.codes.split(size), strict=True)])


def inner_split(codes: np.ndarray) -> tuple[Tensor, Tensor]:
    """Rows to train on and rows held out: every fifth of a shuffled list sorted by class, but no class's only row."""
    shuffled = torch.randperm(len(codes)).numpy()
    by_class = shuffled[np.argsort(codes[shuffled], kind="stable")]
    held_out = np.zeros(len(codes), dtype=bool)
    held_out[by_class[HELD_OUT_EVERY // 2 :: HELD_OUT_EVERY]] = True
    held_out &= np.bincount(codes)[codes] > 1
    if not held_out.any():
        return torch.arange(len(codes)), torch.arange(len(codes))
    return torch.as_tensor(np.flatnonzero(~held_out)), torch.as_tensor(np.flatnonzero(held_out))


def _is_category(column: pd.Series) -> bool:
    return isinstance(column.dtype, pd.CategoricalDtype)


def _numbers(X: Any) -> np.ndarray:
    if isinstance(X, pd.DataFrame):
        X = X[[c for c in X if not _is_category(X[c])]]
    return np.asarray(X, dtype=np.float64)


def _columns(X: Any) -> Columns:
    levels = [len(X[c].cat.categories) for c in X if _is_category(X[c])] if isinstance(X, pd.DataFrame) else []
    return Columns(_numbers(X).shape[1], tuple(levels))


@contextmanager
def own_torch(n_threads: int, seed: int) -> Iterator[None]:
    """Let torch use so many threads and draw from that seed for a while."""
    with torch_threads(n_threads), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
