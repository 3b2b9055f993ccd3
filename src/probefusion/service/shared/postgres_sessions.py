"""Streaming sessions that any process of a service, and any service of the gallery, goes on with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from probefusion.service.sessions import (
    Session,
    Sessions,
    all_images,
    bytes_of,
    check_number,
    check_room,
    new_id,
    unknown_session,
)
from probefusion.service.settings import Limits
from probefusion.service.shared.database import ServiceDatabase
from probefusion.service.shared.vault import Vault
from probefusion.types import EmbeddingSet

if TYPE_CHECKING:
    import psycopg

__all__ = ["PostgresSessions"]

_TURN = 0x70665377
"""Number of the lock that lets one at a time open a session, so that they are counted rightly."""

_IS_OLD = "touched < now() - make_interval(secs => %s)"


class _SharedSession(Session):
    def __init__(self, sessions: PostgresSessions, session_id: str, num_images: int) -> None:
        self.id, self.num_images, self._sessions = session_id, num_images, sessions

    def add(self, sets: Sequence[EmbeddingSet]) -> None:
        """As `Session.add`."""
        self.num_images = self._sessions.add(self.id, sets)

    def images(self) -> EmbeddingSet:
        """As `Session.images`."""
        return all_images(self._sessions.sets(self.id))


class PostgresSessions(Sessions):
    """Sessions in the database of the gallery. What they hold is sealed; the database does not even know their ids.

    Args:
        database: Where they lie.
        vault: Seals them.
        limits: How many, how long, how large.
    """

    def __init__(self, database: ServiceDatabase, vault: Vault, limits: Limits) -> None:
        self._database, self._vault, self._limits = database, vault, limits

    def __len__(self) -> int:
        with self._database.transaction() as connection:
            statement = "SELECT count(*) FROM probefusion_service.sessions"
            return _row(connection.execute(statement))[0]

    def open(self, owner: str) -> Session:
        """As `Sessions.open`."""
        session_id = new_id()
        with self._database.transaction() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_TURN,))
            self._delete_old(connection)
            num_open, num_own = _row(
                connection.execute(
                    "SELECT count(*), count(*) FILTER (WHERE owner = %s) FROM probefusion_service.sessions",
                    (owner,),
                )
            )
            check_number(self._limits, num_open, num_own)
            connection.execute(
                "INSERT INTO probefusion_service.sessions VALUES (%s, %s, now(), 0, 0, 0)",
                (_name(session_id), owner),
            )
        return _SharedSession(self, session_id, 0)

    def get(self, session_id: str, owner: str) -> Session:
        """As `Sessions.get`."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "UPDATE probefusion_service.sessions SET touched = now() "  # noqa: S608 - own text
                f"WHERE name = %s AND owner = %s AND NOT {_IS_OLD} RETURNING num_images",
                (_name(session_id), owner, self._limits.session_seconds),
            ).fetchone()
        if row is None:
            raise unknown_session()
        return _SharedSession(self, session_id, row[0])

    def close(self, session_id: str, owner: str) -> None:
        """As `Sessions.close`."""
        with self._database.transaction() as connection:
            deleted = connection.execute(
                "DELETE FROM probefusion_service.sessions WHERE name = %s AND owner = %s",
                (_name(session_id), owner),
            )
        if deleted.rowcount == 0:
            raise unknown_session()

    def close_old(self) -> None:
        """As `Sessions.close_old`."""
        with self._database.transaction() as connection:
            self._delete_old(connection)

    def add(self, session_id: str, sets: Sequence[EmbeddingSet]) -> int:
        """Takes images; gives how many there are. Those who add at the same time take turns.

        Raises:
            Refusal, EmbedderMismatchError, ShapeError: As `Session.add`.
        """
        name = _name(session_id)
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT num_images, num_bytes, num_parts FROM probefusion_service.sessions WHERE name = %s FOR UPDATE",
                (name,),
            ).fetchone()
            if row is None:
                raise unknown_session()
            num_images = int(row[0]) + sum(images.num_images for images in sets)
            num_bytes = row[1] + sum(bytes_of(images) for images in sets)
            check_room(self._limits, num_images, num_bytes)
            if sets:  # refuses what does not go together
                EmbeddingSet.concatenate([*self._parts(connection, session_id, most=1), *sets])
            for place, images in enumerate(sets, start=row[2]):
                connection.execute(
                    "INSERT INTO probefusion_service.session_parts VALUES (%s, %s, %s)",
                    (name, place, self._vault.seal_part(images, session_id, place)),
                )
            connection.execute(
                "UPDATE probefusion_service.sessions SET touched = now(), num_images = %s, num_bytes = %s, "
                "num_parts = %s WHERE name = %s",
                (num_images, num_bytes, row[2] + len(sets), name),
            )
        return num_images

    def sets(self, session_id: str) -> list[EmbeddingSet]:
        """What a session holds, in the order in which it came."""
        with self._database.transaction() as connection:
            return self._parts(connection, session_id)

    def _parts(
        self, connection: psycopg.Connection[Any], session_id: str, *, most: int | None = None
    ) -> list[EmbeddingSet]:
        rows = connection.execute(
            "SELECT place, content FROM probefusion_service.session_parts WHERE session = %s ORDER BY place LIMIT %s",
            (_name(session_id), most),
            binary=True,
        ).fetchall()
        return [self._vault.open_part(content, session_id, place) for place, content in rows]

    def _delete_old(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute(
            f"DELETE FROM probefusion_service.sessions WHERE {_IS_OLD}",  # noqa: S608 - own text
            (self._limits.session_seconds,),
        )


def _name(session_id: str) -> bytes:
    """What a session is found by, which does not tell its id."""
    return hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).digest()


def _row(cursor: psycopg.Cursor[Any]) -> tuple[int, ...]:
    return tuple(int(number) for number in cursor.fetchone() or ())
