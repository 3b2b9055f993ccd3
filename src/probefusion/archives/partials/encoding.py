"""States of many people from rows as they are stored, some thousand rows at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from probefusion.archives.manifest import RunSettings
from probefusion.archives.partials.partials import Partials
from probefusion.archives.rows.archive import ArchiveRows
from probefusion.errors import InvalidInputError
from probefusion.files.reading import in_one_line
from probefusion.fusion import Fuser
from probefusion.fusion.contributions import Sums
from probefusion.screening.usability import predict_states
from probefusion.screening.usability_record import UsabilityRecord
from probefusion.types import UNIT_TOLERANCE, EmbeddingSet, FloatArray
from probefusion.types.usability import NUMBERS

__all__ = [
    "are_unit",
    "image_set",
    "one_thread",
    "states_of",
    "sums_of",
    "templates_of",
    "usability_of",
]

_ROWS_AT_ONCE = 8192
"""Rows widened to float32 at a time, unless one person has more."""
_FINISHED_AT_ONCE = 64
"""States read out together, always so many: what stands beside a state shall not change how it is computed."""

Numbers = npt.NDArray[np.int64]
States = npt.NDArray[np.float64]


def one_thread(fuser: Fuser) -> Fuser:
    """A copy that computes in the calling thread: the engine uses the cores."""
    own = copy.copy(fuser)
    if hasattr(own, "num_threads"):
        own.num_threads = 1
    return own


def are_unit(embeddings: npt.NDArray[np.floating]) -> bool:
    """Whether all rows have length 1: then the lengths that the network gave are lost."""
    lengths = np.linalg.norm(embeddings.astype(np.float64), axis=-1)
    return bool((np.abs(lengths - 1) <= UNIT_TOLERANCE).all())


def image_set(
    rows: ArchiveRows | Partials,
    chosen: Numbers | slice,
    settings: RunSettings,
    origin: str = "",
) -> EmbeddingSet:
    """Some rows as a set.

    Args:
        rows: The rows.
        chosen: Which of them.
        settings: Say of what embedder they are.
        origin: Where they were read, for messages.
    """
    return EmbeddingSet(
        embeddings=rows.embeddings[chosen],
        style=None if rows.style is None else rows.style[chosen],
        quality=None if rows.quality is None else rows.quality[chosen],
        embedder=settings.embedder,
        norms_known=settings.norms_known,
        origin=origin,
        was_stored=isinstance(rows, Partials) or rows.were_fused,
    )


def states_of(
    rows: ArchiveRows | Partials,
    order: Numbers | None,
    begins: Numbers,
    counts: Numbers,
    fuser: Fuser,
    settings: RunSettings,
) -> States:
    """States of people, (q, W) float64; the bits of each depend on its own rows alone.

    Args:
        rows: The rows.
        order: (n,) rows, those of one person together; None if they stand so.
        begins: (q,) where the rows of each person begin in that order.
        counts: (q,) how many there are, at least 1.
        fuser: An exact fuser, of one thread.
        settings: What the result depends on.
    """
    states = np.empty((len(counts), settings.state_width))
    edges = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    for first, last in _batches(edges):
        borders = edges[first : last + 1] - edges[first]
        places = np.repeat(begins[first:last] - borders[:-1], counts[first:last])
        places += np.arange(borders[-1])
        images = image_set(rows, places if order is None else order[places], settings)
        sums = fuser.encode_many(images, borders)
        flat = [part.reshape(last - first, -1) for part in sums]
        np.concatenate(flat, axis=1, out=states[first:last])
    return states


def sums_of(states: States, settings: RunSettings) -> Sums:
    """States as the sums that a fuser reads out; views where that can be."""
    clusters, dim, style = settings.num_clusters, settings.dim, settings.style_width
    end = clusters * (1 + dim)
    count = len(states)
    return Sums(
        states[:, :clusters],
        states[:, clusters:end].reshape(count, clusters, dim),
        states[:, end:].reshape(count, clusters, style),
    )


def templates_of(
    states: States, ids: npt.NDArray[np.generic], fuser: Fuser, settings: RunSettings
) -> FloatArray:
    """Templates of states, (P, D) float32; the bits of each depend on its own state alone.

    Raises:
        InvalidInputError: If a fused vector has no direction; the message names the person.
    """
    templates = np.empty((len(states), settings.dim), np.float32)
    for start in range(0, len(states), _FINISHED_AT_ONCE):
        part = states[start : start + _FINISHED_AT_ONCE]
        short = _FINISHED_AT_ONCE - len(part)
        if short:
            part = np.concatenate([part, np.repeat(part[:1], short, axis=0)])
        sums = Sums(*(np.ascontiguousarray(array) for array in sums_of(part, settings)))
        try:
            fused = fuser.finish_many(sums)
        except InvalidInputError:
            _name_the_wrong_one(sums, ids[start:], fuser)
            raise
        templates[start : start + _FINISHED_AT_ONCE] = fused[: len(fused) - short]
    return templates


def usability_of(
    states: States, num_images: Numbers, record: UsabilityRecord, settings: RunSettings
) -> npt.NDArray[np.float64]:
    """What can be expected of the templates of states, (P, 5); the bits of each depend on its own state alone.

    Args:
        states: (P, W).
        num_images: (P,).
        record: What was measured for the fuser and the embedder.
        settings: Of the run.
    """
    found = np.empty((len(states), len(NUMBERS)))
    for start in range(0, len(states), _FINISHED_AT_ONCE):
        part = states[start : start + _FINISHED_AT_ONCE]
        counts = num_images[start : start + _FINISHED_AT_ONCE]
        short = _FINISHED_AT_ONCE - len(part)
        if short:
            part = np.concatenate([part, np.repeat(part[:1], short, axis=0)])
            counts = np.concatenate([counts, np.repeat(counts[:1], short)])
        sums = Sums(*(np.ascontiguousarray(array) for array in sums_of(part, settings)))
        numbers = predict_states(sums, counts, record)
        found[start : start + _FINISHED_AT_ONCE] = numbers[: len(numbers) - short]
    return found


def _name_the_wrong_one(sums: Sums, ids: npt.NDArray[np.generic], fuser: Fuser) -> None:
    for place in range(min(len(ids), len(sums.mass))):
        try:
            fuser.finish_many(Sums(*(array[place : place + 1] for array in sums)))
        except InvalidInputError as error:
            name = in_one_line(str(ids[place]))
            raise InvalidInputError(f"template {name}: {error}".replace("set 0: ", "")) from error


def _batches(edges: Numbers) -> Iterator[tuple[int, int]]:
    """Runs of whole sets of some thousand rows, or one larger set: (first, behind the last)."""
    first = 0
    while first < len(edges) - 1:
        last = int(np.searchsorted(edges, edges[first] + _ROWS_AT_ONCE, side="right")) - 1
        last = max(last, first + 1)
        yield first, last
        first = last
