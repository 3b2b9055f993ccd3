"""Whose is what: names that could be ids, images named twice, held images of people who were merged."""

from __future__ import annotations

import pytest

from gallery_people import MadeUp, stored_bits
from probefusion.errors import ConfigError, UnknownNameError
from probefusion.gallery import Gallery

PEOPLE = MadeUp()


@pytest.fixture
def gallery(tmp_path):
    with Gallery(tmp_path / "people.db", fuser="mean") as opened:
        opened.enroll("ann", PEOPLE.images(0, 0))
        opened.enroll("bob", PEOPLE.images(1, 0))
        yield opened


def test_nobody_is_named_like_an_id(gallery):
    person = gallery.person("ann").id
    image = gallery.person("ann").contributions[0].images[0].id
    for name in (person, image, "c0123456789abcdef"):
        for act in (
            lambda name=name: gallery.enroll(name, PEOPLE.images(2, 0)),
            lambda name=name: gallery.rename("bob", name),
            lambda name=name: gallery.split("bob", name, images=["x"]),
        ):
            with pytest.raises(ConfigError, match="looks like an id"):
                act()
    people = list(gallery.plain_people())
    object.__setattr__(people[0], "name", person)
    with pytest.raises(ConfigError, match="looks like an id"):
        gallery.take_people(people[:1])
    gallery.rename("bob", "p0123456789abcde")  # a digit too few
    assert gallery.forget(person).subject == person
    assert gallery.list() == ("p0123456789abcde",)


def test_an_image_named_twice_is_moved_once(gallery):
    image = gallery.person("ann").contributions[0].images[0].id
    gallery.move("bob", images=[image, image])
    assert gallery.person("bob").num_images == 4
    assert gallery.person("ann").num_images == 2
    assert gallery.check() == ()


def test_what_was_held_goes_to_whom_the_person_was_merged_into(gallery):
    added = gallery.update("bob", PEOPLE.images(0, 1))
    assert added.is_held
    gallery.merge("ann", "bob")
    ((name, view),) = gallery.held()
    assert name == "ann"
    accepted = gallery.accept(view.id)
    assert (accepted.name, accepted.person_id) == ("ann", gallery.person("ann").id)
    assert gallery.person("ann").num_images == 9
    assert gallery.held() == ()
    assert gallery.check() == ()


def test_images_of_somebody_else_are_held_for_who_has_no_image(gallery):
    (row,) = gallery.person("ann").contributions
    gallery.remove(contribution=row.id)
    added = gallery.update("ann", PEOPLE.images(1, 0))
    assert added.is_held
    (doubt,) = added.doubts
    assert doubt.other == gallery.person("bob").id
    assert "no image to compare with" in doubt.reason
    assert not gallery.update("ann", PEOPLE.images(0, 5)).is_held


def test_an_unknown_model_is_named(gallery):
    with pytest.raises(UnknownNameError, match="unknown model 'x'"):
        list(gallery.plain_people(model="x"))


def test_changing_a_name_changes_no_template(gallery):
    before = stored_bits(gallery)
    assert gallery.search(PEOPLE.images(1, 3), threshold=0.5).name == "bob"
    revision = gallery.rename("bob", "bobby")
    assert gallery.search(PEOPLE.images(1, 3), threshold=0.5).name == "bobby"
    gallery.undo(revision)
    assert stored_bits(gallery) == before
    assert gallery.search(PEOPLE.images(1, 3), threshold=0.5).name == "bob"


def test_an_image_that_no_model_keeps_is_not_lost(tmp_path):
    new = MadeUp(embedder="made_up_b@000000000000", seed=1)
    with Gallery(tmp_path / "people.db", fuser="mean") as gallery:
        gallery.enroll("ann", PEOPLE.images(0, 0))
        gallery.enroll("bob", PEOPLE.images(1, 0))
        (row,) = gallery.person("bob").contributions
        gallery.remove("bob")
        old = gallery.models()[0].id
        model = gallery.add_model(fuser="mean", embedder=new.embedder)
        (ann,) = gallery.person("ann").contributions
        gallery.re_embed({ann.id: new.images(0, 0)})
        gallery.re_fuse(model)
        gallery.serve(model)
        with pytest.raises(ConfigError, match="nothing else than what they keep"):
            gallery.drop_model(old)
        gallery.re_embed({row.id: new.images(1, 0)})
        gallery.drop_model(old)
        assert [each.id for each in gallery.models()] == [model]
