from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from gallery_people import MadeUp, stored_bits
from probefusion.errors import ConflictError, UnknownNameError, UnsupportedOperationError
from probefusion.fusion import MeanFuser, NormWeightedFuser
from probefusion.gallery import Gallery
from probefusion.gallery.contributions.features import as_kept
from probefusion.gallery.keys.master_key import MasterKey
from probefusion.types import EmbeddingSet

PEOPLE = MadeUp()


@pytest.fixture(params=["plain", "encrypted", "states"])
def gallery(request, tmp_path):
    keys = MasterKey.generate() if request.param == "encrypted" else None
    keep = "state" if request.param == "states" else "features"
    with Gallery(tmp_path / "people.db", fuser="norm-weighted", keys=keys, keep=keep) as opened:
        yield opened


def enrolled(gallery, num_people=3, visits=2):
    for who in range(num_people):
        gallery.enroll(f"p{who}", PEOPLE.images(who, 0))
        for visit in range(1, visits):
            gallery.update(f"p{who}", PEOPLE.images(who, visit))
    return stored_bits(gallery)


def test_a_template_is_that_of_all_images_as_they_are_kept(gallery):
    enrolled(gallery)
    fuser = NormWeightedFuser()
    images = [PEOPLE.images(1, visit) for visit in range(2)]
    if gallery.keep == "features":
        images = [as_kept(part) for part in images]
    together = fuser.fuse(EmbeddingSet.concatenate(images))
    count, bits = stored_bits(gallery)["p1"]
    assert count == 6
    np.testing.assert_allclose(np.frombuffer(bits, np.float32), together.vector, atol=1e-6)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_order_of_arrival_changes_no_bit(tmp_path, order):
    visits = [PEOPLE.images(0, visit, count=5) for visit in range(3)]
    with Gallery(tmp_path / "a.db", fuser="norm-weighted") as first:
        first.enroll("ann", visits[0])
        first.update("ann", visits[1])
        first.update("ann", visits[2])
        expected = stored_bits(first)
    with Gallery(tmp_path / "b.db", fuser="norm-weighted") as other:
        other.enroll("ann", visits[order[0]])
        for visit in order[1:]:
            other.update("ann", visits[visit])
        assert stored_bits(other) == expected


def test_merging_and_undoing_it_changes_no_bit(gallery):
    before = enrolled(gallery)
    merged = gallery.merge("p0", "p1").revision
    after = stored_bits(gallery)
    assert set(after) == {"p0", "p2"}
    assert after["p0"][0] == 12
    assert after["p0"] != before["p0"]
    gallery.undo(merged)
    assert stored_bits(gallery) == before
    gallery.undo()  # the merge was undone: the newest that is left is the last visit
    assert stored_bits(gallery)["p2"][0] == 3


def test_an_update_and_its_removal_change_no_bit(gallery):
    before = enrolled(gallery)
    added = gallery.update("p1", PEOPLE.images(1, 7))
    assert stored_bits(gallery)["p1"] != before["p1"]
    gallery.remove(contribution=added.contribution_id)
    assert stored_bits(gallery) == before
    gallery.undo()
    assert stored_bits(gallery)["p1"][0] == 9
    gallery.undo(added.revision - 0)
    assert stored_bits(gallery) == before


CHANGES = {
    "enroll": lambda g: g.enroll("new", PEOPLE.images(9, 0)).revision,
    "update": lambda g: g.update("p0", PEOPLE.images(0, 5)).revision,
    "hold": lambda g: g.update("p0", PEOPLE.images(1, 5)).revision,
    "merge": lambda g: g.merge("p2", "p0").revision,
    "split": lambda g: g.split("p0", "half", contributions=[g.person("p0").contributions[0].id]),
    "move": lambda g: g.move("p1", contributions=[g.person("p0").contributions[1].id]),
    "remove person": lambda g: g.remove("p1"),
    "remove contribution": lambda g: g.remove(contribution=g.person("p1").contributions[0].id),
    "rename": lambda g: g.rename("p1", "lin"),
    "ignore": lambda g: g.ignore("p1"),
    "cannot link": lambda g: g.cannot_link("p1", "p2"),
}
WITH_IMAGES = {
    "remove image": lambda g: g.remove(image=g.person("p1").contributions[0].images[1].id),
    "split images": lambda g: g.split(
        "p0", "half", images=[image.id for image in g.person("p0").contributions[0].images[:2]]
    ),
    "move images": lambda g: g.move("p2", images=[g.person("p0").contributions[1].images[0].id]),
}


