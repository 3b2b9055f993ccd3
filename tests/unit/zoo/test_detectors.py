from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
from scrfd_graphs import empty_maps, write_maps, write_seeing

from probefusion.errors import (
    ConfigError,
    FileFormatError,
    MissingFileError,
    UnknownNameError,
    UnsupportedOperationError,
)
from probefusion.faces import ScrfdDetector, YuNetDetector
from probefusion.zoo import known_models, load_detector, models_folder, resolve_detector


def test_unknown_names_and_missing_files(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'yunet_320'"):
        resolve_detector("yunet")
    with pytest.raises(MissingFileError, match=r"none\.onnx"):
        resolve_detector(tmp_path / "none.onnx")


def test_a_network_that_is_no_detector_is_refused(network_file):
    assert resolve_detector(network_file) == network_file
    with pytest.raises(FileFormatError, match=r"expected a YuNet .*SCRFD .*landmarks.*got"):
        load_detector(network_file)


def test_a_file_that_is_no_network_is_refused(tmp_path):
    (tmp_path / "d.onnx").write_bytes(b"no model")
    with pytest.raises(FileFormatError, match=r"d\.onnx.*expected a YuNet .* or an SCRFD"):
        load_detector(tmp_path / "d.onnx")


def test_an_scrfd_file_of_any_name_is_told_by_its_outputs(tmp_path):
    pytest.importorskip("onnx")
    path = write_seeing(tmp_path / "yunet.onnx")
    detector = load_detector(path)
    assert isinstance(detector, ScrfdDetector)
    assert re.search(r"/0\.5/640/turns/stance@[0-9a-f]{12}$", detector.fingerprint)
    plain = load_detector(path, knows_stance=False)
    assert plain.fingerprint == detector.fingerprint.partition("/stance@")[0] + "/stance@none"
    other = load_detector(path, score_threshold=0.7, max_side=1280)
    assert "/0.7/1280/turns/" in other.fingerprint
    assert other.detect(np.zeros((50, 60, 3), np.uint8)) is not None


def test_an_scrfd_file_without_landmarks_is_refused_as_such(tmp_path):
    pytest.importorskip("onnx")
    maps = {key: values for key, values in empty_maps(64, 64).items() if key[1] != 10}
    path = write_maps(tmp_path / "d.onnx", maps, height=64, width=64)
    with pytest.raises(UnsupportedOperationError, match="without landmarks"):
        load_detector(path)


@pytest.mark.parametrize("name", ["buffalo_l", "insightface_scrfd_10g"])
def test_the_detectors_of_the_packs_are_opened_by_name(tmp_path, monkeypatch, name):
    """A made-up network stands for the published one."""
    pytest.importorskip("onnx")
    monkeypatch.setenv("PROBEFUSION_HOME", str(tmp_path))
    entry = known_models()["insightface_scrfd_10g"]
    models_folder().mkdir()
    write_seeing(models_folder() / entry.file)
    monkeypatch.setattr("probefusion.zoo.cache.sha256_of", lambda _: entry.sha256)
    assert isinstance(load_detector(name), ScrfdDetector)


def test_every_known_detector_is_of_a_family_that_is_run_and_has_a_licence():
    detectors = [entry for entry in known_models().values() if entry.kind == "detector"]
    assert {entry.settings["family"] for entry in detectors} == {"yunet", "scrfd"}
    assert len([entry for entry in detectors if entry.settings["family"] == "scrfd"]) == 3
    for entry in detectors:
        assert entry.licence != "unknown"
        assert entry.non_commercial == (entry.settings["family"] == "scrfd")


@pytest.mark.assets
def test_a_yunet_file_of_any_content_is_told_by_its_outputs(assets, tmp_path, monkeypatch):
    path = tmp_path / "scrfd.onnx"
    shutil.copy(assets / "models" / "yunet_320.onnx", path)
    monkeypatch.setattr("probefusion.zoo.detectors.find_by_sha256", lambda _: None)
    detector = load_detector(path)
    assert isinstance(detector, YuNetDetector)
    assert re.search(r"/0\.6/1280/stance@[0-9a-f]{12}$", detector.fingerprint)
    assert load_detector(path, knows_stance=False).fingerprint.endswith("/0.6/1280/stance@none")


@pytest.mark.assets
def test_an_embedder_is_no_detector(assets):
    with pytest.raises(ConfigError, match="got the embedder 'mobilefacenet_128d'"):
        load_detector(assets / "models" / "mobilefacenet_128d.onnx")


@pytest.mark.assets
def test_known_names_are_found_in_the_models_folder(assets, tmp_path, monkeypatch):
    monkeypatch.setenv("PROBEFUSION_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    shutil.copy(assets / "models" / "yunet_320.onnx", tmp_path / "models")
    assert resolve_detector("yunet_320") == tmp_path / "models" / "yunet_320.onnx"
    assert load_detector("yunet_320", score_threshold=0.9).detect is not None
