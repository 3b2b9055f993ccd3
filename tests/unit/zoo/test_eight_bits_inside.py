"""The 8-bit form of the embedder inside: had by its name, stands for it, its file and settings checked."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from bundled_models import COMPACT, EMBEDDER_FOLDER

from probefusion.embedders.quality import embedding_key
from probefusion.errors import ConfigError, IntegrityError, MissingFileError
from probefusion.evaluation.drawn_people import draw_crop
from probefusion.files import sha256_of
from probefusion.gallery import Gallery
from probefusion.pipeline import Pipeline
from probefusion.types import EmbeddingSet
from probefusion.zoo import (
    bundled,
    find_by_sha256,
    find_usability,
    known_models,
    load_embedder,
    load_fuser,
    manifest,
    pull_model,
    quantize_embedder,
    search_file,
    suggest_fuser,
    verify_models,
)

pytest.importorskip("onnx")
pytest.importorskip("cv2")

NAME = "compact_128d-int8"
PEOPLE = {"Ann": 93, "Bob": 233, "Eve": 165}


@pytest.fixture(scope="module")
def card():
    return json.loads((EMBEDDER_FOLDER / bundled.CARD_NAME).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def original():
    return load_embedder("compact_128d", num_threads=1)


@pytest.fixture(scope="module")
def small():
    return load_embedder(NAME, num_threads=1)


@pytest.fixture
def copied(tmp_path, monkeypatch, home):
    """A copy of the package's embedder, which stands for it; the file of its 8-bit form."""
    folder = tmp_path / "weights" / EMBEDDER_FOLDER.name
    shutil.copytree(EMBEDDER_FOLDER, folder)
    monkeypatch.setattr(bundled, "bundled_folder", lambda: tmp_path / "weights")
    manifest._built_in.cache_clear()
    yield folder / f"{NAME}.onnx"
    manifest._built_in.cache_clear()


def drawn(person: str, numbers: range) -> np.ndarray:
    return np.stack([draw_crop(PEOPLE[person], number) for number in numbers])


def test_its_entry_tells_the_truth_about_the_file(card) -> None:
    entry, whole = known_models()[NAME], known_models()["compact_128d"]
    found = search_file(entry)
    assert (found.path, found.place) == (EMBEDDER_FOLDER / f"{NAME}.onnx", "package")
    assert entry.sha256 == sha256_of(found.path) == card["eight_bits"]["sha256"]
    assert entry.size == found.path.stat().st_size <= 0.6 * whole.size
    assert (entry.licence, entry.non_commercial) == (whole.licence, True)
    assert dict(entry.settings) == {**whole.settings, "stands_for": COMPACT}
    assert find_by_sha256(entry.sha256) is entry
    (row,) = verify_models([NAME])
    assert row.state == "ok"
    (pulled,) = pull_model(NAME, offline=True)
    assert (pulled.is_new, pulled.is_verified, pulled.source) == (False, True, "package")


def test_card_and_description_agree(card, small) -> None:
    said = json.loads((EMBEDDER_FOLDER / f"{NAME}.json").read_text(encoding="utf-8"))
    assert said["sha256"] == card["eight_bits"]["sha256"]
    assert said["stands_for"] == card["fingerprint"] == COMPACT == small.fingerprint
    assert said["own_fingerprint"] == card["eight_bits"]["fingerprint"] == small.own_fingerprint
    assert (said["licence"], said["name"]) == (card["licence"], NAME)


def test_its_embeddings_are_nearly_the_same_and_kept_apart(original, small) -> None:
    crops = np.concatenate([drawn(person, range(6)) for person in PEOPLE])
    (one, one_style), (other, other_style) = original.embed(crops), small.embed(crops)
    lengths = [np.linalg.norm(part, axis=1) for part in (one, other)]
    cosines = (one * other).sum(axis=1) / lengths[0] / lengths[1]
    assert 0.98 < cosines.min() < cosines.max() < 0.9999
    assert np.abs(lengths[1] / lengths[0] - 1).max() < 0.1
    assert one_style.shape == other_style.shape
    assert embedding_key(original) != embedding_key(small)


