"""Templates by the InsightFace helper's rule, and CAFace's chunks."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.errors import (
    ConfigError,
    DtypeError,
    EmptySetError,
    InvalidInputError,
    NonFiniteError,
    ShapeError,
    ZeroLengthError,
)
from probefusion.protocols import media
from probefusion.protocols.media import (
    CAFACE_CHUNK_SIZES,
    caface_chunk_offsets,
    media_mean_then_sum,
    media_mean_then_sum_ragged,
)
from probefusion.protocols.templates import TemplateIndex


def reference(
    images: np.ndarray,
    media_ids: np.ndarray,
    flipped: np.ndarray | None = None,
    keep_norms: bool = True,
    scores: np.ndarray | None = None,
) -> np.ndarray:
    """The rule for one template, written out image by image in float64."""
    total = np.zeros(images.shape[1])
    for medium in set(media_ids.tolist()):
        members = []
        for row in np.flatnonzero(media_ids == medium):
            image = images[row].astype(np.float64)
            if flipped is not None:
                image = image + flipped[row]
            if not keep_norms:
                image = image / np.linalg.norm(image)
            if scores is not None:
                image = image * scores[row]
            members.append(image)
        total += sum(members) / len(members)
    return total / np.linalg.norm(total)


@pytest.mark.parametrize("block", [1, 5, 16384])
@pytest.mark.parametrize("with_flip", [False, True])
@pytest.mark.parametrize("keep_norms", [False, True])
@pytest.mark.parametrize("with_scores", [False, True])
def test_ragged_agrees_with_the_rule_written_out(
    monkeypatch: pytest.MonkeyPatch,
    block: int,
    with_flip: bool,
    keep_norms: bool,
    with_scores: bool,
) -> None:
    rng = np.random.default_rng(11)
    images = (rng.standard_normal((60, 8)) * rng.uniform(1, 40, (60, 1))).astype(np.float32)
    flipped = images + rng.standard_normal((60, 8)).astype(np.float32) if with_flip else None
    scores = rng.uniform(0.1, 1, 60).astype(np.float32) if with_scores else None
    template_ids = rng.integers(0, 9, 60)
    # Media ids repeat between templates and are not in runs inside one.
    media_ids = rng.integers(0, 4, 60)
    index = TemplateIndex.from_columns(template_ids, media_ids)
    monkeypatch.setattr(media, "_BLOCK_ROWS", block)
    templates = media_mean_then_sum_ragged(
        images, index, flipped=flipped, keep_norms=keep_norms, detector_scores=scores
    )
    assert templates.dtype == np.float32
    for position, template in enumerate(index.template_ids):
        rows = np.flatnonzero(template_ids == template)
        expected = reference(
            images[rows],
            media_ids[rows],
            None if flipped is None else flipped[rows],
            keep_norms,
            None if scores is None else scores[rows],
        )
        np.testing.assert_allclose(templates[position], expected, atol=2e-7)


def test_one_template_agrees_with_the_ragged_form_and_takes_text_media() -> None:
    rng = np.random.default_rng(1)
    images = rng.standard_normal((6, 4)).astype(np.float32)
    ids = np.array([9, 2, 9, 2, 2, 5])
    single = media_mean_then_sum(images, ids)
    np.testing.assert_allclose(single, reference(images, ids), atol=2e-7)
    assert np.array_equal(single, media_mean_then_sum(images, ids.astype(str)))
    order = rng.permutation(6)
    np.testing.assert_allclose(single, media_mean_then_sum(images[order], ids[order]), atol=2e-7)


def test_media_means_are_neither_renormalised_nor_averaged_per_image() -> None:
    images = np.array([[4.0, 0.0], [0.0, 4.0], [0.0, 2.0]])
    # Means (2, 2) of medium 0 and (0, 2) of medium 1 sum to (2, 4).
    np.testing.assert_allclose(
        media_mean_then_sum(images, [0, 0, 1]), np.array([2, 4]) / np.sqrt(20), atol=1e-7
    )


def test_a_long_video_weighs_as_much_as_a_still() -> None:
    images = np.concatenate([np.tile([1.0, 0.0], (200, 1)), [[0.0, 1.0]]])
    template = media_mean_then_sum(images, [7] * 200 + [8])
    np.testing.assert_allclose(template, [0.5**0.5, 0.5**0.5], atol=1e-6)


def test_a_row_may_serve_several_templates() -> None:
    images = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    index = TemplateIndex(
        template_ids=np.arange(3),
        offsets=np.array([0, 1, 3, 4]),
        rows=np.array([0, 0, 1, 0]),
        media_ids=np.array([0, 0, 1, 0]),
    )
    templates = media_mean_then_sum_ragged(images, index)
    np.testing.assert_allclose(templates, [[1, 0], [0.5**0.5, 0.5**0.5], [1, 0]], atol=1e-7)


def test_empty_templates_are_refused_or_zero_as_published() -> None:
    index = TemplateIndex(
        template_ids=np.array([3, 4, 8]),
        offsets=np.array([0, 0, 1, 1]),
        rows=np.array([0]),
        media_ids=np.array([0]),
    )
    with pytest.raises(EmptySetError, match=r"template 3 has no images \(2 such"):
        media_mean_then_sum_ragged([[0.0, 2.0]], index)
    templates = media_mean_then_sum_ragged([[0.0, 2.0]], index, empty="zero")
    assert templates.tolist() == [[0, 0], [0, 1], [0, 0]]
    with pytest.raises(ConfigError, match="empty"):
        media_mean_then_sum_ragged([[0.0, 2.0]], index, empty="skip")  # type: ignore[arg-type]


def test_unusable_input_is_refused() -> None:
    good = np.ones((2, 3))
    index = TemplateIndex.from_columns([0, 0], [0, 1])
    with pytest.raises(ShapeError, match="at least 2"):
        media_mean_then_sum_ragged(good[:1], index)
    for media_ids in ([0], [0, 1, 2], [[0, 1]]):
        with pytest.raises(ShapeError, match="media_ids: expected shape"):
            media_mean_then_sum(good, media_ids)
    with pytest.raises(DtypeError, match="media_ids"):
        media_mean_then_sum(good, [0.0, 1.0])
    with pytest.raises(EmptySetError):
        media_mean_then_sum(np.ones((0, 3)), [])
    with pytest.raises(NonFiniteError, match="embeddings 1"):
        media_mean_then_sum([[1.0, 2.0], [np.nan, 1.0]], [0, 1])
    with pytest.raises(ZeroLengthError, match="embeddings 1"):
        media_mean_then_sum([[1.0, 2.0], [0.0, 0.0]], [0, 1])
    with pytest.raises(ZeroLengthError, match="template 0"):
        media_mean_then_sum([[1.0, 2.0], [-1.0, -2.0]], [0, 1])
    with pytest.raises(ZeroLengthError, match="image 0"):
        media_mean_then_sum(good, [0, 1], flipped=-good, keep_norms=False)
    with pytest.raises(ShapeError, match="flipped"):
        media_mean_then_sum(good, [0, 1], flipped=good[:, :2])
    with pytest.raises(ShapeError, match="detector_scores"):
        media_mean_then_sum(good, [0, 1], detector_scores=[1.0])
    with pytest.raises(InvalidInputError, match="detector_scores 1"):
        media_mean_then_sum(good, [0, 1], detector_scores=[1.0, -0.5])
    with pytest.raises(NonFiniteError, match="detector_scores 0"):
        media_mean_then_sum(good, [0, 1], detector_scores=[np.inf, 1.0])


@pytest.mark.parametrize("num_images", [1, 3, 4, 5, 9, 10, 257])
@pytest.mark.parametrize("size", CAFACE_CHUNK_SIZES)
def test_chunks_are_numpys_array_split(num_images: int, size: int | None) -> None:
    offsets = caface_chunk_offsets(num_images, size)
    parts = -(-num_images // size) if size else 1
    expected = [len(part) for part in np.array_split(np.arange(num_images), parts)]
    assert np.diff(offsets).tolist() == expected
    assert offsets[0] == 0
    assert size is None or max(expected) <= size


def test_official_chunk_sizes_and_their_limits() -> None:
    assert CAFACE_CHUNK_SIZES == (4, 8, 32, 64, 128, 256, None)
    with pytest.raises(EmptySetError):
        caface_chunk_offsets(0, 4)
    with pytest.raises(InvalidInputError, match="max_images"):
        caface_chunk_offsets(4, 0)
