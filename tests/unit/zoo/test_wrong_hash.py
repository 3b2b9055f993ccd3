"""A model whose bytes are others than the known ones: what to do about it."""

from __future__ import annotations

from pathlib import Path

from probefusion.zoo.cache import _wrong_hash
from probefusion.zoo.manifest import known_models


def test_a_file_of_ones_own_is_given_by_its_path() -> None:
    entry = known_models()["yunet_2023mar"]
    text = str(_wrong_hash(entry, Path("x.onnx"), "a" * 64, "b" * 64))
    assert "fetch it again: probefusion models pull yunet_2023mar" in text
    assert text.endswith("or give the path of the file that you mean")
