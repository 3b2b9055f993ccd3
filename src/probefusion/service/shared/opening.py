"""Opens what the processes of a service share."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from probefusion.errors import ProbeFusionError
from probefusion.gallery import Gallery
from probefusion.gallery.stores.opening import is_server
from probefusion.service.guards.gate import Rates
from probefusion.service.sessions import MemorySessions, Sessions
from probefusion.service.settings import ServiceSettings
from probefusion.service.shared.answers import Answers, MemoryAnswers
from probefusion.service.shared.database import ServiceDatabase
from probefusion.service.shared.one_service import held_by_one
from probefusion.service.shared.postgres_answers import PostgresAnswers
from probefusion.service.shared.postgres_rates import PostgresRates
from probefusion.service.shared.postgres_sessions import PostgresSessions
from probefusion.service.shared.vault import Vault

__all__ = ["Shared", "open_shared"]

_log = logging.getLogger("probefusion.service")

_LONGEST_PAUSE = 60.0


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What processes share.

    Args:
        sessions: Streaming sessions.
        answers: What is known of requests with idempotency keys.
        rates: How many requests each client may still make.
        opened: What is let go of in the end.
    """

    sessions: Sessions
    answers: Answers
    rates: Rates
    opened: ExitStack

    def close(self) -> None:
        """Lets go of it; what others use stays."""
        self.opened.close()


def open_shared(settings: ServiceSettings, gallery: Gallery) -> Shared:
    """What processes share: in the gallery's database where it is a server, in memory where it is a file.

    What is over its time is deleted now and from time to time, also while nobody calls.

    Args:
        settings: Of the service.
        gallery: One of its collections, open.

    Raises:
        StoreBusyError: If another service has the gallery's file.
        ProbeFusionError: If the database cannot be used.
    """
    with ExitStack() as stack:
        if is_server(settings.gallery):
            found = _on_server(settings, gallery, stack)
        else:
            stack.enter_context(held_by_one(gallery.address))
            found = Shared(
                sessions=MemorySessions(settings.limits),
                answers=MemoryAnswers(),
                rates=Rates(settings.limits.requests_per_minute),
                opened=stack,
            )
        pause = min(_LONGEST_PAUSE, settings.limits.session_seconds)
        stack.callback(_do_now_and_then(_cleaning(found), pause))
        return Shared(
            sessions=found.sessions,
            answers=found.answers,
            rates=found.rates,
            opened=stack.pop_all(),
        )


def _on_server(settings: ServiceSettings, gallery: Gallery, stack: ExitStack) -> Shared:
    database = ServiceDatabase(settings.gallery)
    stack.callback(database.close)
    keys = gallery.sealer.keys
    vault = Vault(b"" if keys is None else keys.derive("service"))
    answers = PostgresAnswers(database, vault)
    stack.callback(answers.close)
    return Shared(
        sessions=PostgresSessions(database, vault, settings.limits),
        answers=answers,
        rates=PostgresRates(database, settings.limits.requests_per_minute),
        opened=stack,
    )


def _cleaning(shared: Shared) -> Callable[[], None]:
    """Deletes what is over its time."""
    parts = [shared.sessions.close_old, shared.answers.drop_old]
    if isinstance(shared.rates, PostgresRates):
        parts.append(shared.rates.drop_old)

    def clean() -> None:
        for part in parts:
            try:
                part()
            except ProbeFusionError as error:
                _log.warning("what is over its time could not be deleted: %s", error)

    return clean


def _do_now_and_then(what: Callable[[], None], pause: float) -> Callable[[], None]:
    """Begins a thread that does something every `pause` seconds; gives what ends it."""
    is_over = threading.Event()

    def work() -> None:
        while not is_over.is_set():
            what()
            is_over.wait(pause)

    thread = threading.Thread(target=work, name="probefusion-cleaning", daemon=True)
    thread.start()

    def end() -> None:
        is_over.set()
        thread.join()

    return end
