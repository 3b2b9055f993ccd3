"""Printed and scanned faces: repeatable, worse with severity, of all kinds; and what is read from them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cv2")

import cv2
from research.comparison.printing import print_and_scan


@pytest.fixture(scope="module")
def face():
    """A smooth picture with an edge."""
    rows, columns = np.mgrid[:112, :112]
    light = 120 + 60 * np.sin(rows / 20) + 50 * (columns > 60)
    return np.stack([light, light * 0.8, light * 0.6], axis=2).clip(0, 255).astype(np.uint8)


def test_it_is_repeatable_and_worse_with_severity(face) -> None:
    untouched = print_and_scan(face, 0, np.random.default_rng(0))
    assert np.array_equal(untouched, face)
    assert untouched is not face
    errors = []
    for severity in (0.1, 0.5, 1.0):
        drawn = [print_and_scan(face, severity, np.random.default_rng(n)) for n in range(12)]
        again = print_and_scan(face, severity, np.random.default_rng(3))
        assert np.array_equal(drawn[3], again)
        assert {crop.shape for crop in drawn} == {(112, 112, 3)}
        assert {crop.dtype.name for crop in drawn} == {"uint8"}
        errors.append(np.mean([np.abs(crop.astype(float) - face).mean() for crop in drawn]))
    assert errors == sorted(errors)


def test_dots_hold_the_tones_on_the_average(face) -> None:
    """A mild print, blurred until the dots are gone, is much like the picture."""
    likeness = []
    for number in range(12):
        drawn = print_and_scan(face, 0.2, np.random.default_rng(number))
        near, far = (
            cv2.GaussianBlur(image, (0, 0), 4).astype(float).ravel() for image in (drawn, face)
        )
        likeness.append(np.corrcoef(near, far)[0, 1])
    assert np.median(likeness) > 0.75


def test_a_picture_is_copied_in_black_printed_in_colours_or_in_black(face) -> None:
    drawn = [print_and_scan(face, 0.6, np.random.default_rng(n)).astype(float) for n in range(40)]
    spread = [np.ptp(crop - crop.mean(axis=(0, 1)), axis=2).mean() for crop in drawn]
    assert max(spread) > 15  # coloured dots
    assert min(spread) < 6  # none
