"""Two services of one gallery, in a file or on a server: each sees what the other wrote."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs probefusion[serve]")
pytest.importorskip("httpx2", reason="the test client of the web framework needs it")

from fastapi.testclient import TestClient

from probefusion.service import ServiceSettings, create_app

ROOT = "/v1/collections/people"


def query_of(person: int, seed: int = 0) -> dict:
    centre = np.random.default_rng(person).standard_normal(64)
    rows = centre + 0.4 * np.random.default_rng([person, seed]).standard_normal((3, 64))
    return {"embeddings": {"rows": rows.tolist()}}


@pytest.fixture
def services(address):
    """Two of them."""
    with ExitStack() as opened:
        yield [
            opened.enter_context(
                TestClient(
                    create_app(ServiceSettings(gallery=address, fuser="mean")),
                    base_url="http://127.0.0.1",
                    raise_server_exceptions=False,
                )
            )
            for _ in range(2)
        ]


def test_each_sees_what_the_other_wrote(services) -> None:
    one, other = services

    def enroll(person: int) -> int:
        body = {"name": f"p{person}", "query": query_of(person)}
        return services[person % 2].post(f"{ROOT}/people", json=body).status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(enroll, range(12))) == {201}
    for service in services:
        for person in (0, 1):
            search = {"query": query_of(person, 5), "threshold": 0.5}
            found = service.post(f"{ROOT}/search", json=search).json()
            assert (found["candidates"][0]["name"], found["gallery_size"]) == (f"p{person}", 12)
    tags = {service.get(f"{ROOT}/people").headers["etag"] for service in services}
    assert len(tags) == 1
    removed = one.delete(f"{ROOT}/people/p0", headers={"If-Match": tags.pop()}).json()
    gone = other.post(f"{ROOT}/search", json={"query": query_of(0, 5)}).json()
    assert gone["gallery_size"] == 11
    late = other.delete(f"{ROOT}/people/p1", headers={"If-Match": '"1-0"'})
    assert late.status_code == 412
    assert other.post(f"{ROOT}/changes/{removed['revision']}/undo").status_code == 200
    assert one.get(f"{ROOT}/people/p0").json()["num_images"] == 3
