"""Every change that was ever made can be read, page by page, in every store: in Python, over HTTP and by the client."""

from __future__ import annotations

import base64
import json

import pytest
from gallery_history import add_changes

from gallery_people import MadeUp
from probefusion.gallery import Gallery
from probefusion.gallery.keys.master_key import MasterKey, write_master_key

PEOPLE = MadeUp()
ROOT = "/v1/collections/people"


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "sealed"])
def test_history_goes_on_where_the_last_page_ended(address, tmp_path, sealed) -> None:
    keys = {"keys": MasterKey.generate(), "key_file": tmp_path / "g.keys"} if sealed else {}
    with Gallery(address, fuser="mean", **keys) as gallery:
        for who in range(3):
            gallery.enroll(f"p{who}", PEOPLE.images(who, 0))
        one, other = (gallery.person(name).id for name in ("p1", "p2"))
        add_changes(gallery, 20, of=(one, other))
        whole = gallery.history()
        assert [row.revision for row in whole] == list(range(23, 0, -1))
        pages, before = [], None
        while page := gallery.history(limit=5, before=before):
            pages.append(page)
            before = page[-1].revision
            gallery.rename("p0", f"p0 {before}")  # what comes meanwhile moves nothing
            gallery.rename(f"p0 {before}", "p0")
        assert [len(page) for page in pages] == [5, 5, 5, 5, 3]
        assert sum(pages, ()) == whole
        about = gallery.history("p2", limit=3, before=8)
        assert [row.revision for row in about] == [7, 5, 3]
        assert gallery.history(before=1) == gallery.history(before=0) == ()
        assert gallery.history(before=2)[0].action == "enroll"
        assert gallery.history(limit=0, before=9) == ()


@pytest.fixture
def client(address, tmp_path):
    """A service of a sealed gallery with 1,203 changes."""
    pytest.importorskip("fastapi", reason="needs probefusion[serve]")
    pytest.importorskip("httpx2", reason="the test client of the web framework needs it")
    from fastapi.testclient import TestClient

    from probefusion.service import ServiceSettings, create_app

    write_master_key(tmp_path / "master.key")
    sealed = {"master_key": str(tmp_path / "master.key"), "key_file": tmp_path / "g.keys"}
    given = {"keys": sealed["master_key"], "key_file": sealed["key_file"]}
    with Gallery(address, fuser="mean", **given) as gallery:
        for who in range(3):
            gallery.enroll(f"p{who}", PEOPLE.images(who, 0))
        ids = tuple(gallery.person(f"p{who}").id for who in range(3))
        add_changes(gallery, 1200, of=ids)
    app = create_app(
        ServiceSettings(gallery=address, fuser="mean", access_log=tmp_path / "log", **sealed)
    )
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as opened:
        yield opened


def test_changes_are_read_page_by_page_over_http(client, tmp_path) -> None:
    first = client.get(f"{ROOT}/changes?limit=1000").json()
    assert [each["revision"] for each in first["changes"]] == list(range(1203, 203, -1))
    assert client.post(f"{ROOT}/people/p0/different", json={"other": "p1"}).status_code == 200
    rest = client.get(f"{ROOT}/changes", params={"limit": 1000, "cursor": first["next"]}).json()
    assert [each["revision"] for each in rest["changes"]] == list(range(203, 0, -1))
    assert rest["next"] is None
    assert [each["action"] for each in rest["changes"][-3:]] == ["enroll"] * 3
    whose = {"person": "p1", "limit": 300}
    part = client.get(f"{ROOT}/changes", params=whose).json()
    assert part["changes"][0]["action"] == "cannot link"
    last = client.get(f"{ROOT}/changes", params=whose | {"cursor": part["next"]}).json()
    assert (len(part["changes"]), len(last["changes"]), last["next"]) == (300, 102, None)
    exact = client.get(f"{ROOT}/changes", params={"limit": 402, "person": "p1"}).json()
    assert (len(exact["changes"]), exact["next"]) == (402, None)
    noted = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [each["action"] for each in noted].count("history") == 5


@pytest.mark.parametrize(
    "cursor", ["", "!", "MTI", "LTE=", "MS41", "2bc=", "OTk5OTk5OTk5OTk5OTk5OTk5OTk="]
)
def test_what_is_no_cursor_is_refused(cursor, filled_once) -> None:
    answer = filled_once.get(f"{ROOT}/changes", params={"cursor": cursor})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] in ("cursor", "query/cursor")
    assert "next" in answer.json()["detail"]


@pytest.fixture(scope="module")
def filled_once(tmp_path_factory):
    """A service of an empty gallery."""
    pytest.importorskip("fastapi", reason="needs probefusion[serve]")
    pytest.importorskip("httpx2", reason="the test client of the web framework needs it")
    from fastapi.testclient import TestClient

    from probefusion.service import ServiceSettings, create_app

    place = tmp_path_factory.mktemp("service") / "g.db"
    app = create_app(ServiceSettings(gallery=str(place), fuser="mean"))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as opened:
        yield opened


def test_a_cursor_before_everything_ends_the_list(filled_once) -> None:
    cursor = base64.urlsafe_b64encode(b"1").decode()
    answer = filled_once.get(f"{ROOT}/changes", params={"cursor": cursor})
    assert answer.json() == {"changes": [], "next": None}
