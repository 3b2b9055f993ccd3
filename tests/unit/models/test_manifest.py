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
from probefusion.faces import EmbedderSpec
from probefusion.files import sha256_of
from probefusion.models import find_by_sha256, find_file, known_models, models_folder
from probefusion.models.manifest import locate


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PROBEFUSION_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def test_entries_are_complete_and_consistent():
    models = known_models()
    assert {"mobilefacenet_128d", "edgeface_xs_512d", "yunet_320"} <= set(models)
    for name, entry in models.items():
        assert entry.name == name
        assert entry.kind in ("embedder", "detector")
        assert len(entry.sha256) == 64
        assert entry.size > 0
        assert entry.licence
        assert entry.origin
        assert find_by_sha256(entry.sha256) is entry
        if entry.kind == "embedder":
            spec = EmbedderSpec(name=name, sha256=entry.sha256, **entry.settings)
            assert len(spec.style_taps) == 2


def test_fingerprints_of_known_embedders_never_change():
    fingerprints = {
        name: EmbedderSpec(name=name, sha256=entry.sha256, **entry.settings).fingerprint
        for name, entry in known_models().items()
        if entry.kind == "embedder"
    }
    assert fingerprints == {
        "mobilefacenet_128d": "mobilefacenet_128d@31721da5a011",
        "edgeface_xs_512d": "edgeface_xs_512d@fd2b99c7f01d",
    }


def test_entries_cannot_be_changed():
    with pytest.raises(TypeError):
        known_models()["mobilefacenet_128d"].settings["dim"] = 5
    with pytest.raises(TypeError):
        known_models()["other"] = None


def test_unknown_hash():
    assert find_by_sha256("0" * 64) is None


def test_folder_follows_the_environment(monkeypatch):
    monkeypatch.setenv("PROBEFUSION_HOME", "~/elsewhere")
    assert models_folder() == Path.home() / "elsewhere" / "models"
    for unset in (lambda: monkeypatch.setenv("PROBEFUSION_HOME", ""),
                  lambda: monkeypatch.delenv("PROBEFUSION_HOME")):  # fmt: skip
        unset()
        assert models_folder() == Path.home() / ".cache" / "probefusion" / "models"


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
    for entry in known_models().values():
        path = assets / "models" / entry.file
        assert sha256_of(path) == entry.sha256
        assert path.stat().st_size == entry.size
