"""TinyFace ranks images: worked out by hand on a gallery with several images of a subject."""

from __future__ import annotations

import numpy as np

from probefusion.evaluation.licensed import EmbeddedRows, evaluate_benchmark
from probefusion.fusion import MeanFuser
from probefusion.protocols import IdentificationTask, LabelledTemplates, TemplateIndex
from probefusion.protocols.licensed import Benchmark
from probefusion.types import EmbeddingSet


def direction(degrees: float) -> list[float]:
    return [float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))]


def benchmark(ranks_among) -> tuple[Benchmark, EmbeddedRows]:
    """One probe at 0 degrees; of the gallery its subject stands at 20 (and 50), others nearer."""
    places = {
        "mate": (7, 20),
        "second mate": (7, 50),
        "another, twice": (4, 5),
        "another again": (4, 10),
        "distractor": (-1, 15),
        "far distractor": (-2, 90),
        "probe": (7, 0),
    }
    rows = np.arange(len(places), dtype=np.int32)
    subjects = np.array([subject for subject, _ in places.values()], dtype=np.int32)
    task = IdentificationTask(
        name="tinyface",
        probes=LabelledTemplates(name="probe", templates=rows[-1:], subjects=subjects[-1:]),
        galleries=(LabelledTemplates(name="gallery", templates=rows[:-1], subjects=subjects[:-1]),),
    )
    made = Benchmark(
        name="tinyface",
        row_names=list(places),
        row_order="made",
        row_paths=[],
        read_row=lambda row: None,
        templates=TemplateIndex.from_columns(rows, rows),
        pairs=None,
        searches=(task,),
        joins_galleries=False,
        facts={},
        ranks_among=ranks_among,
    )
    images = EmbeddingSet(embeddings=np.array([direction(angle) for _, angle in places.values()]))
    return made, EmbeddedRows(images=images, position=rows.astype(np.int64))


def rates(ranks_among) -> list[float]:
    made, rows = benchmark(ranks_among)
    results = evaluate_benchmark(made, rows, [MeanFuser()], ranks=(1, 2, 3, 4, 5))
    return results[-1].searches[0].cmc.rates.tolist()


def test_all_images_of_others_stand_before_the_mate() -> None:
    assert rates("templates") == [0, 0, 0, 1, 1]


def test_other_benchmarks_rank_people() -> None:
    assert rates("subjects") == [0, 0, 1, 1, 1]
