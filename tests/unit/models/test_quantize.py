"""The 8-bit form of the bundled embedder, on crops made here."""

from __future__ import annotations

import json

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")
pytest.importorskip("onnx")

from probefusion.errors import (  # noqa: E402
    ConfigError,
    FileFormatError,
    IntegrityError,
    OutputExistsError,
)
from probefusion.faces.quality import embedding_key  # noqa: E402
from probefusion.fusion import load_fuser  # noqa: E402
from probefusion.models import load_embedder, quantize, quantize_embedder  # noqa: E402
from probefusion.types import EmbeddingSet  # noqa: E402


def make_crops(count: int) -> np.ndarray:
    """Smooth random pictures with some noise: every map of the network gets a range."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
    smooth = [cv2.resize(crop, (112, 112), interpolation=cv2.INTER_CUBIC) for crop in coarse]
    noise = rng.normal(0, 8, (count, 112, 112, 3))
    return np.clip(np.stack(smooth) + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The 8-bit file and what was found of it."""
    path = tmp_path_factory.mktemp("quantized") / "small.onnx"
    return path, quantize_embedder("compact_128d", path, make_crops(96), num_threads=1)


def test_the_small_form_is_small_and_gives_nearly_the_same(small) -> None:
    path, found = small
    assert found.num_bytes == path.stat().st_size < 0.75 * found.num_bytes_before
    assert (found.num_calibrated, found.num_compared) == (48, 48)
    crops = make_crops(40)[32:]
    (one, one_style), (other, other_style) = (
        load_embedder(model, num_threads=1).embed(crops) for model in ("compact_128d", path)
    )
    cosines = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert 0.98 < cosines.min() < 0.99999
    assert found.median_cosine > 0.98
    assert one_style.shape == other_style.shape
    assert np.abs(one_style - other_style).mean() < 0.1 * np.abs(one_style).mean()


def test_both_forms_mix_and_go_with_the_same_fuser(small) -> None:
    path, found = small
    crops = make_crops(8)
    original, eight_bits = load_embedder("compact_128d"), load_embedder(path)
    assert found.embedder == original.fingerprint == eight_bits.fingerprint
    halves = [original.embed_set(crops[:4]), eight_bits.embed_set(crops[4:])]
    fuser = load_fuser("exact", embedder=eight_bits.fingerprint)
    mixed = fuser.fuse(EmbeddingSet.concatenate(halves)).vector
    assert mixed @ fuser.fuse(original.embed_set(crops)).vector > 0.98


def test_what_is_kept_of_one_form_is_not_taken_for_the_other(small) -> None:
    keys = {embedding_key(load_embedder(model)) for model in ("compact_128d", small[0])}
    assert len(keys) == 2


def test_another_file_under_the_description_is_refused(small, tmp_path) -> None:
    path, _ = small
    target = tmp_path / "small.onnx"
    target.write_bytes(path.read_bytes() + b" ")
    target.with_suffix(".json").write_bytes(path.with_suffix(".json").read_bytes())
    with pytest.raises(IntegrityError, match="SHA-256"):
        load_embedder(target)


def test_what_cannot_be_done_is_refused_before_anything_is_written(small, tmp_path) -> None:
    crops = make_crops(64)
    for model, name, given, error, words in (
        ("compact_128d", "few.onnx", crops[:63], ConfigError, "at least 64 images .* got 63"),
        ("compact_128d", "name.bin", crops, ConfigError, "ends in .onnx"),
        (
            small[0],
            "again.onnx",
            crops,
            ConfigError,
            "stands for compact_128d@.* Give the original",
        ),
    ):
        with pytest.raises(error, match=words):
            quantize_embedder(model, tmp_path / name, given)
    assert not list(tmp_path.iterdir())


def test_files_that_exist_stay(tmp_path) -> None:
    for name in ("old.onnx", "old.json"):
        (tmp_path / name).write_text("precious")
        with pytest.raises(OutputExistsError, match=name):
            quantize_embedder("compact_128d", tmp_path / "old.onnx", make_crops(64))
        assert (tmp_path / name).read_text() == "precious"
        (tmp_path / name).unlink()


def test_other_embeddings_are_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(quantize, "MIN_MEDIAN_COSINE", 0.9999)
    with pytest.raises(IntegrityError, match=r"median cosine 0\.9.* nothing was written"):
        quantize_embedder("compact_128d", tmp_path / "small.onnx", make_crops(64))
    assert not list(tmp_path.iterdir())


def test_a_failure_of_the_quantiser_says_what_to_do(tmp_path, monkeypatch) -> None:
    import onnxruntime.quantization

    def fail(*args: object, **settings: object) -> None:
        raise AssertionError("no such operator")

    monkeypatch.setattr(onnxruntime.quantization, "quantize_static", fail)
    with pytest.raises(FileFormatError, match=r"cannot quantise it .no such operator.* original"):
        quantize_embedder("compact_128d", tmp_path / "small.onnx", make_crops(64))
    assert not list(tmp_path.iterdir())


def test_the_description_is_complete(small) -> None:
    card = json.loads(small[0].with_suffix(".json").read_text())
    assert card["name"] == "compact_128d-int8"
    assert card["style_taps"] == ["fine", "middle"]
    assert card["stands_for"] == small[1].embedder
    assert card["licence"].startswith("research use only")
