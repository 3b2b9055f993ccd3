from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from probefusion.embedders import EmbedderSpec
from probefusion.errors import (
    ConfigError,
    FileFormatError,
    IntegrityError,
    OutputExistsError,
    UnknownNameError,
)
from probefusion.files.hashed_json import json_hash
from probefusion.zoo import (
    KnownModel,
    find_by_sha256,
    forget_model,
    known_models,
    manifest,
    models_folder,
    remember_model,
)
from probefusion.zoo.bundled import is_bundled


def test_entries_are_complete_and_consistent():
    models = known_models()
    for name, entry in models.items():
        assert entry.name == name
        assert entry.licence
        assert entry.origin
        can_be_had = entry.urls or entry.page or entry.packs or is_bundled(entry.file)
        assert can_be_had, f"{name}: nobody can get it"
        has_hash = entry.sha256 or all(file.sha256 for file in entry.files)
        assert has_hash or entry.format == "checkpoint", f"{name}: no hash"
        for member in entry.packs:
            assert models[member.pack].kind == "pack"
        for figure in entry.accuracy:
            assert 0 < figure.value <= 1
            assert figure.source
        if entry.sha256:
            assert find_by_sha256(entry.sha256) is entry
        if entry.kind == "embedder" and entry.format == "onnx":
            spec = EmbedderSpec(**{"name": name, "sha256": entry.sha256, **entry.settings})
            assert len(spec.style_taps) in (0, 2)
        if entry.kind == "detector":
            assert entry.settings["family"] in ("yunet", "scrfd")


def test_what_people_ask_for_is_there():
    models = known_models()
    assert {
        "mobilefacenet_128d", "yunet_320", "buffalo_l", "buffalo_m", "buffalo_s", "buffalo_sc",
        "antelopev2", "adaface_ir18_webface4m", "adaface_ir50_webface4m", "adaface_ir101_webface4m",
        "cvlface_adaface_ir101_webface4m", "edgeface_xs_gamma_06", "opencv_sface",
        "caface_adaface_webface4m",
    } <= set(models)  # fmt: skip
    for name in ("buffalo_l", "buffalo_m", "buffalo_s", "buffalo_sc", "antelopev2"):
        kinds = {
            entry.kind
            for entry in models.values()
            if any(member.pack == name for member in entry.packs)
        }
        assert kinds == {"embedder", "detector"}


