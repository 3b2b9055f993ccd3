"""Wrong calls, hostile names, late use: every place where a gallery can lie refuses alike, and nothing is spoilt."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest
from gallery_rows import change, contribution, enroll, images, model, person, vector

from probefusion.errors import ConfigError, MissingFileError, UnknownNameError
from probefusion.gallery.stores.opening import open_store
from probefusion.gallery.stores.records import LinkRow, PersonRow, ReceiptRow

TWINS = ("Zo\u00eb", "Zoe\u0308")
"""One name to the eye, two to whoever compares code points."""


WRONG = {
    "person's name taken": (lambda w: w.put_person(person(9, name="person 1")), "shown under this"),
    "contribution there": (
        lambda w: w.add_contribution(contribution(1, 1), images(1), b"", None),
        "'c0001' is in 'contribution there' already",
    ),
    "image there": (
        lambda w: w.add_contribution(
            contribution(2, 1),
            [replace(images(1)[0], contribution_id="c0002")],
            b"",
            None,
        ),
        "'c0001i0' is in 'image there' already",
    ),
    "image twice": (
        lambda w: w.add_contribution(contribution(2, 1), [images(2)[0]] * 2, b"", None),
        "'c0002i0' stands twice",
    ),
    "place twice": (
        lambda w: w.add_contribution(
            contribution(2, 1), [replace(row, place=1) for row in images(2)], b"", None
        ),
        "place 1 stands twice",
    ),
    "image of another": (
        lambda w: w.add_contribution(contribution(2, 1), images(1), b"", None),
        "expected those of 'c0002'",
    ),
    "no contribution": (lambda w: w.place("c9", None), "no contribution 'c9'"),
    "no image": (lambda w: w.leave_out("i9", True), "no image 'i9'"),
    "no image for a chip": (lambda w: w.put_chip("i9", b""), "no image 'i9'"),
    "payload of none": (lambda w: w.put_payload("c9", None, b"", None), "no contribution 'c9'"),
    "empty embedder": (lambda w: w.put_payload("c0001", "", b"", None), "empty text"),
    "vector of the past": (lambda w: w.put_vector(vector(1, 1, b"")), "expected 2"),
    "link in wrong order": (
        lambda w: w.put_link(LinkRow(first="p2", second="p1")),
        "expected first < second",
    ),
    "change of the future": (lambda w: w.put_change(change(3)), "expected 2"),
    "audit out of order": (lambda w: w.append_audit(2, b""), "expected 1, got 2"),
    "erase no contribution": (lambda w: w.erase_contribution("c9"), "no contribution"),
    "erase nobody": (lambda w: w.erase_person("p9"), "no person 'p9'"),
    "edits no JSON": (lambda w: w.put_change(change(2, edits=({"a": b""},))), "JSON"),
    "edits not finite": (lambda w: w.put_change(change(2, edits=({"a": float("nan")},))), "JSON"),
    "NUL in a name": (lambda w: w.put_person(person(9, name="a\0b")), "without NUL"),
    "surrogate in a name": (lambda w: w.put_person(person(9, name="\ud800")), "surrogate"),
    "NUL in a source": (
        lambda w: w.add_contribution(contribution(2, 1, source="\0"), [], b"", None),
        "without NUL",
    ),
    "empty id": (lambda w: w.put_person(person(9, id="")), "1 to 1000 bytes"),
    "long id": (lambda w: w.put_person(person(9, id="é" * 501)), "got 1002"),
}


def test_wrong_calls_are_refused_and_spoil_nothing(store) -> None:
    for case, (wrong, message) in WRONG.items():
        store.create(case)
        enroll(store, 1, b"x" * 70, collection=case)
        with store.writing(case) as writer:
            with pytest.raises(ConfigError, match=message):
                wrong(writer)
            writer.put_person(person(5))  # the block goes on
            writer.put_change(change(2))
        with store.reading(case) as reader:
            assert [row.id for row in reader.people()] == ["p0001", "p0005"], case
            assert reader.count()["contributions"] == 1, case


DANGLING = {
    "contribution of nobody": lambda w: w.add_contribution(contribution(5, 9), [], b"", None),
    "placed at nobody": lambda w: w.place("c0001", "p0009"),
    "person with contributions": lambda w: w.erase_person("p0001"),
    "vector of no model": lambda w: w.put_vector(vector(1, 2, b"", model_id="m9")),
    "link to nobody": lambda w: w.put_link(LinkRow(first="p0001", second="p0009")),
}


def test_rows_that_name_nothing_are_refused_at_the_end(store) -> None:
    def write(case: str) -> None:
        with store.writing(case) as writer:
            DANGLING[case](writer)
            writer.put_person(person(7))
            writer.put_change(change(2))

    for case in DANGLING:
        store.create(case)
        enroll(store, 1, b"x" * 70, collection=case)
        with pytest.raises(ConfigError, match="that is not there; nothing was changed"):
            write(case)
        with store.reading(case) as reader:
            assert reader.revision == 1, case
            assert [row.id for row in reader.people()] == ["p0001"], case
            assert [row.id for row in reader.contributions("p0001")] == ["c0001"], case


def test_exceptions_roll_back_and_blocks_without_change_write_nothing(store) -> None:
    enroll(store, 1, b"x" * 70)

    def fail() -> None:
        with store.writing("people") as writer:
            writer.put_person(person(2))
            writer.put_change(change(2))
            assert writer.person("p0002") is not None
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail()
    with store.writing("people") as writer:
        writer.put_person(person(3))
    with store.writing("people") as writer:
        writer.put_change(replace(writer.change(1), action="other"))
    with store.reading("people") as reader:
        assert reader.revision == 1
        assert [row.id for row in reader.people(shown_only=False)] == ["p0001"]
        assert reader.change(1).action == "enroll"
    enroll(store, 2, b"y" * 70)
    assert store.revision("people") == 2


HOSTILE = (
    "Robert'); DROP TABLE people; --",
    '"; SELECT 1; \\',
    "% ? %s $1 :name",
    "",
    " ",
    " person 1 ",
    "line\nbreak\ttab\x01",
    "👩‍👩‍👧\u202e right to left",
    *TWINS,
    "STRASSE",
    "strasse",
    "straße",
)


def test_hostile_names_stay_what_they_are(store) -> None:
    store.create(HOSTILE[0])
    assert HOSTILE[0] in store.collections()
    with store.writing(HOSTILE[0]) as writer:
        for number, name in enumerate(HOSTILE):
            writer.put_person(PersonRow(id=name or "empty", name=name, created=str(number)))
        writer.put_change(
            change(1, actor=HOSTILE[0], action=HOSTILE[1], edits=({"n": HOSTILE[2]},))
        )
    with store.reading(HOSTILE[0]) as reader:
        ids = [row.id for row in reader.people()]
        assert ids == sorted(name or "empty" for name in HOSTILE)
        for number, name in enumerate(HOSTILE):
            assert reader.person_named(name).created == str(number)
        assert reader.person_named("a\0b") is reader.person("\ud800") is None
        assert reader.person_named(HOSTILE[0].lower()) is None
        assert next(reader.changes()).actor == HOSTILE[0]
    with store.reading("people") as reader:
        assert list(reader.people()) == []


def test_names_of_ten_megabytes(store) -> None:
    names = ["ü" * 5_000_000 + ending for ending in "ab"]
    with store.writing("people") as writer:
        for number, name in enumerate(names):
            writer.put_person(person(number, name=name))
        writer.put_change(change(1))
    with store.reading("people") as reader:
        assert [reader.person_named(name).id for name in names] == ["p0000", "p0001"]
        assert reader.person("p0001").name == names[1]
    for wrong in ("", "x" * 1001, "a\0b", "\udc00"):
        with pytest.raises(ConfigError, match="collection: expected"):
            store.create(wrong)
    with pytest.raises(UnknownNameError, match="Known: people"):
        store.revision(names[0])


def test_order_is_that_of_writing_whatever_the_clock_says(store) -> None:
    times = ["2026-03-01T00:00:00", "2026-01-01T00:00:00", "1970-01-01T00:00:00"]
    for number, time in enumerate(times):
        with store.writing("people") as writer:
            writer.put_model(model(number + 1, created=time))
            writer.put_receipt(
                ReceiptRow(id=f"r{number}", time=time, subject="p", status="pending")
            )
            writer.append_audit(number + 1, time.encode())
            writer.put_change(change(number + 1, time=time))
    with store.reading("people") as reader:
        assert [row.time for row in reader.changes()] == times
        assert [row.created for row in reader.models()] == times
        assert [row.time for row in reader.receipts()] == times
        assert list(reader.audit()) == [time.encode() for time in times]


def test_facts(store, address) -> None:
    assert store.facts("key_fingerprint") is None
    assert store.facts("\0") is None
    store.set_fact("key_fingerprint", "old")
    store.set_fact("key_fingerprint", "né'w")
    with closing(open_store(address)) as other:
        assert other.facts("key_fingerprint") == "né'w"
    with pytest.raises(ConfigError, match="value: expected text without NUL"):
        store.set_fact("a", "\0")
    assert store.facts("a") is None


def test_use_after_the_end_is_refused(store) -> None:
    enroll(store, 1, b"x" * 70)
    with store.reading("people") as reader:
        rows = reader.people()
    with store.writing("people") as writer:
        pass
    for use in (
        lambda: list(rows),
        lambda: reader.person("p0001"),
        lambda: writer.put_person(person(2)),
    ):
        with pytest.raises(ConfigError, match="is over; open a new one"):
            use()
    store.close()
    for use in (
        lambda: store.collections(),
        lambda: store.reading("people").__enter__(),
        lambda: store.writing("people").__enter__(),
        lambda: store.set_fact("a", "b"),
        lambda: store.overwrite(),
    ):
        with pytest.raises(ConfigError, match="was closed; open it again"):
            use()
    store.close()


def test_nothing_is_made_unless_asked_for(address) -> None:
    with pytest.raises(MissingFileError, match="expected a gallery"):
        open_store(address, create=False)
    open_store(address).close()
    open_store(address, create=False).close()


def test_whole_database_is_checked(store) -> None:
    enroll(store, 1, b"x" * 70)
    store.check()
