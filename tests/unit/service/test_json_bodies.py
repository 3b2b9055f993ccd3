"""What bodies and parameters must be: whole, of the right kinds, within bounds, nothing left out in silence."""

from __future__ import annotations

import json

import pytest

ROOT = "/v1/collections/people"
JSON = {"Content-Type": "application/json"}
BAD_TAG = {"If-Match": '"1-dead"'}


@pytest.fixture(autouse=True, params=["at once", "in a thread"])
def where_bodies_are_parsed(request, monkeypatch) -> None:
    """What is answered does not hang on where a body is parsed."""
    if request.param == "in a thread":
        monkeypatch.setattr("probefusion.service.json_bodies.LARGE_BODY", 1)


def row(first: str) -> bytes:
    return b'{"query":{"embeddings":{"rows":[[' + first.encode() + b",1" * 63 + b"]]}}}"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b'{"query":{"images":[' + b",".join([b"{}"] * 60_000) + b"]}}", 413, "50,000 objects"),
        (b'{"query":[' + b"0," * 2_600_000 + b"0]}", 413, "1,000,000 values"),
        (b'{"into":"a","contributions":[' + b"1," * 90_000 + b"1]}", 422, "/query"),
        (b'{"query":{"images":[' + b",".join([b"{}"] * 40_000) + b"]}}", 422, "base64"),
        (b"{" + b",".join(b'"k%d":1' % k for k in range(40_000)) + b"}", 422, "got 40000"),
        (b"[" * 49_000, 400, "nested"),
        (b'{"query":{}, "query":{}}', 400, "'query' twice"),
        (b'{"query": NaN}', 400, "NaN is no number"),
        (b'{"top_k":' + b"9" * 5000 + b"}", 400, "too many digits"),
        (b'{"query":\n {,}}', 400, "line 2, column 3"),
        (b'{"query":"\xff"}', 400, "byte 10 is not UTF-8"),
        (row("1e39"), 422, "infinite"),
        (row("1e400"), 422, "finite"),
        (row('"1.5"'), 422, "number"),
        (row("true"), 422, "number"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_bodies_are_refused_at_once(filled, body, status, words) -> None:
    answer = filled.post(f"{ROOT}/search", content=body, headers=JSON)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]
    assert len(answer.content) < 10_000


def test_kinds_are_not_converted(filled, query) -> None:
    for path, body, pointer in (
        ("/search", {"query": query(0), "top_k": "3"}, "/top_k"),
        ("/search", {"query": query(0), "threshold": True}, "/threshold"),
        ("/people/p0/contributions", {"query": query(0), "guard": "off"}, "/guard"),
        ("/people/p0/different", {"other": "p1", "are_different": 0}, "/are_different"),
    ):
        answer = filled.post(f"{ROOT}{path}", json=body)
        assert answer.status_code == 422, answer.text
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_content_types(filled, query) -> None:
    body = json.dumps({"query": query(0)}).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/xml", "", "json"):
        answer = filled.post(f"{ROOT}/search", content=body, headers={"Content-Type": kind})
        assert answer.status_code == 415, kind
        assert "Content-Type" in answer.json()["detail"]
    for kind in ("application/json; charset=utf-8", "APPLICATION/JSON", "application/x+json"):
        answer = filled.post(f"{ROOT}/search", content=body, headers={"Content-Type": kind})
        assert answer.status_code == 200, kind
    assert filled.post(
        f"{ROOT}/search", content=body.decode().encode("utf-16"), headers=JSON
    ).is_success


def test_pointers_say_where_a_query_stands(filled, query) -> None:
    broken = {"embeddings": {"base64": "AAAA", "dim": 64}}
    none = {"images": [{"name": "x.jpg", "base64": "aGFsbG8="}]}
    for path, body, pointer in (
        ("/v1/fuse", broken, "/embeddings/base64"),
        ("/v1/fuse", {"images": []}, "/images"),
        ("/v1/fuse", none, "/images"),
        ("/v1/fuse", {"state": "AAAA"}, "/state"),
        (f"{ROOT}/search", {"query": broken}, "/query/embeddings/base64"),
        (f"{ROOT}/search", {"query": {"embeddings": {"rows": [[0.0] * 64]}}}, "/query/embeddings"),
        (f"{ROOT}/search", {"query": {}}, "/query"),
        ("/v1/compare", {"first": query(0), "second": broken}, "/second/embeddings/base64"),
        ("/v1/compare", {"first": none, "second": query(0)}, "/first/images"),
        ("/v1/compare", {"first": {"session": "x", **query(0)}, "second": query(0)}, "/first"),
    ):
        answer = filled.post(path, json=body)
        assert answer.status_code == 422, answer.text
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_parameters_are_known_and_given_once(filled, query) -> None:
    session = filled.post("/v1/sessions").json()["id"]
    filled.post(f"/v1/sessions/{session}/images", json=query(0))
    for path in (
        f"{ROOT}/people?limt=2",
        f"{ROOT}/people?limit=2&limit=3",
        f"{ROOT}/changes?persn=p0",
        f"/v1/sessions/{session}?collection=people",
    ):
        answer = filled.get(path)
        assert answer.status_code == 422, (path, answer.text)
    assert filled.get(f"{ROOT}?x=1").json()["type"] == "urn:probefusion:problem:parameter"
    assert filled.get(f"/v1/sessions/{session}?collection=people&person=p0").is_success


def test_every_change_looks_at_if_match(filled, query) -> None:
    person = filled.get(f"{ROOT}/people/p0").json()
    part = person["contributions"][0]
    changes = [
        ("POST", "/people", {"name": "new", "query": query(5)}),
        ("PATCH", "/people/p0", {"name": "new"}),
        ("DELETE", "/people/p0", None),
        ("POST", "/people/p0/contributions", {"query": query(0, 2, 3)}),
        ("POST", "/people/p0/merge", {"other": "p1"}),
        ("POST", "/people/p0/split", {"into": "new", "images": [part["images"][0]["id"]]}),
        ("POST", "/people/p0/different", {"other": "p1"}),
        ("DELETE", f"/contributions/{part['id']}", None),
        ("DELETE", f"/images/{part['images'][0]['id']}", None),
        ("POST", "/changes/3/undo", None),
        ("POST", "/forget", {"image": part["images"][0]["id"]}),
    ]
    for method, path, body in changes:
        answer = filled.request(method, ROOT + path, json=body, headers=BAD_TAG)
        assert answer.status_code == 412, (path, answer.text)
    assert filled.get(f"{ROOT}/people/p0").json() == person
    for method, path, body in changes[3:5] + changes[-1:]:
        tag = filled.get(f"{ROOT}/people").headers["ETag"]
        answer = filled.request(method, ROOT + path, json=body, headers={"If-Match": tag})
        assert answer.is_success, (path, answer.text)


def test_who_else_is_there_is_not_told_by_errors(filled) -> None:
    for answer in (
        filled.get(f"{ROOT}/people/p7"),
        filled.get(f"{ROOT}/changes?person=p7"),
        filled.post(f"{ROOT}/people/p0/merge", json={"other": "p7"}),
    ):
        assert answer.status_code == 404
        assert "p7" in answer.json()["detail"]
        assert not {"p1", "p2"} & set(answer.json()["detail"].replace("'", " ").split())
