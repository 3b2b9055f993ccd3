from __future__ import annotations

import shutil

import pytest

from probefusion.errors import ConfigError, FileFormatError, MissingFileError, UnknownNameError
from probefusion.zoo import load_detector, resolve_detector


def test_unknown_names_and_missing_files(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'yunet_320'"):
        resolve_detector("yunet")
    with pytest.raises(MissingFileError, match=r"none\.onnx"):
        resolve_detector(tmp_path / "none.onnx")


def test_a_network_that_is_no_detector_is_refused(network_file):
    assert resolve_detector(network_file) == network_file
    with pytest.raises(FileFormatError, match="YuNet"):
        load_detector(network_file)


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
