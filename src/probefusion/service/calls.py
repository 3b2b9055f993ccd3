"""Who calls, what the key allows, and what is noted of it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from probefusion.errors import ProbeFusionError
from probefusion.gallery import Gallery
from probefusion.service.guards.access import AccessKey, Role
from probefusion.service.guards.access_log import as_subject
from probefusion.service.guards.deadline import nobody_waits, wanting
from probefusion.service.hub import Hub, owner_of
from probefusion.service.problems import Refusal, no_valid_key
from probefusion.service.versions import IfMatch, check_unchanged

__all__ = ["Admin", "Call", "Reader", "Writer", "note_all"]

_log = logging.getLogger("probefusion.service")

_SHOWN = 40

_bearer = HTTPBearer(auto_error=False, description="A key of `probefusion serve-keys`.")


class Call:
    """A request of somebody who may make it.

    Args:
        hub: What all share.
        key: The caller's, or None where everybody may call.
        collection: What the path names, or None.
        is_wanted: Whether somebody still waits for the answer.
    """

    def __init__(
        self,
        hub: Hub,
        key: AccessKey | None,
        collection: str | None,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self.hub, self._key, self._collection = hub, key, collection
        self._is_wanted = is_wanted
        self._if_match: str | None = None

    @property
    def owner(self) -> str:
        """Whose sessions and answers are whose."""
        return owner_of(self._key)

    @property
    def gallery(self) -> Gallery:
        """The collection of the path; changes are said to be the caller's.

        Raises:
            Refusal: If nobody waits for what would be done; if it has changed since the caller saw it, where the
                request says so.
            UnknownNameError: If it is not served.
        """
        if not self._is_wanted():
            raise nobody_waits()
        collection = self._collection or ""
        gallery = self.hub.gallery(collection, self.owner)
        if self._if_match is None or self._if_match.strip() == "*":
            return gallery
        version = gallery.version
        check_unchanged(version, self._if_match)
        revision = int(version.partition("-")[0])
        return self.hub.gallery(collection, self.owner, at_revision=revision)

    def gallery_named(self, collection: str) -> Gallery:
        """Another collection than the path's.

        Raises:
            Refusal: If the key does not allow it.
            UnknownNameError: If it is not served.
        """
        if self._key is not None and not self._key.allows("read", collection):
            raise Refusal(
                403, f"collection: the key {self._key.id} is not for this one.", code="role"
            )
        return self.hub.gallery(collection, self.owner)

    def changing(self, if_match: str | None) -> Call:
        """The same, for changes of what is still as the caller saw it: of every tag of the header, None is of all."""
        self._if_match = if_match
        return self

    def visible_collections(self) -> tuple[str, ...]:
        """Collections that are served and that the key may see."""
        return tuple(
            name
            for name in self.hub.galleries
            if self._key is None or self._key.allows("read", name)
        )

    def id_of(self, person: str) -> str:
        """Id of a person of the path's collection, for the log of accesses.

        Raises:
            UnknownNameError: If there is nobody of that name.
        """
        return self.gallery.person(person).id

    def note_change(self, action: str, *subjects: str) -> None:
        """As `note`, of a change that was made: it stands in the gallery's own trail, whatever becomes of this log."""
        try:
            self.note(action, *subjects)
        except Refusal as error:
            _log.error("%s was done and could not be noted: %s", action, error)

    def note(self, action: str, *subjects: str, collection: str | None = None) -> None:
        """Writes to the log of accesses that people were read; what cannot be noted is not told.

        Args:
            action: What was done.
            subjects: Ids of people, contributions, images.
            collection: Whose; None is that of the path.

        Raises:
            Refusal: If it cannot be written.
        """
        note_all(self.hub, [self.entry(action, *subjects, collection=collection)])

    def entry(
        self, action: str, *subjects: str, collection: str | None = None
    ) -> tuple[str, str, tuple[str, ...]]:
        """What `note` writes: who, what, and whom."""
        named = collection or self._collection
        where = () if named is None else (as_subject("collection", named),)
        return self.owner, action, (*where, *subjects)


def note_all(hub: Hub, entries: Sequence[tuple[str, str, tuple[str, ...]]]) -> None:
    """Writes several entries to the log of accesses, all or none.

    Args:
        hub: Whose log.
        entries: As `Call.entry` gives them.

    Raises:
        Refusal: If they cannot be written.
    """
    try:
        hub.log.note_all(entries)
    except ProbeFusionError as error:
        _log.error("the log of accesses cannot be written: %s", error)
        raise Refusal(
            503, "the log of accesses cannot be written, so nothing is told.", code="access-log"
        ) from error


def _needing(role: Role) -> Callable[..., Awaitable[Call]]:
    async def call(  # not in a thread: it only looks up the key
        request: Request,
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Call:
        hub: Hub = request.app.state.hub
        collection = request.path_params.get("collection")
        key = None
        if hub.access is not None:
            key = hub.access.find(given.credentials) if given is not None else None
            if key is None:
                raise no_valid_key()
        host = request.client.host if request.client is not None else ""
        who = host if key is None else key.id
        wait = hub.rates.at_once(who)
        if wait is None:
            wait = await to_thread.run_sync(
                hub.rates.seconds_to_wait, who, limiter=CapacityLimiter(1)
            )
        if wait > 0:
            raise Refusal(
                429,
                f"expected at most {hub.settings.limits.requests_per_minute} requests a minute. Wait {wait:.1f} s.",
                code="rate",
                headers={"Retry-After": str(max(1, round(wait)))},
            )
        _check_parameters(request)
        if key is not None and not key.allows(role, collection):
            raise Refusal(
                403,
                f"the key {key.id} is for {key.role!r} of other or fewer things; this needs {role!r}"
                f"{'' if collection is None else ' in this collection'}.",
                code="role",
            )
        return Call(hub, key, collection, wanting(request.scope))

    return call


def _changing(role: Role) -> Callable[..., Awaitable[Call]]:
    allowed = Depends(_needing(role))

    async def call(called: Call = allowed, if_match: IfMatch = None) -> Call:
        return called.changing(if_match)

    return call


def _check_parameters(request: Request) -> None:
    """Refuses what the operation does not know, or takes once and got twice: neither is left out in silence.

    Raises:
        Refusal: If there is such a parameter.
    """
    if not request.scope["query_string"]:
        return
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in known or given.count(name) > 1:
            told = ", ".join(sorted(known)) or "none"
            raise Refusal(
                422,
                f"{name[:_SHOWN]}: expected the parameters {told}, each once, got {given.count(name)} of this name.",
                code="parameter",
                field=name[:_SHOWN],
            )


Reader = Annotated[Call, Depends(_needing("read"))]
"""A caller who may look and search."""

Writer = Annotated[Call, Depends(_changing("write"))]
"""A caller who may change people too."""

Admin = Annotated[Call, Depends(_changing("admin"))]
"""A caller who may erase people and read the trail too."""
