from __future__ import annotations

from pathlib import Path

import pytest

from probefusion.errors import (
    ConfigError,
    FileFormatError,
    IntegrityError,
    MissingFileError,
    UnknownNameError,
)
from probefusion.files import sha256_of
from probefusion.zoo import find_entry, find_file, known_models, locate, search_file
from probefusion.zoo.cache import expected_sha256, pin


def test_a_known_name_that_is_not_there_says_where_to_get_it(home):
    with pytest.raises(MissingFileError) as caught:
        find_file("mobilefacenet_128d", kind="embedder")
    message = str(caught.value)
    for part in (str(home), "foamliu", "Apache-2.0", "b7120c09", "PROBEFUSION_HOME"):
        assert part in message


def test_unknown_names_suggest_one_of_the_kind(home):
    with pytest.raises(UnknownNameError, match="did you mean 'mobilefacenet_128d'"):
        find_file("mobilefacenet", kind="embedder")
    with pytest.raises(UnknownNameError) as caught:
        find_file("nothing", kind="detector")
    assert "yunet_320" in str(caught.value)
    assert "mobilefacenet" not in str(caught.value)


def test_a_name_of_the_other_kind_is_refused(home):
    with pytest.raises(ConfigError, match="expected detector, got embedder"):
        find_file("mobilefacenet_128d", kind="detector")


def test_a_damaged_known_file_is_refused(home):
    (home / "yunet_320.onnx").write_bytes(b"damaged")
    with pytest.raises(IntegrityError, match="81dbde15"):
        locate("yunet_320", kind="detector")


def test_paths_are_paths_and_names_are_names(home, tmp_path, monkeypatch):
    path = tmp_path / "any.onnx"
    path.write_bytes(b"x")
    assert locate(path, kind="embedder") == (path, sha256_of(path))
    assert locate(str(path), kind="embedder") == (path, sha256_of(path))
    bare = tmp_path / "yunet_320"
    bare.write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert locate("yunet_320", kind="detector")[0] == Path("yunet_320")
    with pytest.raises(MissingFileError, match=r"none\.onnx"):
        locate("none.onnx", kind="embedder")
    with pytest.raises(FileFormatError, match="folder"):
        locate(tmp_path, kind="embedder")


@pytest.mark.assets
def test_shared_files_are_those_of_the_manifest(assets):
    for name in ("mobilefacenet_128d", "edgeface_xs_512d", "yunet_320"):
        entry = known_models()[name]
        path = assets / "models" / entry.file
        assert sha256_of(path) == entry.sha256
        assert path.stat().st_size == entry.size


def test_a_pack_stands_for_its_part_of_the_wanted_kind():
    assert find_entry("buffalo_l", kind="embedder").name == "insightface_w600k_r50"
    assert find_entry("buffalo_l", kind="detector").name == "insightface_scrfd_10g"
    assert find_entry("antelopev2", kind="embedder").name == "insightface_glintr100"
    assert find_entry("buffalo_l").kind == "pack"
    with pytest.raises(ConfigError, match="expected fuser, got pack"):
        find_entry("buffalo_l", kind="fuser")


@pytest.mark.parametrize("nested", ["", "antelopev2"])
def test_the_cache_of_insightface_is_searched(home, tmp_path, monkeypatch, nested):
    monkeypatch.setenv("INSIGHTFACE_HOME", str(tmp_path / "insight"))
    file = tmp_path / "insight" / "models" / "antelopev2" / nested / "glintr100.onnx"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")
    found = search_file(known_models()["insightface_glintr100"])
    assert (found.path, found.place) == (file, "insightface")
    with pytest.raises(IntegrityError, match="4ab1d643"):
        locate("antelopev2", kind="embedder")


@pytest.mark.parametrize("variable", ["HF_HUB_CACHE", "HF_HOME"])
def test_the_cache_of_hugging_face_is_searched(home, tmp_path, monkeypatch, variable):
    for name in ("HF_HUB_CACHE", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "hf"))
    hub = tmp_path / "hf" / ("hub" if variable == "HF_HOME" else "")
    file = hub / "models--opencv--face_recognition_sface" / "snapshots" / "abc"
    file.mkdir(parents=True)
    (file / "face_recognition_sface_2021dec.onnx").write_bytes(b"x")
    found = search_file(known_models()["opencv_sface"])
    assert (found.path.parent, found.place) == (file, "huggingface")


def test_a_checkpoint_is_to_be_converted_first(home):
    with pytest.raises(MissingFileError, match=r"models pull adaface_ir50_webface4m; then convert"):
        find_file("adaface_ir50_webface4m", kind="embedder")
    (home / "adaface_ir50_webface4m.ckpt").write_bytes(b"x")
    with pytest.raises(MissingFileError, match=r"Convert it with: probefusion models convert"):
        find_file("adaface_ir50_webface4m", kind="embedder")
    (home / "adaface_ir50_webface4m").mkdir()
    network = home / "adaface_ir50_webface4m" / "embedder.onnx"
    network.write_bytes(b"y")
    assert locate("adaface_ir50_webface4m", kind="embedder") == (network, sha256_of(network))


def test_an_unpublished_hash_is_recorded_at_first_and_compared_later(home):
    entry = known_models()["caface_adaface_webface4m"]
    assert expected_sha256(entry) is None
    pin(entry, "a" * 64)
    pin(entry, "a" * 64)
    assert expected_sha256(entry) == "a" * 64
    with pytest.raises(IntegrityError, match="when it was first used"):
        pin(entry, "b" * 64)


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 5}'])
def test_broken_records_of_hashes_are_refused(home, content):
    (home / "pins.json").write_text(content)
    with pytest.raises(FileFormatError, match=r"pins\.json"):
        expected_sha256(known_models()["caface_adaface_webface4m"])
