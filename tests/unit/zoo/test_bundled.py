"""The embedder inside the package: loaded offline, its hash checked, its pages in step with it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest

from probefusion.errors import (
    DownloadError,
    FileFormatError,
    IntegrityError,
    MissingFileError,
)
from probefusion.files import bundled_folder, sha256_of
from probefusion.zoo import (
    DEFAULT_EMBEDDER,
    bundled,
    known_models,
    load_embedder,
    manifest,
    pull_model,
    search_file,
    verify_models,
)
from research.compact_embedder import pages

pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def folder():
    (found,) = bundled_folder().glob(f"{DEFAULT_EMBEDDER}.*")
    return found


@pytest.fixture(scope="module")
def card(folder):
    return json.loads((folder / bundled.CARD_NAME).read_text(encoding="utf-8"))


@pytest.fixture
def copied(folder, tmp_path, monkeypatch):
    """A copy of the package's embedder, which stands for it."""
    copy = tmp_path / "weights" / folder.name
    shutil.copytree(folder, copy)
    monkeypatch.setattr(bundled, "bundled_folder", lambda: tmp_path / "weights")
    manifest._built_in.cache_clear()
    yield copy
    manifest._built_in.cache_clear()


def test_it_is_loaded_offline(home, monkeypatch, card, rng):
    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("PROBEFUSION_OFFLINE", "1")
    embedder = load_embedder(num_threads=1)
    assert embedder.spec.name == DEFAULT_EMBEDDER
    assert embedder.fingerprint == card["fingerprint"] == load_embedder("compact_128d").fingerprint
    assert embedder.is_batched
    assert embedder.norms_known
    images = embedder.embed_set(rng.integers(0, 256, (3, 112, 112, 3), dtype=np.uint8))
    assert images.embeddings.shape == (3, 128)
    assert images.style.shape == (3, 160, 2)
    assert not any(home.iterdir())


def test_the_card_tells_the_truth_about_the_file(folder, card):
    path = folder / card["file"]
    assert card["folder"] == folder.name
    assert sha256_of(path) == card["sha256"]
    assert path.stat().st_size == card["size"] <= 3_000_000
    assert card["parameters"] <= 1_200_000
    assert card["forbidden_uses"]
    assert card["intended_uses"]
    entry = known_models()[DEFAULT_EMBEDDER]
    assert (entry.sha256, entry.non_commercial) == (card["sha256"], True)
    found = search_file(entry)
    assert (found.path, found.place) == (path, "package")


def test_pages_say_what_the_card_says(repository, folder, card):
    assert (folder / "MODEL_CARD.md").read_text(encoding="utf-8") == pages.model_card(card)
    for page in pages.PAGES:
        text = (repository / page).read_text(encoding="utf-8")
        assert pages.refreshed(text, card) == text, f"{page}: run research/compact_embedder/ship.py"


def test_a_damaged_file_is_refused(copied, card, home):
    path = copied / card["file"]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match="pip install --force-reinstall"):
        load_embedder()
    (row,) = verify_models([DEFAULT_EMBEDDER])
    assert row.state == "wrong hash"
    with pytest.raises(DownloadError, match="part of the package"):
        pull_model(DEFAULT_EMBEDDER)


def test_a_missing_file_says_what_to_do(copied, card, home):
    (copied / card["file"]).unlink()
    with pytest.raises(MissingFileError, match="part of the package"):
        load_embedder()


@pytest.mark.parametrize("content", ["{", "[]", '{"name": "compact_128d"}'])
def test_a_broken_card_is_refused(copied, content):
    (copied / bundled.CARD_NAME).write_text(content)
    with pytest.raises(FileFormatError, match="Install probefusion again"):
        known_models()


def test_the_last_revision_is_taken(copied, card):
    newer = copied.with_name(f"{copied.name[:-1]}{int(copied.name[-1]) + 1}")
    shutil.copytree(copied, newer)
    assert search_file(known_models()[DEFAULT_EMBEDDER]).path == newer / card["file"]


def test_it_is_never_fetched(home):
    for force in (False, True):
        (result,) = pull_model(DEFAULT_EMBEDDER, force=force, offline=True)
        assert (result.is_new, result.is_verified, result.source) == (False, True, "package")


def test_it_runs_without_torch():
    code = (
        "import sys; sys.modules['torch'] = sys.modules['onnxscript'] = None\n"
        "import numpy as np\n"
        "from probefusion.zoo import load_embedder\n"
        "print(load_embedder().embed(np.zeros((1, 112, 112, 3), np.uint8))[0].shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600
    )
    assert done.stdout.strip() == "(1, 128)"
