"""What all entries of networks share: what they are given, what of them is tried, and how they are trained step by step."""

from collections.abc import Callable
from typing import Any

from sklearn.base import ClassifierMixin

from tabbench.models import Limits, Model, Needs, Steps, model
from tabbench.models.space import Range, Space

NATIVE = Needs(categories="native", scaled=True, complete=True)
RATE, DECAY, DROP = Range(1e-4, 1e-2, log=True), Range(1e-5, 1e-1, log=True), Range(0.0, 0.5)


def _watch(net: Any, *parts: Any) -> None:
    from tabbench.models.nets.trainer import watch

    watch(net, *parts)


STEPS = Steps("max_epochs", lambda net, train, rows, patience: net.fit(*train, rows, patience), holds_out=True, watch=_watch)


def net(
    name: str, *, space: Space, needs: Needs = NATIVE, limits: Limits = Limits(), aliases: tuple[str, ...] = ()
) -> Callable[[Callable[..., ClassifierMixin]], Model]:
    """Register a builder of a `NetClassifier` as a model, as `tabbench.models.model` does."""
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
    )
