"""A gallery answers as the arrays of the smear test do: same similarities, same decisions."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from research.smear.gallery_agreement import HALF_PRECISION, compare_with_gallery
from research.smear.open_searches import pooled_searches
from research.smear.smear_sets import SmearSets, SmearSize
from research.smear.template_rules import FusedRule

from probefusion.evaluation.probe_data import ProbeData
from probefusion.files import bundled_folder
from probefusion.metrics import thresholds_at_far
from probefusion.zoo import load_fuser

NUM_PEOPLE = 16
SIZE = SmearSize(num_enrolled=8, num_probe=4)


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


def threshold_of(sets, fuser) -> float:
    scores = pooled_searches(sets, FusedRule(name=fuser.name, fuser=fuser), SIZE)
    return thresholds_at_far(scores.non_mated, 0.1)[0].threshold


@pytest.mark.parametrize("name", ["mean", "exact-fast", "exact"])
def test_gallery_gives_the_similarities_and_decisions_of_the_arrays(sets, name, tmp_path) -> None:
    fuser = load_fuser(name, embedder=sets.images.embedder)
    threshold = threshold_of(sets, fuser)
    found = compare_with_gallery(sets, fuser, SIZE, threshold=threshold, folder=tmp_path)
    assert (found.num_enrolled, found.num_searches) == (8, 16)
    assert found.num_decisions == 8 * 16
    assert found.largest_difference < HALF_PRECISION
    assert found.num_clear_other_decisions == 0
    assert found.num_other_tops == 0


def test_another_fuser_is_noticed(sets, tmp_path, monkeypatch) -> None:
    fuser = load_fuser("exact", embedder=sets.images.embedder)
    threshold = threshold_of(sets, fuser)
    mean = FusedRule(name="mean", fuser=load_fuser("mean")).similarities
    monkeypatch.setattr(
        "research.smear.gallery_agreement.FusedRule",
        lambda **_: SimpleNamespace(similarities=mean),
    )
    found = compare_with_gallery(sets, fuser, SIZE, threshold=threshold, folder=tmp_path)
    assert found.largest_difference > 10 * HALF_PRECISION
    assert found.num_clear_other_decisions > 0
