"""Sets with planted strangers: found, named, and weighed as they were planted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bundled_models import COMPACT
from planted_people import planted

from probefusion import Screening
from probefusion import screen as screen_anything
from probefusion.errors import MissingQualityError
from probefusion.fusion import MeanFuser, NormWeightedFuser
from probefusion.fusion.universal import UniversalFuser
from probefusion.screening import outliers, screen
from probefusion.types import EmbeddingSet

FUSER = MeanFuser(num_threads=1)
BY_QUALITY = UniversalFuser(num_threads=1)


def good(*counts: int) -> EmbeddingSet:
    """Images of which it is known that they are good, so that a single one says much."""
    return planted(
        *counts,
        quality=np.full(sum(counts), 3.0, dtype=np.float32),
        embedder="edgeface_xs_512d@1",
    )


def test_one_person_holds_together() -> None:
    told = screen(planted(12), FUSER)
    assert told.verdict == "one person"
    assert not told.falls_apart
    assert told.parts == ()
    assert told.outliers == ()
    assert told.score < told.threshold
    assert str(told).startswith("no sign of a second person in 12 images")


@pytest.mark.parametrize("counts", [(6, 6), (10, 4), (20, 20), (30, 3)])
def test_the_parts_are_the_people(counts: tuple[int, int]) -> None:
    told = screen(planted(*counts), FUSER)
    assert told.falls_apart
    heavier, lighter = told.parts
    planted_rows = {tuple(range(counts[0])), tuple(range(counts[0], sum(counts)))}
    assert {heavier.rows, lighter.rows} == planted_rows
    assert heavier.weight + lighter.weight == pytest.approx(1, abs=1e-5)
    assert heavier.weight == pytest.approx(max(counts) / sum(counts), abs=1e-5)
    assert min(heavier.sureness) > 0.9


def test_a_single_stranger_is_named() -> None:
    told = screen(good(15, 1), BY_QUALITY)
    assert told.falls_apart
    assert told.parts[1].rows == (15,)
    assert told.outliers == (15,)
    assert outliers(good(15, 1), BY_QUALITY) == (15,)
    assert "The lighter part: b0" in str(told)


def test_three_strangers_are_dropped_one_by_one() -> None:
    assert outliers(good(18, 1, 1, 1), BY_QUALITY) == (18, 19, 20)
    assert outliers(good(18), BY_QUALITY) == ()


def test_a_poor_image_that_is_unlike_the_others_is_no_stranger() -> None:
    images = good(15, 1)
    quality = np.where(np.arange(16) < 15, 3.0, -3.0).astype(np.float32)
    assert outliers(replace(images, quality=quality), BY_QUALITY) == ()
    assert not screen(replace(images, quality=quality), BY_QUALITY).falls_apart


def test_the_order_does_not_matter() -> None:
    images = planted(9, 5)
    order = np.random.default_rng(3).permutation(14)
    told = screen(images[order], FUSER)
    lighter = {told.name_of(row) for row in told.parts[1].rows}
    assert lighter == {f"b{number}" for number in range(5)}
    assert told.score == pytest.approx(screen(images, FUSER).score, abs=1e-6)


@pytest.mark.parametrize(("count", "word"), [(1, "1 image,"), (2, "2 images"), (3, "3 images")])
def test_of_few_images_nothing_is_told(count: int, word: str) -> None:
    told = screen(planted(count), FUSER)
    assert told.verdict == "cannot tell"
    assert np.isnan(told.score)
    assert word in str(told)
    assert told.facts()["score"] is None
    assert outliers(planted(count), FUSER) == ()


@pytest.mark.parametrize("counts", [(1, 1), (2, 1), (2,), (3,)])
def test_of_two_good_images_it_is_told_where_that_was_measured(counts: tuple[int, ...]) -> None:
    images = good(*counts)
    told = screen(images, BY_QUALITY)
    assert told.is_calibrated
    assert told.falls_apart == (len(counts) == 2)
    if len(counts) == 2:
        assert sorted(len(part.rows) for part in told.parts) == sorted(counts)
    poor = replace(images, quality=np.full(sum(counts), -1.0, np.float32))
    assert not screen(
        poor, BY_QUALITY
    ).falls_apart  # two poor images of one person may be as unlike
    assert screen(images[:1], BY_QUALITY).reason == "1 image, and it takes 2"


def test_of_short_embeddings_nothing_is_told() -> None:
    told = screen(planted(9, 5, dim=16), FUSER)
    assert told.verdict == "cannot tell"
    assert "16 dimensions" in told.reason


def test_identical_images_are_one_person_and_opposite_ones_are_not() -> None:
    row = planted(1).embeddings
    assert screen(EmbeddingSet(embeddings=np.repeat(row, 8, axis=0)), FUSER).verdict == "one person"
    opposite = np.concatenate([np.repeat(row, 5, axis=0), np.repeat(-row, 3, axis=0)])
    told = screen(EmbeddingSet(embeddings=opposite), FUSER)
    assert told.falls_apart
    assert told.parts[1].rows == (5, 6, 7)


def test_weights_say_whose_part_is_the_heavier() -> None:
    """Three good images weigh more than nine poor ones, whatever their number."""
    quality = np.concatenate([np.full(9, 0.0), np.full(3, 3.0)]).astype(np.float32)
    told = screen(planted(9, 3, noise=0.4, quality=quality), UniversalFuser(num_threads=1))
    assert told.falls_apart
    assert told.parts[0].rows == (9, 10, 11)
    assert told.parts[0].weight == pytest.approx(3 * np.exp(3) / (3 * np.exp(3) + 9), abs=1e-4)


def test_large_sets_are_judged_by_a_sample_and_all_images_named() -> None:
    told = screen(planted(1500, 500), FUSER)
    assert told.falls_apart
    assert told.parts[1].rows == tuple(range(1500, 2000))
    assert told.parts[0].weight == pytest.approx(0.75, abs=1e-5)
    assert screen(planted(2000), FUSER).verdict == "one person"


def test_what_was_not_measured_is_said() -> None:
    assert not screen(planted(12), FUSER).is_calibrated
    assert "not calibrated" in str(screen(planted(12), FUSER))
    known = planted(12, embedder=COMPACT)
    assert screen(known, FUSER).is_calibrated


def test_a_fuser_that_was_not_measured_is_judged_by_another() -> None:
    """Its weights are not comparable, so all images count the same; the shares are its own."""
    images = planted(10, 6)
    told = screen(images, NormWeightedFuser(num_threads=1))
    assert told.score == pytest.approx(screen(images, FUSER).score)
    assert told.parts[1].rows == tuple(range(10, 16))
    weights = NormWeightedFuser(num_threads=1).fuse(images).weights
    assert weights is not None
    assert told.parts[1].weight == pytest.approx(float(weights[10:].sum()), abs=1e-6)
    assert not told.is_calibrated


def test_facts_name_the_images() -> None:
    facts = screen(planted(9, 3), FUSER).facts()
    assert facts["verdict"] == "several people"
    lighter = facts["parts"][1]
    assert [image["source"] for image in lighter["images"]] == ["b0", "b1", "b2"]
    assert lighter["weight"] == pytest.approx(0.25, abs=1e-4)


def test_a_set_that_does_not_fit_is_refused() -> None:
    with pytest.raises(MissingQualityError):
        screen(planted(9), UniversalFuser(num_threads=1))


def test_the_public_function_takes_plain_arrays() -> None:
    told = screen_anything(planted(9, 4).embeddings)
    assert isinstance(told, Screening)
    assert told.falls_apart
    assert told.parts[1].rows == (9, 10, 11, 12)
    assert told.name_of(9) == "image 9"
