"""Large bodies are parsed where they hold up nobody, and mean the same."""

from __future__ import annotations

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fastapi.routing import APIRoute
from hypothesis import given
from hypothesis import strategies as st

from probefusion.service import json_bodies
from probefusion.service.guards.access import new_key
from probefusion.service.json_parsing import parse_json
from probefusion.service.problems import Refusal

ROOT = "/v1/collections/people"
JSON = {"Content-Type": "application/json"}

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=30,
)


def large(rows: np.ndarray, **more) -> bytes:
    """A body over the limit from which on it is parsed in a thread."""
    body = json.dumps({"query": {"embeddings": {"rows": rows.tolist()}}, **more}).encode()
    return body + b" " * json_bodies.LARGE_BODY


def parsed(body: bytes, *, in_pieces: bool) -> object:
    try:
        return repr(parse_json(body, in_pieces=in_pieces))
    except Refusal as error:
        return error.status, error.code, error.detail


@given(VALUES, st.sampled_from([None, 1]), st.integers(0, 200), st.binary(max_size=2))
def test_pieces_are_parsed_as_the_whole(value, indent, place, put) -> None:
    body = json.dumps(value, indent=indent).encode()
    assert parsed(body, in_pieces=True) == parsed(body, in_pieces=False)
    place %= len(body) + 1
    broken = body[:place] + put + body[place + 1 :]
    assert parsed(broken, in_pieces=True) == parsed(broken, in_pieces=False)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"[",
        b"]",
        b"[1,]",
        b"[1 2]",
        b'{"a":[[1,2],[3,"]"],[4,"["]],"b":{}}',
        b'{"a":1,"a":2}',
        b'[{"a":[],"a":[]}]',
        b"[[1,2],[NaN]]",
        b"[[1],[-Infinity]]",
        b"[1]x",
        b"[" * 40_000,
        b"[" * 300 + b"]" * 300,
        b"[" + b"7," * 70_000 + b"7]",
        b"[[" + b"7," * 70_000 + b"7],[1]]",
        b"[" + b"9" * 5000 + b"]",
        b'["\\ud800", "\\u00e9\xc3\xa9", "\\q"]',
        '{"ä": ["ß", 1]}'.encode("utf-16"),
        b"\xef\xbb\xbf[1]",
        b"[\xff]",
        b"0," * 1_000_001,
    ],
    ids=range(22),
)
def test_what_is_odd_is_parsed_or_refused_as_the_whole(body) -> None:
    assert parsed(body, in_pieces=True) == parsed(body, in_pieces=False)


def turns_of_others(body: bytes, monkeypatch, *, in_pieces: bool) -> int:
    """Turns that another thread gets between the first and the last object of a body."""
    done = threading.Event()
    seen = []
    turns = 0

    def take_turns() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            time.sleep(0)

    def note(pairs: list) -> dict:
        seen.append(turns)
        return dict(pairs)

    monkeypatch.setattr("probefusion.service.json_parsing._each_once", note)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(take_turns)
        try:
            parse_json(body, in_pieces=in_pieces)
        finally:
            done.set()
            other.result()
    return seen[-1] - seen[0]


def test_other_threads_get_their_turn_while_pieces_are_parsed(monkeypatch) -> None:
    rows = np.full((1000, 500), 0.123456).tolist()
    body = json.dumps([{"first": 0}, *rows, {"last": 0}]).encode()
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        pieces = turns_of_others(body, monkeypatch, in_pieces=True)
        whole = turns_of_others(body, monkeypatch, in_pieces=False)
    finally:
        sys.setswitchinterval(before)
    assert pieces > 50
    assert whole < pieces / 5  # the standard library lets nobody else go on but before and after


