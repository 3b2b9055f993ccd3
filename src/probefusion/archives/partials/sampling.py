"""Which rows of a person are looked at when screening: up to 16, evenly spread over all of them.

What is kept is settled in two steps: each chunk keeps up to 16 rows of a person, and of those of all chunks up to 16
are taken. Where a chunk kept all of its rows the choice is the same as from the rows themselves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["MOST_LOOKED_AT", "is_kept", "taken"]

MOST_LOOKED_AT = 16

Numbers = npt.NDArray[np.int64]


def is_kept(places: Numbers, counts: Numbers) -> npt.NDArray[np.bool_]:
    """Which rows a chunk keeps of people of whom it does not keep all.

    Args:
        places: (n,) for each row its place among the rows of its person.
        counts: (n,) rows of the person.
    """
    kept: npt.NDArray[np.bool_] = (places * MOST_LOOKED_AT) // counts != (
        (places - 1) * MOST_LOOKED_AT
    ) // counts
    return kept | (counts <= MOST_LOOKED_AT)


def taken(
    people: Numbers, num_images: Numbers, kept: Numbers
) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Which of the rows that were kept are taken, over all chunks of a group of people.

    Args:
        people: (e,) for each entry (a person in a chunk), in the order of the chunks, the number of the person.
        num_images: (e,) the person's rows in the chunk.
        kept: (e,) how many of them were kept.

    Returns:
        For every row that is taken, ordered by entry: the entry, the row's place among those that the entry kept, its
        place among all that are taken, person by person; and (P + 1,) where the rows of each person begin there.
    """
    num_people = int(people.max()) + 1 if len(people) else 0
    totals = np.bincount(people, num_images, num_people).astype(np.int64)
    wanted = np.minimum(totals, MOST_LOOKED_AT)
    begins = np.concatenate([[0], np.cumsum(wanted)]).astype(np.int64)
    before = _before(people, num_images)
    total = totals[people]
    first = _chosen_before(before, total)
    count = np.minimum(_chosen_before(before + num_images, total) - first, kept)
    entries = np.repeat(np.arange(len(people)), count)
    nth = np.arange(len(entries)) - np.repeat(np.cumsum(count) - count, count)
    exact = -(-((first[entries] + nth) * total[entries]) // MOST_LOOKED_AT) - before[entries]
    exact = np.where(total[entries] <= MOST_LOOKED_AT, nth, exact)
    spread = (2 * nth + 1) * kept[entries] // (2 * np.maximum(count[entries], 1))
    chosen = np.where(kept[entries] == num_images[entries], exact, spread)
    return entries, chosen, begins[people[entries]] + first[entries] + nth, begins


def _before(people: Numbers, num_images: Numbers) -> Numbers:
    """(e,) the person's rows in the entries before."""
    order = np.argsort(people, kind="stable")
    running = np.cumsum(num_images[order]) - num_images[order]
    is_first = np.ones(len(order), bool)
    is_first[1:] = people[order][1:] != people[order][:-1]
    starts = np.maximum.accumulate(np.where(is_first, np.arange(len(order)), 0))
    before = np.empty(len(order), np.int64)
    before[order] = running - running[starts]
    return before


def _chosen_before(places: Numbers, totals: Numbers) -> Any:
    """How many rows before a place are taken, of people with so many rows."""
    few = totals <= MOST_LOOKED_AT
    several = np.where(places > 0, (places - 1) * MOST_LOOKED_AT // np.maximum(totals, 1) + 1, 0)
    return np.where(few, places, several)