def test_fingerprints_of_known_embedders_never_change():
    fingerprints = {
        name: EmbedderSpec(
            name=name, sha256=known_models()[name].sha256, **known_models()[name].settings
        ).fingerprint
        for name in ("mobilefacenet_128d", "edgeface_xs_512d")
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
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for unset in (lambda: monkeypatch.setenv("PROBEFUSION_HOME", ""),
                  lambda: monkeypatch.delenv("PROBEFUSION_HOME")):  # fmt: skip
        unset()
        assert models_folder() == Path.home() / ".cache" / "probefusion" / "models"


@pytest.mark.skipif(sys.platform != "linux", reason="folders of Linux")
def test_models_of_older_releases_stay_where_they_are(monkeypatch, tmp_path):
    monkeypatch.delenv("PROBEFUSION_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert models_folder() == tmp_path / "caches" / "probefusion" / "models"
    usual = tmp_path / ".cache" / "probefusion" / "models"
    usual.mkdir(parents=True)
    assert models_folder() == usual


def test_what_is_remembered_has_a_hash_and_no_key_files(home):
    """Of format 4; manifests of the formats 2 and 3, which have no hash, are read."""
    path = remember_model(own_entry())
    content = json.loads(path.read_text())
    assert set(content) == {"format_version", "models", "content_sha256"}
    assert content["format_version"] == 4
    assert set(content["models"]["mine"]) == {
        "kind", "file", "format", "sha256", "size", "licence", "non_commercial", "origin", "urls",
        "page", "huggingface", "packs", "accuracy", "settings",
    }  # fmt: skip
    del content["content_sha256"]
    for version in (2, 3, 4):
        path.write_text(json.dumps(content | {"format_version": version}))
        assert known_models()["mine"] == own_entry()


def test_a_changed_manifest_is_refused_until_its_hash_is_taken_out(home):
    path = remember_model(own_entry())
    path.write_text(path.read_text().replace("0.5", "0.4", 1))
    with pytest.raises(IntegrityError, match=r"manifest\.json: .*take the key content_sha256 out"):
        known_models()
    content = json.loads(path.read_text())
    del content["content_sha256"]
    path.write_text(json.dumps(content))
    assert known_models()["mine"].settings["mean"] == [0.4, 0.5, 0.5]
    remember_model(own_entry(name="another"))
    assert "content_sha256" in json.loads(path.read_text())


def test_the_manifest_of_the_package_has_its_hash():
    """After a change: python -c "from probefusion.files import renew_hash; renew_hash(FILE)"."""
    path = Path(manifest.__file__).with_name("manifest.json")
    content = json.loads(path.read_text())
    assert content["content_sha256"] == json_hash(content)


def own_entry(**settings):
    values = {
        "name": "mine",
        "kind": "embedder",
        "file": "/models/mine.onnx",
        "sha256": "1" * 64,
        "settings": {"channel_order": "RGB", "mean": [0.5] * 3, "std": [0.5] * 3},
    }
    return KnownModel(**values | settings)


def test_entries_of_the_user_are_remembered_found_and_forgotten(home):
    path = remember_model(own_entry())
    assert path == home / "manifest.json"
    assert known_models()["mine"] == own_entry()
    assert find_by_sha256("1" * 64).name == "mine"
    with pytest.raises(OutputExistsError, match="--force"):
        remember_model(own_entry())
    remember_model(own_entry(licence="mine"), force=True)
    assert known_models()["mine"].licence == "mine"
    forget_model("mine")
    assert "mine" not in known_models()
    with pytest.raises(UnknownNameError):
        forget_model("mine")


def test_names_of_the_package_are_kept(home):
    with pytest.raises(ConfigError, match="belongs to a model of the package"):
        remember_model(own_entry(name="yunet_320"))
    (home / "manifest.json").write_text(
        json.dumps(
            {
                "format_version": 2,
                "models": {"yunet_320": {"kind": "detector", "file": "a", "settings": {}}},
            }
        )
    )
    with pytest.raises(FileFormatError, match="Rename the entry"):
        known_models()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "could not read"),
        ("[]", "format_version"),
        ('{"format_version": 9, "models": {}}', "Upgrade"),
        ('{"format_version": 2, "models": {"a": 5}}', "expected an object"),
        ('{"format_version": 2, "models": {"a": {"kinds": 5}}}', "did you mean 'kind'"),
        ('{"format_version": 2, "models": {"a": {"kind": "x", "file": "f"}}}', "kind of a"),
        ('{"format_version": 2, "models": {"a": {"kind": "pack"}}}', "file"),
        ('{"format_version": 2, "models": {"a": {"kind": "pack", "file": "../f"}}}', "folders"),
        (
            '{"format_version": 2, "models": {"a": {"kind": "pack", "file": "f", "sha256": "A"}}}',
            "64 lower-case",
        ),
        (
            '{"format_version": 2, "models": {"a": {"kind": "pack", "file": "f", "urls": ["x"]}}}',
            "urls of a",
        ),
        (
            '{"format_version": 2, "models": {"a": {"kind": "pack", "file": "f", "size": 0}}}',
            "size",
        ),
        ('{"format_version": 2, "models": {"a b": {"kind": "pack", "file": "f"}}}', "name"),
    ],
)
def test_broken_manifests_of_the_user_are_refused(home, content, words):
    (home / "manifest.json").write_text(content)
    with pytest.raises(FileFormatError, match=words):
        known_models()
