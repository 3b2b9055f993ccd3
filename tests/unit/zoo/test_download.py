"""Downloads from a server that stalls, cuts, redirects, lies about length and serves wrong bytes."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import replace
from http.server import ThreadingHTTPServer

import pytest
from misbehaving_server import CONTENT, Handler

from probefusion.errors import ConfigError, DownloadError, IntegrityError
from probefusion.zoo import Patience, download_file

SHA256 = hashlib.sha256(CONTENT).hexdigest()
PATIENT = Patience(timeout=120, window=120, pause=0.0, idle_attempts=3)
"""For servers that answer at once, however slow the machine is."""

HASTY = Patience(timeout=0.8, window=0.5, pause=0.0, idle_attempts=2)
"""For servers that never would."""

SLOW = ("stalls", "silent", "trickles")


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    running.handle_error = lambda *_: None  # a client that hangs up is part of the plan
    running.requests = []
    running.stop, running.half_sent, running.go_on = (threading.Event() for _ in range(3))
    running.url = f"http://127.0.0.1:{running.server_address[1]}"
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield running
    running.stop.set()
    running.shutdown()
    thread.join()
    running.server_close()


def fetch(server, tmp_path, *names, **settings):
    patience = HASTY if set(names) & set(SLOW) else PATIENT
    settings = {"sha256": SHA256, "size": len(CONTENT), "patience": patience} | settings
    urls = [f"{server.url}/files/{name}.bin" for name in names]
    return download_file(urls, tmp_path / "model.onnx", **settings)


def ranges(server):
    return [given for _, given, _ in server.requests]


def leftovers(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir())


GOOD_IN_THE_END = {
    # behaviour: (size known, requests it takes)
    "good": (True, 1),
    "cuts": (True, 4),
    "norange": (True, 2),
    "wrongrange": (True, 3),
    "stalls": (True, 2),
    "nolength": (True, 1),
    "chunked": (True, 1),
    "busy": (True, 3),
    "redirect": (True, 2),
}


@pytest.mark.parametrize("size_is_known", [True, False])
@pytest.mark.parametrize("behaviour", GOOD_IN_THE_END)
def test_the_file_arrives_whole_and_alone(server, tmp_path, behaviour, size_is_known):
    _, requests = GOOD_IN_THE_END[behaviour]
    size = len(CONTENT) if size_is_known else None
    url, sha256 = fetch(server, tmp_path, behaviour, size=size)
    assert url.endswith(f"/{behaviour}.bin")
    assert sha256 == SHA256
    assert (tmp_path / "model.onnx").read_bytes() == CONTENT
    assert leftovers(tmp_path) == ["model.onnx"]
    assert len(server.requests) == requests


BAD = {
    # behaviour: (error, words of it)
    "silent": (DownloadError, r"gave nothing for 0\.8 s"),
    "trickles": (DownloadError, "bytes a second"),
    "promisesmore": (DownloadError, "promises 305000 bytes, expected 300000"),
    "promisesless": (DownloadError, "promises 295000 bytes, expected 300000"),
    "endless": (DownloadError, "gives more than the 300000 bytes"),
    "wrongbytes": (IntegrityError, f"expected SHA-256 {SHA256}"),
    "wrongcuts": (IntegrityError, f"expected SHA-256 {SHA256}"),
    "html": (DownloadError, "web page"),
    "missing": (DownloadError, "HTTP 404"),
    "circle": (DownloadError, "HTTP 302"),
    "tofile": (DownloadError, "not allowed"),
}


@pytest.mark.parametrize("behaviour", BAD)
def test_what_is_wrong_never_gets_its_name(server, tmp_path, behaviour):
    error, words = BAD[behaviour]
    with pytest.raises(error, match=words):
        fetch(server, tmp_path, behaviour)
    assert "model.onnx" not in leftovers(tmp_path)


@pytest.mark.parametrize("behaviour", BAD)
def test_the_next_address_makes_up_for_it(server, tmp_path, behaviour):
    url, _ = fetch(server, tmp_path, behaviour, "good")
    assert url.endswith("/good.bin")
    assert (tmp_path / "model.onnx").read_bytes() == CONTENT
    assert leftovers(tmp_path) == ["model.onnx"]


@pytest.mark.parametrize("behaviour", ["promisesmore", "promisesless", "endless"])
def test_lies_about_the_length_are_found_by_the_hash_alone(server, tmp_path, behaviour):
    patience = replace(PATIENT, idle_attempts=2, max_attempts=3)
    if behaviour == "endless":
        with pytest.raises(DownloadError, match="gives more"):
            fetch(server, tmp_path, behaviour, patience=patience)
        return
    with pytest.raises((IntegrityError, DownloadError)):
        fetch(server, tmp_path, behaviour, size=None, patience=patience)
    assert "model.onnx" not in leftovers(tmp_path)


def test_a_cut_download_goes_on_where_it_ended(server, tmp_path):
    fetch(server, tmp_path, "cuts")
    assert ranges(server)[0] is None
    assert ranges(server)[1] == "bytes=100000-"
    assert all(ranges(server)[1:])


def test_a_later_call_goes_on_too(server, tmp_path):
    once = replace(PATIENT, idle_attempts=1, max_attempts=1)
    with pytest.raises(DownloadError, match=r"ended after 100000 of 300000 bytes.*are kept"):
        fetch(server, tmp_path, "cuts", patience=once)
    fetch(server, tmp_path, "good")
    assert ranges(server)[-1] == "bytes=100000-"
    assert (tmp_path / "model.onnx").read_bytes() == CONTENT


def test_without_a_known_hash_only_a_vouched_version_is_gone_on_with(server, tmp_path):
    fetch(server, tmp_path, "cutstagged", sha256=None)
    assert [(r, tag) for _, r, tag in server.requests] == [
        (None, None),
        ("bytes=100000-", '"v1"'),
        ("bytes=166666-", '"v1"'),
    ]
    assert (tmp_path / "model.onnx").read_bytes() == CONTENT


def test_without_a_known_hash_and_without_a_version_it_begins_anew(server, tmp_path):
    fetch(server, tmp_path, "norange", sha256=None)
    assert ranges(server) == [None, None]
    assert (tmp_path / "model.onnx").read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_is_not_patched_together(server, tmp_path):
    fetch(server, tmp_path, "changes", sha256=None, size=None)
    assert server.requests[1] == ("changes.bin", "bytes=3000-", '"v1"')
    assert (tmp_path / "model.onnx").read_bytes() == CONTENT


def test_a_part_of_another_file_is_thrown_away(server, tmp_path):
    (tmp_path / ".model.onnx.part").write_bytes(b"z" * 5000)
    fetch(server, tmp_path, "good")
    assert ranges(server) == ["bytes=5000-", None]
    (tmp_path / ".model.onnx.part").write_bytes(b"z" * 5000)
    fetch(server, tmp_path, "beyond")
    assert (tmp_path / "model.onnx").read_bytes() == CONTENT


def test_an_existing_file_stays_until_the_new_one_is_whole(server, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"old")
    with pytest.raises(IntegrityError):
        fetch(server, tmp_path, "wrongbytes")
    assert (tmp_path / "model.onnx").read_bytes() == b"old"
    fetch(server, tmp_path, "good")
    assert (tmp_path / "model.onnx").read_bytes() == CONTENT


def test_a_proxy_of_the_environment_is_used(server, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    url = "http://models.invalid/files/good.bin"
    download_file([url], tmp_path / "model.onnx", sha256=SHA256, patience=PATIENT)
    assert server.requests == [("good.bin", None, None)]


def test_nobody_listens(tmp_path, server):
    server.shutdown()
    server.server_close()
    with pytest.raises(DownloadError, match="cannot be reached"):
        fetch(server, tmp_path, "good")


def test_two_at_once_are_kept_apart(server, tmp_path):
    outcome = []

    def first():
        outcome.append(fetch(server, tmp_path, "held"))

    thread = threading.Thread(target=first)
    thread.start()
    assert server.half_sent.wait(600)
    try:
        with pytest.raises(DownloadError, match="another process"):
            fetch(server, tmp_path, "good")
    finally:
        server.go_on.set()
        thread.join()
    assert outcome[0][1] == SHA256


def test_progress_counts_bytes(server, tmp_path):
    seen = []
    fetch(server, tmp_path, "cuts", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_secrets_of_an_address_are_not_shown(server, tmp_path):
    address = server.url.replace("http://", "http://me:secret@") + "/files/missing.bin?key=secret"
    with pytest.raises(DownloadError) as caught:
        download_file([address], tmp_path / "model.onnx", patience=PATIENT)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://host/a", "file:///etc/passwd", "no address"])
def test_other_addresses_are_refused(tmp_path, url):
    with pytest.raises(ConfigError, match="https"):
        download_file([url], tmp_path / "model.onnx")
    with pytest.raises(ConfigError, match="got none"):
        download_file([], tmp_path / "model.onnx")


def test_a_redirect_from_an_encrypted_to_an_open_address_is_not_followed():
    from urllib.request import Request

    from probefusion.zoo.download import _GiveUp, _Redirects

    def redirect(target):
        request = Request("https://models.invalid/a")
        return _Redirects().redirect_request(request, None, 302, "", {}, target)

    assert redirect("https://mirror.invalid/a").full_url == "https://mirror.invalid/a"
    with pytest.raises(_GiveUp, match="not followed"):
        redirect("http://mirror.invalid/a")


def test_the_disk_is_looked_at_first(server, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("probefusion.zoo.download.shutil.disk_usage", lambda _: usage)
    with pytest.raises(DownloadError, match=r"needs 300000 more bytes, only 1000 are free"):
        fetch(server, tmp_path, "good")


def test_an_unreadable_note_is_no_reason_to_trust_a_part(server, tmp_path):
    (tmp_path / ".model.onnx.part").write_bytes(CONTENT[:7])
    for note in ("{", json.dumps({"url": "other", "validator": '"v1"'}), "[]"):
        (tmp_path / ".model.onnx.part.json").write_text(note)
        (tmp_path / ".model.onnx.part").write_bytes(CONTENT[:7])
        fetch(server, tmp_path, "good", sha256=None)
        assert ranges(server)[-1] is None
