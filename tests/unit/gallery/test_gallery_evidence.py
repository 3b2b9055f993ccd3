"""What a change says of itself: whose changes are undone, how alike merged people were, what is no merge by stealth."""

from __future__ import annotations

import pytest

from gallery_people import MadeUp, stored_bits
from probefusion.errors import ConflictError, UnknownNameError
from probefusion.gallery import Gallery

PEOPLE = MadeUp()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "people.db"


def test_an_actor_takes_back_its_own_changes_and_no_others(path):
    with (
        Gallery(path, fuser="mean", actor="door") as door,
        Gallery(path, fuser="mean", actor="gate") as gate,
        Gallery(path, fuser="mean") as nobody,
    ):
        door.enroll("ann", PEOPLE.images(0, 0))
        gate.enroll("bob", PEOPLE.images(1, 0))
        with pytest.raises(
            UnknownNameError,
            match=r"of actor ''.* newest change is 2 \(enroll\) of 'gate'.* undo\(2\)",
        ):
            nobody.undo()
        assert door.undo() == 3
        assert door.list() == ("bob",)
        with pytest.raises(UnknownNameError, match="of actor 'door'"):
            door.undo()
        door.undo(3)  # named, it may be anybody's, and an undo as well
        door.undo(2)
        assert door.list() == ("ann",)
        told = {row.revision: row.actor for row in door.history()}
        assert told == {1: "door", 2: "gate", 3: "door", 4: "door", 5: "door"}


def test_a_change_of_another_stands_in_the_way_and_is_named(path):
    with (
        Gallery(path, fuser="mean", actor="door") as door,
        Gallery(path, fuser="mean", actor="gate") as gate,
    ):
        door.enroll("ann", PEOPLE.images(0, 0))
        gate.update("ann", PEOPLE.images(0, 1), guard=False)
        with pytest.raises(ConflictError, match="contributions of later changes by change 2"):
            door.undo()


def test_a_merge_says_how_alike_the_two_were(path):
    with Gallery(path, fuser="mean") as gallery:
        gallery.enroll("ann", PEOPLE.images(0, 0))
        gallery.enroll("ann again", PEOPLE.images(0, 1))
        gallery.enroll("bob", PEOPLE.images(1, 0))
        same, other = (
            gallery.search(PEOPLE.images(0, 1), threshold=0.5).candidates[k] for k in (0, 2)
        )
        wrong = gallery.merge("bob", "ann")
        assert wrong.likeness.similarity < 0.5 < same.similarity
        assert (wrong.name, wrong.other) == ("bob", "ann")
        before = gallery.revision
        gallery.undo(wrong.revision)
        right = gallery.merge("ann", "ann again")
        assert right.likeness.similarity > 0.9 > other.similarity
        assert right.revision == before + 2
        assert right.likeness.odds_for_two < 0 < wrong.likeness.odds_for_two
        told = f"similarity {right.likeness.similarity:.3f}, where {right.likeness.usual:.2f} is usual for one person"
        assert str(right) == f"ann again is merged into ann ({told})"


def test_people_without_images_have_no_likeness(path):
    with Gallery(path, fuser="mean") as gallery:
        gallery.enroll("ann", PEOPLE.images(0, 0))
        gallery.enroll("bob", PEOPLE.images(1, 0))
        gallery.remove(contribution=gallery.person("bob").contributions[0].id)
        assert gallery.merge("ann", "bob").likeness is None


def test_accepting_says_how_alike_images_and_person_are(path):
    with Gallery(path, fuser="mean") as gallery:
        gallery.enroll("ann", PEOPLE.images(0, 0))
        gallery.enroll("bob", PEOPLE.images(1, 0))
        held = gallery.update("ann", PEOPLE.images(1, 1))
        assert held.is_held
        assert held.likeness is None
        accepted = gallery.accept(held.contribution_id)
        assert accepted.likeness.similarity < 0.5
        assert accepted.total_images == 6


def test_giving_away_everything_to_somebody_different_is_refused(path):
    with Gallery(path, fuser="mean") as gallery:
        gallery.enroll("ann", PEOPLE.images(0, 0))
        gallery.update("ann", PEOPLE.images(0, 1), guard=False)
        gallery.enroll("bob", PEOPLE.images(1, 0))
        gallery.cannot_link("ann", "bob")
        first, second = gallery.person("ann").contributions
        before = stored_bits(gallery)
        with pytest.raises(
            ConflictError,
            match=r"nothing would be left of 'ann'.*cannot_link\('ann', 'bob', False\)",
        ):
            gallery.move("bob", contributions=[first.id, second.id])
        with pytest.raises(ConflictError, match="nothing would be left"):
            gallery.move(
                "bob", contributions=[first.id], images=[each.id for each in second.images]
            )
        assert stored_bits(gallery) == before
        gallery.move(
            "bob", contributions=[first.id], images=[each.id for each in second.images[:2]]
        )
        gallery.cannot_link("ann", "bob", False)
        gallery.move("bob", images=[second.images[2].id])
        assert stored_bits(gallery)["ann"] == (0, b"")


def test_unknown_ids_say_where_ids_are_told(path):
    with Gallery(path, fuser="mean") as gallery:
        gallery.enroll("ann", PEOPLE.images(0, 0))
        for verb in (gallery.remove, gallery.forget):
            with pytest.raises(
                UnknownNameError, match=r"unknown contribution 'c0'\. person\(NAME\) and held\(\)"
            ):
                verb(contribution="c0")
            with pytest.raises(UnknownNameError, match=r"unknown image 'i0'\. person\(NAME\)"):
                verb(image="i0")
        for verb in (
            gallery.remove,
            gallery.forget,
            gallery.person,
            gallery.template,
            gallery.history,
        ):
            with pytest.raises(
                UnknownNameError, match=r"unknown person of 'people' 'eve'\. Known: ann\."
            ):
                verb("eve")