def test_it_goes_with_the_fusers_and_what_was_measured_of_them(original, small) -> None:
    crops = drawn("Ann", range(4))
    images = small.embed_set(crops)
    assert images.embedder == COMPACT
    assert suggest_fuser(images) == suggest_fuser(original.embed_set(crops))
    fuser = load_fuser("exact", embedder=small.fingerprint, num_threads=1)
    mixed = EmbeddingSet.concatenate([original.embed_set(crops[:2]), small.embed_set(crops[2:])])
    expected = fuser.fuse(original.embed_set(crops)).vector
    assert fuser.fuse(images).vector @ expected > 0.99
    assert fuser.fuse(mixed).vector @ expected > 0.99
    stranger = fuser.fuse(small.embed_set(drawn("Bob", range(4)))).vector
    assert stranger @ expected < 0.5
    record = find_usability(fuser, small.fingerprint)
    assert record is not None
    assert record.embedder == COMPACT


def test_a_gallery_of_the_original_takes_its_probes(tmp_path, original) -> None:
    pytest.importorskip("cryptography")
    pipeline = Pipeline(embedder=NAME, num_threads=1)
    assert pipeline.embedder.own_fingerprint.startswith(f"{NAME}@")
    with Gallery(tmp_path / "library.db", fuser="exact", embedder=COMPACT) as gallery:
        for person in PEOPLE:
            gallery.enroll(person, original.embed_set(drawn(person, range(4))))
        probe = pipeline.embedder.embed_set(drawn("Bob", range(2, 6)))
        best, second, _ = gallery.search(probe, fmr=1e-3).candidates
        assert (best.name, best.is_match, second.is_match) == ("Bob", True, False)
        assert best.similarity > 0.9 > 0.5 > second.similarity
        gallery.update("Bob", probe)
        assert gallery.person("Bob").num_images == 8


def test_a_tampered_file_is_refused(copied) -> None:
    data = bytearray(copied.read_bytes())
    data[len(data) // 2] ^= 1
    copied.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match="pip install --force-reinstall"):
        load_embedder(NAME)
    (row,) = verify_models([NAME])
    assert row.state == "wrong hash"
    assert load_embedder("compact_128d", num_threads=1).fingerprint == COMPACT


def test_a_missing_file_says_what_to_do(copied) -> None:
    copied.unlink()
    with pytest.raises(MissingFileError, match="part of the package"):
        load_embedder(NAME)


def test_a_changed_description_is_refused(copied) -> None:
    path = copied.with_suffix(".json")
    said = json.loads(path.read_text(encoding="utf-8"))
    for change in ({"mean": [0.1] * 3}, {"stands_for": "other@0123456789ab"}, {"stands_for": None}):
        path.write_text(json.dumps({**said, **change}))
        with pytest.raises(ConfigError, match="only as it was compared"):
            load_embedder(NAME)


def test_it_stands_for_the_original_without_its_description_too(copied, tmp_path) -> None:
    copied.with_suffix(".json").unlink()
    moved = tmp_path / "moved.onnx"
    shutil.copy(copied, moved)
    for model in (NAME, moved):
        assert load_embedder(model, num_threads=1).fingerprint == COMPACT
        with pytest.raises(ConfigError, match=f"only as it was compared.* the package's {NAME}"):
            load_embedder(model, settings={"channel_order": "BGR"})


def test_it_is_not_quantised_again(tmp_path) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (64, 112, 112, 3)).astype(np.uint8)
    with pytest.raises(ConfigError, match=r"stands for .* already"):
        quantize_embedder(NAME, tmp_path / "small.onnx", crops)


def test_no_entry_of_the_users_stands_for_another(home, tiny_embedder) -> None:
    said = json.loads(tiny_embedder.with_suffix(".json").read_text(encoding="utf-8"))
    said.pop("name", None)
    entry = {
        "kind": "embedder",
        "file": str(tiny_embedder),
        "sha256": sha256_of(tiny_embedder),
        "settings": {**said, "stands_for": COMPACT},
    }
    (home / "manifest.json").write_text(
        json.dumps({"format_version": 3, "models": {"mine": entry}})
    )
    with pytest.raises(ConfigError, match=r"'mine'.* expected no setting 'stands_for'"):
        load_embedder("mine")
