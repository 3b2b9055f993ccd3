"""A process that writes to a gallery until it is done or killed; started with an address and numbers.

`python gallery_writer.py add ADDRESS SEED TIMES` adds numbers to the sums of people, the same for all.
`python gallery_writer.py append ADDRESS SEED` writes people with checksums, and tells of each after it was written.
"""

from __future__ import annotations

import hashlib
import os
import sys

import numpy as np
from gallery_rows import change, contribution, images, model, person, vector

from probefusion.gallery.stores.opening import open_store
from probefusion.gallery.stores.store import Reader, Store, Writer

PEOPLE = 100
DIM = 32


def additions(seed: int, times: int) -> list[tuple[int, np.ndarray]]:
    """Whom a process adds what to."""
    rng = np.random.default_rng(seed)
    return [(int(rng.integers(PEOPLE)), rng.integers(-999, 999, DIM)) for _ in range(times)]


def add(store: Store, seed: int, times: int) -> None:
    """Reads a sum, adds to it, writes it back: each as one change."""
    for number, numbers in additions(seed, times):
        with store.writing("people") as writer:
            old = np.frombuffer(writer.payload(f"c{number:04}", None), np.int64)
            writer.put_payload(f"c{number:04}", None, (old + numbers).tobytes(), None)
            visits = writer.person(f"p{number:04}").created
            writer.put_person(person(number, created=str(int(visits) + 1)))
            writer.put_change(change(writer.revision, subjects=(f"p{number:04}",)))


def write_one(writer: Writer, content: bytes) -> bytes:
    """Writes to many tables in one change, with an audit entry that is the checksum of all."""
    number = writer.revision
    if number == 1:
        writer.put_model(model())
    writer.put_person(person(number))
    writer.add_contribution(contribution(number, number), images(number, 3), content, "net@1")
    writer.put_chip(f"c{number:04}i1", content[:50])
    writer.put_vector(vector(number, number, content[-64:]))
    writer.put_change(change(number, subjects=(content[:16].hex(),)))
    checksum = checksum_of(writer, number)
    writer.append_audit(number, checksum)
    if number % 7 == 0:  # some is deleted again
        writer.erase_contribution(f"c{number - 3:04}")
        writer.erase_person(f"p{number - 3:04}")
    return checksum


def checksum_of(reader: Reader, number: int) -> bytes:
    """SHA-256 over all that one change wrote."""
    parts = (
        reader.person(f"p{number:04}"),
        reader.contributions(f"p{number:04}"),
        reader.images(f"c{number:04}"),
        reader.payload(f"c{number:04}", "net@1"),
        reader.chip(f"c{number:04}i1"),
        reader.vector("m1", f"p{number:04}"),
        reader.change(number),
    )
    return hashlib.sha256(repr(parts).encode()).digest()


def append(store: Store, seed: int) -> None:
    """Writes without end; a line `revision checksum` follows each write that is done."""
    rng = np.random.default_rng(seed)
    store.create("people")
    while True:
        with store.writing("people") as writer:
            checksum = write_one(writer, rng.bytes(int(rng.integers(100, 9000))))
        os.write(1, f"{writer.revision} {checksum.hex()}\n".encode())
        if writer.revision % 25 == 0 and not store.address.startswith("postgres"):
            store.overwrite()


if __name__ == "__main__":
    action, address, seed = sys.argv[1:4]
    if action == "add":
        add(open_store(address), int(seed), int(sys.argv[4]))
    else:
        append(open_store(address), int(seed))
