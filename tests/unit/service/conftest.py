"""A service over a small gallery of made embeddings, called without a network."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs probefusion[serve]")
pytest.importorskip("httpx2", reason="the test client of the web framework needs it")

from fastapi.testclient import TestClient

from probefusion.service import ServiceSettings, create_app

DIM = 64


def embeddings_of(person: int, number: int = 4, seed: int = 0) -> np.ndarray:
    """(number, 64) float32 made embeddings of one of some people."""
    centre = np.random.default_rng(person).standard_normal(DIM)
    noise = np.random.default_rng([person, seed]).standard_normal((number, DIM))
    return (centre + 0.4 * noise).astype(np.float32)


def query_of(person: int, number: int = 4, seed: int = 0) -> dict:
    """The same as a request holds them."""
    data = embeddings_of(person, number, seed).astype("<f4").tobytes()
    return {"embeddings": {"base64": base64.b64encode(data).decode(), "dim": DIM}}


@pytest.fixture
def query():
    """Makes queries: `query(person, number, seed)`."""
    return query_of


@pytest.fixture
def serve(tmp_path) -> Iterator:
    """Starts services: `serve(**settings)` gives a client; all end with the test."""
    opened = []

    def start(**settings) -> TestClient:
        given = {"gallery": str(tmp_path / "g.db"), "fuser": "mean"} | settings
        app = create_app(ServiceSettings(**given))
        client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
        client.__enter__()
        opened.append(client)
        return client

    yield start
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def filled(serve):
    """A service with three people of four images each: p0, p1, p2."""
    client = serve()
    for person in range(3):
        body = {"name": f"p{person}", "query": query_of(person)}
        assert client.post(PEOPLE, json=body).status_code == 201
    return client


PEOPLE = "/v1/collections/people/people"
