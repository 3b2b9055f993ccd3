from __future__ import annotations

import pytest

from gallery_people import MadeUp, stored_bits
from probefusion.errors import ConfigError, UnknownNameError
from probefusion.gallery import Gallery, MasterKey
from probefusion.types import EmbeddingSet

PEOPLE = MadeUp()


@pytest.fixture
def gallery(tmp_path):
    with Gallery(tmp_path / "people.db", fuser="mean") as opened:
        for who in range(4):
            opened.enroll(f"p{who}", PEOPLE.images(who, 0, count=6))
        yield opened


def test_images_of_the_person_are_added(gallery):
    for visit in range(1, 20):
        added = gallery.update("p1", PEOPLE.images(1, visit, count=4))
        assert (added.is_held, added.doubts) == (False, ())
    assert added.total_images == 6 + 19 * 4


def test_images_of_another_person_are_held_and_change_nothing(gallery):
    bits = stored_bits(gallery)
    added = gallery.update("p1", PEOPLE.images(2, 1, count=4))
    assert added.is_held
    kinds = {doubt.kind for doubt in added.doubts}
    assert kinds == {"closer to another person", "unlike the person"}
    (closer,) = [doubt for doubt in added.doubts if doubt.kind == "closer to another person"]
    assert closer.other == gallery.person("p2").id
    assert "closer to p2" in str(added)
    assert stored_bits(gallery) == bits
    assert [(name, each.id) for name, each in gallery.held()] == [("p1", added.contribution_id)]
    assert gallery.stats().num_held == 1


def test_images_of_a_stranger_are_held(gallery):
    added = gallery.update("p1", PEOPLE.images(50, 1, count=4))
    assert added.is_held


def test_images_of_two_people_are_held(gallery):
    mixed = EmbeddingSet.concatenate([PEOPLE.images(1, 1, count=10), PEOPLE.images(3, 1, count=8)])
    added = gallery.update("p1", mixed)
    assert "several people" in {doubt.kind for doubt in added.doubts}
    assert added.is_held


def test_an_enrolment_of_two_people_is_told(gallery):
    mixed = EmbeddingSet.concatenate([PEOPLE.images(8, 1, count=10), PEOPLE.images(9, 1, count=8)])
    added = gallery.enroll("new", mixed)
    assert [doubt.kind for doubt in added.doubts] == ["several people"]
    assert not added.is_held
    into = gallery.split("new", "newer")
    assert stored_bits(gallery)["new"][0] == 10
    assert stored_bits(gallery)["newer"][0] == 8
    gallery.undo(into)
    assert stored_bits(gallery)["new"][0] == 18


def test_without_the_guard_all_is_added_and_told(gallery):
    added = gallery.update("p1", PEOPLE.images(2, 1), guard=False)
    assert not added.is_held
    assert added.doubts
    assert added.total_images == 9


def test_what_is_held_can_be_accepted_and_that_undone(gallery):
    added = gallery.update("p1", PEOPLE.images(2, 1))
    before = stored_bits(gallery)
    accepted = gallery.accept(added.contribution_id)
    assert accepted.total_images == 9
    assert gallery.held() == ()
    gallery.undo(accepted.revision)
    assert stored_bits(gallery) == before
    assert len(gallery.held()) == 1


def test_what_is_held_can_be_rejected_and_that_undone(gallery):
    added = gallery.update("p1", PEOPLE.images(2, 1))
    rejected = gallery.reject(added.contribution_id)
    assert gallery.held() == ()
    with pytest.raises(UnknownNameError, match="held contribution"):
        gallery.accept(added.contribution_id)
    gallery.undo(rejected)
    assert len(gallery.held()) == 1


def test_what_is_held_can_be_given_to_whom_it_belongs(gallery):
    added = gallery.update("p1", PEOPLE.images(2, 1))
    gallery.move("p2", contributions=[added.contribution_id])
    assert gallery.held() == ()
    assert stored_bits(gallery)["p2"][0] == 9


def test_splitting_a_person_without_a_sign_of_another_is_refused(gallery):
    with pytest.raises(ConfigError, match="no sign of a second person"):
        gallery.split("p1", "x")
    assert gallery.list() == ("p0", "p1", "p2", "p3")


@pytest.mark.parametrize("encrypted", [False, True])
def test_why_a_visit_was_held_is_told_later_by_the_names_of_then(tmp_path, encrypted):
    keys = MasterKey.generate() if encrypted else None
    with Gallery(tmp_path / "why.db", fuser="mean", keys=keys) as gallery:
        for who in range(4):
            gallery.enroll(f"p{who}", PEOPLE.images(who, 0, count=6))
        told = gallery.update("p1", PEOPLE.images(2, 1, count=4)).doubts
        ((_, waiting),) = gallery.held()
        assert waiting.doubts == told
        gallery.rename("p2", "alex")
        ((_, waiting),) = gallery.held()
        assert [str(doubt).replace("alex", "p2") for doubt in waiting.doubts] == [*map(str, told)]
        assert "closer to alex" in str(waiting.doubts[0])
        gallery.forget("alex")
        ((_, waiting),) = gallery.held()
        assert "closer to somebody who was forgotten" in str(waiting.doubts[0])
        gallery.compact()  # written anew
        ((_, again),) = gallery.held()
        assert again.id != waiting.id
        assert again.doubts == waiting.doubts
