"""Several services of one gallery on a server act as one; a gallery in a file has one service."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs probefusion[serve]")
pytest.importorskip("httpx2", reason="the test client of the web framework needs it")

from fastapi.testclient import TestClient

from probefusion.errors import StoreBusyError, StoreError
from probefusion.gallery import Gallery
from probefusion.gallery.audit.trail_check import verify_chain
from probefusion.gallery.keys.master_key import write_master_key
from probefusion.service import ServiceSettings, create_app
from probefusion.service.guards.access import new_key, read_keys, revoke_key
from probefusion.service.guards.access_log import read_access_log
from probefusion.service.settings import Limits
from probefusion.service.shared import postgres_answers

ROOT = "/v1/collections/people"


def rows_of(person: int, seed: int = 0, number: int = 3) -> np.ndarray:
    centre = np.random.default_rng(person).standard_normal(64)
    return centre + 0.4 * np.random.default_rng([person, seed]).standard_normal((number, 64))


def query_of(person: int, seed: int = 0) -> dict:
    return {"embeddings": {"rows": rows_of(person, seed).tolist()}}


@pytest.fixture
def start():
    """Starts services; all end with the test."""
    with ExitStack() as opened:

        def begin(gallery: str, **settings) -> TestClient:
            app = create_app(ServiceSettings(gallery=gallery, fuser="mean", **settings))
            client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
            opened.enter_context(client)
            # The framework builds routes when a request first passes by, which two applications must not do at once.
            assert client.get("/passes-by-all-routes").status_code == 404
            return client

        yield begin


@pytest.fixture
def url(postgres_server) -> str:
    return postgres_server.new_database()


def test_each_sees_what_the_other_wrote(start, url) -> None:
    services = one, other = start(url), start(url)

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


def test_a_session_goes_on_with_another_service(start, url) -> None:
    services = one, other = start(url), start(url)
    assert one.post(f"{ROOT}/people", json={"name": "p1", "query": query_of(1)}).is_success
    session = one.post("/v1/sessions").json()["id"]
    for count in range(1, 5):
        added = services[count % 2].post(f"/v1/sessions/{session}/images", json=query_of(1, count))
        assert added.json()["num_images"] == 3 * count
    reads = [service.get(f"/v1/sessions/{session}?person=p1").json() for service in services]
    assert reads[0] == reads[1]
    whole = {"rows": np.concatenate([rows_of(1, count) for count in range(1, 5)]).tolist()}
    fused = one.post("/v1/fuse", json={"embeddings": whole}).json()
    assert reads[0]["template"] == fused["template"]
    wrong = {"embeddings": {"rows": [[1.0, 2.0]]}}
    assert other.post(f"/v1/sessions/{session}/images", json=wrong).status_code in (409, 422)
    found = other.post(f"{ROOT}/search", json={"query": {"session": session}}).json()
    assert found["candidates"][0]["name"] == "p1"
    enrolled = other.post(f"{ROOT}/people", json={"name": "x", "query": {"session": session}})
    assert enrolled.json()["total_images"] == 12
    assert other.delete(f"/v1/sessions/{session}").status_code == 204
    for service in services:
        assert service.get(f"/v1/sessions/{session}").status_code == 404
        refused = service.post(f"/v1/sessions/{session}/images", json=query_of(1))
        assert refused.status_code == 404


def test_sessions_are_counted_and_end_together(start, url) -> None:
    limits = Limits(max_sessions=3, max_sessions_of_one=3, max_images=6)
    services = one, other = start(url, limits=limits), start(url, limits=limits)
    with ThreadPoolExecutor(6) as pool:
        opened = list(pool.map(lambda k: services[k % 2].post("/v1/sessions"), range(6)))
    assert sorted(answer.status_code for answer in opened) == [201] * 3 + [429] * 3
    session = next(answer.json()["id"] for answer in opened if answer.is_success)

    def add(number: int) -> int:
        path = f"/v1/sessions/{session}/images"
        return services[number % 2].post(path, json=query_of(0, number)).status_code

    with ThreadPoolExecutor(6) as pool:  # 3 images each; 6 have room
        assert sorted(pool.map(add, range(6))) == [200] * 2 + [422] * 4
    assert "probefusion_sessions 3.0" in other.get("/metrics").text
    short = start(url, limits=Limits(session_seconds=0.001))
    assert short.get(f"/v1/sessions/{session}").status_code == 404
    short.app.state.hub.sessions.close_old()
    assert one.get(f"/v1/sessions/{session}").status_code == 404
    assert one.post("/v1/sessions").status_code == 201


def test_a_request_is_done_once_wherever_it_comes_in(start, url) -> None:
    services = one, other = start(url), start(url)
    body, headers = {"name": "ann", "query": query_of(0)}, {"Idempotency-Key": "k"}
    first = one.post(f"{ROOT}/people", json=body, headers=headers)
    again = other.post(f"{ROOT}/people", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    more = {"query": query_of(0, 1)}

    def add(number: int) -> int:
        path = f"{ROOT}/people/ann/contributions"
        answer = services[number % 2].post(path, json=more, headers={"Idempotency-Key": "m"})
        assert answer.status_code != 409 or answer.headers["retry-after"] == "1"
        return answer.status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = set(pool.map(add, range(8)))
    assert 201 in statuses
    assert statuses <= {201, 409}
    assert one.get(f"{ROOT}/people/ann").json()["num_images"] == 6
    session = one.post("/v1/sessions").json()["id"]
    for service in services:
        path = f"/v1/sessions/{session}/images"
        added = service.post(path, json=query_of(0), headers={"Idempotency-Key": "s"}).json()
        assert added["num_images"] == 3
    assert len(one.get(f"/v1/sessions/{session}").json()["images"]) == 3
    other.post(f"{ROOT}/forget", json={"person": "ann"})
    fresh = one.post(f"{ROOT}/people", json=body, headers=headers)
    assert "idempotency-replayed" not in fresh.headers


def test_what_became_of_a_request_whose_process_ended(start, url, monkeypatch) -> None:
    other = start(url)
    other.post(f"{ROOT}/people", json={"name": "ann", "query": query_of(0)})
    path, more = f"{ROOT}/people/ann/contributions", {"query": query_of(0, 1)}

    def ended(*_: object, **__: object) -> None:
        raise StoreError("as if the process had ended here")

    for point, status in (("gallery", 201), ("keep", 409)):
        gone = start(url)
        answers, headers = gone.app.state.hub.shared.answers, {"Idempotency-Key": point}
        monkeypatch.setattr(answers, "lose", ended)
        if point == "gallery":
            monkeypatch.setattr(gone.app.state.hub, "gallery", ended)  # before the change
        else:
            monkeypatch.setattr(answers, "keep", ended)  # after it
        gone.post(path, json=more, headers=headers)
        waiting = other.post(path, json=more, headers=headers)
        assert (waiting.status_code, waiting.headers["retry-after"]) == (409, "1")
        answers.close()  # the server sees, sooner or later, that its process is gone
        done = other.post(path, json=more, headers=headers)
        while "retry-after" in done.headers:
            time.sleep(0.02)
            done = other.post(path, json=more, headers=headers)
        assert done.status_code == status
    assert done.json()["type"].endswith("idempotency-unknown")
    assert ": revisions 3." in done.json()["detail"]
    assert other.get(f"{ROOT}/people/ann").json()["num_images"] == 9


def test_rates_are_counted_together_and_revoked_keys_are_worthless_everywhere(
    start, url, tmp_path
) -> None:
    keys, log = tmp_path / "keys.json", tmp_path / "access.log"
    token = new_key(keys, name="door", role="read")
    settings = {"access_file": keys, "access_log": log, "limits": Limits(requests_per_minute=8)}
    services = start(url, **settings), start(url, **settings)
    headers = {"Authorization": f"Bearer {token}"}

    def ask(number: int) -> int:
        return services[number % 2].get(f"{ROOT}/people", headers=headers).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(ask, range(12))) == [200] * 8 + [429] * 4
    lines = list(read_access_log(log))
    assert len(lines) == 8
    assert verify_chain(lines, collection="accesses").is_whole
    revoke_key(keys, read_keys(keys)[0].id)
    assert [ask(number) for number in (0, 1)] == [401, 401]


def test_what_is_over_its_time_is_deleted_and_an_absent_database_is_told_of(
    start, url, monkeypatch
) -> None:
    one = start(url)
    shared = one.app.state.hub.shared
    body, headers = {"name": "ann", "query": query_of(0)}, {"Idempotency-Key": "k"}
    assert one.post(f"{ROOT}/people", json=body, headers=headers).status_code == 201
    shared.rates.seconds_to_wait("somebody")
    monkeypatch.setattr(postgres_answers, "SECONDS", 0.0)
    shared.answers.drop_old()
    shared.rates.drop_old()
    again = one.post(f"{ROOT}/people", json=body, headers=headers)
    assert (again.status_code, "idempotency-replayed" in again.headers) == (409, False)

    def away(*_: object) -> None:
        raise StoreError("the server cannot be reached")

    monkeypatch.setattr(shared.answers, "begin", away)
    refused = one.post(f"{ROOT}/people", json=body, headers=headers)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    monkeypatch.setattr(shared.rates, "_take_share", away)
    assert shared.rates.seconds_to_wait("another") == 0.0


def test_a_file_has_one_service(start, tmp_path) -> None:
    path = tmp_path / "people.db"
    one = start(str(path))
    with pytest.raises(StoreBusyError, match=r"people\.db: another service \(process \d+\)"):
        create_app(ServiceSettings(gallery=str(path), fuser="mean"))
    with Gallery(path, fuser="mean") as gallery:  # commands may be used beside
        gallery.enroll("ann", rows_of(0))
    assert one.get(f"{ROOT}/people/ann").status_code == 200
    one.app.state.hub.close()
    assert start(str(path)).get(f"{ROOT}/people/ann").status_code == 200


def test_nothing_of_sessions_and_answers_can_be_read_in_the_database(
    start, url, tmp_path, postgres_server
) -> None:
    write_master_key(tmp_path / "master")
    secret = {"master_key": str(tmp_path / "master"), "key_file": tmp_path / "the.keys"}
    one, other = start(url, **secret), start(url, **secret)
    rows = rows_of(7).astype("<f4")
    session = one.post("/v1/sessions").json()["id"]
    one.post(f"/v1/sessions/{session}/images", json={"embeddings": {"rows": rows.tolist()}})
    body = {"name": "Quirrelwyn Zanderloop", "query": {"session": session}}
    headers = {"Idempotency-Key": "k"}
    first = other.post(f"{ROOT}/people", json=body, headers=headers)
    again = one.post(f"{ROOT}/people", json=body, headers=headers)
    assert again.json() == first.json()
    found = other.post(f"{ROOT}/search", json={"query": {"session": session}}).json()
    assert found["candidates"][0]["name"] == "Quirrelwyn Zanderloop"
    person_id = first.json()["person_id"]
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        answers = connection.execute("SELECT answer FROM probefusion_service.answers").fetchall()
        parts = connection.execute(
            "SELECT content FROM probefusion_service.session_parts"
        ).fetchall()
    assert (len(answers), len(parts)) == (1, 1)
    stored = answers[0][0] + parts[0][0]
    for content in (rows[0].tobytes(), b"Quirrelwyn", person_id.encode(), session.encode()):
        assert content not in stored
    for path in postgres_server.data.rglob("*"):
        if path.is_file():
            assert session.encode() not in path.read_bytes(), path
    assert one.delete(f"/v1/sessions/{session}").status_code == 204
    with psycopg.connect(url) as connection:
        left = connection.execute(
            "SELECT count(*) FROM probefusion_service.session_parts"
        ).fetchone()
    assert left == (0,)
