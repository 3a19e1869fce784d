"""A table of named things (models, metrics, policies, data sources) that refuses duplicates and suggests near names."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import TypeVar

from tabbench.errors import UserError

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """Mapping of names to entries, in the order of registration.

    Parameters
    ----------
    kind : what one entry is called in messages, e.g. "model".
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def add(self, name: str, entry: T) -> T:
        """Register `entry`; raises UserError if the name is taken."""
        if name in self._entries:
            raise UserError(f"{self.kind} {name!r} is registered twice: give the new one another name")
        self._entries[name] = entry
        return entry

    def __getitem__(self, name: str) -> T:
        """Entry of that name; raises UserError (naming neighbours) if there is none."""
        if name not in self._entries:
            near = get_close_matches(name, self._entries, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(self._entries)}"
            raise UserError(f"no {self.kind} {name!r}: {hint}")
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
