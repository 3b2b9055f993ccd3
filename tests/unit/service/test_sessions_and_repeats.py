"""Sessions that grow image by image, and requests that are sent again."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from probefusion.errors import ShapeError, StoreBusyError
from probefusion.gallery import Gallery
from probefusion.service.calls import Call
from probefusion.service.guards.access import new_key, read_keys, revoke_key
from probefusion.service.problems import Refusal
from probefusion.service.sessions import MemorySessions
from probefusion.service.settings import Limits
from probefusion.service.shared.answers import Asked, Found, KeptAnswer, MemoryAnswers, State
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
    assert len(filled.get(f"{ROOT}/changes").json()["changes"]) == 4


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


def test_people_may_be_named_as_operations_are(filled, query) -> None:
    for name in ("search", "verify", "forget"):
        filled.post(f"{ROOT}/people", json={"name": name, "query": query(9)})
        for _ in range(2):
            gone = filled.delete(f"{ROOT}/people/{name}", headers={"Idempotency-Key": name})
            assert gone.status_code == 200, gone.text


def test_forgetting_by_a_command_takes_the_answers_too(filled, query, tmp_path) -> None:
    headers, body = {"Idempotency-Key": "k"}, {"name": "ann", "query": query(9)}
    assert filled.post(f"{ROOT}/people", json=body, headers=headers).status_code == 201
    with Gallery(tmp_path / "g.db", fuser="mean") as beside:
        beside.forget("ann")
    told = filled.post(f"{ROOT}/people", json=body, headers=headers)
    assert (told.status_code, told.json()["type"][-16:]) == (409, "idempotency-done")
    assert "ann" not in told.text
    other = {"person": "p0"}
    first = filled.post(f"{ROOT}/forget", json=other, headers={"Idempotency-Key": "f"})
    again = filled.post(f"{ROOT}/forget", json=other, headers={"Idempotency-Key": "f"})
    assert (again.status_code, again.json()) == (200, first.json())


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


def test_answers_are_kept_for_a_day_and_not_without_bound() -> None:
    now = [0.0]
    answers = MemoryAnswers(clock=lambda: now[0])

    def asked(number: int) -> Asked:
        key = str(number).encode()
        return Asked(caller=b"", key=key, request=key, collection="people", revision=number)

    answer = KeptAnswer(status=200, headers=(), body=bytes(2_000_000))
    for number in range(20):  # more bytes than there is room for
        assert answers.begin(asked(number)).state is State.FIRST
        answers.keep(asked(number), answer)
    assert answers.begin(asked(0)).state is State.FIRST
    assert answers.begin(asked(19)) == Found(state=State.DONE, answer=answer, revision=19)
    answers.lose(asked(0))
    assert answers.begin(asked(0)).state is State.LOST
    assert answers.take_over(asked(0)).state is State.FIRST
    assert answers.take_over(asked(0)).state is State.UNDER_WAY
    now[0] = 25 * 3600.0
    assert answers.begin(asked(19)).state is State.FIRST


def test_what_failed_is_done_again_only_if_it_changed_nothing(filled, query, monkeypatch) -> None:
    hub = filled.app.state.hub
    path, body = f"{ROOT}/people/p1/contributions", {"query": query(1, 2, 9)}
    with monkeypatch.context() as patch:
        patch.setattr(hub, "to_keep", lambda *_, **__: 1 / 0)
        failed = filled.post(path, json=body, headers={"Idempotency-Key": "before"})
    assert failed.status_code == 500
    again = filled.post(path, json=body, headers={"Idempotency-Key": "before"})
    assert (again.status_code, again.json()["total_images"]) == (201, 6)

    def busy(*_: object, **__: object) -> None:
        raise StoreBusyError("others wrote for too long; nothing was changed")

    with monkeypatch.context() as patch:
        patch.setattr(hub, "to_keep", busy)
        headers = {"Idempotency-Key": "busy"}
        assert filled.post(path, json=body, headers=headers).status_code == 503
    filled.delete(f"{ROOT}/people/p2")  # another change, by the same caller
    again = filled.post(path, json=body, headers=headers)
    assert (again.status_code, again.json()["total_images"]) == (201, 8)
    with monkeypatch.context() as patch:
        patch.setattr(Call, "note_change", lambda *_: 1 / 0)
        failed = filled.post(path, json=body, headers={"Idempotency-Key": "after"})
    assert failed.status_code == 500
    again = filled.post(path, json=body, headers={"Idempotency-Key": "after"})
    assert (again.status_code, again.json()["type"][-19:]) == (409, "idempotency-unknown")
    assert filled.get(f"{ROOT}/people/p1").json()["num_images"] == 10
