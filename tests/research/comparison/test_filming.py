"""The bundled fusers on real faces that are poor in a way that none was trained on."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("av")
pytest.importorskip("cv2")

from research.comparison.filming import film

from probefusion.faces import read_crop
from probefusion.protocols import read_people
from probefusion.protocols.degraded_folder import fold_of
from probefusion.zoo import load_embedder, load_fuser

pytestmark = pytest.mark.assets


@pytest.fixture(scope="module")
def faces(assets):
    """A clean image and another one of each of 60 people whom neither embedder nor fusers have seen."""
    people = read_people(assets / "data" / "lfw112.zip")
    unseen = [n for n, files in people.images.items() if len(files) > 1 and fold_of(n) == 3][:60]
    return [[read_crop(people.read(file)) for file in people.images[name][:2]] for name in unseen]


def test_filming_is_repeatable_and_worse_with_severity(faces) -> None:
    crop = faces[0][0]
    assert np.array_equal(film(crop, 0, np.random.default_rng(0)), crop)
    errors = []
    for severity in (0.1, 0.5, 1.0):
        first, again = (film(crop, severity, np.random.default_rng(4)) for _ in range(2))
        assert first.shape == (112, 112, 3)
        assert first.dtype == np.uint8
        assert np.array_equal(first, again)
        errors.append(np.abs(first.astype(float) - crop).mean())
    assert errors == sorted(errors)


def test_fused_templates_of_filmed_images_find_their_people_where_means_do_not(faces) -> None:
    """Eight images of each person, all badly filmed; rank 1 among 60, for every fuser of the embedder inside."""
    rng = np.random.default_rng(8)
    embedder = load_embedder()
    clean = embedder.embed_set(np.stack([first for first, _ in faces]))
    filmed = [film(other, rng.uniform(0.6, 1), rng) for _, other in faces for _ in range(8)]
    probes = embedder.embed_set(np.stack(filmed))
    found = {}
    for name in ("mean", "exact", "exact-fast", "exact-embedding"):
        fuser = load_fuser(name, embedder=embedder.fingerprint)
        gallery = fuser.fuse_many(clean, np.arange(len(faces) + 1))
        templates = fuser.fuse_many(probes, np.arange(0, 8 * len(faces) + 1, 8))
        nearest = (templates @ gallery.T).argmax(axis=1)
        found[name] = float((nearest == np.arange(len(faces))).mean())
    for name in ("exact", "exact-fast", "exact-embedding"):
        assert found[name] > max(found["mean"], 0.8), found
