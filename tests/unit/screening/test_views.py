"""How images are looked at: by the fuser, their crops, the lengths of their embeddings, or all alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bundled_models import COMPACT
from planted_people import planted

from probefusion.fusion import MeanFuser, NormWeightedFuser
from probefusion.fusion.universal import UniversalFuser
from probefusion.screening import screen
from probefusion.screening.known import expectation_for
from probefusion.screening.known_images import (
    CAUTIOUS,
    NORMS,
    expectation_of_images,
    network_of,
)
from probefusion.screening.views import EXPONENT, NormsView, view_of
from probefusion.types import EmbeddingSet
from probefusion.zoo import load_fuser

MEAN = MeanFuser(num_threads=1)
WEIGHTS = Path(__file__).parents[3] / "weights"
NETWORK = network_of(COMPACT)
USUAL = NORMS[NETWORK]


def scaled(images: EmbeddingSet, lengths, embedder: str = COMPACT) -> EmbeddingSet:
    rows = images.embeddings / np.linalg.norm(images.embeddings, axis=1, keepdims=True)
    rows = rows * np.asarray(lengths, dtype=np.float32)[:, None]
    return replace(images, embeddings=rows, embedder=embedder, norms_known=True)


def test_a_trained_and_measured_fuser_looks_itself() -> None:
    fuser = load_fuser("exact-fast", embedder=COMPACT)
    assert view_of(planted(8, embedder=COMPACT), fuser).fuser is fuser
    assert view_of(planted(8, embedder=COMPACT), fuser).is_calibrated


@pytest.mark.parametrize("fuser", [MEAN, NormWeightedFuser(num_threads=1)], ids=lambda f: f.name)
def test_crops_say_most_to_the_others(fuser) -> None:
    view = view_of(planted(8, quality=np.zeros(8, np.float32), embedder=COMPACT), fuser)
    assert isinstance(view.fuser, UniversalFuser)
    assert view.is_calibrated
    assert view.expected is expectation_of_images("universal@1", NETWORK)
    unknown = view_of(planted(8, quality=np.zeros(8, np.float32)), fuser)
    assert not unknown.is_calibrated
    assert unknown.expected is expectation_of_images("universal@1")


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("edgeface_xs_512d@fd2b99c7f01d", "edgeface_xs"),
        ("EdgeFace_XS_gamma_06@1", "edgeface_xs"),
        ("edgeface_xxs@1", None),
        ("opencv_sface_int8bq@732598e63104", "opencv_sface"),
        ("mobilefacenet_128d_v2@1", None),
        (None, None),
    ],
)
def test_networks_are_known_by_their_names(name: str | None, network: str | None) -> None:
    assert network_of(name) == network


def test_images_of_a_measured_network_are_judged_by_its_own_expectation() -> None:
    """Its embeddings of one person are more alike than those of others, so more strangers are found."""
    images = planted(8, embedder="edgeface_xs_512d@1")
    view = view_of(images, MEAN)
    assert view.is_calibrated
    assert view.expected is expectation_of_images("mean@1", "edgeface_xs")
    assert view_of(replace(images, embedder="edgeface_xxs@1"), MEAN).expected is CAUTIOUS
    crops = replace(images, quality=np.ones(8, np.float32))
    assert view_of(crops, MEAN).expected is expectation_of_images("universal@1", "edgeface_xs")


def test_unknown_networks_are_judged_with_the_most_caution() -> None:
    anyone = expectation_of_images("universal@1")
    assert anyone is not None
    for network in ("mobilefacenet_128d", NETWORK, "compact_128d.r3", "edgeface_xs"):
        own = expectation_of_images("universal@1", network)
        assert own is not None
        assert own.threshold < anyone.threshold


def test_lengths_say_something_where_that_was_measured() -> None:
    images = scaled(planted(4), np.array([1, 1, 2, 0.65]) * USUAL)
    view = view_of(images, MEAN)
    assert isinstance(view, NormsView)
    assert view.is_calibrated
    assert view.expected is expectation_of_images(f"norms of {NETWORK}")
    directions, weights = view.look(images)
    assert np.linalg.norm(directions, axis=1) == pytest.approx(np.ones(4), abs=1e-6)
    assert weights == pytest.approx([1, 1, 2**EXPONENT, 0.65**EXPONENT], rel=1e-5)


@pytest.mark.parametrize("embedder", ["arcface@abc", "compact_128d_v2@abc", None])
def test_lengths_of_other_networks_say_nothing(embedder) -> None:
    view = view_of(scaled(planted(4), np.ones(4) * 3, embedder), MEAN)
    assert view.expected is CAUTIOUS
    assert (view.look(planted(4))[1] == 1).all()


def test_lost_lengths_say_nothing() -> None:
    images = replace(scaled(planted(4), np.ones(4)), norms_known=False)
    assert view_of(images, MEAN).expected is CAUTIOUS


@pytest.mark.parametrize("length", [0.39, 2.08, 39.0])
def test_lengths_that_the_network_does_not_give_say_nothing(length: float) -> None:
    assert view_of(scaled(planted(4), np.full(4, length * USUAL)), MEAN).expected is CAUTIOUS
    assert isinstance(view_of(scaled(planted(4), np.full(4, 0.65 * USUAL)), MEAN), NormsView)


def test_what_was_measured_is_whole() -> None:
    for name in (*(f"norms of {embedder}" for embedder in NORMS), "universal@1"):
        expected = expectation_of_images(name)
        assert expected is not None
        assert len(expected.cosine) == len(expected.log_spread) == 10
        assert 0 < expected.threshold < 10
    assert expectation_of_images("exact-unit.somebody@123") is None


@pytest.mark.parametrize(
    "folder",
    [
        "exact.mobilefacenet_128d-lfw112.r3",
        "exact-fast.mobilefacenet_128d-lfw112.r3",
        "exact.opencv_sface_int8bq-lfw112.r1",
        "exact-fast.opencv_sface_int8bq-lfw112.r1",
    ],
)
def test_the_fusers_of_the_repository_look_themselves(folder: str) -> None:
    """A fuser that was trained anew has another fingerprint, and must be measured anew."""
    fuser = load_fuser(str(WEIGHTS / folder))
    assert expectation_of_images(fuser.fingerprint) is not None
    assert (
        expectation_for(fuser.fingerprint) is not None
    )  # of its templates, for the guard of galleries


def test_poor_images_by_their_lengths_are_no_strangers() -> None:
    images = planted(11, 5, noise=0.5)
    short, long = np.where(np.arange(16) < 11, 0.9, 0.4), np.full(16, 0.9)
    assert not screen(scaled(images, short), MEAN).falls_apart
    told = screen(scaled(images, long), MEAN)
    assert told.falls_apart
    assert told.parts[1].rows == tuple(range(11, 16))
    assert told.parts[1].weight == pytest.approx(5 / 16, abs=1e-6)  # the mean's own
