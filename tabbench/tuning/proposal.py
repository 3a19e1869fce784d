"""The next configuration of a search by a surrogate: which of many candidates promises the most, within limits.

Expected improvement (Jones et al. 1998) of the loss, times the probability that every limit is met (Gardner et al. 2014); while
nothing that was tried is within the limits, that probability alone. The surrogate is `pfn.surrogate`.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tabbench.models.space import Choice, Range, Space
from tabbench.resources import torch_threads

N_DRAWN = 1000  # candidates from all over the space
N_NEAR, N_BEST = 20, 5  # candidates near each of the best configurations
JITTER = 0.1  # standard deviation of a candidate about its origin, of the width of the space
REDRAWN = 0.2  # probability that a choice near a good configuration is another
MOST_CODES = 8  # values of a choice that have a code each; more are taken as a row of numbers


class Tried(NamedTuple):
    """A configuration, its loss, and of each limit what it cost as a share of the limit."""

    config: Mapping[str, Any]
    loss: float
    costs: tuple[float, ...] = ()


def propose(space: Space, tried: Sequence[Tried], seed: int) -> dict[str, Any] | None:
    """The values of the space to try next; None if there are no new ones. A trial without a finite loss teaches nothing."""
    rng = np.random.default_rng(seed)
    known = [one for one in tried if math.isfinite(one.loss) and all(math.isfinite(cost) and cost > 0 for cost in one.costs)]
    taken = {_text(space, one.config) for one in tried}
    candidates = {_text(space, config): config for config in _candidates(space, known, rng)}
    new = [config for text, config in candidates.items() if text not in taken]
    if not new or len(known) < 2:
        return new[0] if new else None
    return new[
        int(promise(points_of(space, [one.config for one in known]), kinds_of(space), known, points_of(space, new)).argmax())
    ]


def promise(x: np.ndarray, kinds: Sequence[int], known: Sequence[Tried], at: np.ndarray) -> np.ndarray:
    """(q,) what points `at` (q, d) promise, given what is known of points x (n, d); see the module."""
    from tabbench.pfn.surrogate import Surrogate

    values = np.array([[one.loss, *map(math.log, one.costs)] for one in known])
    with torch_threads(1):
        surrogate = Surrogate(x, kinds, values)
        bars = surrogate.bars(at)
    likely = np.prod([surrogate.below(bars, number, 0.0) for number in range(1, values.shape[1])], axis=0)
    within = (values[:, 1:] <= 0).all(axis=1)
    if not within.any():
        return np.broadcast_to(likely, len(at))
    return surrogate.improvement(bars, 0, float(values[within, 0].min())) * likely


def kinds_of(space: Space) -> list[int]:
    """What the surrogate takes the inputs of a space for."""
    from tabbench.pfn.surrogate import CHOICE, NUMBER, WHOLE

    def kind(values: Range | Choice) -> int:
        if isinstance(values, Choice):
            return CHOICE if len(values.values) <= MOST_CODES else WHOLE
        return WHOLE if values.whole else NUMBER

    return [kind(values) for values in space.values()]


def _candidates(space: Space, known: Sequence[Tried], rng: np.random.Generator) -> list[dict[str, Any]]:
    drawn = [{name: values.draw(rng) for name, values in space.items()} for _ in range(N_DRAWN)]
    best = sorted(known, key=lambda one: (max((*one.costs, 1.0)), one.loss))[:N_BEST]  # first what is within, or nearly
    return drawn + [_near(space, one.config, rng) for one in best for _ in range(N_NEAR)]


def _near(space: Space, config: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    near = {}
    for name, values in space.items():
        if isinstance(values, Choice):
            near[name] = values.draw(rng) if rng.random() < REDRAWN else config[name]
        else:
            near[name] = values.at(float(np.clip(values.share(config[name]) + JITTER * rng.normal(), 0, 1)))
    return near


def points_of(space: Space, configs: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """(n, d) configurations as the surrogate takes them."""
    return np.array([[_number(values, config[name]) for name, values in space.items()] for config in configs])


def _number(values: Range | Choice, value: Any) -> float:
    if isinstance(values, Range):
        return values.share(value)
    code = values.values.index(value)
    return code if len(values.values) <= MOST_CODES else code / (len(values.values) - 1)


def _text(space: Space, config: Mapping[str, Any]) -> str:
    return json.dumps([config.get(name) for name in space])
