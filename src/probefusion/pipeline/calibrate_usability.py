"""What can be expected of templates, measured on the people of a calibration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from probefusion.errors import EmptySetError, InvalidInputError, UnsupportedOperationError
from probefusion.pipeline.calibration_data import chosen_people
from probefusion.pipeline.folder_people import embed_folder
from probefusion.pipeline.kinship import Kinship

if TYPE_CHECKING:
    from probefusion.embedders import Embedder
    from probefusion.fusion import Fuser
    from probefusion.protocols.degraded_folder import DegradedFolderProtocol, Mix
    from probefusion.protocols.people import People
    from probefusion.screening.fit_usability import LabelledSets
    from probefusion.screening.usability_record import UsabilityRecord
    from probefusion.types import EmbeddingSet

__all__ = ["LEAST_PEOPLE", "fit_usability_to", "why_no_usability"]

_MIXES: tuple[tuple[Mix, int], ...] = (("clean", 8), ("hard", 16), ("mixed", 16))
"""Thirds of the people get sets of these kinds and sizes, as those of the package were measured."""
_SET_SIZES = (1, 2, 4, 8, 16)
_RATE = 1e-3
"""Rate of false matches of the level from which a template is usable."""
_NON_FACES = 300
"""Pictures of each kind that shows no face."""
_SEED = 1
LEAST_PEOPLE = 60
"""Fewer people with three images or more support no formula that holds for others."""


def why_no_usability(
    people: People,
    folds: Sequence[int],
    *,
    num_people: int,
    leave_out: Sequence[str],
) -> str | None:
    """Why usability cannot be measured with these people, or None.

    Arguments as for `probefusion.calibrate`; nothing is embedded.
    """
    from probefusion.metrics.tails import MIN_EXPECTED_ERRORS, is_supported
    from probefusion.protocols.degraded_folder import MIN_PROBE_PERSON_IMAGES

    thirds = _thirds(people, folds, num_people, leave_out)
    probes = [
        sum(len(people.images[person]) >= MIN_PROBE_PERSON_IMAGES for person in third)
        for third in thirds
    ]
    if sum(probes) < LEAST_PEOPLE or not all(probes):
        return (
            f"it takes {LEAST_PEOPLE} people with {MIN_PROBE_PERSON_IMAGES} or more images each, there are "
            f"{sum(probes)}"
        )
    pairs = sum(count * (len(third) - 1) for count, third in zip(probes, thirds, strict=True))
    if not is_supported(_RATE, pairs):
        return (
            f"it takes {MIN_EXPECTED_ERRORS / _RATE:,.0f} comparisons of different people to say what is usable, "
            f"there are {pairs:,}"
        )
    return None


def fit_usability_to(
    fuser: Fuser,
    embedder: Embedder,
    people: People,
    folds: Sequence[int],
    *,
    num_people: int,
    kinship: Kinship,
    leave_out: Sequence[str],
    cache: str | Path | None = None,
    num_threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> UsabilityRecord | str:
    """Measures usability by the protocol that the package's own records were measured by.

    A third of the people each gets clean, hard and mixed sets of the degraded-folder protocol; pictures that show no
    face are drawn. Arguments as for `probefusion.calibrate`.

    Returns:
        What was measured, or why it could not be.
    """
    from probefusion.embedders import CropQuality, JudgedEmbedder
    from probefusion.protocols.degraded_folder import DegradedFolderProtocol
    from probefusion.protocols.people import People as SomePeople
    from probefusion.screening.fit_usability import fit_usability

    judged = JudgedEmbedder(embedder, CropQuality(num_threads=num_threads))
    sets = []
    for third, (mix, size) in zip(
        _thirds(people, folds, num_people, leave_out), _MIXES, strict=True
    ):
        protocol = DegradedFolderProtocol(
            people=SomePeople(
                images={person: people.images[person] for person in third}, path=people.path
            ),
            folds=(0, 1, 2, 3),
            mix=mix,
            set_sizes=_SET_SIZES,
            num_sets=1,
        )
        sets.append(_labelled(protocol, judged, size, kinship, cache, progress))
    try:
        return fit_usability(
            fuser, sets, _non_faces(judged), set_sizes=_SET_SIZES, false_match_rate=_RATE
        )
    except (EmptySetError, InvalidInputError, UnsupportedOperationError) as error:
        return str(error)


def _labelled(
    protocol: DegradedFolderProtocol,
    embedder: Embedder,
    size: int,
    kinship: Kinship,
    cache: str | Path | None,
    progress: Callable[[int, int], None] | None,
) -> LabelledSets:
    from probefusion.screening.fit_usability import LabelledSets

    data = embed_folder(protocol, embedder, size, cache, progress)
    groups = None
    if kinship != Kinship():
        groups = np.array([kinship.family(name) for name in data.gallery_subjects.tolist()])
    return LabelledSets(
        probes=data.probes,
        subjects=data.probe_subjects,
        gallery=data.gallery,
        gallery_subjects=data.gallery_subjects,
        name=f"{data.protocol}, {len(data.probe_subjects)} sets of {size}",
        groups=groups,
    )


def _non_faces(embedder: Embedder) -> EmbeddingSet:
    from probefusion.screening.non_faces import KINDS, draw_non_faces
    from probefusion.types import EmbeddingSet

    rng = np.random.default_rng(_SEED)
    return EmbeddingSet.concatenate(
        [embedder.embed_set(draw_non_faces(kind, _NON_FACES, rng)) for kind in KINDS]
    )


def _thirds(
    people: People, folds: Sequence[int], num_people: int, leave_out: Sequence[str]
) -> list[list[str]]:
    """The people for each kind of sets; each in one only."""
    chosen = chosen_people(people, folds, num_people, leave_out)
    return [chosen[place :: len(_MIXES)] for place in range(len(_MIXES))]
