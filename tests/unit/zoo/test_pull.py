from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from probefusion.errors import (
    DownloadError,
    FileFormatError,
    IntegrityError,
    UnknownNameError,
)
from probefusion.zoo import Patience, locate, pull_model, verify_models
from probefusion.zoo import manifest as manifest_room
from probefusion.zoo.cache import expected_sha256
from probefusion.zoo.manifest import HuggingFaceFile, KnownModel, PackMember

HASTY = Patience(timeout=60, pause=0.0, idle_attempts=1)
NET, OTHER = b"network" * 500, b"detector" * 300


def sha(data):
    return hashlib.sha256(data).hexdigest()


def archive(**files):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as pack:
        for name, data in files.items():
            pack.writestr(name.replace("__", "/").replace("_onnx", ".onnx"), data)
    return target.getvalue()


PACK = archive(folder__net_onnx=NET, folder__det_onnx=OTHER, readme=b"hello")


@pytest.fixture
def served(monkeypatch):
    """Files by name on a local server; counts what was asked for."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def do_GET(self):
            name = self.path.rpartition("/")[2]
            server.asked.append(name)
            body = server.files.get(name)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files = {"net.onnx": NET, "pack.zip": PACK, "weights.ckpt": b"pickle"}
    server.asked = []
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def known(monkeypatch, served, home):
    """A small manifest instead of the package's."""
    common = {"licence": "research", "non_commercial": True, "origin": "here", "settings": {}}

    def entry(name, **values):
        return KnownModel(name=name, **common | values)

    entries = [
        entry(
            "net", kind="embedder", file="net.onnx", sha256=sha(NET), size=len(NET),
            urls=(f"{served.url}/net.onnx",), packs=(PackMember(pack="pack", member="net.onnx"),),
            huggingface=HuggingFaceFile(repository="a/b", path="net.onnx"),
        ),
        entry(
            "det", kind="detector", file="det.onnx", sha256=sha(OTHER), size=len(OTHER),
            packs=(PackMember(pack="pack", member="det.onnx"),),
        ),
        entry("pack", kind="pack", format="zip", file="pack.zip", sha256=sha(PACK), size=len(PACK),
              urls=(f"{served.url}/pack.zip",)),
        entry("weights", kind="embedder", format="checkpoint", file="weights.ckpt",
              urls=(f"{served.url}/weights.ckpt",)),
        entry("paged", kind="embedder", file="paged.onnx", page="https://example.org/paged"),
    ]  # fmt: skip
    table = {item.name: item for item in entries}
    monkeypatch.setattr(manifest_room, "_built_in", lambda: table)
    return table


def test_a_model_is_fetched_checked_and_found_again(known, home, served):
    shown = []
    (result,) = pull_model("net", notice=shown.append, patience=HASTY)
    assert (result.path, result.sha256, result.is_new) == (home / "net.onnx", sha(NET), True)
    assert result.is_verified
    assert [entry.name for entry in shown] == ["net"]
    assert shown[0].non_commercial
    (again,) = pull_model("net", notice=shown.append)
    assert (again.is_new, again.source) == (False, "probefusion")
    assert served.asked == ["net.onnx"]
    assert locate("net", kind="embedder") == (home / "net.onnx", sha(NET))


def test_a_copy_in_the_cache_of_insightface_is_used_if_it_is_right(known, tmp_path, served):
    theirs = tmp_path / "none" / "models" / "pack" / "net.onnx"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(NET)
    (result,) = pull_model("net")
    assert (result.path, result.source, served.asked) == (theirs, "insightface", [])
    theirs.write_bytes(b"damaged")
    (result,) = pull_model("net", patience=HASTY)
    assert result.is_new
    assert theirs.read_bytes() == b"damaged", "the caches of others are not written to"


def test_a_pack_gives_all_its_parts_and_is_not_kept(known, home):
    results = pull_model("pack", patience=HASTY)
    assert {result.entry.name for result in results} == {"net", "det"}
    assert (home / "net.onnx").read_bytes() == NET
    assert (home / "det.onnx").read_bytes() == OTHER
    assert not (home / "pack.zip").exists()


def test_a_part_without_an_address_comes_out_of_its_pack(known, home, served):
    (result,) = pull_model("det", patience=HASTY)
    assert (result.source, served.asked) == ("pack", ["pack.zip"])
    assert (home / "det.onnx").read_bytes() == OTHER


def test_a_mirror_is_asked_first(known, served, monkeypatch):
    (result,) = pull_model("net", mirrors=[f"{served.url}/mirror/"], patience=HASTY)
    assert result.source == f"{served.url}/mirror/net.onnx"
    monkeypatch.setenv("PROBEFUSION_MIRROR", f"{served.url}/other {served.url}/third")
    (result,) = pull_model("net", force=True, patience=HASTY)
    assert result.source == f"{served.url}/other/net.onnx"


def test_offline_means_no_request(known, served, monkeypatch):
    monkeypatch.setenv("PROBEFUSION_OFFLINE", "1")
    for name in ("net", "pack"):
        with pytest.raises(DownloadError, match="network is not to be used"):
            pull_model(name)
    assert served.asked == []
    pull_model("net", offline=False, patience=HASTY)
    assert pull_model("net")[0].source == "probefusion"


def test_without_an_address_a_page_is_named(known, home):
    with pytest.raises(DownloadError, match=r"with a browser from https://example\.org/paged"):
        pull_model("paged")


def test_an_unknown_hash_is_recorded_and_compared_later(known, home, served):
    (result,) = pull_model("weights", patience=HASTY)
    assert not result.is_verified
    assert expected_sha256(known["weights"]) == sha(b"pickle")
    served.files["weights.ckpt"] = b"another"
    with pytest.raises(IntegrityError, match="expected SHA-256"):
        pull_model("weights", force=True, patience=HASTY)
    assert (home / "weights.ckpt").read_bytes() == b"pickle"


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (archive(net_onnx=NET), FileFormatError, "expected one file 'det.onnx' inside, got 0"),
        (archive(a__det_onnx=OTHER, b__det_onnx=OTHER), FileFormatError, "got 2"),
        (archive(det_onnx=OTHER + b"!"), FileFormatError, "larger than"),
        (archive(det_onnx=OTHER[:-1] + b"!"), IntegrityError, "not the published one"),
        (b"no archive", FileFormatError, "zip archive"),
    ],
)
def test_wrong_packs_are_refused(known, home, served, content, error, words):
    known["pack"] = KnownModel(
        name="pack", kind="pack", format="zip", file="pack.zip", origin="here", settings={},
        urls=(f"{served.url}/pack.zip",),
    )  # fmt: skip
    served.files["pack.zip"] = content
    with pytest.raises(error, match=words):
        pull_model("det", patience=HASTY)
    assert not (home / "det.onnx").exists()


def test_verifying(known, home):
    assert verify_models() == ()
    pull_model("pack", patience=HASTY)
    assert {(r.name, r.state) for r in verify_models()} == {("net", "ok"), ("det", "ok")}
    (home / "net.onnx").write_bytes(b"damaged")
    states = {r.name: r.state for r in verify_models(["pack", "weights"])}
    assert states == {"net": "wrong hash", "det": "ok", "weights": "missing"}
    (home / "weights.ckpt").write_bytes(b"pickle")
    assert verify_models(["weights"])[0].state == "recorded now"
    assert verify_models(["weights"])[0].state == "ok"
    with pytest.raises(UnknownNameError):
        verify_models(["nothing"])
