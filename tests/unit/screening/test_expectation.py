"""Scores: what is less alike than expected speaks for two people, and nothing else does."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.screening.expectation import Expectation, Halves
from probefusion.screening.known import CAUTIOUS, expectation_for

FLAT = Expectation(
    cosine=(0.6, *[0.0] * 9),
    log_spread=(float(np.log(0.1)), *[0.0] * 9),
    limits=((0.0, 3.0), (0.0, 3.0)),
    threshold=3.0,
    measured_on="nothing",
)


def halves(count: int) -> Halves:
    return Halves(
        part_masses=np.full(count, 2.0),
        other_masses=np.full(count, 5.0),
        part_counts=np.full(count, 2),
        other_counts=np.full(count, 5),
        part_weights=np.full(count, 0.3),
    )


def test_the_score_is_the_ratio_of_two_normal_densities() -> None:
    cosines = np.array([0.1, 0.6, 0.9, np.nan])
    scores = FLAT.scores(cosines, halves(4))
    two = -0.5 * (0.1 / 0.12) ** 2 - np.log(0.12)
    one = -0.5 * ((0.1 - 0.6) / 0.1) ** 2 - np.log(0.1)
    assert scores[0] == pytest.approx(two - one)
    assert scores[1] <= 0
    assert scores[2] <= 0
    assert scores[3] == -np.inf


def test_beyond_what_was_measured_the_expectation_stays() -> None:
    inside, outside = halves(1), halves(1)
    object.__setattr__(inside, "other_masses", np.array([np.exp(6.044)]))
    object.__setattr__(outside, "other_masses", np.array([1e9]))
    fitted = expectation_for("exact.mobilefacenet_128d-lfw112.r2@4880e740dca3")
    assert fitted is not None
    assert fitted.of(inside)[0] == pytest.approx(fitted.of(outside)[0], abs=1e-3)


def test_more_weight_lets_more_likeness_be_expected() -> None:
    fitted = expectation_for("exact.mobilefacenet_128d-lfw112.r2@4880e740dca3")
    assert fitted is not None
    light, heavy = halves(1), halves(1)
    for name in ("part_masses", "other_masses"):
        object.__setattr__(light, name, np.array([0.5]))
        object.__setattr__(heavy, name, np.array([50.0]))
    assert fitted.of(heavy)[0] > fitted.of(light)[0] + 0.2


def test_what_is_known() -> None:
    assert CAUTIOUS is expectation_for("mean@1")
    assert expectation_for("exact-unit.somebody@123") is None
