from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probefusion.errors import FileFormatError, IntegrityError, InvalidInputError
from probefusion.fusion import MeanFuser, NormWeightedFuser
from probefusion.gallery.contributions.features import (
    as_kept,
    from_bytes,
    pack_rows,
    to_bytes,
    unpack_rows,
)
from probefusion.types import EmbeddingSet, FusionState


def made_set(seed=0, count=5, dim=128, channels=6, scale=20.0, **fields):
    rng = np.random.default_rng(seed)
    style = rng.standard_normal((count, channels, 2)) if channels else None
    return EmbeddingSet(embeddings=scale * rng.standard_normal((count, dim)), style=style, **fields)


def test_images_come_back_within_half_precision():
    images = made_set(
        quality=np.linspace(-3, 1, 5), detector_scores=np.linspace(0.1, 0.9, 5), embedder="e@1"
    )
    read = from_bytes(to_bytes(images))
    assert isinstance(read, EmbeddingSet)
    largest = np.abs(images.embeddings).max(axis=1, keepdims=True)
    assert (np.abs(read.embeddings - images.embeddings) <= largest * 2.0**-11).all()
    np.testing.assert_allclose(read.norms, images.norms, rtol=2e-4)
    units = [s.embeddings / s.norms[:, None] for s in (read, images)]
    assert ((units[0] * units[1]).sum(axis=1) > 1 - 1e-6).all()
    np.testing.assert_allclose(read.style, images.style, atol=2e-3)
    np.testing.assert_array_equal(read.quality, images.quality)
    np.testing.assert_array_equal(read.detector_scores, images.detector_scores)
    assert (read.embedder, read.norms_known) == ("e@1", True)


def test_an_image_of_192_style_channels_takes_about_a_kilobyte():
    images = made_set(count=100, channels=192)
    assert len(to_bytes(images)) / 100 == pytest.approx(1028, abs=8)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 7),
    dim=st.sampled_from([1, 2, 3, 64]),
    power=st.integers(-15, 15),
    channels=st.integers(0, 3),
)
def test_the_second_round_trip_changes_no_bit(seed, count, dim, power, channels):
    images = made_set(seed, count, dim, channels, scale=1.0)
    images = replace(
        images, embeddings=images.embeddings / images.norms[:, None] * 2.0**power, norms_known=None
    )
    once = to_bytes(images)
    assert to_bytes(from_bytes(once)) == once


def test_numbers_that_round_up_to_a_power_of_two_change_no_bit_later():
    rows = np.array([[0.99999, 3e-8, -0.5], [1 - 2.0**-12, 2.0**-25, 0.0]], dtype=np.float32)
    exponents, halves = pack_rows(rows)
    read = unpack_rows(exponents, halves)
    again = pack_rows(read)
    np.testing.assert_array_equal(again[0], exponents)
    np.testing.assert_array_equal(again[1], halves)


def test_lengths_that_are_unknown_stay_unknown():
    images = made_set(scale=1.0, channels=0)
    unit = EmbeddingSet(embeddings=images.embeddings / images.norms[:, None])
    assert unit.norms_known is False
    assert as_kept(unit).norms_known is False


def test_style_that_half_precision_cannot_hold_is_kept_all_the_same():
    images = replace(made_set(), style=np.full((5, 6, 2), 1e6))
    np.testing.assert_allclose(as_kept(images).style, 1e6, rtol=1e-3)


def test_numbers_that_cannot_be_kept_are_refused():
    images = replace(made_set(), style=np.full((5, 6, 2), 3.4e38))
    with pytest.raises(InvalidInputError, match="image 0"):
        to_bytes(images)


@pytest.mark.parametrize("fuser", [MeanFuser(), NormWeightedFuser()])
def test_states_come_back_within_single_precision_and_then_bit_for_bit(fuser):
    state = fuser.encode(made_set(channels=0, embedder="e@1"))
    once = to_bytes(state)
    read = from_bytes(once)
    assert isinstance(read, FusionState)
    np.testing.assert_allclose(read.sums, state.sums, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(read.mass, state.mass)
    assert (read.num_images, read.fuser, read.embedder) == (5, fuser.fingerprint, "e@1")
    assert to_bytes(read) == once


def test_a_state_of_no_image_is_refused():
    state = MeanFuser().encode(made_set(channels=0))
    with pytest.raises(InvalidInputError, match="at least 1 image"):
        to_bytes(state - state)


def test_every_flipped_bit_is_noticed():
    data = to_bytes(made_set(count=1, dim=8, channels=1))
    rng = np.random.default_rng(0)
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(rng.integers(8))
        with pytest.raises((FileFormatError, IntegrityError), match=r"^visit 3:"):
            from_bytes(bytes(flipped), origin="visit 3")


def test_every_truncation_is_noticed():
    data = to_bytes(made_set(count=1, dim=8, channels=1))
    for length in range(len(data)):
        with pytest.raises((FileFormatError, IntegrityError)):
            from_bytes(data[:length])


def test_a_newer_format_is_refused_with_what_to_do():
    data = bytearray(to_bytes(made_set()))
    data[4] = 9
    with pytest.raises(FileFormatError, match=r"version 9 is newer .* Upgrade"):
        from_bytes(bytes(data))
