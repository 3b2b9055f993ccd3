""" "exact" means the fuser made for the embedder of what is given, also where that is states or templates."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.pipeline import Pipeline
from probefusion.types import EmbeddingSet, TemplateSet
from probefusion.zoo import load_fuser

EMBEDDER = "opencv_sface_int8bq@732598e63104"


@pytest.fixture(scope="module")
def fuser():
    """SFace's; "exact" alone, where no embedder is known, is that of the package, for another embedder."""
    fuser = load_fuser("exact", embedder=EMBEDDER)
    assert fuser.fingerprint != load_fuser("exact").fingerprint
    return fuser


@pytest.fixture
def images(rng) -> EmbeddingSet:
    """Seven images with style."""
    return EmbeddingSet(
        embeddings=rng.standard_normal((7, 128)).astype(np.float32),
        style=rng.random((7, 768, 2)).astype(np.float32),
        embedder=EMBEDDER,
    )


def test_a_state_is_finished_by_its_embedders_fuser(fuser, images) -> None:
    state = fuser.encode(images)
    finished = Pipeline(fuser="exact").fuse(state).template
    np.testing.assert_array_equal(finished.vector, fuser.finish(state).vector)
    assert Pipeline(fuser="exact").compare(state, images).similarity == pytest.approx(1, abs=1e-6)


def test_templates_are_decided_about_by_its_threshold(fuser, images) -> None:
    one, other = fuser.fuse(images[:4]), fuser.fuse(images[4:])
    named, left_out = Pipeline(fuser="exact"), Pipeline()
    assert left_out.compare(one, other).threshold is not None
    assert named.compare(one, other).threshold == left_out.compare(one, other).threshold
    kept = TemplateSet.of({"other": other})
    assert named.search(one, kept)[0].threshold == left_out.search(one, kept)[0].threshold
    first = TemplateSet.of({"one": one})
    for pipeline in (named, left_out):
        (found,) = pipeline.compare_people(first, kept)
        assert found.threshold == left_out.compare(one, other).threshold


def test_a_calibration_measures_the_fuser_made_for_its_embedder(fuser, tmp_path) -> None:
    from probefusion.pipeline.calibrate import _open

    output = tmp_path / "calibration.json"
    opened, folder = _open("exact", output, EMBEDDER, num_threads=1, device="cpu")
    assert (opened.fingerprint, folder) == (fuser.fingerprint, None)
