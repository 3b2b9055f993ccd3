"""Files of partial results: what was written is read, wholly or of a few people, and no flipped bit goes unseen."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from probefusion.archives.partials.partials import Partials, open_partials, writing_partials
from probefusion.errors import ProbeFusionError

pytest.importorskip("pyarrow")


def stored(seed: int = 0, count: int = 9, *, text: bool = False) -> Partials:
    """Records as stored states have them, each with some rows."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 4, count)
    ids = np.arange(count) * 3
    return Partials(
        ids=np.array([f"person {name}" for name in ids]) if text else ids,
        hashes=np.sort(rng.integers(0, 1 << 60, count).astype(np.uint64)),
        first=rng.integers(0, 100, count),
        num_images=rng.integers(1, 50, count),
        has_state=np.ones(count, bool),
        states=rng.standard_normal((count, 5)),
        row_counts=rows,
        embeddings=rng.standard_normal((rows.sum(), 4)).astype(np.float16),
        style=rng.standard_normal((rows.sum(), 3, 2)).astype(np.float16),
        quality=None,
        extra={
            "template": rng.standard_normal((count, 4)).astype(np.float32),
            "verdict": rng.integers(0, 4, count).astype(np.int8),
            "lighter": rng.random(count).astype(np.float32),
        },
    )


def same(one: Partials, other: Partials) -> bool:
    def equal(left, right):
        if isinstance(left, dict):
            return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
        return (left is None and right is None) or np.array_equal(left, right)

    return all(equal(getattr(one, each.name), getattr(other, each.name)) for each in fields(one))


def write(path, parts) -> str:
    with writing_partials(str(path)) as writer:
        for part in parts:
            writer.write(part)
    return str(path)


@pytest.mark.parametrize("text", [False, True])
def test_some_people_are_read_as_they_were_written(tmp_path, text) -> None:
    whole = stored(text=text)
    place = write(tmp_path / "a.arrow", [whole])
    with open_partials(place) as file:
        people = file.people(0)
        assert people.ids.tolist() == whole.ids.tolist()
        assert set(people.extra) == {"verdict", "lighter"}
        assert np.array_equal(file.templates(0), whole.extra["template"])
        assert same(file.read(0), whole)
        for places in ([0], [2, 3, 8], [], list(range(9))):
            some = file.read_some(0, np.array(places, np.int64))
            assert same(some, whole.chosen(np.array(places, np.int64)))
            assert some.row_counts.tolist() == whole.row_counts[places].tolist()
    rows = np.concatenate([[0], np.cumsum(whole.row_counts)])
    some = whole.chosen(np.array([2, 8]))
    expected = [whole.embeddings[rows[place] : rows[place + 1]] for place in (2, 8)]
    assert np.array_equal(some.embeddings, np.concatenate(expected))


def test_who_has_no_state_is_read_with_those_who_have(tmp_path) -> None:
    has_state = np.arange(9) % 2 == 0
    whole = stored()
    whole = replace(whole, has_state=has_state, states=whole.states[has_state], extra={})
    with open_partials(write(tmp_path / "a.arrow", [whole])) as file:
        assert same(file.read(0), whole)
        some = file.read_some(0, np.array([1, 4, 6]))
    assert some.has_state.tolist() == [False, True, True]
    assert np.array_equal(some.states, whole.states[[2, 3]])


def test_no_flipped_bit_goes_unseen(tmp_path) -> None:
    whole = [stored(0), stored(1, 4)]
    path = tmp_path / "a.arrow"
    place = write(path, whole)
    sound = path.read_bytes()
    rng = np.random.default_rng(0)
    seen = 0
    for position in rng.choice(len(sound), 400, replace=False).tolist():
        data = bytearray(sound)
        data[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        try:
            with open_partials(place) as file:
                found = [file.read(index) for index in range(file.num_batches)]
                some = file.read_some(0, np.arange(9))
                templates = file.templates(0)
                assert all(same(one, other) for one, other in zip(found, whole, strict=True))
                assert same(some, whole[0])
                assert np.array_equal(templates, whole[0].extra["template"])
        except ProbeFusionError:
            seen += 1
    assert seen > 200  # the rest is padding, or a copy of what stands elsewhere
