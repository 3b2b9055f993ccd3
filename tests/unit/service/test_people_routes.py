"""People over HTTP: what is enrolled is found, changed, taken out, put back and erased."""

from __future__ import annotations

import base64

import numpy as np
import pytest

ROOT = "/v1/collections/people"


def test_who_is_enrolled_is_found(filled, query) -> None:
    answer = filled.post(f"{ROOT}/search", json={"query": query(1, 2, 5), "threshold": 0.5}).json()
    first, second = answer["candidates"][:2]
    assert (first["name"], first["is_match"], second["is_match"]) == ("p1", True, False)
    assert first["similarity"] > 0.8
    assert (answer["gallery_size"], answer["num_images"]) == (3, 2)


def test_rows_and_base64_are_the_same(filled, query) -> None:
    packed = query(2, 3, 1)
    rows = np.frombuffer(base64.b64decode(packed["embeddings"]["base64"]), "<f4").reshape(-1, 64)
    listed = {"embeddings": {"rows": rows.tolist()}}
    found = [
        filled.post(f"{ROOT}/search", json={"query": each}).json() for each in (packed, listed)
    ]
    assert found[0] == found[1]


def test_verify_and_explain(filled, query) -> None:
    yes = filled.post(f"{ROOT}/people/p0/verify", json={"query": query(0, 1, 3), "threshold": 0.5})
    no = filled.post(f"{ROOT}/people/p1/verify", json={"query": query(0, 1, 3), "threshold": 0.5})
    assert (yes.json()["is_match"], no.json()["is_match"]) == (True, False)
    why = filled.post(f"{ROOT}/people/p0/explain", json=query(0, 2, 3)).json()
    assert why["name"] == "p0"
    assert sum(part["weight"] for part in why["contributions"]) == pytest.approx(1)
    assert len(why["query"]) == 2


def test_a_probe_of_two_people_is_told(filled, query) -> None:
    session = filled.post("/v1/sessions").json()["id"]
    for person in (0, 1):
        filled.post(f"/v1/sessions/{session}/images", json=query(person, 6))
    mixed = filled.post(f"{ROOT}/search", json={"query": {"session": session}}).json()
    assert "falls apart" in mixed["problems"][0]
    one = filled.post(f"{ROOT}/people/p0/verify", json={"query": query(0, 6, 2)}).json()
    assert one["problems"] == []


def test_a_visit_is_added_and_a_doubtful_one_held(filled, query) -> None:
    added = filled.post(f"{ROOT}/people/p0/contributions", json={"query": query(0, 2, 7)}).json()
    assert (added["total_images"], added["is_held"]) == (6, False)
    held = filled.post(f"{ROOT}/people/p0/contributions", json={"query": query(1, 4, 7)}).json()
    assert held["is_held"]
    assert held["total_images"] == 6
    (waiting,) = filled.get(f"{ROOT}/held").json()
    assert (waiting["name"], waiting["contribution"]["id"]) == ("p0", held["contribution_id"])
    decided = filled.post(f"{ROOT}/held/{held['contribution_id']}", json={"decision": "reject"})
    assert decided.status_code == 200
    assert filled.get(f"{ROOT}/held").json() == []


def test_every_change_is_undone(filled) -> None:
    before = filled.get(f"{ROOT}/people/p1").json()
    part = before["contributions"][0]
    image = part["images"][2]["id"]
    changes = [
        ("DELETE", "/people/p1", None),
        ("DELETE", f"/contributions/{part['id']}", None),
        ("DELETE", f"/images/{image}", None),
        ("PATCH", "/people/p1", {"name": "renamed"}),
        ("PATCH", "/people/p1", {"is_ignored": True}),
        ("POST", "/people/p1/merge", {"other": "p2"}),
        ("POST", "/people/p1/split", {"into": "new", "images": [image]}),
        ("POST", "/people/p1/different", {"other": "p2"}),
    ]
    for method, path, body in changes:
        made = filled.request(method, ROOT + path, json=body)
        assert made.status_code == 200, (path, made.text)
        changed = filled.get(f"{ROOT}/people/p1")
        assert changed.status_code == 404 or changed.json() != before, path
        undone = filled.post(f"{ROOT}/changes/{made.json()['revision']}/undo")
        assert undone.status_code == 200, path
        assert filled.get(f"{ROOT}/people/p1").json() == before, path
    newest = filled.get(f"{ROOT}/changes?limit=2").json()["changes"]
    assert [each["action"] for each in newest] == ["undo", "cannot link"]
    assert newest[0]["undoes"] == newest[1]["revision"]


