"""What all entries of networks share: what they are given, what of them is tried, and how they are trained step by step."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sklearn.base import ClassifierMixin

from tabbench.models import Limits, Model, Needs, Steps, model
from tabbench.models.nets.recipe import Recipe
from tabbench.models.space import Range, Space

NATIVE = Needs(categories="native", scaled=True, complete=True)
RATE, DECAY, DROP = Range(1e-4, 1e-2, log=True), Range(1e-5, 1e-1, log=True), Range(0.0, 0.5)

Module = tuple[Callable[..., Any], dict[str, Any]]  # a `trainer.Network` and its arguments but for columns and classes


def _watch(net: Any, *parts: Any) -> None:
    from tabbench.models.nets.trainer import watch

    watch(net, *parts)


STEPS = Steps("max_epochs", lambda net, train, rows, patience: net.fit(*train, rows, patience), holds_out=True, watch=_watch)


def net(
    name: str, recipe: Recipe, *, space: Space, needs: Needs = NATIVE, limits: Limits = Limits(), aliases: tuple[str, ...] = ()
) -> Callable[[Callable[..., Module]], Model]:
    """Register a network as a model, as `tabbench.models.model` does, by a function from its own parameters to a `Module`.

    recipe : how it is trained; the model has its learning rate, weight decay and number of epochs as parameters, too.
    """

    def register(module: Callable[..., Module]) -> Model:
        def build(
            *,
            seed: int,
            threads: int,
            learning_rate: float = recipe.learning_rate,
            weight_decay: float = recipe.weight_decay,
            max_epochs: int = recipe.max_epochs,
            **own: Any,
        ) -> ClassifierMixin:
            from tabbench.models.nets.trainer import NetClassifier

            given = replace(recipe, learning_rate=learning_rate, weight_decay=weight_decay, max_epochs=max_epochs)
            return NetClassifier(*module(**own), given, seed, threads)

        build.__doc__ = module.__doc__
        own = [p.replace(kind=p.KEYWORD_ONLY) for p in inspect.signature(module).parameters.values()]
        shared = [p for p in inspect.signature(build).parameters.values() if p.kind is p.KEYWORD_ONLY]
        build.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
        return model(
            name,
            needs=needs,
            limits=limits,
            imports=("torch", "torch._dynamo", "tabbench.models.nets.trainer"),
            tolerance=1e-5,
            space=space,
            steps=STEPS,
            family="network",
            aliases=aliases,
        )(build)

    return register
