from __future__ import annotations

import numpy as np
import pytest

from probefusion.files.content_hash import content_hash


def test_the_hash_is_of_what_is_said_not_of_how_it_lies() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    right = content_hash({"a": array, "b": "text", "c": None})
    assert len(right) == 64
    assert content_hash({"b": "text", "a": np.asfortranarray(array)}) == right
    assert content_hash({"b": "text", "a": np.repeat(array, 2, axis=0)[::2]}) == right


@pytest.mark.parametrize(
    "other",
    [
        {"a": np.arange(12, dtype=np.float64).reshape(3, 4)},
        {"a": np.arange(12, dtype=np.float32).reshape(4, 3)},
        {"a": np.arange(12, dtype=np.float32).reshape(3, 4) + np.float32(1e-6)},
        {"b": np.arange(12, dtype=np.float32).reshape(3, 4)},
        {"a": np.arange(12, dtype=np.float32).reshape(3, 4), "b": ""},
        {"a": np.arange(12, dtype=np.float32).reshape(3, 4).tobytes()},
    ],
)
def test_every_difference_counts(other: dict[str, object]) -> None:
    right = content_hash({"a": np.arange(12, dtype=np.float32).reshape(3, 4)})
    assert content_hash(other) != right


def test_all_kinds_of_arrays_have_one(tmp_path) -> None:
    values = [
        np.array("text"),
        np.array(["ä", ""]),
        np.zeros((0, 5)),
        np.zeros((3, 0)),
        np.array(True),
        np.int64(3),
        b"bytes",
    ]
    found = {content_hash({"a": value}) for value in values}
    assert len(found) == len(values)
    rows = np.random.default_rng(0).standard_normal((3000, 1000))
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert content_hash({"a": mapped}) == content_hash({"a": rows})