@pytest.mark.parametrize("name", [*CHANGES, *WITH_IMAGES])
def test_every_change_undone_and_redone_changes_no_bit(gallery, name):
    if name in WITH_IMAGES and gallery.keep == "state":
        pytest.skip("states hold no images")
    before = enrolled(gallery)
    people = [gallery.person(who) for who in gallery.list()]
    revision = {**CHANGES, **WITH_IMAGES}[name](gallery)
    after = stored_bits(gallery)
    people_after = [gallery.person(who) for who in gallery.list()]
    undone = gallery.undo(revision)
    assert stored_bits(gallery) == before
    assert [gallery.person(who) for who in gallery.list()] == people
    gallery.undo(undone)
    assert stored_bits(gallery) == after
    assert [gallery.person(who) for who in gallery.list()] == people_after
    gallery.undo(revision)
    assert stored_bits(gallery) == before
    assert gallery.check() == ()


def test_undoing_everything_leaves_nobody_and_redoing_it_all(gallery):
    bits = enrolled(gallery)
    revisions = range(1, gallery.revision + 1)
    undone = [gallery.undo(revision) for revision in reversed(revisions)]
    assert gallery.list() == ()
    for revision in reversed(undone):
        gallery.undo(revision)
    assert stored_bits(gallery) == bits


def test_a_later_change_that_stands_in_the_way_is_named(gallery):
    enrolled(gallery)
    merged = gallery.merge("p0", "p1").revision
    moved = gallery.move("p2", contributions=[gallery.person("p0").contributions[-1].id])
    with pytest.raises(
        ConflictError, match=rf"undo of change {merged} .* by change {moved} \(move\)"
    ):
        gallery.undo(merged)
    gallery.undo(moved)
    gallery.undo(merged)
    assert gallery.list() == ("p0", "p1", "p2")


def test_a_name_that_was_given_away_stands_in_the_way(gallery):
    enrolled(gallery)
    removed = gallery.remove("p1")
    again = gallery.enroll("p1", PEOPLE.images(8, 0))
    with pytest.raises(ConflictError, match=rf"named 'p1' since by change {again.revision}"):
        gallery.undo(removed)
    gallery.rename("p1", "other")
    gallery.undo(removed)
    assert gallery.list() == ("other", "p0", "p1", "p2")


def test_an_enrolment_with_later_visits_is_not_undone(gallery):
    first = gallery.enroll("ann", PEOPLE.images(0, 0))
    later = gallery.update("ann", PEOPLE.images(0, 1))
    with pytest.raises(
        ConflictError, match=rf"1 contributions of later changes by change {later.revision}"
    ):
        gallery.undo(first.revision)
    assert stored_bits(gallery)["ann"][0] == 6


def test_contributions_do_not_go_back_to_people_who_were_removed(gallery):
    enrolled(gallery)
    moved = gallery.move("p1", contributions=[gallery.person("p0").contributions[0].id])
    removed = gallery.remove("p0")
    with pytest.raises(ConflictError, match=rf"who was removed by change {removed}"):
        gallery.undo(moved)


def test_undoing_twice_is_refused_and_says_what_to_do(gallery):
    enrolled(gallery)
    renamed = gallery.rename("p0", "x")
    undone = gallery.undo(renamed)
    with pytest.raises(ConflictError, match=rf"already by change {undone}.*undo change {undone}"):
        gallery.undo(renamed)


def test_a_change_that_is_not_there(gallery):
    with pytest.raises(UnknownNameError, match="unknown change"):
        gallery.undo()
    with pytest.raises(UnknownNameError, match="unknown change '99'"):
        gallery.undo(99)


def test_forgetting_is_not_undone(gallery):
    enrolled(gallery)
    gallery.forget("p1")
    forgotten = next(row for row in gallery.history() if row.action == "forget")
    with pytest.raises(UnsupportedOperationError, match="what was forgotten is erased"):
        gallery.undo(forgotten.revision)


def test_a_refused_change_writes_nothing(gallery):
    bits = enrolled(gallery)
    revision = gallery.revision
    opposite = EmbeddingSet(embeddings=-PEOPLE.images(0, 0).embeddings, embedder=PEOPLE.embedder)
    with pytest.raises(UnknownNameError):
        gallery.update("nobody", opposite)
    with pytest.raises(ConflictError):
        gallery.undo(1)
    assert gallery.revision == revision
    assert stored_bits(gallery) == bits


def test_fusers_of_one_gallery_stay_what_they_are(tmp_path):
    with Gallery(tmp_path / "a.db", fuser=MeanFuser()) as gallery:
        gallery.enroll("ann", PEOPLE.images(0, 0))
    with Gallery(tmp_path / "a.db") as gallery:
        assert gallery.models()[0].fuser == "mean@1"
