"""Ids of people: hashed the same way on every machine, and put into groups without a Python step per row."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from probefusion.errors import DtypeError, FileFormatError
from probefusion.files.reading import in_one_line

__all__ = [
    "LONGEST_ID",
    "Groups",
    "among",
    "as_stored",
    "bucket_borders",
    "fitting",
    "group_ids",
    "hash_ids",
]

Ids = npt.NDArray[Any]
Hashes = npt.NDArray[np.uint64]

LONGEST_ID = 256
"""Characters of an id. NumPy gives every text of an array the room of the longest, so one could take all memory."""

_TEXT_SALT = np.uint64(0x9E3779B97F4A7C15)
_BYTES_OF_A_CHARACTER = 4
_SMALL_ROOM = 64
_FACTOR = 0xD6E8FEB86659FD93
"""Odd, so that no character of a text is lost modulo 2**64."""


def as_stored(ids: Ids, id_kind: str, name: str) -> Ids:
    """Ids as int64, uint64 or text, whatever type a file has.

    Args:
        ids: (n,) integers or text.
        id_kind: As for `probefusion.archives.rows.archive.Archive`.
        name: The file, for messages.

    Raises:
        DtypeError: If they are of another kind than the rest of the archive.
        FileFormatError: If a text is longer than an id may be.
    """
    if (id_kind == "texts") != (ids.dtype.kind == "U"):
        raise DtypeError(f"ids of {name}: expected {id_kind}, got {ids.dtype}.")
    if id_kind == "texts":
        return _narrow(ids, name)
    return ids.astype(np.uint64 if id_kind == "large integers" else np.int64, copy=False)


def _narrow(ids: Ids, name: str) -> Ids:
    """Texts without room that none of them needs: an array of a file may have been made for longer ones.

    Raises:
        FileFormatError: If one is longer than an id may be.
    """
    room = ids.dtype.itemsize // _BYTES_OF_A_CHARACTER
    if room <= _SMALL_ROOM:
        return ids
    longest = int(np.char.str_len(ids).max(initial=1))
    if longest > LONGEST_ID:
        raise FileFormatError(
            f"ids of {in_one_line(name)}: expected texts of at most {LONGEST_ID} characters, got one of {longest:,}. "
            f"Is it the right column? Shorten it, or name another."
        )
    return ids.astype(f"U{longest}")


def among(ids: Ids, names: Collection[Any]) -> npt.NDArray[np.bool_]:
    """(n,) which ids are among some names.

    Args:
        ids: (n,) int64, uint64 or text, or texts as objects.
        names: Integers, or texts.
    """
    if ids.dtype.kind == "O":
        chosen = frozenset(str(name) for name in names)
        return np.fromiter((text in chosen for text in ids), bool, len(ids))
    if ids.dtype.kind == "U":
        wanted = np.array([str(name) for name in names], np.str_)
    else:
        limits = np.iinfo(ids.dtype)
        wanted = np.array([name for name in names if limits.min <= name <= limits.max], ids.dtype)
    return np.isin(ids, wanted)


def fitting(names: Collection[Any], id_kind: str) -> list[Any]:
    """Those of some names that can be ids of a kind; others are nobody's.

    Args:
        names: Integers, or texts.
        id_kind: As for `probefusion.archives.rows.archive.Archive`.
    """
    if id_kind == "texts":
        return list(names)
    limits = np.iinfo(np.uint64 if id_kind == "large integers" else np.int64)
    return [name for name in names if limits.min <= name <= limits.max]


def hash_ids(ids: Ids) -> Hashes:
    """(n,) uint64, the same for the same id on every machine; no two integers share one.

    Args:
        ids: (n,) int64, uint64 or text.
    """
    if ids.dtype.kind == "U":
        return _mixed(_text_hashes(ids) ^ _TEXT_SALT)
    return _mixed(ids.astype(np.int64, copy=False).view(np.uint64))


def bucket_borders(hashes: Hashes, num_buckets: int) -> npt.NDArray[np.int64]:
    """Where each bucket begins among sorted hashes, and the end: (num_buckets + 1,).

    Buckets are ranges of hashes of equal size, so the people of a bucket stand together once they are sorted.
    """
    width = (1 << 64) // num_buckets
    firsts = np.array([width * bucket for bucket in range(num_buckets)], np.uint64)
    inner = np.searchsorted(hashes, firsts[1:], side="left")
    return np.concatenate([[0], inner, [len(hashes)]]).astype(np.int64)


class Groups(NamedTuple):
    """Rows by id.

    Attributes:
        order: (n,) rows, those of one id together and in their order; ids ascend by their hashes.
        borders: (p + 1,) where the rows of each id begin in `order`, and the end.
        hashes: (p,) uint64, ascending.
    """

    order: npt.NDArray[np.int64]
    borders: npt.NDArray[np.int64]
    hashes: Hashes

    @property
    def firsts(self) -> npt.NDArray[np.int64]:
        """(p,) the first row of each id."""
        return self.order[self.borders[:-1]]

    @property
    def places(self) -> npt.NDArray[np.int64]:
        """(n,) for each row the number of its id."""
        places = np.empty(len(self.order), np.int64)
        places[self.order] = np.repeat(np.arange(len(self.hashes)), np.diff(self.borders))
        return places


def group_ids(ids: Ids, hashes: Hashes) -> Groups:
    """Groups rows by id.

    Args:
        ids: (n,) int64, uint64 or text.
        hashes: (n,) what `hash_ids` gives for them.
    """
    order = np.argsort(hashes, kind="stable")
    is_new = np.ones(len(order), bool)
    is_new[1:] = hashes[order][1:] != hashes[order][:-1]
    if ids.dtype.kind == "U" and (ids[order][1:] != ids[order][:-1])[~is_new[1:]].any():
        order = np.lexsort((ids, hashes))  # two texts share a hash
        is_new[1:] = ids[order][1:] != ids[order][:-1]
    borders = np.append(np.flatnonzero(is_new), len(order)).astype(np.int64)
    return Groups(order.astype(np.int64), borders, hashes[order][borders[:-1]])


def _mixed(values: Hashes) -> Hashes:
    """A bijection of 64 bits that spreads neighbours (the finalizer of splitmix64)."""
    with np.errstate(over="ignore"):
        mixed = values + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _text_hashes(ids: Ids) -> Hashes:
    """Polynomials in the characters' codes, modulo 2**64; how wide the array is has no part in it."""
    codes = np.ascontiguousarray(ids).view(np.uint32).reshape(len(ids), -1)
    sums = np.zeros(len(ids), np.uint64)
    power = 1
    with np.errstate(over="ignore"):
        for column in range(codes.shape[1]):
            power = power * _FACTOR % (1 << 64)
            sums += codes[:, column] * np.uint64(power)
    return sums
