"""What requests change, and what must be known of it to answer them again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from starlette.types import Scope

__all__ = ["Changes", "Target", "is_forgetting", "target_of"]

_COLLECTIONS, _SESSIONS = "/v1/collections/", "/v1/sessions"
_METHODS = frozenset({"POST", "PATCH", "DELETE"})
_ONLY_READING = frozenset({"search", "verify", "explain"})
"""What changes nothing may be done again; and its answers, which speak of people, are kept nowhere."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a request changes.

    Args:
        collection: The collection that its path names; "" for a session.
        session: Id of the session; "" for one that is to be opened, or a collection.
    """

    collection: str = ""
    session: str = ""


class Changes(ABC):
    """What must be known of a service, and of who calls, to answer again."""

    @abstractmethod
    def may_repeat(self, authorization: str, target: Target, address: str) -> bool:
        """Whether a caller may still make such a change, and has not asked too often.

        Args:
            authorization: The header: nothing is repeated for a key that was revoked.
            target: What is changed.
            address: Where the request comes from.
        """

    @abstractmethod
    def revision_of(self, authorization: str, target: Target) -> int | None:
        """How far changes have come; None if there is no such collection, or session of the caller."""

    @abstractmethod
    def has_forgotten_since(self, target: Target, revision: int) -> bool:
        """Whether somebody or something was forgotten after a revision, by whomever: answers may speak of it."""

    @abstractmethod
    def changes_since(self, authorization: str, target: Target, revision: int) -> str:
        """What a caller has changed after a revision, in words, once nobody is at work on it; "" for nothing."""


def is_forgetting(scope: Scope, target: Target) -> bool:
    """Whether a request is to forget somebody or something for good."""
    name = target.collection
    return bool(name) and scope["path"] == f"{_COLLECTIONS}{name}/forget"


def target_of(scope: Scope) -> Target | None:
    """What a request changes; None if nothing."""
    path: str = scope["path"]
    if scope["method"] not in _METHODS:
        return None
    if path == _SESSIONS or path.startswith(f"{_SESSIONS}/"):
        return Target(session=path.removeprefix(_SESSIONS).strip("/").partition("/")[0])
    if not path.startswith(_COLLECTIONS):
        return None
    collection, _, rest = path.removeprefix(_COLLECTIONS).partition("/")
    only_reads = scope["method"] == "POST" and rest.rpartition("/")[2] in _ONLY_READING
    if not collection or only_reads:  # by other methods that is somebody's name
        return None
    return Target(collection=collection)
