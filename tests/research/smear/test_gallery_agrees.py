"""A gallery answers as the arrays of the smear test do: same similarities, same decisions."""

from __future__ import annotations

import numpy as np
import pytest
from research.smear.open_searches import pooled_searches
from research.smear.smear_sets import SmearSets, SmearSize, draw_halves
from research.smear.template_rules import FusedRule

from probefusion.evaluation.probe_data import ProbeData
from probefusion.files import bundled_folder
from probefusion.gallery import Gallery
from probefusion.metrics import thresholds_at_far
from probefusion.zoo import load_fuser

NUM_PEOPLE = 16
SIZE = SmearSize(num_enrolled=8, num_probe=4)
HALF_PRECISION = 2e-3
"""Galleries keep what images say of a person in half precision."""


@pytest.fixture(scope="module")
def sets() -> SmearSets:
    """Poor images of people of fold 3, as they lie in the package."""
    data = ProbeData.load(bundled_folder() / "demo_probes.npz")
    first = np.arange(NUM_PEOPLE)[:, None] * data.set_size
    return SmearSets(
        people=data.probe_subjects[:NUM_PEOPLE],
        images=data.probes,
        enrolled=(first + np.arange(8))[None],
        probes=(first + np.arange(8, 12))[None],
        source="demo",
    )


@pytest.mark.parametrize("name", ["mean", "exact-fast", "exact"])
def test_gallery_gives_the_similarities_and_decisions_of_the_arrays(sets, name, tmp_path) -> None:
    fuser = load_fuser(name, embedder=sets.images.embedder)
    rule = FusedRule(name=name, fuser=fuser)
    enrolled, probes = sets.rows_of(0, SIZE)
    expected = rule.similarities(sets.images, enrolled, probes)
    (point,) = thresholds_at_far(pooled_searches(sets, rule, SIZE).non_mated, 0.1)
    half = draw_halves(NUM_PEOPLE, 0)
    decided = 0
    with Gallery(tmp_path / "people.db", fuser=name) as gallery:
        for person in np.flatnonzero(half):
            gallery.enroll(str(sets.people[person]), sets.images[enrolled[person]])
        columns = {sets.people[person]: person for person in np.flatnonzero(half)}
        for row, searching in enumerate(probes):
            found = gallery.search(
                sets.images[searching], top_k=len(columns), threshold=point.threshold
            )
            assert {candidate.name for candidate in found.candidates} == set(columns)
            for candidate in found.candidates:
                similarity = expected[row, columns[candidate.name]]
                assert candidate.similarity == pytest.approx(similarity, abs=HALF_PRECISION)
                if abs(similarity - point.threshold) > HALF_PRECISION:
                    assert candidate.is_match == (similarity >= point.threshold)
                    decided += 1
            order = expected[row, half]
            best = np.sort(order)[-2:]
            if best[1] - best[0] > 2 * HALF_PRECISION:
                first = sets.people[np.flatnonzero(half)[order.argmax()]]
                assert found.candidates[0].name == first
    assert decided > 0.9 * NUM_PEOPLE * len(columns)
