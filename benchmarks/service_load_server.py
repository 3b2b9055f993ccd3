"""`probefusion serve` for measuring: with parts of it switched off, or with what its threads do written down.

None of this is a setting of the service: it is done to this process alone, before the service starts.
"""

from __future__ import annotations

import argparse
import collections
import sys
import threading
import time
from pathlib import Path


def search_one_by_one() -> None:
    """Every search becomes a product of its own, as if nobody else had asked."""
    from probefusion.service.work import joint_work

    joint_work._MOST_SEARCHES = 1


def search_in_float32() -> None:
    """The index takes BLAS, as where numkong is not installed."""
    from probefusion.gallery.index import search_index

    search_index._has_numkong = lambda: False


def note_batches(path: Path) -> None:
    """Writes the sizes of products to a file at the end."""
    from probefusion.gallery.index import search_index

    sizes: collections.Counter[int] = collections.Counter()
    plain = search_index.SearchIndex.search_checked

    def noting(self, queries, **arguments):  # type: ignore[no-untyped-def]
        sizes[len(queries)] += 1
        path.write_text(" ".join(f"{size}:{number}" for size, number in sorted(sizes.items())))
        return plain(self, queries, **arguments)

    search_index.SearchIndex.search_checked = noting  # type: ignore[method-assign]


def sample_threads(path: Path, *, every: float = 0.004) -> None:
    """Looks again and again where all threads are, and writes the places with their numbers to a file."""
    places: collections.Counter[str] = collections.Counter()

    def look() -> None:
        written = time.monotonic()
        while True:
            time.sleep(every)
            for thread, frame in sys._current_frames().items():
                if thread == threading.get_ident():
                    continue
                stack = []
                while frame is not None:
                    code = frame.f_code
                    stack.append(f"{Path(code.co_filename).name}:{code.co_name}:{frame.f_lineno}")
                    frame = frame.f_back
                places[" < ".join(stack[:7])] += 1
            if time.monotonic() > written + 2:
                written = time.monotonic()
                lines = [f"{number} {place}" for place, number in places.most_common(80)]
                path.write_text("\n".join(lines))

    threading.Thread(target=look, daemon=True).start()


def main() -> int:
    """Changes what is asked for, then serves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one-by-one", action="store_true")
    parser.add_argument("--float32", action="store_true")
    parser.add_argument("--batches", type=Path)
    parser.add_argument("--samples", type=Path)
    options, rest = parser.parse_known_args()
    if options.one_by_one:
        search_one_by_one()
    if options.float32:
        search_in_float32()
    if options.batches:
        note_batches(options.batches)
    if options.samples:
        sample_threads(options.samples)
    from probefusion.cli.main import main as run

    return run(["serve", *rest])


if __name__ == "__main__":
    sys.exit(main())
