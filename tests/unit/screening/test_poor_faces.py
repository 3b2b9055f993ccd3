"""A threshold is not called verified for faces poorer than it was measured with."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import probefusion
from probefusion.evaluation.drawn_people import draw_crop
from probefusion.screening.poor_faces import threshold_not_verified
from probefusion.screening.usability import Usability
from probefusion.zoo import load_embedder


def usability(verdict, similarity=0.4, interval=(0.2, 0.5), reason=""):
    return Usability(
        similarity=similarity, interval=interval, level=0.5, verdict=verdict, reason=reason
    )


def test_only_a_usable_template_raises_no_doubt() -> None:
    assert threshold_not_verified("A", usability("usable", 0.6)) is None
    for verdict in ("doubtful", "not usable"):
        told = threshold_not_verified("A", usability(verdict))
        assert told.startswith("A: the threshold is not verified for faces this poor")
        assert "0.40, below 0.50" in told
    told = threshold_not_verified("B", usability("not usable", 0.0, None, "no faces"))
    assert "(no faces)" in told


def test_where_nothing_is_known_that_is_said() -> None:
    told = threshold_not_verified("B", Usability.unknown("it was not measured"))
    assert told == (
        "B: how poor its images are is not known (it was not measured), so nor is whether the threshold holds for "
        "them"
    )


@pytest.fixture(scope="module")
def embedder():
    return load_embedder(num_threads=1)


@pytest.fixture(scope="module")
def sides(embedder):
    """Noise, and a face through 8 pixels; neither is as the calibration's images were."""
    crop = draw_crop(3, 0)
    small = cv2.resize(crop, (8, 8), interpolation=cv2.INTER_AREA)
    tiny = cv2.resize(small, (112, 112), interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(0).integers(0, 256, crop.shape).astype(np.uint8)
    return {
        name: embedder.embed_set(np.stack([image] * 2))
        for name, image in (("tiny", tiny), ("noise", noise))
    }


def test_compare_warns_of_each_side_that_is_too_poor(sides) -> None:
    pipeline = probefusion.Pipeline(fuser="exact")
    found = pipeline.compare(sides["noise"], sides["tiny"])
    assert found.threshold is not None
    told = [*found.problems, *found.warnings]
    assert [told[0][:14], told[1][:3]] == ["A: not usable:", "B: "]
    counts = [text.count("the threshold is not verified for faces this poor") for text in told]
    assert counts[:2] == [1, 1]
    assert not any(counts[2:])  # what else is told, is told of other things
    among = probefusion.TemplateSet.of({"tiny": pipeline.fuse(sides["tiny"]).template})
    (candidate,) = pipeline.search(sides["noise"], among)
    told = [*candidate.problems, *candidate.warnings]
    assert [text.partition(":")[0] for text in told[:2]] == ["the person", "its candidate"]
    counts = [text.count("the threshold is not verified for faces this poor") for text in told]
    assert counts[:2] == [1, 1]
    assert not any(counts[2:])
    (pair,) = pipeline.compare_people(among, among)
    assert pair.usability[0] == candidate.usability[1]


def test_a_decision_that_is_not_made_needs_no_warning(sides) -> None:
    found = probefusion.Pipeline(fuser="exact").compare(
        sides["noise"], sides["tiny"], false_match_rate=1e-9
    )
    assert found.threshold is None
    assert found.why_none
    assert not any("not verified" in text for text in found.warnings)


def test_verify_and_search_say_it_too(sides, tmp_path, capsys) -> None:
    from probefusion.cli.main import main

    for name, images in sides.items():
        images.save(tmp_path / f"{name}.npz")
    library = str(tmp_path / "people.db")
    enroll = ["enroll", library, str(tmp_path / "tiny.npz"), "--name", "ann", "--fuser", "exact"]
    assert main(enroll) in (0, 3)
    assert "not verified" not in capsys.readouterr().err  # nothing was decided
    for argv in (["verify", library, "ann"], ["search", library]):
        assert main([*argv, str(tmp_path / "noise.npz")]) == 3
        captured = capsys.readouterr()
        told = "; the threshold is not verified for faces this poor"
        (line,) = [row for row in captured.err.splitlines() if "the query: not usable" in row]
        assert "the query: not usable: " in line
        assert captured.err.count(told) == line.count(told) == 1
        assert main([*argv, str(tmp_path / "noise.npz"), "--threshold", "0.5"]) == 3
        assert told not in capsys.readouterr().err  # that one nobody measured
