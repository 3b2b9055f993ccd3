"""How many requests a client may make of all services of a gallery together."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from probefusion.errors import ProbeFusionError
from probefusion.service.guards.gate import Rates
from probefusion.service.shared.database import ServiceDatabase

__all__ = ["PostgresRates"]

_log = logging.getLogger("probefusion.service")

_MOST_CLIENTS = 100_000
_SHARE = 60
"""A process takes this part of a minute's requests at a time, so that few requests need the database."""

_TAKE = """
INSERT INTO probefusion_service.rates AS known (client, tokens, granted, asked)
VALUES (%(client)s, %(most)s - %(wanted)s, %(wanted)s, now())
ON CONFLICT (client) DO UPDATE SET asked = now(),
  granted = LEAST(%(wanted)s, FLOOR({full})), tokens = {full} - LEAST(%(wanted)s, FLOOR({full}))
RETURNING granted, tokens
""".replace(
    "{full}",
    "LEAST(%(most)s, known.tokens + GREATEST(0, EXTRACT(EPOCH FROM now() - known.asked)) * %(most)s / 60.0)",
)


@dataclass(eq=False)
class _Share:
    """Requests that a process has taken for a client and not used, or how long there are none."""

    tokens: int = 0
    none_until: float = 0.0


class PostgresRates(Rates):
    """A bucket of tokens for each client, in the database; processes take some at a time.

    So a client may make up to a sixtieth of a minute's requests more for each process. While the database cannot be
    reached each process counts by itself.

    Args:
        database: Where the buckets are.
        per_minute: Requests; as many may come at once.
        clock: Seconds.
    """

    def __init__(
        self,
        database: ServiceDatabase,
        per_minute: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(per_minute, clock)
        self._database = database
        self._taken: OrderedDict[str, _Share] = OrderedDict()
        self._turns = threading.Lock()

    def at_once(self, client: str) -> float | None:
        """As `seconds_to_wait`, if it can be said without the database; else None, and nothing counts."""
        with self._turns:
            share = self._taken.setdefault(client, _Share())
            self._taken.move_to_end(client)
            while len(self._taken) > _MOST_CLIENTS:
                self._taken.popitem(last=False)
            if share.tokens > 0:
                share.tokens -= 1
                return 0.0
            wait = share.none_until - self._clock()
            return wait if wait > 0 else None

    def seconds_to_wait(self, client: str) -> float:
        """0 if the client may go on, which counts; else how long to wait."""
        known = self.at_once(client)
        if known is not None:
            return known
        try:
            granted, wait = self._take_share(client)
        except ProbeFusionError as error:
            _log.error("rates cannot be looked up, so this process counts by itself: %s", error)
            return super().seconds_to_wait(client)
        with self._turns:
            share = self._taken.setdefault(client, _Share())
            if granted == 0:
                share.none_until = self._clock() + wait
                return wait
            share.tokens += granted - 1
        return 0.0

    def drop_old(self) -> None:
        """Forgets clients whose buckets are full again."""
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM probefusion_service.rates WHERE asked < now() - interval '2 minutes'"
            )

    def _take_share(self, client: str) -> tuple[int, float]:
        """How many requests were taken; and how long to wait where there are none."""
        values = {
            "client": hashlib.sha256(client.encode()).digest(),
            "most": float(self._per_minute),
            "wanted": max(1, self._per_minute // _SHARE),
        }
        with self._database.transaction() as connection:
            granted, tokens = connection.execute(_TAKE, values).fetchone() or (0, 0.0)
        return int(granted), (1 - tokens) * 60 / self._per_minute
