"""Search spaces as plain data, and the configurations that random search draws from them."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; `log`: evenly on the log scale; `whole`: whole numbers."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def draw(self, rng: np.random.Generator) -> float | int:
        """One value."""
        edge = 0.5 if self.whole else 0.0  # every whole number gets its full share
        low, high = self.low - edge, self.high + edge
        value = float(np.exp(rng.uniform(np.log(low), np.log(high)))) if self.log else float(rng.uniform(low, high))
        return int(np.clip(round(value), self.low, self.high)) if self.whole else value

    def share(self, value: float) -> float:
        """Where a value lies between the ends, 0 to 1, on the scale of the range."""
        low, high, value = (math.log(v) if self.log else float(v) for v in (self.low, self.high, value))
        return (value - low) / (high - low) if high > low else 0.5

    def at(self, share: float) -> float | int:
        """The value at such a place, or the whole number next to it."""
        low, high = (math.log(v) if self.log else float(v) for v in (self.low, self.high))
        place = low + share * (high - low)
        value = min(max(math.exp(place) if self.log else place, self.low), self.high)
        return round(value) if self.whole else value


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    values: tuple[Any, ...]

    def draw(self, rng: np.random.Generator) -> Any:
        """One value."""
        return self.values[int(rng.integers(len(self.values)))]


Space = Mapping[str, Range | Choice]


def configurations(model: str, default: Mapping[str, Any], space: Space, n: int, seed: int) -> list[dict[str, Any]]:
    """Return the default and n - 1 random configurations (the default alone if there is nothing to search).

    A draw depends on the seed, the model's name and its number alone: every dataset gets the same ones, so that runs can be
    pooled, and a larger `n` begins with the same ones. A small space gives some of them more than once.
    """
    if not space:
        return [dict(default)]
    return [dict(default), *({**default, **_draw(model, space, seed, number)} for number in range(1, n))]


def _draw(model: str, space: Space, seed: int, number: int) -> dict[str, Any]:
    digest = hashlib.sha256(f"{seed}/search/{model}/{number}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    return {name: values.draw(rng) for name, values in space.items()}