def test_others_are_answered_while_a_large_body_is_parsed(filled, query, monkeypatch) -> None:
    is_parsing, may_go_on = threading.Event(), threading.Event()

    def waiting(body: bytes, *, in_pieces: bool = False) -> object:
        if in_pieces:
            is_parsing.set()
            may_go_on.wait()
        return parse_json(body, in_pieces=in_pieces)

    monkeypatch.setattr(json_bodies, "parse_json", waiting)
    rows = np.random.default_rng(1).standard_normal((4, 64))
    with ThreadPoolExecutor(2) as pool:
        try:
            sent = [
                pool.submit(filled.post, f"{ROOT}/search", content=large(rows), headers=JSON)
                for _ in range(2)
            ]
            while not is_parsing.is_set() and not all(each.done() for each in sent):
                time.sleep(0.001)
            assert is_parsing.is_set()
            assert filled.get("/v1/health").status_code == 200
            assert filled.get("/v1/collections").json() == {"names": ["people"]}
            found = filled.post(f"{ROOT}/search", json={"query": query(2, 2, 5), "threshold": 0.5})
            assert found.json()["candidates"][0]["name"] == "p2"
            assert filled.delete(f"{ROOT}/people/p0").status_code == 200
            assert not any(each.done() for each in sent)
        finally:
            may_go_on.set()
        answers = [each.result() for each in sent]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.json()["gallery_size"] for answer in answers] == [2, 2]


def test_large_and_small_bodies_have_the_same_answers(filled) -> None:
    rows = np.random.default_rng(1).standard_normal((6, 64)) + 3 * np.eye(64)[0]
    small = {"query": {"embeddings": {"rows": rows.tolist()}}}
    expected = filled.post(f"{ROOT}/search", json=small)
    assert expected.status_code == 200
    assert (
        filled.post(f"{ROOT}/search", content=large(rows), headers=JSON).json() == expected.json()
    )
    rows[2, 3] = 1e300
    answer = filled.post(f"{ROOT}/search", content=large(rows), headers=JSON)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/query/embeddings")
    for more, pointers in (
        ({"top_k": "3"}, ["/top_k"]),
        ({"top_k": 0, "nobody": 1}, ["/top_k", "/nobody"]),
    ):
        wrong = filled.post(f"{ROOT}/search", content=large(rows, **more), headers=JSON)
        assert wrong.status_code == 422
        assert [each["pointer"] for each in wrong.json()["errors"]] == pointers
    ragged = {"query": {"embeddings": {"rows": [[1.0, 2.0], [1.0]]}}}
    body = json.dumps(ragged).encode() + b" " * json_bodies.LARGE_BODY
    answer = filled.post(f"{ROOT}/search", content=body, headers=JSON)
    assert answer.json()["errors"][0]["pointer"] == "/query/embeddings/rows"
    nothing = filled.post(f"{ROOT}/search", content=b" " * json_bodies.LARGE_BODY, headers=JSON)
    assert nothing.status_code == 400


def test_who_may_not_is_told_so_before_what_is_wrong(serve, tmp_path) -> None:
    path = tmp_path / "keys.json"
    token = new_key(path, name="r", role="read")
    client = serve(access_file=path)
    headers = JSON | {"Authorization": f"Bearer {token}"}
    wrong = large(np.ones((2, 64)), name=7)
    assert client.post(f"{ROOT}/people", content=wrong, headers=headers).status_code == 403
    wrong = large(np.ones((2, 64)), top_k="x")
    answer = client.post(f"{ROOT}/search?nobody=1", content=wrong, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "nobody")
    assert client.post(f"{ROOT}/search", content=wrong, headers=headers).status_code == 422


def test_who_went_away_before_the_turn_is_not_parsed_for(filled, monkeypatch) -> None:
    monkeypatch.setattr(json_bodies, "wanting", lambda _: lambda: False)
    body = large(np.ones((2, 64)))
    answer = filled.post(f"{ROOT}/search", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["type"][-4:]) == (503, "gone")


def test_every_body_is_one_model(filled) -> None:
    """What is checked in a thread is the body as a whole."""
    routes = [
        route
        for room in filled.app.router.routes
        for route in getattr(getattr(room, "original_router", room), "routes", [room])
        if isinstance(route, APIRoute) and route.body_field is not None
    ]
    assert len(routes) > 8
    assert all(isinstance(route, json_bodies.JsonRoute) for route in routes)
    assert all(len(route.dependant.body_params) == 1 for route in routes)
    assert not any(route._embed_body_fields for route in routes)
