"""Former revisions of the embedder inside: fetched by name, the same as ever, with all that was measured of them."""

from __future__ import annotations

import json
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from bundled_models import COMPACT

from probefusion.embedders import EmbedderSpec
from probefusion.errors import MissingFileError, UnknownNameError
from probefusion.files import bundled_folder, sha256_of
from probefusion.fusion.calibration_files import read_calibration
from probefusion.screening.known import expectation_for
from probefusion.screening.known_images import NORMS, expectation_of_images, network_of
from probefusion.types.revisions import FORMER
from probefusion.zoo import (
    find_usability,
    known_models,
    load_embedder,
    load_fuser,
    pull_model,
    suggest_fuser,
)

pytest.importorskip("onnx")

NAME, FINGERPRINT = "compact_128d.r3", "compact_128d@e586df908cc6"
FOLDER = "compact_128d.lfw112.r3"
FUSERS = tuple(
    f"{name}.compact_128d-lfw112.r3" for name in ("exact", "exact-fast", "exact-embedding")
)


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and writes nothing."""

    def log_message(self, *_) -> None:
        """Nothing."""


@pytest.fixture
def mirror(tmp_path, repository, monkeypatch):
    """Address of a server with the files of the former embedder and its fusers under their names."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "mirror"
    root.mkdir()
    shutil.copy(
        repository / "weights" / FOLDER / "compact_128d.onnx", root / known_models()[NAME].file
    )
    for name in FUSERS:
        shutil.copytree(repository / "weights" / name, root / name)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_names_of_former_revisions_are_those_of_the_manifest() -> None:
    specs = {
        name: EmbedderSpec(**{"name": name, "sha256": entry.sha256, **entry.settings})
        for name, entry in known_models().items()
        if entry.kind == "embedder" and entry.settings.get("name", name) != name
    }
    assert {spec.fingerprint: name for name, spec in specs.items()} == FORMER
    assert FORMER[FINGERPRINT] == NAME
    assert COMPACT not in FORMER


def test_the_manifest_tells_the_truth_about_the_file_of_the_repository(repository) -> None:
    entry = known_models()[NAME]
    card = json.loads((repository / "weights" / FOLDER / "embedder.json").read_text("utf-8"))
    path = repository / "weights" / FOLDER / card["file"]
    assert (entry.sha256, entry.size) == (sha256_of(path), path.stat().st_size)
    assert entry.urls[0].endswith(f"/weights/{FOLDER}/{card['file']}")
    assert (card["fingerprint"], card["sha256"]) == (FINGERPRINT, entry.sha256)
    told = {key: value for key, value in entry.settings.items() if key != "name"}
    assert told == card["settings"]
    assert (entry.licence, entry.non_commercial) == (card["licence"], card["non_commercial"])


def test_it_is_fetched_and_finds_its_fusers(home, mirror, rng) -> None:
    with pytest.raises(MissingFileError, match=rf"probefusion models pull {NAME}"):
        load_embedder(NAME)
    with pytest.raises(UnknownNameError, match=rf"the fingerprint of {NAME}: give that name"):
        load_embedder(FINGERPRINT)
    with pytest.raises(MissingFileError, match=rf"probefusion models pull {FUSERS[0]}"):
        load_fuser("exact", embedder=FINGERPRINT)
    for name in (NAME, *FUSERS):
        (pulled,) = pull_model(name, mirrors=[mirror])
        assert (pulled.is_new, pulled.is_verified) == (True, True)
    embedder = load_embedder(NAME, num_threads=1)
    assert (embedder.fingerprint, embedder.spec.name) == (FINGERPRINT, "compact_128d")
    images = embedder.embed_set(rng.integers(0, 256, (2, 112, 112, 3), dtype=np.uint8))
    assert images.embedder == FINGERPRINT
    assert suggest_fuser(images) == FUSERS[0]
    for name in FUSERS:
        assert load_fuser(name.split(".")[0], embedder=FINGERPRINT).name == name
        assert load_fuser(name.split(".")[0], embedder=COMPACT).name != name
    assert load_embedder().fingerprint == COMPACT
    assert np.linalg.norm(load_fuser(FUSERS[0]).fuse(images).vector) == pytest.approx(1, abs=1e-5)


def test_its_file_is_known_whatever_it_is_called(home, repository, tmp_path) -> None:
    path = tmp_path / "mine.onnx"
    shutil.copy(repository / "weights" / FOLDER / "compact_128d.onnx", path)
    assert load_embedder(path, num_threads=1).fingerprint == FINGERPRINT


@pytest.mark.parametrize("name", ["mean", "universal", *FUSERS])
def test_what_was_measured_of_it_is_found(home, repository, monkeypatch, name) -> None:
    monkeypatch.setenv("PROBEFUSION_FUSERS", str(repository / "weights"))
    fuser = load_fuser(name, embedder=FINGERPRINT)
    record = find_usability(fuser, FINGERPRINT)
    assert record is not None
    assert (record.fuser, record.embedder) == (fuser.fingerprint, FINGERPRINT)
    inside = f"{fuser.fingerprint}.{FINGERPRINT}".replace("@", "-")
    path = bundled_folder() / "calibrations" / f"{inside}.json"
    if name in FUSERS:
        path = repository / "weights" / name / "calibration.json"
    calibration = read_calibration(path)
    assert (calibration.fuser, calibration.embedder) == (fuser.fingerprint, FINGERPRINT)


def test_what_is_expected_of_its_sets_is_found(repository) -> None:
    network = network_of(FINGERPRINT)
    assert network == NAME != network_of(COMPACT)
    assert NORMS[network] == 0.77
    assert expectation_of_images(f"norms of {network}") is not None
    assert expectation_of_images("universal@1", network) is not None
    for name in FUSERS[:2]:
        fuser = load_fuser(repository / "weights" / name)
        assert expectation_of_images(fuser.fingerprint) is not None
        assert expectation_for(fuser.fingerprint) is not None
