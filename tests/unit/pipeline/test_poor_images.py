"""One poor image among good ones does not show in what is told of the set: `explain` says it of each image."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.support.judged_fusers import record_beside

from probefusion.fusion import MeanFuser
from probefusion.pipeline import Pipeline
from probefusion.pipeline.poor_images import told_of_poor_images
from probefusion.pipeline.results import ImageWeight
from probefusion.screening.usability_record import read_usability, write_usability
from probefusion.types import EmbeddingSet, Usability

GOOD = Usability.predicted(0.7, (0.6, 0.8), level=0.5, false_match_rate=0.001)
BAD = Usability.predicted(0.1, (0.0, 0.2), level=0.5, false_match_rate=0.001)


@pytest.fixture
def images():
    """Four images of somebody, of which the third shows no face: its first number is negative."""
    rows = np.random.default_rng(0).standard_normal((4, 16)) * 0.2
    rows[:, 0] = (1, 1, -0.5, 1)
    names = np.array([f"{place}.jpg" for place in range(4)])
    return EmbeddingSet(embeddings=rows.astype(np.float32), embedder="net@1", sources=names)


@pytest.fixture
def calibration(tmp_path, images):
    """A record by which a face is what has a positive first number."""
    file = tmp_path / "own.json"
    path = record_beside(file, MeanFuser().encode(images))
    record = read_usability(path)
    likeness = (1.0, *record.likeness[1:])
    write_usability(replace(record, likeness=likeness, least_likeness=0.0), path, force=True)
    return file


def test_each_image_has_a_verdict_of_its_own(images, calibration) -> None:
    fused = Pipeline(fuser="mean", calibration=calibration).fuse(images)
    assert fused.usability.verdict == "usable"
    rows = fused.explain()
    assert {row.source: row.verdict for row in rows} == {
        "0.jpg": "usable",
        "1.jpg": "usable",
        "2.jpg": "not usable",
        "3.jpg": "usable",
    }
    assert told_of_poor_images(rows, fused.usability) == (
        "2.jpg alone would not be usable; it counts 25.0 % of 4 images (an even share is 25.0 %)"
    )
    for row in range(4):
        alone = Pipeline(fuser="mean", calibration=calibration).fuse(images[[row]])
        assert alone.usability.verdict == next(
            each.verdict for each in rows if each.source == f"{row}.jpg"
        )


def test_nothing_is_said_where_nothing_is_known(images, tmp_path) -> None:
    fused = Pipeline(fuser="mean").fuse(images)
    rows = fused.explain()
    assert {row.verdict for row in rows} == {None}
    assert told_of_poor_images(rows, fused.usability) == ""


def test_the_command_says_it(images, calibration, tmp_path, capsys) -> None:
    from probefusion.cli.main import main

    images.save(tmp_path / "a.npz")
    arguments = ["fuse", str(tmp_path / "a.npz"), "--fuser", "mean", "--explain"]
    arguments += ["--calibration", str(calibration)]
    assert main(arguments) == 0
    assert capsys.readouterr().out.count("2.jpg alone would not be usable; it counts 25.0 %") == 1
    assert main([*arguments, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [row["verdict"] for row in facts["images"]].count("not usable") == 1


def rows_of(*given: tuple[float, str]) -> list[ImageWeight]:
    return [
        ImageWeight(source=f"{place}.jpg", weight=weight, similarity=0.5, verdict=verdict)
        for place, (weight, verdict) in enumerate(given)
    ]


def test_what_is_told() -> None:
    one = rows_of((0.6, "usable"), (0.3, "doubtful"), (0.1, "not usable"))
    assert told_of_poor_images(one, GOOD) == (
        "2.jpg alone would not be usable; it counts 10.0 %, the least of 3 images (an even share is 33.3 %)"
    )
    two = rows_of(*[(0.2, "usable")] * 3, (0.3, "not usable"), (0.1, "not usable"))
    assert told_of_poor_images(two, GOOD) == (
        "2 of 5 images alone would not be usable; together they count 40.0 % (an even share is 40.0 %): 3.jpg, 4.jpg"
    )
    half = rows_of((0.6, "usable"), (0.2, "usable"), (0.1, "not usable"), (0.1, "not usable"))
    assert told_of_poor_images(half, GOOD) == ""
    many = rows_of(*[(0.05, "not usable")] * 7, *[(0.05, "usable")] * 13)
    assert told_of_poor_images(many, GOOD).endswith(": 0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg, ...")
    assert told_of_poor_images(one, BAD) == ""  # which is told of the set
    assert told_of_poor_images(rows_of((1.0, "not usable")), GOOD) == ""
    assert told_of_poor_images(rows_of((0.5, "usable"), (0.5, "usable")), GOOD) == ""
