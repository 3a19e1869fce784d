"""Ensemble members: several views of one table through one network, their logits averaged.

A member has its own order of the columns, codes of the levels, numbering of the classes and transform of the numbers, and,
where the table exceeds the context, its own rows. What the network makes of a context is kept, so that it is read only once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from tabbench.pfn.encode import TRANSFORMS, View
from tabbench.pfn.limits import ATTENDED_ROWS
from tabbench.pfn.network import Context
from tabbench.pfn.packaged import find_weights
from tabbench.prepare.subsample import Contexts

QUERY_ROWS = 1024  # that the network answers at a time; in small pieces two threads wait for each other
VOICE_SHARE = 0.4  # of the voices alone in an answer; chosen on the development datasets


@dataclass(frozen=True, eq=False)
class Part:
    """One context: the view and training rows that it is made of, shuffled, and the step by which class codes are rotated."""

    view: View
    rows: np.ndarray
    shift: int


@dataclass(frozen=True)
class Member:
    """The parts of a member, and (queries) → number of the part that answers each; None: all, averaged."""

    parts: list[Part]
    contexts: Contexts


class Ensemble:
    """Members on one training table.

    Parameters
    ----------
    frame : (n, d) training table in normal form. codes : (n,) classes 0..k-1.
    contexts : the rows of each member. seed : of the members' views.
    weights : file of weights, None for the package's. cache_bytes : memory for contexts; the rest is read anew each time.
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        codes: np.ndarray,
        contexts: list[Contexts],
        *,
        seed: int,
        weights: str | Path | None,
        cache_bytes: float,
    ) -> None:
        self.frame, self.codes, self.weights, self.cache_bytes = frame, codes, weights, cache_bytes
        self.n_classes = int(codes.max()) + 1
        rng = np.random.default_rng([seed, 2])
        orders = _latin_orders(frame.shape[1], len(contexts), rng)
        self.members = []
        for i, (order, context) in enumerate(zip(orders, contexts, strict=True)):
            transform, shift = TRANSFORMS[i % len(TRANSFORMS)], i // len(TRANSFORMS)
            views = (View(frame.iloc[rows], order, transform, rng) for rows in context.rows)
            parts = [Part(view, rng.permutation(rows), shift) for view, rows in zip(views, context.rows, strict=True)]
            self.members.append(Member(parts, context))
        self._cache: dict[Part, Context] = {}

    def read_contexts(self) -> None:
        """Let the network read the contexts, as many as the cache holds."""
        for part in self._parts():
            if not self._keep(part, self._encode(part)):
                return

    def proba(self, queries: pd.DataFrame) -> np.ndarray:
        """(n, k) float64 probabilities of a table in normal form: softmax of the members' mean logits over the temperature."""
        logits = np.mean([self._member_logits(member, queries) for member in self.members], axis=0)
        logits /= find_weights(self.weights).temperature
        proba = np.exp(logits - logits.max(axis=1, keepdims=True))
        return proba / proba.sum(axis=1, keepdims=True)

    def _member_logits(self, member: Member, queries: pd.DataFrame) -> np.ndarray:
        route = member.contexts.route
        if route is None:
            return np.mean([self._part_logits(part, queries) for part in member.parts], axis=0)
        answers_by = route(queries)
        logits = np.zeros((len(queries), self.n_classes))
        for i in np.unique(answers_by):
            logits[answers_by == i] = self._part_logits(member.parts[i], queries[answers_by == i])
        return logits

    def _part_logits(self, part: Part, queries: pd.DataFrame) -> np.ndarray:
        """(n, k) float64 logits of the classes in their own numbering."""
        network = find_weights(self.weights).network
        context = self._cache.get(part)
        if context is None:
            context = self._encode(part)
            self._keep(part, context)
        x = torch.from_numpy(part.view.matrix(queries))[None]
        with torch.inference_mode():
            logits = torch.cat([network.predict(context, piece, VOICE_SHARE) for piece in x.split(QUERY_ROWS, dim=1)], dim=1)
        slots = (np.arange(self.n_classes) + part.shift) % self.n_classes
        return logits[0].double().numpy()[:, slots]

    def _encode(self, part: Part) -> Context:
        x = torch.from_numpy(part.view.matrix(self.frame.iloc[part.rows]))[None]
        y = torch.from_numpy((self.codes[part.rows] + part.shift) % self.n_classes)[None]
        with torch.inference_mode():
            categorical = torch.from_numpy(part.view.categorical)[None]
            return find_weights(self.weights).network.encode_context(x, y, categorical, ATTENDED_ROWS)

    def _keep(self, part: Part, context: Context) -> bool:
        """Put a context into the cache if there is room."""
        room = self.cache_bytes - sum(_n_bytes(kept) for kept in self._cache.values())
        if _n_bytes(context) > room:
            return False
        self._cache[part] = context
        return True

    def _parts(self) -> Iterator[Part]:
        return (part for member in self.members for part in member.parts)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": {}}  # a copy reads its contexts anew, with the weights it finds


def _latin_orders(n_columns: int, n_members: int, rng: np.random.Generator) -> list[np.ndarray]:
    """One order of the columns per member; up to `n_columns` members, no column has the same place in two of them."""
    base, places = rng.permutation(n_columns), rng.permutation(n_columns)
    return [base[(places + i) % n_columns] for i in range(n_members)]


def _n_bytes(part: Any) -> int:
    """Memory of all tensors in a context."""
    if isinstance(part, torch.Tensor):
        return part.numel() * part.element_size()
    if is_dataclass(part):
        return sum(_n_bytes(getattr(part, field.name)) for field in fields(part))
    return sum(map(_n_bytes, part)) if isinstance(part, tuple) else 0
