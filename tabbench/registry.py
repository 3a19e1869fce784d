"""A table of named things (models, metrics, policies, data sources) that refuses duplicates and suggests near names.

A thing may have aliases: names that others give it. They find it, but are not listed.
"""

from collections.abc import Iterable, Iterator, Mapping
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
        self._aliases: dict[str, str] = {}

    def add(self, name: str, entry: T, aliases: Iterable[str] = ()) -> T:
        """Register `entry`; raises UserError if the name or an alias is taken."""
        for one in (name, *aliases):
            if one in self._entries or one in self._aliases:
                raise UserError(f"{self.kind} {one!r} is registered twice: give the new one another name")
        self._entries[name] = entry
        self._aliases.update(dict.fromkeys(aliases, name))
        return entry

    def own_name(self, name: str) -> str:
        """Name under which a name or alias is registered; an unknown one as it is."""
        return self._aliases.get(name, name)

    def __getitem__(self, name: str) -> T:
        """Entry of that name or alias; raises UserError (naming neighbours) if there is none."""
        name = self.own_name(name)
        if name not in self._entries:
            near = get_close_matches(name, [*self._entries, *self._aliases], n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(self._entries)}"
            raise UserError(f"no {self.kind} {name!r}: {hint}")
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
