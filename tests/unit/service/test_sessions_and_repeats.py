"""Sessions that grow image by image, and requests that are sent again."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from probefusion.errors import ShapeError
from probefusion.service.access import new_key, read_keys, revoke_key
from probefusion.service.problems import Refusal
from probefusion.service.sessions import MemorySessions
from probefusion.service.settings import Limits
from probefusion.types import EmbeddingSet
from probefusion.zoo import load_fuser

ROOT = "/v1/collections/people"


def floats(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4")


def test_a_session_gives_what_fusing_all_at_once_gives(filled, query) -> None:
    session = filled.post("/v1/sessions").json()["id"]
    sets = [floats(query(1, 2, seed)["embeddings"]["base64"]).reshape(-1, 64) for seed in range(3)]
    for count, seed in enumerate(range(3), start=1):
        answer = filled.post(f"/v1/sessions/{session}/images", json=query(1, 2, seed)).json()
        assert answer["num_images"] == 2 * count
    read = filled.get(f"/v1/sessions/{session}?collection=people&person=p1").json()
    expected = load_fuser("mean").fuse(EmbeddingSet(embeddings=np.concatenate(sets)))
    assert np.allclose(floats(read["template"]["base64"]), expected.vector, atol=1e-6)
    assert len(read["images"]) == 6
    assert sum(image["weight"] for image in read["images"]) == pytest.approx(1)
    beside = read["beside"]
    assert beside["similarity"] == pytest.approx(beside["mean_similarity"], abs=2e-3)
    found = filled.post(f"{ROOT}/search", json={"query": {"session": session}}).json()
    assert found["candidates"][0]["name"] == "p1"
    added = filled.post(f"{ROOT}/people/p1/contributions", json={"query": {"session": session}})
    assert added.json()["total_images"] == 10
    assert filled.delete(f"/v1/sessions/{session}").status_code == 204
    assert filled.get(f"/v1/sessions/{session}").status_code == 404


def test_an_empty_session_and_a_full_one(serve, query) -> None:
    client = serve(limits=Limits(max_images=4, max_sessions=2))
    session = client.post("/v1/sessions").json()["id"]
    assert client.get(f"/v1/sessions/{session}").status_code == 409
    assert client.post(f"/v1/sessions/{session}/images", json=query(0, 4)).status_code == 200
    full = client.post(f"/v1/sessions/{session}/images", json=query(0, 1))
    assert (full.status_code, full.json()["type"][-12:]) == (422, "session-full")
    assert client.post("/v1/sessions").status_code == 201
    assert client.post("/v1/sessions").status_code == 429


def test_untouched_sessions_are_closed() -> None:
    now = [0.0]
    sessions = MemorySessions(Limits(session_seconds=10), clock=lambda: now[0])
    old, used = sessions.open("k"), sessions.open("k")
    now[0] = 9.0
    assert sessions.get(used.id, "k") is used
    now[0] = 15.0
    with pytest.raises(Refusal, match="was closed"):
        sessions.get(old.id, "k")
    assert sessions.get(used.id, "k") is used
    used.add([EmbeddingSet(embeddings=np.eye(2, 8))])
    with pytest.raises(ShapeError):
        used.add([EmbeddingSet(embeddings=np.eye(2, 9))])
    assert used.images().num_images == 2


def test_a_request_that_is_sent_again_is_not_done_twice(filled, query) -> None:
    headers = {"Idempotency-Key": "k1"}
    body = {"name": "new", "query": query(9)}
    first = filled.post(f"{ROOT}/people", json=body, headers=headers)
    again = filled.post(f"{ROOT}/people", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert filled.get(ROOT).json()["num_people"] == 4
    other = filled.post(f"{ROOT}/people", json={**body, "name": "x"}, headers=headers)
    assert (other.status_code, other.json()["type"]) == (
        422,
        "urn:probefusion:problem:idempotency-key",
    )
    refused = filled.post(f"{ROOT}/people", json=body, headers={"Idempotency-Key": "k2"})
    assert refused.status_code == 409
    filled.delete(f"{ROOT}/people/new")
    retried = filled.post(f"{ROOT}/people", json=body, headers={"Idempotency-Key": "k2"})
    assert retried.status_code == 201  # what was refused is not kept


def test_the_same_request_at_the_same_time_is_done_once(filled, query) -> None:
    body = {"name": "new", "query": query(9)}

    def send(_: int) -> int:
        headers = {"Idempotency-Key": "k"}
        return filled.post(f"{ROOT}/people", json=body, headers=headers).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = set(pool.map(send, range(8)))
    assert 201 in statuses
    assert statuses <= {201, 409}
    assert filled.get(ROOT).json()["num_people"] == 4
    assert len(filled.get(f"{ROOT}/changes").json()) == 4


def test_forgetting_takes_the_answers_too(filled, query) -> None:
    headers = {"Idempotency-Key": "k"}
    body = {"name": "ann", "query": query(9)}
    assert filled.post(f"{ROOT}/people", json=body, headers=headers).status_code == 201
    filled.post(f"{ROOT}/forget", json={"person": "ann"}, headers={"Idempotency-Key": "f"})
    again = filled.post(f"{ROOT}/people", json=body, headers=headers)
    assert "idempotency-replayed" not in again.headers
    search = {"query": query(1), "threshold": 0.5}
    first = filled.post(f"{ROOT}/search", json=search, headers=headers).json()
    assert first["candidates"][0]["name"] == "p1"
    filled.post(f"{ROOT}/forget", json={"person": "p1"})
    second = filled.post(f"{ROOT}/search", json=search, headers=headers).json()
    assert "p1" not in [person["name"] for person in second["candidates"]]


def test_a_key_that_lost_its_role_repeats_nothing(serve, query, tmp_path) -> None:
    path = tmp_path / "keys.json"
    token = new_key(path, name="w", role="write")
    client = serve(access_file=path)
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k"}
    body = {"name": "ann", "query": query(9)}
    assert client.post(f"{ROOT}/people", json=body, headers=headers).status_code == 201
    revoke_key(path, read_keys(path)[0].id)
    assert client.post(f"{ROOT}/people", json=body, headers=headers).status_code == 401


def test_bytes_and_sessions_of_one_key_are_bounded(serve, query) -> None:
    client = serve(limits=Limits(max_session_bytes=1000, max_sessions_of_one=2))
    session = client.post("/v1/sessions").json()["id"]
    assert client.post(f"/v1/sessions/{session}/images", json=query(0, 2)).status_code == 200
    full = client.post(f"/v1/sessions/{session}/images", json=query(0, 2))
    assert (full.status_code, full.json()["type"][-12:]) == (422, "session-full")
    assert [client.post("/v1/sessions").status_code for _ in range(2)] == [201, 429]
