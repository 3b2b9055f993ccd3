"""One scenario on every place where a gallery can lie: what was written is read, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gallery_rows import TIME, change, contribution, enroll, images, model, person, vector

from probefusion.errors import UnknownNameError
from probefusion.gallery.stores.records import LinkRow, ReceiptRow


def test_collections_are_made_and_dropped(store) -> None:
    assert store.create("b")
    assert not store.create("b")
    assert store.create("Ä")
    assert store.collections() == ("b", "people", "Ä")
    enroll(store, 1, b"x" * 100)
    enroll(store, 1, b"y" * 100, collection="b")
    store.drop("people")
    assert store.collections() == ("b", "Ä")
    with store.reading("b") as reader:
        assert reader.payload("c0001", "net@1") == b"y" * 100
    store.create("people")
    assert store.revision("people") == 0
    with store.reading("people") as reader:
        assert list(reader.people()) == []
        assert reader.count() == dict.fromkeys(reader.count(), 0)


def test_unknown_collections_are_named(store) -> None:
    for use in (
        lambda: store.reading("peple").__enter__(),
        lambda: store.writing("peple").__enter__(),
        lambda: store.revision("peple"),
        lambda: store.drop("peple"),
        lambda: store.wait("peple", after=0, timeout=0),
        lambda: store.revision("a\0b"),
    ):
        with pytest.raises(UnknownNameError, match=r"unknown collection .*Known: people"):
            use()
    with store.reading("people") as reader:
        assert reader.revision == 0


def test_all_rows_come_back(store) -> None:
    people = [person(2, key_id="k2"), person(1, ignored=True), person(3, shown=False)]
    with store.writing("people") as writer:
        assert (writer.collection, writer.revision) == ("people", 1)
        for row in people:
            writer.put_person(row)
        writer.put_model(model(2, embedder=None, status="kept"))
        writer.put_model(model(1))
        writer.add_contribution(contribution(1, 1), images(1), b"\0features\xff", "net@1")
        state = contribution(
            2, 1, keep="state", num_images=9, kind="update", key_id="k", source="s"
        )
        writer.add_contribution(state, [], b"", None)
        writer.put_chip("c0001i1", b"\0chip")
        writer.put_vector(vector(1, 1, b"\0vector", num_images=11))
        writer.put_vector(vector(2, 1, None, num_images=0, model_id="m2"))
        writer.put_link(LinkRow(first="p0001", second="p0003"))
        writer.put_link(LinkRow(first="p0001", second="p0002"))
        writer.put_link(LinkRow(first="p0001", second="p0002"))
        writer.append_audit(1, b"\0one")
        writer.append_audit(2, b"two")
        writer.put_receipt(receipt := ReceiptRow(id="r", time=TIME, subject="p", status="pending"))
        first = change(1, subjects=("p0001", "ü"), edits=({"a": [1.5, None, "\0"]}, {"b": True}))
        writer.put_change(first)
        in_block = writer.count()
    assert store.revision("people") == 1
    with store.reading("people") as reader:
        assert reader.revision == 1
        assert list(reader.people()) == [people[1], people[0]]
        assert list(reader.people(shown_only=False)) == [people[1], people[0], people[2]]
        assert reader.person("p0003") == people[2]
        assert reader.person("nobody") is None
        assert reader.person_named("person 2") == people[0]
        assert reader.person_named("person 3") is None
        assert reader.contributions("p0001") == (contribution(1, 1), state)
        assert reader.contributions("p0002") == ()
        assert reader.contribution("c0002") == state
        assert reader.contribution("c9") is None
        assert reader.images("c0001") == tuple(images(1))
        assert reader.images("c0002") == ()
        assert reader.image("c0001i1") == images(1)[1]
        assert reader.image("c0002i1") is None
        assert reader.payload("c0001", "net@1") == b"\0features\xff"
        assert reader.payload("c0001", None) is None
        assert reader.payload("c0002", None) == b""
        assert reader.chip("c0001i1") == b"\0chip"
        assert reader.chip("c0001i0") is None
        assert list(reader.vectors("m1")) == [vector(1, 1, b"\0vector", num_images=11)]
        assert list(reader.vectors("m1", after=1)) == []
        assert reader.vector("m2", "p0002") == vector(2, 1, None, num_images=0, model_id="m2")
        assert reader.vector("m2", "p0001") is None
        assert [link.second for link in reader.links()] == ["p0002", "p0003"]
        assert reader.models() == (model(2, embedder=None, status="kept"), model(1))
        assert list(reader.changes()) == [reader.change(1)] == [first]
        assert reader.change(2) is None
        assert list(reader.audit()) == [b"\0one", b"two"]
        assert list(reader.audit(after=1)) == [b"two"]
        assert reader.last_audit() == b"two"
        assert reader.receipts(pending_only=True) == reader.receipts() == (receipt,)
        counted = {"people": 2, "hidden": 1, "contributions": 2, "images": 11, "bytes": 10}
        assert reader.count() == in_block == counted


def test_changes_replace(store) -> None:
    enroll(store, 1, b"a" * 70)
    enroll(store, 2, b"b" * 70)
    with store.writing("people") as writer:
        writer.put_person(person(1, name="new", shown=False))
        writer.place("c0001", None)
        writer.place("c0002", "p0001")
        writer.leave_out("c0002i0", True)
        writer.put_payload("c0002", "net@1", b"changed", "k1")
        writer.put_payload("c0002", "net@2", b"other", "k2")
        writer.put_chip("c0002i0", b"old")
        writer.put_chip("c0002i0", b"new")
        writer.put_vector(vector(1, 3, b"moved"))
        writer.put_model(model(2))
        writer.put_model(model(1, status="kept"))
        writer.put_receipt(ReceiptRow(id="r2", time=TIME, subject="a", status="pending"))
        writer.put_receipt(ReceiptRow(id="r1", time=TIME, subject="b", status="pending"))
        done = {"status": "erased", "finished": TIME, "remaining": ("ä",), "key_ids": ("k", "l")}
        writer.put_receipt(ReceiptRow(id="r2", time=TIME, subject="a", **done))
        writer.put_change(replace(writer.change(1), undone_by=3, edits=()))
        writer.put_change(change(3, undoes=1, action="undo"))
        assert writer.taken_out("p0001") == (contribution(1, None, last_person="p0001"),)
    with store.reading("people") as reader:
        assert reader.person("p0001") == person(1, name="new", shown=False)
        assert reader.taken_out("p0001") == (contribution(1, None, last_person="p0001"),)
        assert reader.contributions("p0001") == (contribution(2, 1, key_id="k2"),)
        assert reader.contributions("p0002") == reader.taken_out("p0002") == ()
        assert [image.left_out for image in reader.images("c0002")] == [True, False]
        assert reader.payload("c0002", "net@1") == b"changed"
        assert reader.payload("c0002", "net@2") == b"other"
        assert reader.chip("c0002i0") == b"new"
        assert [row.person_id for row in reader.vectors("m1")] == ["p0002", "p0001"]
        assert list(reader.vectors("m1", after=2)) == [vector(1, 3, b"moved")]
        assert reader.models() == (model(1, status="kept"), model(2))
        assert [receipt.id for receipt in reader.receipts()] == ["r2", "r1"]
        assert [receipt.id for receipt in reader.receipts(pending_only=True)] == ["r1"]
        assert reader.receipts()[0] == ReceiptRow(id="r2", time=TIME, subject="a", **done)
        newest = list(reader.changes(newest_first=True))
        assert [row.revision for row in newest] == [3, 2, 1]
        assert (newest[0].undoes, newest[2].undone_by) == (1, 3)
        assert [row.revision for row in reader.changes(after=2)] == [3]
    with store.writing("people") as writer:
        writer.leave_out("c0002i0", False)
        writer.place("c0001", "p0002")
        writer.put_change(change(4))
    with store.reading("people") as reader:
        assert not reader.image("c0002i0").left_out
        assert reader.contribution("c0001") == contribution(1, 2)


def test_erasing_leaves_marks_alone(store) -> None:
    for number in (1, 2, 3):
        enroll(store, number, bytes([number]) * 70)
    with store.writing("people") as writer:
        writer.put_chip("c0001i0", b"chip")
        writer.put_link(LinkRow(first="p0001", second="p0002"))
        writer.put_link(LinkRow(first="p0002", second="p0003"))
        writer.put_change(change(4))
    with store.writing("people") as writer:
        writer.erase_person("p0001")
        writer.erase_contribution("c0001")
        writer.put_change(change(5))
    with store.reading("people") as reader:
        assert reader.person("p0001") is None
        assert reader.contribution("c0001") is None
        assert reader.images("c0001") == ()
        assert reader.image("c0001i0") is None
        assert reader.payload("c0001", "net@1") is None
        assert reader.chip("c0001i0") is None
        assert reader.links() == (LinkRow(first="p0002", second="p0003"),)
        assert list(reader.vectors("m1", after=4)) == [vector(1, 5, None, num_images=0)]
        assert reader.count()["bytes"] == 140
    with store.writing("people") as writer:
        writer.drop_link(LinkRow(first="p0002", second="p0003"))
        writer.drop_model("m1")
        writer.put_change(change(6))
    with store.reading("people") as reader:
        assert reader.links() == reader.models() == ()
        assert list(reader.vectors("m1")) == []
