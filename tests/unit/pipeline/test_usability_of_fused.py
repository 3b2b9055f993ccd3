"""What `Pipeline` says of templates that cannot be used, in every door."""

from __future__ import annotations

import pickle
from dataclasses import replace

import cv2
import numpy as np
import pytest

from probefusion.errors import InvalidInputError
from probefusion.pipeline import Pipeline
from probefusion.screening.non_faces import draw_non_faces
from probefusion.zoo import load_embedder


@pytest.fixture(scope="module")
def noise():
    return load_embedder().embed_set(draw_non_faces("noise", 3, np.random.default_rng(0)))


def test_a_fused_set_carries_its_usability_and_gain(noise) -> None:
    fused = Pipeline(fuser="exact").fuse(noise)
    assert fused.usability is not None
    assert fused.usability.is_not_usable
    assert "not usable: the images do not look like faces" in str(fused)
    with pytest.raises(InvalidInputError, match="not usable"):
        fused.usability.refuse()
    assert fused.gain is not None
    gain = fused.gain()
    assert gain is not None
    assert -1 < gain < 1
    again = pickle.loads(pickle.dumps(fused))
    assert again.usability == fused.usability
    assert again.gain() == pytest.approx(gain)


def test_the_gain_of_the_mean_over_the_mean_is_nothing(noise) -> None:
    fused = Pipeline(fuser="mean").fuse(noise)
    assert fused.gain is not None
    assert fused.gain() == pytest.approx(0, abs=1e-3)


def test_a_state_is_judged_and_its_gain_is_not_known(noise) -> None:
    whole = Pipeline(fuser="exact").fuse(noise)
    again = Pipeline(fuser="exact").fuse(whole.state)
    assert again.usability is not None
    assert again.usability.verdict == "not usable"
    assert again.gain is not None
    assert again.gain() is None


def test_a_comparison_knows_both_sides_also_of_a_finished_template(noise) -> None:
    pipeline = Pipeline(fuser="exact")
    template = pipeline.fuse(noise).template
    found = pipeline.compare(noise, template)
    assert found.usability[0] == found.usability[1] == template.usability
    assert found.usability[1].is_not_usable
    assert [text[:16] for text in found.problems] == ["A: not usable: t", "B: not usable: t"]
    unknown = replace(template, usability=None)
    found = pipeline.compare(noise, unknown)
    assert found.usability[1].verdict == "not known"
    assert found.usability[1].reason == "its template came without an estimate"
    assert len(found.problems) == 1


def test_people_whose_template_is_not_usable_are_told(tmp_path) -> None:
    for name, kind in (("ann", "noise"), ("bob", "stripes")):
        (tmp_path / name).mkdir()
        for place, crop in enumerate(draw_non_faces(kind, 2, np.random.default_rng(0))):
            cv2.imwrite(str(tmp_path / name / f"{place}.png"), crop)
    pipeline = Pipeline("compact_128d", fuser="exact", aligned=True)
    fused = pipeline.fuse_people(tmp_path)
    assert list(fused.templates) == ["ann", "bob"]
    assert sum("not usable" in problem for problem in fused.problems) == 2
