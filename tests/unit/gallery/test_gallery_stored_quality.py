"""Quality beyond today's bounds, stored by a release that took any finite number, stays usable as it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gallery_people import MadeUp, stored_bits
from probefusion.checks import MAX_QUALITY
from probefusion.errors import InvalidInputError
from probefusion.fusion.universal import UniversalFuser
from probefusion.gallery import Gallery
from probefusion.gallery.exchange.exporting import export_people, import_people, read_export
from probefusion.gallery.exchange.gallery_archive import export_archive, open_gallery_archive
from probefusion.types import EmbeddingSet

PEOPLE = MadeUp()
OLD = np.array([6.5, 1.0, -7.25], dtype=np.float32)
"""Scores as a former release stored them."""
NEW = np.array([0.5, -0.5, 0.0], dtype=np.float32)


def visit(who, number, quality):
    """A visit as its release took it."""
    is_old = bool((np.abs(quality) > MAX_QUALITY).any())
    return replace(PEOPLE.images(who, number), quality=quality, was_stored=is_old)


def filled(path, fuser):
    """A gallery as a former release left it."""
    gallery = Gallery(path, fuser=fuser)
    for who in range(3):
        gallery.enroll(f"p{who}", visit(who, 0, OLD))
    return gallery


def expected(who, *visits):
    """The template of visits, by hand: unit rows, each weighted by e to its quality."""
    rows = np.concatenate([images.embeddings / images.norms[:, None] for images in visits])
    weights = np.exp(np.concatenate([images.quality for images in visits]).astype(np.float64))
    total = weights @ rows
    return total / np.linalg.norm(total)


@pytest.fixture(params=["universal", "mean"])
def opened(request, tmp_path):
    filled(tmp_path / "old.db", request.param).close()
    with Gallery(tmp_path / "old.db") as gallery:
        yield gallery


def test_newly_given_quality_is_checked():
    with pytest.raises(InvalidInputError, match="within 4 of 0"):
        replace(PEOPLE.images(0, 0), quality=OLD)


def test_people_are_updated_and_count_as_they_did(opened):
    is_universal = opened.stats().model.fuser.startswith("universal")
    assert opened.update("p1", visit(1, 1, NEW)).num_images == 3
    assert opened.person("p1").num_images == 6
    found = opened.template("p1").vector
    images = [visit(1, 0, OLD), visit(1, 1, NEW)]
    if not is_universal:
        images = [replace(each, quality=np.zeros(3, np.float32)) for each in images]
    np.testing.assert_allclose(found, expected(1, *images), atol=2e-3)
    assert opened.search(visit(1, 9, NEW), threshold=0.5).match.name == "p1"


def test_a_gallery_moves_to_a_fuser_that_weighs_by_it(tmp_path):
    with filled(tmp_path / "old.db", "mean") as gallery:
        model = gallery.add_model(fuser="universal")
        assert gallery.re_fuse(model) == ()
        gallery.serve(model)
        np.testing.assert_allclose(
            gallery.template("p2").vector, expected(2, visit(2, 0, OLD)), atol=2e-3
        )


def test_what_is_kept_is_read_joined_parted_and_explained(opened):
    opened.update("p0", visit(0, 1, NEW))
    images = opened.images_of("p0")
    np.testing.assert_array_equal(images.quality, np.concatenate([OLD, NEW]))
    np.testing.assert_array_equal(images[1:4].quality, [1.0, -7.25, 0.5])
    np.testing.assert_array_equal(replace(images[:1], origin="x").quality, OLD[:1])
    before = stored_bits(opened)
    opened.merge("p0", "p1")
    opened.undo()
    assert stored_bits(opened) == before
    first, _ = opened.person("p0").contributions
    opened.split("p0", "p9", contributions=[first.id])
    assert opened.images_of("p9").quality.tolist() in (OLD.tolist(), NEW.tolist())
    assert opened.verify("p9", visit(0, 5, NEW), threshold=0.3).is_match
    assert opened.explain(visit(2, 5, NEW), "p2").contributions[0].num_images == 3


def test_an_image_is_taken_out(opened):
    (part,) = opened.person("p2").contributions
    opened.remove(image=part.images[0].id)
    assert opened.images_of("p2").quality.tolist() == [1.0, -7.25]


@pytest.mark.parametrize("name", ["all.npz", "all"])
def test_exports_and_archives_come_back(tmp_path, opened, name):
    export_people(opened, tmp_path / name)
    export_archive(opened, tmp_path / "archive")
    with Gallery(tmp_path / "new.db", fuser="universal") as other:
        import_people(other, read_export(tmp_path / name))
        assert other.images_of("p1").quality.tolist() == OLD.tolist()
    with Gallery(tmp_path / "third.db", fuser="universal") as third:
        third.load(open_gallery_archive(tmp_path / "archive").people())
        np.testing.assert_allclose(
            third.template("p1").vector, expected(1, visit(1, 0, OLD)), atol=2e-3
        )
        third.enroll("again", opened.images_of("p0"))
        assert third.person("again").num_images == 3


def test_sets_of_both_kinds_are_joined():
    joined = EmbeddingSet.concatenate([visit(0, 0, NEW), visit(0, 1, OLD)])
    assert joined.quality.tolist() == [*NEW.tolist(), *OLD.tolist()]
    assert UniversalFuser().fuse(joined).num_images == 6


def test_a_file_that_could_not_be_read_again_is_not_written(tmp_path) -> None:
    with pytest.raises(InvalidInputError, match=r"quality for old\.npz: .*got -7\.25"):
        visit(0, 0, OLD).save(tmp_path / "old.npz")
    assert not (tmp_path / "old.npz").exists()
    visit(0, 0, NEW).save(tmp_path / "new.npz")
    assert EmbeddingSet.load(tmp_path / "new.npz").quality.tolist() == NEW.tolist()
