"""How long a connection may take: to say what it wants, to send it, and to take the answer.

uvicorn closes connections that are idle between requests. It waits without end for a head that comes byte by byte, for
a body that nobody reads any more, and for a client that does not take its answer; this protocol does not.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from probefusion.service.guards.deadline import CLIENT_GONE
from probefusion.service.problems import MEDIA_TYPE, problem
from probefusion.service.settings import Limits

__all__ = ["PatientProtocol", "patient_protocol"]

_ARRIVING = (h11.IDLE, h11.SEND_BODY)
_log = logging.getLogger("uvicorn.error.connections")


def patient_protocol(limits: Limits, most_connections: int) -> type[PatientProtocol]:
    """The protocol with its limits, as `uvicorn.Config(http=...)` takes it."""
    _log.setLevel(logging.ERROR)  # what strangers send must not fill the log
    settings = {"limits": limits, "most_connections": most_connections}
    return type("PatientProtocol", (PatientProtocol,), settings)


class PatientProtocol(H11Protocol):
    """HTTP/1.1 with deadlines, of which a request costs two looks at the clock; made by `patient_protocol`.

    - A head must be there `head_seconds` after its first byte, the first of a connection after its beginning.
    - The whole request must be there `body_seconds` later. The gate answers before, where it reads the body; this is
      for bodies that were refused.
    - What the system does not take for the client within `send_seconds` is not sent any more.
    """

    limits: ClassVar[Limits]
    most_connections: ClassVar[int]

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.logger = _log
        self._begun: float | None = None
        """When the request that is arriving began."""
        self._stuck: float | None = None
        """Since when the client does not take what was sent."""
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins; one connection too many is closed at once."""
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            transport.abort()
            return
        self._begun = self.loop.time()
        self._look_in(self.limits.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends; whoever works for it is told."""
        if self._watch is not None:
            self._watch.cancel()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.scope["state"][CLIENT_GONE] = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes a part of a request."""
        if self._begun is None:
            self._begun = self.loop.time()
            self._look_in(self.limits.head_seconds)
        super().data_received(data)
        if self.conn.their_state not in _ARRIVING:
            self._begun = None

    def pause_writing(self) -> None:
        """The client does not take what was sent."""
        self._get_stuck()
        super().pause_writing()

    def resume_writing(self) -> None:
        """It does again."""
        self._stuck = None
        super().resume_writing()

    def on_response_complete(self) -> None:
        """The answer was sent, or lies in memory."""
        if self.transport.get_write_buffer_size():
            self._get_stuck()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuses what is no HTTP."""
        self._refuse(400, "expected HTTP/1.1, got something else.", code="http")

    def _get_stuck(self) -> None:
        if self._stuck is None:
            self._stuck = self.loop.time()
            self._look_in(self.limits.send_seconds)

    def _look_in(self, seconds: float) -> None:
        when = self.loop.time() + seconds
        if self._watch is not None:
            if self._watch.when() <= when:
                return
            self._watch.cancel()
        self._watch = self.loop.call_at(when, self._look)

    def _look(self) -> None:
        """Ends what took too long, else looks again when the next thing would."""
        self._watch = None
        now = self.loop.time()
        if self._stuck is not None and not self.transport.get_write_buffer_size():
            self._stuck = None
        if self._stuck is not None:
            rest = self._stuck + self.limits.send_seconds - now
            if rest <= 0:
                self.transport.abort()
                return
            self._look_in(rest)
        if self._begun is None or self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body:
            self._begun = now  # the next request waits for this one, which is our part
        in_head = self.conn.their_state is h11.IDLE
        allowed = self.limits.head_seconds + (0 if in_head else self.limits.body_seconds)
        rest = self._begun + allowed - now
        if rest > 0:
            self._look_in(rest)
        elif in_head and self.conn.trailing_data[0]:
            seconds = f"{self.limits.head_seconds:g} s"
            self._refuse(408, f"expected the head of a request within {seconds}.", code="slow")
        else:
            self.transport.abort()

    def _refuse(self, status: int, detail: str, *, code: str) -> None:
        """Answers, and closes the connection."""
        body = problem(status, detail, code=code).body
        headers = [
            ("content-type", MEDIA_TYPE),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        events = (
            h11.Response(status_code=status, headers=headers),
            h11.Data(data=bytes(body)),
            h11.EndOfMessage(),
        )
        try:
            for event in events:
                self.transport.write(self.conn.send(event) or b"")
        except h11.LocalProtocolError:  # an answer was begun: the connection ends in it
            self.transport.abort()
            return
        self._get_stuck()
        self.transport.close()
