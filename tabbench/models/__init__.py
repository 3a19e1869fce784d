"""The models: scikit-learn estimators behind one table, each with what it needs and what it can bear."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Literal

from sklearn.base import ClassifierMixin

from tabbench.errors import UserError
from tabbench.registry import Registry


@dataclass(frozen=True)
class Needs:
    """What a model must be given; `tabbench.preprocess` sees to it, fitted on the training rows.

    categories : "native" (a DataFrame with float64 and `category` columns), "ordinal" (float codes) or "onehot" (0/1 columns).
    scaled : numeric columns are standardised.
    complete : no missing value is left.
    """

    categories: Literal["native", "ordinal", "onehot"] = "onehot"
    scaled: bool = True
    complete: bool = True


@dataclass(frozen=True)
class Limits:
    """Largest training table a model takes (None: no limit); a job beyond them is recorded as `unsupported`."""

    rows: int | None = None
    features: int | None = None
    classes: int | None = None


@dataclass(frozen=True)
class Model:
    """A named way to build an unfitted classifier: `build(seed=..., threads=..., **config)`; `defaults` are its keyword arguments."""

    name: str
    build: Callable[..., ClassifierMixin]
    needs: Needs
    limits: Limits
    imports: tuple[str, ...]

    @property
    def defaults(self) -> dict[str, Any]:
        """The default configuration."""
        parameters = inspect.signature(self.build).parameters
        return {name: p.default for name, p in parameters.items() if name not in ("seed", "threads")}

    @property
    def summary(self) -> str:
        """First line of the builder's docstring."""
        return (inspect.getdoc(self.build) or "").split("\n")[0]


MODELS: Registry[Model] = Registry("model")


def model(
    name: str, *, needs: Needs = Needs(), limits: Limits = Limits(), imports: tuple[str, ...] = ()
) -> Callable[[Callable[..., ClassifierMixin]], Model]:
    """Register a builder as a model. `imports` are the packages it needs; without them its jobs are `unsupported`."""

    def register(build: Callable[..., ClassifierMixin]) -> Model:
        return MODELS.add(name, Model(name, build, needs, limits, imports))

    return register
