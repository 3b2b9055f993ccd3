"""Queries of images that no threshold holds for: the answer says so, by whatever operation it decides."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

PEOPLE = "/v1/collections/people/people"
SEARCH = "/v1/collections/people/search"


def _images(*shades: int) -> dict:
    """A query of crops of one colour each, which show no face."""
    files = []
    for shade in shades:
        stream = io.BytesIO()
        Image.fromarray(np.full((112, 112, 3), shade, np.uint8)).save(stream, "PNG")
        files.append(
            {"base64": base64.b64encode(stream.getvalue()).decode(), "name": f"{shade}.png"}
        )
    return {"images": files}


@pytest.fixture(scope="module")
def is_doubtful():
    return lambda text: "the threshold is not verified for faces this poor" in text


def test_what_shows_no_face_is_told_by_all_that_decide(serve, is_doubtful) -> None:
    client = serve(fuser="exact")
    enrolled = client.post(PEOPLE, json={"name": "grey", "query": _images(90, 120)})
    assert enrolled.status_code == 201, enrolled.text
    assert enrolled.json()["problems"] == []
    (warning,) = enrolled.json()["warnings"]
    assert warning.startswith("the images: not usable")
    assert enrolled.json()["usability"]["verdict"] == "not usable"
    visit = {"query": _images(60), "guard": False}
    added = client.post(f"{PEOPLE}/grey/contributions", json=visit).json()
    assert added["total_images"] == 3
    assert added["warnings"][0].startswith("the images: not usable")
    query = _images(20)
    found = client.post(SEARCH, json={"query": query}).json()
    assert found["false_match_rate"] == 1e-3
    assert found["usability"]["verdict"] == "not usable"
    (warning,) = found["warnings"]
    assert warning.startswith("the query: not usable:")
    assert is_doubtful(warning)
    verified = client.post(f"{PEOPLE}/grey/verify", json={"query": query}).json()
    assert any(is_doubtful(warning) for warning in verified["warnings"])
    assert [each["verdict"] for each in verified["usability"]] == ["not usable"] * 2


def test_a_threshold_of_ones_own_is_not_doubted_but_the_images_are(serve, is_doubtful) -> None:
    client = serve(fuser="exact")
    client.post(PEOPLE, json={"name": "grey", "query": _images(90, 120)})
    for answer in (
        client.post(SEARCH, json={"query": _images(20), "threshold": 0.5}).json(),
        client.post(f"{PEOPLE}/grey/verify", json={"query": _images(20), "threshold": 0.5}).json(),
        client.post(f"{PEOPLE}/grey/explain", json=_images(20)).json(),
    ):
        warnings = answer["warnings"]
        assert sum(text.startswith("the query: not usable") for text in warnings) == 1
        assert not any(is_doubtful(text) for text in warnings)
