"""The rules on numbers that were worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from research.smear.template_rules import FusedRule, MaximumRule, TrimmedRule, trimmed_mean

from probefusion.fusion import MeanFuser
from probefusion.types import EmbeddingSet


def rows(*lists):
    return np.array(lists, dtype=np.int64)


def turned(*degrees):
    """Unit vectors in the plane."""
    angles = np.deg2rad(np.array(degrees, dtype=np.float64))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_one_value_of_eight_is_cut_off_at_either_end() -> None:
    # .15 of 8 is 1.2: one at either end. Component 0 loses 1 and 90, component 1 loses 0 and 8.
    vectors = np.array([[1, 1], [2, 1], [3, 1], [4, 1], [5, 1], [6, 1], [7, 0], [90, 8]], float)
    assert trimmed_mean(vectors).tolist() == [27 / 6, 1.0]


def test_up_to_four_images_are_the_plain_mean_even_with_a_stranger() -> None:
    vectors = np.array([[1, 0], [1, 0], [1, 0], [-9, 0]], float)
    assert trimmed_mean(vectors).tolist() == [-1.5, 0.0]


def test_images_unlike_the_mean_are_left_out_from_five_on() -> None:
    # Mean of the ten first: along 0 degrees; cosine of the one at 80 degrees to it: about .1. Without it nine are
    # left, of which .15 is 1: cut at either end of each component, of equal vectors.
    vectors = np.concatenate([np.tile([[1.0, 0.0]], (9, 1)), turned(100)])
    assert trimmed_mean(vectors).tolist() == [1.0, 0.0]
    assert trimmed_mean(np.concatenate([np.tile([[1.0, 0.0]], (9, 1)), turned(60)])) == (
        pytest.approx([1.0, 0.0])  # cosine .5: kept, and cut off by the trimming
    )


def test_five_images_always_stay() -> None:
    # Three at 0 and two at 180 degrees: both of them are unlike the mean, but five is the fewest.
    vectors = turned(0, 0, 0, 180, 180)
    assert trimmed_mean(vectors) == pytest.approx([0.2, 0.0], abs=1e-12)


def test_seven_tenths_stay_those_nearest_to_the_mean() -> None:
    # Ten images, six at 0 and four at 180: mean after trimming (one at either end) (5 - 3) / 8 = .25.
    # Four are unlike it; seven must stay: the six and one of the four. Then 7 * .15 = 1 is cut at either end: 5 at 1.
    vectors = np.concatenate([turned(*[0] * 6), turned(*[180] * 4)])
    assert trimmed_mean(vectors) == pytest.approx([1.0, 0.0], abs=1e-12)


def test_trimmed_rule_takes_lengths_as_they_are_or_not() -> None:
    images = EmbeddingSet(embeddings=np.array([[4, 0], [0, 3], [1, 0], [0, 1]], np.float32))
    enrolled, probes = rows([0, 1]), rows([2], [3])
    # Mean (2, 1.5): cosines .8 and .6; of unit vectors (.5, .5): both the root of a half.
    found = TrimmedRule().similarities(images, enrolled, probes)
    assert found == pytest.approx(np.array([[0.8], [0.6]]), abs=1e-6)
    units = TrimmedRule(is_unit=True).similarities(images, enrolled, probes)
    assert units == pytest.approx(np.full((2, 1), 0.5**0.5), abs=1e-6)


def test_maximum_over_both_sides_and_its_mean_over_the_probe() -> None:
    images = EmbeddingSet(embeddings=turned(0, 60, 90, 180, 30, 210).astype(np.float32))
    enrolled = rows([0, 1], [2, 3])
    probes = rows([4, 5])
    # 30 degrees: 30 from person 0 (both samples), 60 from person 1. 210 degrees: 150 from either sample of person 0,
    # 30 from person 1.
    near, far, third = np.cos(np.deg2rad([30, 150, 60]))
    best = MaximumRule().similarities(images, enrolled, probes)
    assert best == pytest.approx(np.array([[near, near]]), abs=1e-6)
    mean = MaximumRule(over_probe="mean").similarities(images, enrolled, probes)
    assert mean == pytest.approx(np.array([[(near + far) / 2, (third + near) / 2]]), abs=1e-6)


def test_fused_rule_is_the_cosine_of_the_fusers_templates() -> None:
    images = EmbeddingSet(embeddings=turned(0, 90, 0, 45).astype(np.float32) * 7)
    found = FusedRule(name="mean", fuser=MeanFuser(num_threads=1)).similarities(
        images, rows([0, 1]), rows([2], [3])
    )
    assert found == pytest.approx(np.array([[0.5**0.5], [1.0]]), abs=1e-6)
