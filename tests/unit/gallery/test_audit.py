"""The chain of audit entries shows what was changed, taken away, moved, added or forged, and where."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probefusion.errors import ConfigError, FileFormatError
from probefusion.gallery.audit.trail import Anchor, AuditEntry, append_entry, first_hash, make_entry
from probefusion.gallery.audit.trail_check import AuditReport, verify_chain

KEY = bytes(range(32))
TIMES = [f"2026-01-0{day}T12:00:00.000+00:00" for day in range(1, 8)]


def chain_of(times: list[str], key: bytes | None, collection: str = "main") -> list[bytes]:
    entries: list[bytes] = []
    for number, time in enumerate(times, start=1):
        sequence, entry = append_entry(
            entries[-1] if entries else None,
            collection=collection,
            action="enroll",
            actor="desk",
            subjects=(f"p{number}",),
            revision=number,
            time=time,
            key=key,
        )
        assert sequence == number
        entries.append(entry)
    return entries


CHAIN, SIGNED = chain_of(TIMES, None), chain_of(TIMES, KEY)


def faults_of(report: AuditReport) -> list[tuple[str, int, int]]:
    return [(fault.kind, fault.sequence, fault.last) for fault in report.faults]


def check(
    entries: list[bytes], *, key: bytes | None = None, **more: object
) -> list[tuple[str, int, int]]:
    report = verify_chain(entries, collection="main", key=key, **more)  # type: ignore[arg-type]
    assert report.is_whole == (not report.faults)
    assert report.num_entries == len(entries)
    return faults_of(report)


def changed(entry: bytes, **values: object) -> bytes:
    return dataclasses.replace(AuditEntry.parse(entry), **values).encoded()  # type: ignore[arg-type]


def test_a_whole_chain_is_whole() -> None:
    for entries, key in ((CHAIN, None), (SIGNED, KEY), (SIGNED, None)):
        report = verify_chain(entries, collection="main", key=key)
        assert report == AuditReport(
            num_entries=7,
            faults=(),
            last=AuditEntry.parse(entries[-1]).anchor,
            signatures_checked=key is not None,
            clock_steps=(),
        )
    assert check([]) == []
    assert verify_chain([], collection="main").last is None


def test_an_entry_is_the_json_that_is_written_down() -> None:
    first = hashlib.sha256(b"probefusion audit 1\x00main").hexdigest()
    head = '{"action":"enroll","actor":"desk",'
    tail = f'"previous":"{first}","revision":1,"sequence":1,"subjects":["p1"],"time":"{TIMES[0]}","version":1}}'
    assert CHAIN[0].decode() == f'{head}"mac":null,{tail}'
    mac = hmac.new(KEY, (head + tail).encode(), hashlib.sha256).hexdigest()
    assert SIGNED[0].decode() == f'{head}"mac":"{mac}",{tail}'
    assert json.loads(CHAIN[1])["previous"] == hashlib.sha256(CHAIN[0]).hexdigest()
    assert AuditEntry.parse(SIGNED[3]).encoded() == SIGNED[3]


@pytest.mark.parametrize("at", range(7))
def test_a_changed_entry_is_named(at: int) -> None:
    for values in (
        {"actor": "nobody"},
        {"subjects": ("p9",)},
        {"time": "1999"},
        {"revision": None},
    ):
        entries = [*CHAIN[:at], changed(CHAIN[at], **values), *CHAIN[at + 1 :]]
        # Nothing follows the last entry: only a place that was noted tells of it.
        assert check(entries) == ([("changed", at + 1, at + 1)] if at < 6 else [])
        anchor = AuditEntry.parse(CHAIN[6]).anchor
        expected = ("changed", at + 1, at + 1)
        assert check(entries, anchors=[anchor]) == [expected]
        signed = [*SIGNED[:at], changed(SIGNED[at], **values), *SIGNED[at + 1 :]]
        assert check(signed, key=KEY) == [("forged", at + 1, at + 1)]


def test_every_flipped_bit_of_a_chain_is_found() -> None:
    entries = SIGNED[:3]
    for at, entry in enumerate(entries):
        for bit in range(8 * len(entry)):
            flipped = bytearray(entry)
            flipped[bit // 8] ^= 1 << bit % 8
            found = check([*entries[:at], bytes(flipped), *entries[at + 1 :]], key=KEY)
            assert found != []


@pytest.mark.parametrize("at", range(6))
def test_a_missing_entry_is_named(at: int) -> None:
    assert check(CHAIN[:at] + CHAIN[at + 1 :]) == [("missing", at + 1, at + 1)]


def test_missing_entries_in_a_row_are_told_together() -> None:
    assert check([CHAIN[0], CHAIN[4], CHAIN[6]]) == [("missing", 2, 4), ("missing", 6, 6)]
    assert check(CHAIN[2:]) == [("missing", 1, 2)]


@pytest.mark.parametrize("at", range(6))
def test_entries_that_changed_places_are_named(at: int) -> None:
    entries = [*CHAIN[:at], CHAIN[at + 1], CHAIN[at], *CHAIN[at + 2 :]]
    assert check(entries) == [("moved", at + 1, at + 1)]


def test_moved_and_missing_are_told_apart() -> None:
    assert check([CHAIN[0], CHAIN[5], CHAIN[2], CHAIN[6]]) == [
        ("missing", 2, 2),
        ("moved", 3, 3),
        ("missing", 4, 5),
    ]


def test_a_repeated_entry_is_named() -> None:
    assert check([*CHAIN[:3], CHAIN[2], *CHAIN[3:]]) == [("repeated", 3, 3)]
    assert check([*CHAIN, CHAIN[0]]) == [("repeated", 1, 1)]


def test_an_entry_that_was_slipped_in_is_found() -> None:
    last = AuditEntry.parse(CHAIN[2]).anchor
    added = make_entry(last, action="remove", time=TIMES[3]).encoded()
    assert check([*CHAIN[:3], added, *CHAIN[3:]]) == [("repeated", 4, 4), ("changed", 4, 4)]
    assert check([*CHAIN[:3], added, *CHAIN[4:]]) == [("changed", 4, 4)]


@pytest.mark.parametrize(
    "junk", [b"", b"{}", b"null", b"\xff", b"[" * 100_000, CHAIN[3][:-1], CHAIN[3] + b" "]
)
def test_what_is_no_entry_is_named(junk: bytes) -> None:
    assert check([*CHAIN[:3], junk, *CHAIN[4:]]) == [("unreadable", 4, 4)]
    assert verify_chain([*CHAIN[:3], junk], collection="main").last is None


def test_a_cut_end_shows_where_a_place_was_noted() -> None:
    anchor = AuditEntry.parse(CHAIN[6]).anchor
    assert check(CHAIN[:4]) == []
    assert check(CHAIN[:4], anchors=[anchor]) == [("cut off", 7, 7)]
    assert check([], anchors=[anchor]) == [("cut off", 7, 7)]
    assert check(CHAIN, anchors=[anchor, AuditEntry.parse(CHAIN[2]).anchor]) == []


def test_a_chain_made_anew_shows_by_an_anchor_or_the_key() -> None:
    anew = chain_of(["2025-01-01T00:00:00.000+00:00", *TIMES[1:]], None)
    assert check(anew) == []
    assert check(anew, anchors=[AuditEntry.parse(CHAIN[6]).anchor]) == [("changed", 7, 7)]
    assert check(anew, key=KEY) == [("forged", number, number) for number in range(1, 8)]
    other = chain_of(TIMES, bytes(32))
    assert check(other, key=KEY) == [("forged", number, number) for number in range(1, 8)]


def test_the_chain_of_another_collection_is_refused() -> None:
    other = chain_of(TIMES, KEY, collection="other")
    assert check(other, key=KEY) == [("changed", 1, 1)]


def test_the_beginning_can_be_taken_away_on_purpose() -> None:
    after = AuditEntry.parse(CHAIN[2]).anchor
    assert check(CHAIN[3:], after=after) == []
    assert check(CHAIN[4:], after=after) == [("missing", 4, 4)]
    wrong = Anchor(sequence=3, hash="0" * 64)
    assert check(CHAIN[3:], after=wrong) == [("changed", 3, 3)]


def test_a_clock_that_goes_backwards_is_told_and_no_fault() -> None:
    times = [TIMES[4], TIMES[1], TIMES[1], TIMES[6], TIMES[0]]
    report = verify_chain(chain_of(times, KEY), collection="main", key=KEY)
    assert report.is_whole
    assert report.clock_steps == (2, 5)


def test_a_report_lists_a_hundred_faults_and_survives_any_number() -> None:
    report = verify_chain([b"junk"] * 5000, collection="main")
    assert (len(report.faults), report.num_entries) == (100, 5000)
    far = changed(CHAIN[0], sequence=2**53)
    assert check([far]) == [("missing", 1, 2**53 - 1)]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"action": "Enroll"}, "action: expected a word"),
        ({"action": ""}, "action: expected a word"),
        ({"action": "a\nb"}, "action: expected a word"),
        ({"subjects": ("Lin Mei",)}, "Give the id, not the name"),
        ({"subjects": ("",)}, "opaque ids"),
        ({"subjects": ("p" * 129,)}, "opaque ids"),
        ({"actor": "a" * 257}, "at most 256 printable"),
        ({"actor": "a\nb"}, "at most 256 printable"),
        ({"actor": "\ud800"}, "at most 256 printable"),
    ],
)
def test_what_an_entry_cannot_hold_is_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        append_entry(None, collection="main", **{"action": "enroll", **values})  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_nothing_is_appended_to_a_damaged_entry() -> None:
    with pytest.raises(FileFormatError, match="audit entry"):
        append_entry(b"junk", collection="main", action="enroll")


def test_the_time_is_that_of_utc() -> None:
    _, entry = append_entry(None, collection="main", action="enroll")
    assert AuditEntry.parse(entry).time.endswith("+00:00")
    assert len(AuditEntry.parse(entry).time) == len(TIMES[0])


def test_an_anchor_is_read_as_it_was_written() -> None:
    anchor = AuditEntry.parse(CHAIN[4]).anchor
    assert Anchor.parse(f" {anchor}\n") == anchor
    assert anchor == Anchor(sequence=5, hash=hashlib.sha256(CHAIN[4]).hexdigest())
    for text in ("", "5", "5:abc", f"-1:{'0' * 64}", f"5:{'G' * 64}", f"{'9' * 16}:{'0' * 64}"):
        with pytest.raises(ConfigError, match="anchor: expected"):
            Anchor.parse(text)


@given(data=st.data())
def test_no_mixture_of_entries_passes_for_the_chain(data: st.DataObject) -> None:
    """Whatever is taken of two signed chains, in whatever order: only beginnings of the chain itself are whole."""
    others = chain_of(TIMES[::-1], KEY, collection="other")
    drawn = data.draw(st.lists(st.sampled_from([*SIGNED, *others]), max_size=9))
    is_beginning = drawn == SIGNED[: len(drawn)]
    assert verify_chain(drawn, collection="main", key=KEY).is_whole == is_beginning


def test_beginnings_of_collections_differ() -> None:
    assert len({first_hash(name) for name in ("main", "main ", "", "\ud800", "Main")}) == 5
