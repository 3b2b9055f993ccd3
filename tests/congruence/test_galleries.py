"""One life of a gallery, on every store: enrolled, visited, arranged, undone, moved, forgotten."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from gallery_people import MadeUp, stored_bits
from probefusion.errors import ConflictError
from probefusion.gallery import Gallery
from probefusion.gallery.audit.trail_check import verify_chain
from probefusion.gallery.keys.master_key import MasterKey

PEOPLE = MadeUp()


@pytest.fixture(params=["plain", "encrypted"])
def settings(request, tmp_path):
    if request.param == "plain":
        return {"num_threads": 1}
    return {"num_threads": 1, "keys": MasterKey.generate(), "key_file": tmp_path / "g.keys"}


def test_a_life_of_a_gallery(address, settings):
    with Gallery(address, fuser="mean", actor="test", **settings) as gallery:
        for who in range(6):
            gallery.enroll(f"p{who}", PEOPLE.images(who, 0), source="folder")
        before = stored_bits(gallery)
        made = [
            gallery.update("p0", PEOPLE.images(0, 1)).revision,
            gallery.update("p0", PEOPLE.images(1, 1)).revision,
            gallery.merge("p0", "p1").revision,
            gallery.remove("p2"),
            gallery.rename("p3", "lin"),
            gallery.remove(image=gallery.person("p4").contributions[0].images[0].id),
            gallery.split("p5", "p6", images=[gallery.person("p5").contributions[0].images[0].id]),
            gallery.cannot_link("p4", "p5"),
            gallery.ignore("p5"),
        ]
        assert made == list(range(7, 16))
        after = stored_bits(gallery)
        assert set(after) == {"p0", "lin", "p4", "p5", "p6"}
        assert len(gallery.held()) == 1
        with pytest.raises(ConflictError):
            gallery.undo(2)
        for revision in range(gallery.revision, 6, -1):
            gallery.undo(revision)
        assert stored_bits(gallery) == before
        model = gallery.add_model(fuser="norm-weighted")
        assert gallery.re_fuse(model) == ()
        gallery.serve(model)
        assert stored_bits(gallery) != before
        gallery.rollback()
        assert stored_bits(gallery) == before
        receipt = gallery.forget("p5")
        assert receipt.status in ("erased", "pending")
        assert gallery.search(PEOPLE.images(5, 3), threshold=0.5).name is None
        assert gallery.check() == ()
        revision = gallery.revision
        with gallery.store.reading("people") as reader:
            report = verify_chain(
                reader.audit(), collection="people", key=gallery._sealer.audit_key()
            )
        assert report.is_whole
    with Gallery(address, **settings) as again:
        del before["p5"]
        assert stored_bits(again) == before
        assert again.revision == revision
        for who in range(5):
            assert again.search(PEOPLE.images(who, 9), threshold=0.5).name == f"p{who}"


def test_many_people_at_once_are_as_one_by_one(address, settings):
    chip = b"\xff\xd8\xff\xe0 a face"
    people = [(f"p{who}", PEOPLE.images(who, 0)) for who in range(7)]
    with Gallery(address, fuser="mean", **settings) as gallery:
        gallery.enroll("p0", people[0][1], chips=[chip, None, None])
        done = gallery.load(people, people_at_once=3, skip_existing=True, source="camera")
        assert (done.num_people, done.skipped, done.revisions) == (6, ("p0",), (2, 3, 4))
        loaded = stored_bits(gallery)
        images = gallery.person("p0").contributions[0].images
        assert [(each.has_chip, gallery.chip(each.id)) for each in images] == [
            (True, chip),
            (False, None),
            (False, None),
        ]
        for revision in done.revisions:
            gallery.undo(revision)
        for name, kept in people[1:]:
            gallery.enroll(name, kept)
        assert stored_bits(gallery) == loaded
        assert gallery.stats(looks_for_damage=False).num_people == 7
        (model,) = gallery.models()
        assert (model.num_people, model.num_missing) == (7, 0)
        gallery.forget(image=images[0].id)
        assert [each.has_chip for each in gallery.person("p0").contributions[0].images] == [
            False
        ] * 2
        assert gallery.check() == ()


def test_both_stores_give_the_same_bits(address, settings, tmp_path):
    with (
        Gallery(address, fuser="norm-weighted", **settings) as here,
        Gallery(tmp_path / "other.db", fuser="norm-weighted", num_threads=1) as there,
    ):
        for gallery in (here, there):
            gallery.enroll("ann", PEOPLE.images(0, 0))
            gallery.update("ann", PEOPLE.images(0, 1))
        assert stored_bits(here) == stored_bits(there)


def _write(address, settings, number):
    with Gallery(address, timeout=300, **settings) as gallery:
        for visit in range(1, 4):
            gallery.update(f"p{number % 2}", PEOPLE.images(number % 2, 10 * number + visit))
    return number


def test_processes_leave_what_one_would(address, settings, tmp_path):
    with Gallery(address, fuser="mean", **settings) as gallery:
        for who in range(2):
            gallery.enroll(f"p{who}", PEOPLE.images(who, 0))
        with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
            tasks = [pool.submit(_write, address, settings, number) for number in range(4)]
            assert sorted(task.result() for task in tasks) == [0, 1, 2, 3]
        with Gallery(tmp_path / "one.db", fuser="mean", num_threads=1) as other:
            for who in range(2):
                other.enroll(f"p{who}", PEOPLE.images(who, 0))
            for number in reversed(range(4)):
                for visit in (3, 1, 2):
                    other.update(f"p{number % 2}", PEOPLE.images(number % 2, 10 * number + visit))
            assert stored_bits(gallery) == stored_bits(other)
        assert gallery.check() == ()
