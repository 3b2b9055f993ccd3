"""What a process does that writes to a gallery beside others; run as `python gallery_writers.py PATH NUMBER OF`."""

from __future__ import annotations

import sys

from gallery_people import MadeUp
from probefusion.gallery import Gallery

NUM_PEOPLE, NUM_VISITS = 100, 2
PEOPLE = MadeUp()


def visits():
    """Every visit of everybody: who, and which."""
    return [(who, visit) for visit in range(1, NUM_VISITS + 1) for who in range(NUM_PEOPLE)]


def write(gallery, number, of):
    """The share of one of several writers; each also makes a change and takes it back."""
    for place, (who, visit) in enumerate(visits()):
        if place % of == number:
            gallery.update(f"p{who}", PEOPLE.images(who, visit), guard=False)
    wrong = gallery.update(f"p{number % NUM_PEOPLE}", PEOPLE.images(90 + number, 0), guard=False)
    gallery.undo(wrong.revision)
    found = gallery.search(PEOPLE.images(3, 50), threshold=0.5)
    if found.name != "p3":
        raise SystemExit(f"writer {number}: found {found}")


def main() -> None:
    path, number, of = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with Gallery(path, timeout=300, num_threads=1) as gallery:
        write(gallery, number, of)


if __name__ == "__main__":
    main()
