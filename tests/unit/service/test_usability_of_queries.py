"""Over HTTP: what can be expected of embeddings, states, templates and sessions, wherever they are decided about."""

from __future__ import annotations

import base64
from dataclasses import asdict

import numpy as np
import pytest
from tests.support.judged_fusers import COMPACT, judged_fuser, some_images

from probefusion.pipeline import Pipeline
from probefusion.service.client import query_of

PEOPLE = "/v1/collections/people/people"
SEARCH = "/v1/collections/people/search"
POOR = "the threshold is not verified for faces this poor"


@pytest.fixture(scope="module")
def fuser(tmp_path_factory):
    return judged_fuser(tmp_path_factory.mktemp("fusers"), "not usable")


def embeddings(person: int) -> dict:
    images = some_images(person)
    return query_of(embeddings=images.embeddings, style=images.style, embedder=COMPACT)


@pytest.fixture
def client(serve, fuser):
    client = serve(fuser=str(fuser))
    added = client.post(PEOPLE, json={"name": "ann", "query": embeddings(1)})
    assert added.status_code == 201, added.text
    assert added.json()["usability"]["verdict"] == "not usable"
    assert added.json()["warnings"][0].startswith("the images: not usable")
    return client


def queries(client, fuser) -> dict:
    fused = Pipeline(fuser=fuser).fuse(some_images(1))
    session = client.post("/v1/sessions").json()["id"]
    sent = client.post(f"/v1/sessions/{session}/images", json=embeddings(1))
    assert sent.status_code == 200, sent.text
    return {
        "embeddings": embeddings(1),
        "state": query_of(state=fused.state.to_bytes()),
        "template": query_of(template=fused.template),
        "session": {"session": session},
    }


def test_every_form_of_a_query_is_told_alike(client, fuser) -> None:
    for form, query in queries(client, fuser).items():
        found = client.post(SEARCH, json={"query": query}).json()
        assert found["usability"]["verdict"] == "not usable", form
        assert found["usability"]["quality"] == 50
        assert found["usability"]["interval"] == pytest.approx([0.3, 0.7], abs=1e-6)
        assert [text[:23] for text in found["warnings"]] == ["the query: not usable: "], form
        assert POOR in found["warnings"][0]
        (person,) = found["candidates"]
        assert person["is_match"]
        assert person["usability"]["verdict"] == "not usable"
        assert sum(POOR in text for text in person["warnings"]) == 1
        verified = client.post(f"{PEOPLE}/ann/verify", json={"query": query}).json()
        assert [each["verdict"] for each in verified["usability"]] == ["not usable"] * 2
        assert sum(POOR in text for text in verified["warnings"]) == 2
        own = client.post(SEARCH, json={"query": query, "threshold": 0.5}).json()
        assert [text[:22] for text in own["warnings"]] == ["the query: not usable:"]
        explained = client.post(f"{PEOPLE}/ann/explain", json=query).json()
        assert [text[:22] for text in explained["warnings"]] == [
            "the query: not usable:",
            "the person: not usable",
        ]


def test_comparisons_know_both_sides(client, fuser) -> None:
    given = queries(client, fuser)
    body = {"first": given["template"], "second": given["session"]}
    found = client.post("/v1/compare", json=body).json()
    assert [each["verdict"] for each in found["usability"]] == ["not usable"] * 2
    assert [text[:14] for text in found["problems"]] == ["A: not usable:", "B: not usable:"]
    assert sum(POOR in text for text in found["problems"]) == 2
    assert not any(POOR in text for text in found["warnings"])
    own = client.post("/v1/compare", json={**body, "threshold": 0.5}).json()
    assert own["warnings"] == []
    assert len(own["problems"]) == 2


def test_a_session_tells_it_beside_a_person(client, fuser) -> None:
    session = queries(client, fuser)["session"]["session"]
    answer = client.get(f"/v1/sessions/{session}", params={"person": "ann"}).json()
    assert answer["usability"]["verdict"] == "not usable"
    assert answer["beside"]["usability"]["verdict"] == "not usable"
    assert sum(POOR in text for text in answer["beside"]["warnings"]) == 2


def test_a_template_goes_out_and_comes_back_with_it(client) -> None:
    fused = client.post("/v1/fuse", json=embeddings(1)).json()
    template = fused["template"]
    assert template["usability"] == fused["usability"]
    assert fused["usability"]["false_match_rate"] == 0.001
    query = {"template": {key: template[key] for key in template if key != "dim"}}
    found = client.post(SEARCH, json={"query": query}).json()
    assert found["usability"] == template["usability"]
    query["template"]["usability"] = None
    found = client.post(SEARCH, json={"query": query}).json()
    assert found["usability"]["verdict"] == "not known"
    assert len(found["warnings"]) == 1
    assert "is not known (its template came without an estimate)" in found["warnings"][0]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"similarity": 7.0}, "usability of row 0"),
        ({"interval": [0.9, 0.1]}, "usability of row 0"),
        ({"interval": [0.1]}, "at least 2 items"),
        ({"level": None}, "usability of row 0"),
        ({"false_match_rate": 0.0}, "usability of row 0"),
        ({"similarity": "0.5"}, "valid number"),
        ({"verdict": "x" * 300}, "at most 256 characters"),
        ({"certain": True}, "certain"),
    ],
)
def test_estimates_that_cannot_be_are_refused(client, fuser, change, told) -> None:
    template = Pipeline(fuser=fuser).fuse(some_images(1)).template
    query = query_of(template=template)
    query["template"]["usability"] = asdict(template.usability) | change
    answer = client.post(SEARCH, json={"query": query})
    assert answer.status_code == 422, answer.text
    assert told in answer.text
    assert "usability" in answer.text


def test_a_claimed_verdict_follows_from_the_numbers(client, fuser) -> None:
    template = Pipeline(fuser=fuser).fuse(some_images(1)).template
    query = query_of(template=template)
    query["template"]["usability"] |= {"verdict": "usable", "reason": "", "quality": 99}
    found = client.post(SEARCH, json={"query": query}).json()
    assert (found["usability"]["verdict"], found["usability"]["quality"]) == ("not usable", 50)


def test_images_of_nobody_knows_what_are_said_to_be_unknown(serve, query) -> None:
    client = serve()
    client.post(PEOPLE, json={"name": "p0", "query": query(0)})
    found = client.post(SEARCH, json={"query": query(0)}).json()
    assert found["usability"]["verdict"] == "not known"
    assert found["warnings"] == []
    data = np.frombuffer(base64.b64decode(query(0)["embeddings"]["base64"]), "<f4")
    assert len(data) == 4 * 64
