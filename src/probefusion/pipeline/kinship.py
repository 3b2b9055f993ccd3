"""Who must not be compared as different people: relatives, and one person under two names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from probefusion.errors import ConfigError

__all__ = ["Kinship"]


@dataclass(frozen=True, kw_only=True)
class Kinship:
    """Who is related, by names.

    Args:
        related_by: Text in the names of people; those whose names agree up to it are one family. None: none are.
        related: Pairs of people, or of families as `related_by` cuts them, that are one family too.
    """

    related_by: str | None = None
    related: Sequence[tuple[str, str]] = ()
    _first: dict[str, str] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for pair in self.related:
            if len(pair) != 2 or not all(isinstance(name, str) and name for name in pair):
                raise ConfigError(f"related: expected pairs of two names, got {pair!r}.")
            one, other = (self.family(name) for name in pair)
            for name in [*self._first, one, other]:
                if self._first.get(name, name) == other:
                    self._first[name] = one

    def family(self, person: str) -> str:
        """The name of a person's family; the person's own where there is none."""
        name = person.partition(self.related_by)[0] if self.related_by else person
        return self._first.get(name, name)
