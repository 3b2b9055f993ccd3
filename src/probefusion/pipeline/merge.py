"""One template of several parts: states, sets and people of videos, with the weight of each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from probefusion.errors import UnsupportedOperationError
from probefusion.fusion import Fuser
from probefusion.pipeline.named_sets import image_names
from probefusion.types import EmbeddingSet, FloatArray, FusionState, Template

__all__ = ["Merged", "SeenPerson", "Similarities", "fuse_parts"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SeenPerson:
    """The person of a video that is fused with the other parts.

    Args:
        state: The state of its images.
        shares: (N, M) how strongly each image stands in it.
        alone: (N, D) float32, template of each image alone.
        sources: N names.
        sample: Some of its images, for screening; None if none were kept.
        images: All of its images; None if only the state is there (see `probefusion.video.Person.images`).
    """

    state: FusionState
    shares: npt.NDArray[np.floating]
    alone: FloatArray
    sources: tuple[str, ...]
    sample: EmbeddingSet | None = None
    images: EmbeddingSet | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Merged:
    """A template of all parts.

    Args:
        template: With weights, unless a saved state was among the parts.
        state: The state of all, or None if the fuser has none.
        sources: N names in the order of the weights, or None if none is known.
        similarities: Works out (N,) cosines between each image's own template and that of all; None if
            a saved state was among the parts.
    """

    template: Template
    state: FusionState | None
    sources: tuple[str, ...] | None
    similarities: Similarities | None


class Similarities:
    """Cosines between each image's own template and that of all; worked out when first asked for.

    Can be pickled: then they are worked out.

    Args:
        fuser: The fuser of the template.
        template: The template of all.
        sets: Images of it.
        people: More images of it.
    """

    def __init__(
        self,
        fuser: Fuser,
        template: Template,
        sets: Sequence[EmbeddingSet],
        people: Sequence[SeenPerson],
    ) -> None:
        self._given = (fuser, template, tuple(sets), tuple(people))
        self._found: FloatArray | None = None

    def __call__(self) -> FloatArray:
        """(N,) float32 cosines, in the order of the parts."""
        if self._found is None:
            fuser, template, sets, people = self._given
            alone = [fuser.fuse_many(images, np.arange(len(images) + 1)) for images in sets]
            alone += [person.alone for person in people]
            self._found = np.concatenate(alone) @ template.vector
        return self._found

    def __getstate__(self) -> FloatArray:
        return self()

    def __setstate__(self, found: FloatArray) -> None:
        self._found = found


def fuse_parts(
    fuser: Fuser,
    *,
    states: Sequence[FusionState] = (),
    sets: Sequence[EmbeddingSet] = (),
    people: Sequence[SeenPerson] = (),
    chunk_size: int | None = None,
) -> Merged:
    """Fuses saved states, sets and people of videos into one template.

    Args:
        fuser: The fuser that made the states.
        states: Saved states.
        sets: Embedding sets; at least one part in all.
        people: One for each video.
        chunk_size: As for `Fuser.fuse`.

    Raises:
        UnsupportedOperationError: If there are several parts and the fuser cannot add them up.
        ProbeFusionError: If the parts do not belong together or do not fit the fuser.
    """
    try:
        encoded = [
            fuser.encode_with_shares(part)
            for images in sets
            for part in images.chunks(chunk_size or len(images))
        ]
    except UnsupportedOperationError:
        if states or people or len(sets) > 1:
            raise
        template = fuser.fuse(sets[0], chunk_size=chunk_size)
        similarities = Similarities(fuser, template, sets, people)
        return Merged(
            template=template,
            state=None,
            sources=_sources(sets, people),
            similarities=similarities,
        )
    state = _sum([*states, *(state for state, _ in encoded), *(person.state for person in people)])
    template = fuser.finish(state)
    if states:
        return Merged(template=template, state=state, sources=None, similarities=None)
    shares = [shares for _, shares in encoded] + [person.shares for person in people]
    weights = np.concatenate([fuser.weigh(state, part) for part in shares])
    total = float(weights.sum())
    weights = weights / total if total > 0 else np.full(len(weights), 1 / len(weights))
    return Merged(
        template=replace(template, weights=weights.astype(np.float32)),
        state=state,
        sources=_sources(sets, people),
        similarities=Similarities(fuser, template, sets, people),
    )


def _sum(states: Sequence[FusionState]) -> FusionState:
    total = states[0]
    for state in states[1:]:
        total = total + state
    return total


def _sources(sets: Sequence[EmbeddingSet], people: Sequence[SeenPerson]) -> tuple[str, ...] | None:
    if not people and all(images.sources is None for images in sets):
        return None
    names = [name for place, images in enumerate(sets) for name in image_names(images, place)]
    for person in people:
        names += person.sources
    return tuple(names)
