"""Clients that are slow on purpose: real sockets at 127.0.0.1, and limits of a fraction of a second."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

pytest.importorskip("uvicorn")

import uvicorn

from probefusion.service import ServiceSettings, create_app
from probefusion.service.processes.running import config_of
from probefusion.service.settings import Limits

LIMITS = Limits(head_seconds=0.4, body_seconds=0.4, send_seconds=0.4)
LONG = 60.0
"""For which a test waits for what must come; no test waits so long unless it fails."""


@pytest.fixture
def served(tmp_path) -> Iterator:
    """Starts services: `served(app, limits)` gives the address; all end with the test."""
    servers = []

    def start(app, limits: Limits = LIMITS) -> tuple[str, int]:
        settings = ServiceSettings(gallery=str(tmp_path / "g.db"), fuser="mean", limits=limits)
        listening = socket.create_server(("127.0.0.1", 0))
        app = create_app(settings) if app is None else app
        server = uvicorn.Server(config_of(app, settings))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        servers.append((server, thread, listening))
        return listening.getsockname()

    yield start
    for server, thread, listening in servers:
        server.should_exit = True
        thread.join()
        listening.close()


def rest_of(connection: socket.socket) -> bytes:
    """All that comes until the other side ends the connection."""
    connection.settimeout(LONG)
    parts = []
    try:
        while part := connection.recv(1 << 16):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def drip(connection: socket.socket, head: bytes) -> bytes:
    """Sends a head, then a byte from time to time, until the other side ends the connection."""
    connection.sendall(head)
    connection.settimeout(0.05)
    got = b""
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        try:
            connection.sendall(b"a")
            part = connection.recv(1 << 16)
            if not part:
                return got
            got += part
        except TimeoutError:
            continue
        except ConnectionError:
            return got
    raise AssertionError("the connection was kept")


def test_who_says_nothing_is_disconnected(served):
    with socket.create_connection(served(None)) as connection:
        assert rest_of(connection) == b""


def test_a_head_that_comes_byte_by_byte_is_refused(served):
    with socket.create_connection(served(None)) as connection:
        answer = drip(connection, b"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
    assert b" 408 " in answer.splitlines()[0]
    assert b"application/problem+json" in answer
    assert b"urn:probefusion:problem:slow" in answer


def test_a_second_head_that_comes_byte_by_byte_ends_the_connection(served):
    with socket.create_connection(served(None)) as connection:
        connection.sendall(b"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        answer = drip(connection, b"GET /v1/health HTTP/1.1\r\nX-Slow: ")
    assert b" 200 " in answer.splitlines()[0]
    assert answer.count(b"HTTP/1.1") == 2
    assert b" 408 " in answer


def test_a_body_that_comes_byte_by_byte_is_refused(served):
    head = (
        b"POST /v1/fuse HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100000\r\n\r\n"
    )
    with socket.create_connection(served(None)) as connection:
        answer = drip(connection, head)
    assert b" 408 " in answer.splitlines()[0]


def test_a_body_after_its_refusal_ends_the_connection(served):
    head = b"POST /v1/fuse HTTP/1.1\r\nHost: far.example\r\nContent-Length: 100000\r\n\r\n"
    with socket.create_connection(served(None)) as connection:
        answer = drip(connection, head)
    assert b" 403 " in answer.splitlines()[0]
    assert answer.count(b"HTTP/1.1") == 1


def test_who_does_not_take_the_answer_is_disconnected(served):
    gone = threading.Event()

    async def app(scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(2000):
            await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})
            if scope["state"].get("client_gone"):
                gone.set()
                break
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    with socket.create_connection(served(app)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert gone.wait(LONG)


def test_work_may_take_longer_than_a_head(served):
    async def app(scope, receive, send) -> None:
        import asyncio

        if scope["type"] == "lifespan":
            return
        await asyncio.sleep(3 * LIMITS.head_seconds)
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok", "more_body": False})

    with socket.create_connection(served(app)) as connection:
        two = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        connection.sendall(two)  # the second, a part of which waits for the first, too
        connection.settimeout(LONG)
        got = b""
        while got.count(b"ok") < 1:
            got += connection.recv(1 << 16)
        connection.sendall(b"Connection: close\r\n\r\n")
        assert rest_of(connection).endswith(b"ok")


def test_what_is_no_http_is_refused_without_a_word_in_the_log(served, caplog):
    with socket.create_connection(served(None)) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
        answer = rest_of(connection)
    assert b" 400 " in answer.splitlines()[0]
    assert b"application/problem+json" in answer
    assert not caplog.records


def test_more_connections_than_may_be_are_closed(served, monkeypatch):
    monkeypatch.setattr("probefusion.service.processes.running._MOST_CONNECTIONS", 2)
    address = served(None, replace(LIMITS, head_seconds=LONG))
    two = [socket.create_connection(address) for _ in range(2)]
    with socket.create_connection(address) as third:
        assert rest_of(third) == b""
    two[0].sendall(b"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    assert b" 200 " in rest_of(two[0]).splitlines()[0]
    for connection in two:
        connection.close()
