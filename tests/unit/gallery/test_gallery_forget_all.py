"""A receipt says "erased" only when nothing of what was asked is left, wherever it was moved to or came from."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from gallery_people import MadeUp, stored_bits
from probefusion.errors import ConfigError, ConflictError, StoreBusyError, UnknownNameError
from probefusion.gallery import Gallery
from probefusion.gallery.contributions.features import pack_rows
from probefusion.gallery.keys.master_key import MasterKey
from probefusion.types import EmbeddingSet
from probefusion.zoo import load_fuser, trained_fusers

PEOPLE = MadeUp(channels=40)


def images(who, visit=0):
    return PEOPLE.images(who, visit)


def halves(kept):
    """For each image the bytes of its features as they are kept."""
    return [row.tobytes()[8:40] for row in pack_rows(kept.embeddings)[1]]


def files_with(folder, needles):
    """Names of files that hold any of the needles; only once nobody has the database open."""
    return sorted(
        path.name
        for path in folder.iterdir()
        if path.is_file() and any(needle in path.read_bytes() for needle in needles)
    )


def image_ids(gallery, name, *places):
    (row,) = gallery.person(name).contributions
    return [row.images[place].id for place in places]


@pytest.mark.parametrize("is_encrypted", [False, True])
@pytest.mark.parametrize("by", ["split", "move", "compact"])
def test_images_that_were_given_away_go_where_they_came_from(tmp_path, by, is_encrypted):
    ann, bob = images(0), images(1)
    both = EmbeddingSet.concatenate([ann, bob])
    keys = MasterKey.generate() if is_encrypted else None
    with Gallery(tmp_path / "people.db", fuser="mean", keys=keys) as gallery:
        gallery.enroll("ann", both)
        given = image_ids(gallery, "ann", *range(len(ann), len(both)))
        if by == "move":
            gallery.enroll("bob", images(1, 5))
            gallery.move("bob", images=given)
        else:
            gallery.split("ann", "bob", images=given)
        with gallery.store.reading("people") as reader:
            old = reader.contribution(given[0].split(".")[0])
        if by == "compact":
            gallery.compact("bob")
        before = stored_bits(gallery)["ann"]
        assert gallery.forget("bob").status == "erased"
        assert stored_bits(gallery) == {"ann": before}
        assert gallery.check() == ()
        (left,) = gallery.person("ann").contributions
        assert [image.is_left_out for image in left.images] == [False] * len(ann)
        if is_encrypted:
            assert gallery._sealer.known_keys([old.key_id]) == {}
    if not is_encrypted:
        assert files_with(tmp_path, halves(bob)) == []
        assert files_with(tmp_path, halves(ann)) == ["people.db"]


def test_images_that_went_from_hand_to_hand_go_everywhere(tmp_path):
    ann, bob = images(0), images(1)
    with Gallery(tmp_path / "people.db", fuser="mean") as gallery:
        gallery.enroll("ann", EmbeddingSet.concatenate([ann, bob]))
        gallery.enroll("cid", images(2))
        given = image_ids(gallery, "ann", *range(len(ann), len(ann) + len(bob)))
        gallery.split("ann", "dan", images=given)
        gallery.split("dan", "bob", images=image_ids(gallery, "dan", 0, 1))
        gallery.forget("bob")
        assert gallery.check() == ()
        assert gallery.person("dan").num_images == len(bob) - 2
        gallery.forget("dan")
        assert gallery.check() == ()
        assert gallery.list() == ("ann", "cid")
    assert files_with(tmp_path, halves(bob)) == []


def test_the_copy_of_a_split_that_was_undone_goes_with_the_person(tmp_path):
    ann = images(0)
    with Gallery(tmp_path / "people.db", fuser="mean") as gallery:
        gallery.enroll("ann", ann)
        gallery.undo(gallery.split("ann", "bob", images=image_ids(gallery, "ann", 1)))
        assert [person.name for person in gallery.removed()] == ["bob"]
        gallery.forget("ann")
        assert gallery.stats().num_contributions == 0
    assert files_with(tmp_path, halves(ann)) == []


def test_what_others_have_now_stays_theirs(tmp_path):
    ann, bob = images(0), images(1)
    with Gallery(tmp_path / "people.db", fuser="mean") as gallery:
        gallery.enroll("ann", EmbeddingSet.concatenate([ann, bob]))
        given = image_ids(gallery, "ann", *range(len(ann), len(ann) + len(bob)))
        revision = gallery.split("ann", "bob", images=given)
        before = stored_bits(gallery)["bob"]
        gallery.forget("ann")
        assert stored_bits(gallery) == {"bob": before}
        assert gallery.check() == ()
        with pytest.raises((ConflictError, ConfigError)):
            gallery.undo(revision)
    assert files_with(tmp_path, halves(ann)) == []


def test_an_image_is_forgotten_wherever_it_lies(tmp_path):
    ann, bob = images(0), images(1)
    with Gallery(tmp_path / "people.db", fuser="mean") as gallery:
        gallery.enroll("ann", EmbeddingSet.concatenate([ann, bob]))
        gone = image_ids(gallery, "ann", len(ann))[0]
        gallery.split("ann", "bob", images=image_ids(gallery, "ann", len(ann), len(ann) + 1))
        receipt = gallery.forget(image=gone)
        assert (receipt.status, receipt.subject) == ("erased", gone)
        assert gallery.person("bob").num_images == 1
        assert gallery.check() == ()
        with pytest.raises(UnknownNameError, match="unknown image"):
            gallery.forget(image=gone)
    assert files_with(tmp_path, halves(bob)[:1]) == []
    assert files_with(tmp_path, halves(bob)[1:2]) == ["people.db"]


def test_everybody_of_a_name_is_forgotten(tmp_path):
    first, second = images(0), images(0, 3)
    with Gallery(tmp_path / "people.db", fuser="mean") as gallery:
        old = gallery.enroll("ann", first).person_id
        gallery.remove("ann")
        new = gallery.enroll("ann", second).person_id
        (removed,) = gallery.removed()
        assert (removed.id, removed.name, removed.merged_into) == (old, "ann", "")
        assert gallery.forget("ann").subject == new
        assert gallery.removed() == ()
        assert gallery.stats().num_contributions == 0
    assert files_with(tmp_path, [*halves(first), *halves(second), b"ann"]) == []


def test_one_of_two_of_a_name_is_forgotten_by_id(tmp_path):
    with Gallery(tmp_path / "people.db", fuser="mean") as gallery:
        old = gallery.enroll("ann", images(0)).person_id
        gallery.remove("ann")
        gallery.enroll("ann", images(1))
        gallery.forget(old)
        assert (gallery.list(), gallery.removed()) == (("ann",), ())


def test_somebody_who_was_removed_is_forgotten_by_name(tmp_path):
    with Gallery(tmp_path / "people.db", fuser="mean") as gallery:
        person = gallery.enroll("ann", images(0)).person_id
        gallery.remove("ann")
        assert gallery.forget("ann").subject == person
        with pytest.raises(UnknownNameError):
            gallery.forget("ann")
    assert files_with(tmp_path, halves(images(0))) == []


def test_who_was_merged_into_somebody_is_not_said_to_be_erased(tmp_path):
    with Gallery(tmp_path / "people.db", fuser="mean") as gallery:
        ann = gallery.enroll("ann", images(0)).person_id
        bob = gallery.enroll("bob", images(1)).person_id
        before = stored_bits(gallery)
        revision = gallery.merge("bob", "ann").revision
        assert gallery.removed()[0].merged_into == bob
        for name in (ann, "ann"):
            with pytest.raises(ConflictError, match=rf"merged into 'bob' .* undo\({revision}\)"):
                gallery.forget(name)
        assert gallery.receipts() == ()
        gallery.undo(revision)
        gallery.forget(ann)
        assert stored_bits(gallery) == {"bob": before["bob"]}


@pytest.mark.parametrize("how", ["forget", "compact"])
def test_a_merge_is_remembered_after_one_contribution_is_erased(tmp_path, how):
    with Gallery(tmp_path / "people.db", fuser="mean") as gallery:
        gallery.enroll("ann", images(0))
        added = gallery.enroll("bobby tables", images(1))
        gallery.update("bobby tables", images(1, 2), guard=False)
        revision = gallery.merge("ann", "bobby tables").revision
        if how == "forget":
            gallery.forget(contribution=added.contribution_id)
        else:
            gallery.compact()
        gallery.undo(gallery.undo(revision))
        gallery.forget("ann")
        assert gallery.removed() == ()
        assert gallery.stats().num_contributions == 0
    assert files_with(tmp_path, [b"bobby tables"]) == []


def test_compacting_leaves_no_features_of_anybody(tmp_path):
    with Gallery(tmp_path / "people.db", fuser="mean") as gallery:
        gallery.enroll("ann", images(0))
        out = gallery.update("ann", images(0, 1), guard=False).contribution_id
        gallery.remove(contribution=out)
        before = stored_bits(gallery)
        merged = gallery.enroll("bob", images(1)) and gallery.merge("ann", "bob").revision
        gallery.enroll("cid", images(2))
        removed = gallery.remove("cid")
        gallery.compact()
        gallery.undo(removed)
        gallery.undo(merged)
        assert gallery.list() == ("ann", "bob", "cid")
        assert gallery.check() == ()
        np.testing.assert_allclose(
            np.frombuffer(stored_bits(gallery)["ann"][1], np.float32),
            np.frombuffer(before["ann"][1], np.float32),
            atol=1e-6,
        )
    needles = [half for who in range(3) for half in halves(images(who))]
    assert files_with(tmp_path, [*needles, *halves(images(0, 1))]) == []


def test_what_is_held_stays_held_when_it_is_compacted(tmp_path):
    with Gallery(tmp_path / "people.db", fuser="mean") as gallery:
        gallery.enroll("ann", images(0))
        gallery.enroll("bob", images(1))
        assert gallery.update("ann", images(1, 1)).is_held
        rejected = gallery.update("ann", images(1, 2))
        gallery.reject(rejected.contribution_id)
        gallery.compact()
        ((name, held),) = gallery.held()
        assert (name, held.keep) == ("ann", "state")
        gallery.accept(held.id)
        assert gallery.check() == ()


def test_nothing_of_the_fuser_is_needed_to_forget(tmp_path):
    name, folder = next(
        (name, folder) for name, folder in sorted(trained_fusers().items()) if "128d" in name
    )
    mine = tmp_path / "fuser"
    shutil.copytree(folder, mine)
    fuser = load_fuser(mine)
    made = np.random.default_rng(1).normal(size=(6, fuser.dim)).astype(np.float32)
    with Gallery(tmp_path / "people.db", fuser=mine, embedder=fuser.embedder) as gallery:
        gallery.enroll("ann", made[:2])
        more = gallery.update("ann", made[2:4], guard=False).contribution_id
        gallery.enroll("bob", made[4:])
    shutil.rmtree(mine)
    with Gallery(tmp_path / "people.db") as gallery:
        assert gallery.rename("bob", "bobby") > 0
        assert gallery.forget(contribution=more).status == "erased"
        assert gallery.remove("bobby") > 0
        assert gallery.forget("ann").status == "erased"
        assert gallery.finish_forgetting() == ()
    assert files_with(tmp_path, [row.tobytes()[8:40] for row in pack_rows(made[:4])[1]]) == [], name


def test_what_is_left_may_cancel(tmp_path):
    rows = np.eye(3, 64, dtype=np.float32)
    with Gallery(tmp_path / "people.db", fuser="mean") as gallery:
        gallery.enroll("ann", rows[:1])
        middle = gallery.update("ann", rows[2:], guard=False).contribution_id
        gallery.update("ann", -rows[:1], guard=False)
        assert gallery.forget(contribution=middle).status == "erased"
        assert gallery.search(rows[0], threshold=0.5).name is None
        assert len(gallery.check()) == 1


def test_a_restored_database_forgets_again(tmp_path):
    path, backup, keys = tmp_path / "people.db", tmp_path / "backup.db", MasterKey.generate()
    with Gallery(path, fuser="mean", keys=keys) as gallery:
        for who, name in enumerate(("ann", "bob")):
            gallery.enroll(name, images(who))
        gallery.store.overwrite()
        before = stored_bits(gallery)
    shutil.copy(path, backup)
    with Gallery(path, keys=keys) as gallery:
        gallery.forget("ann")
    with Gallery(backup, keys=keys, key_file=tmp_path / "people.db.keys") as restored:
        assert [person.name for person in restored.plain_people()] == ["bob"]
        model = restored.add_model(fuser="norm-weighted")
        assert restored.re_fuse(model) == ()
        assert [view.num_missing for view in restored.models()] == [0, 0]
        restored.drop_model(model)
        (receipt,) = restored.finish_forgetting()
        assert receipt.status == "erased"
        assert restored.list() == ("bob",)
        assert restored.removed() == ()
        assert stored_bits(restored) == {"bob": before["bob"]}
        assert restored.finish_forgetting() == ()
    assert b"ann" not in backup.read_bytes()


def test_forgetting_is_pending_while_others_write(tmp_path, monkeypatch):
    with Gallery(tmp_path / "people.db", fuser="mean") as gallery:
        gallery.enroll("ann", images(0))
        overwrite = gallery.store.overwrite

        def busy():
            raise StoreBusyError("another process writes")

        monkeypatch.setattr(gallery.store, "overwrite", busy)
        receipt = gallery.forget("ann")
        assert receipt.status == "pending"
        assert "another process writes" in receipt.remaining[0]
        assert gallery.list() == ()
        monkeypatch.setattr(gallery.store, "overwrite", overwrite)
        (receipt,) = gallery.finish_forgetting()
        assert (receipt.status, receipt.remaining) == ("erased", ())
    assert files_with(tmp_path, halves(images(0))) == []


def test_an_erased_receipt_is_not_pending_again(tmp_path, monkeypatch):
    path = tmp_path / "people.db"
    with Gallery(path, fuser="mean") as gallery, Gallery(path, fuser="mean") as slow:
        gallery.enroll("ann", images(0))
        monkeypatch.setattr(gallery.store, "overwrite", lambda: ("somebody reads",))
        assert gallery.forget("ann").status == "pending"
        monkeypatch.undo()

        def late():
            assert gallery.finish_forgetting()[0].status == "erased"
            return ("somebody reads",)

        monkeypatch.setattr(slow.store, "overwrite", late)
        revision = gallery.revision + 1
        (told,) = slow.finish_forgetting()
        assert told.status == "erased"
        assert [receipt.status for receipt in gallery.receipts()] == ["erased"]
        assert gallery.revision == revision