def test_people_come_in_pages(serve, query) -> None:
    client = serve()
    names = sorted(["Ä", "z", "ب", "a/b", "Ann", "b"])
    for place, name in enumerate(names):
        client.post(f"{ROOT}/people", json={"name": name, "query": query(place, 1)})
    found, cursor = [], ""
    while cursor is not None:
        page = client.get(f"{ROOT}/people?limit=2{cursor and '&cursor=' + cursor}").json()
        assert len(page["people"]) <= 2
        found += [person["name"] for person in page["people"]]
        cursor = page["next"]
    assert found == names
    assert page["total"] == len(names)
    (slash,) = client.get(f"{ROOT}/people", params={"name": "a/b"}).json()["people"]
    assert client.get(f"{ROOT}/people/{slash['id']}").json()["name"] == "a/b"
    person = client.get(f"{ROOT}/people/ب").json()
    assert client.get(f"{ROOT}/people/{person['id']}").json()["name"] == "ب"


def test_what_did_not_change_is_not_sent_again(filled) -> None:
    first = filled.get(f"{ROOT}/people")
    again = filled.get(f"{ROOT}/people", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    filled.patch(f"{ROOT}/people/p1", json={"name": "other"})
    third = filled.get(f"{ROOT}/people", headers={"If-None-Match": first.headers["etag"]})
    assert [each["name"] for each in third.json()["people"]] == ["other", "p0", "p2"]
    late = filled.delete(f"{ROOT}/people/p0", headers={"If-Match": first.headers["etag"]})
    assert late.status_code == 412
    right = filled.delete(f"{ROOT}/people/p0", headers={"If-Match": third.headers["etag"]})
    assert right.status_code == 200


def test_a_tag_does_not_make_people(filled) -> None:
    tag = filled.get(f"{ROOT}/people").headers["etag"]
    answer = filled.get(f"{ROOT}/people/nobody", headers={"If-None-Match": tag})
    assert answer.status_code == 404
    assert filled.get(f"{ROOT}/people/p1", headers={"If-None-Match": tag}).status_code == 304


def test_who_is_forgotten_is_gone(filled) -> None:
    receipt = filled.post(f"{ROOT}/forget", json={"person": "p1"}).json()
    assert receipt["status"] in ("erased", "pending")
    assert filled.get(f"{ROOT}/people/p1").status_code == 404
    found = filled.get(f"{ROOT}/receipts").json()
    assert [each["id"] for each in found] == [receipt["id"]]


def test_errors_are_problems_that_name_the_field(filled, query) -> None:
    cases = [
        ("GET", "/people/nobody", None, 404, "unknown-name", "nobody"),
        ("POST", "/search", {"query": {}}, 422, "field", "query"),
        ("POST", "/search", {"query": query(0), "top_k": 0}, 422, "field", "/top_k"),
        ("POST", "/search", {"query": query(0), "no": 1}, 422, "field", "/no"),
        (
            "POST",
            "/search",
            {"query": query(0), "fmr": 0.1, "threshold": 0.5},
            422,
            "config",
            "fmr",
        ),
        ("POST", "/people", {"name": "p0", "query": query(0)}, 409, "output-exists", "p0"),
        ("POST", "/people", {"name": " ", "query": query(0)}, 422, "config", "name"),
        ("POST", "/changes/99/undo", None, 404, "unknown-name", "99"),
    ]
    for method, path, body, status, code, words in cases:
        answer = filled.request(method, ROOT + path, json=body)
        assert answer.headers["content-type"] == "application/problem+json", path
        problem = answer.json()
        assert (answer.status_code, problem["status"]) == (status, status), (path, problem)
        assert problem["type"] == f"urn:probefusion:problem:{code}", (path, problem)
        assert words in problem["detail"], (path, problem)
    for rows in ([], [[]], [[1.0], [1.0, 2.0]]):
        answer = filled.post(f"{ROOT}/search", json={"query": {"embeddings": {"rows": rows}}})
        assert answer.status_code == 422, rows
    wrong = {"embeddings": {"base64": "AAAA", "dim": 64}}
    answer = filled.post(f"{ROOT}/search", json={"query": wrong}).json()
    assert answer["errors"][0]["pointer"] == "/query/embeddings/base64"
