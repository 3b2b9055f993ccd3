"""Measures the constants of `UsabilityRecord` on sets of known people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import EmptySetError, InvalidInputError, ShapeError
from probefusion.fusion import Fuser, MeanFuser
from probefusion.screening.gain import gain_terms
from probefusion.screening.least_squares import fit_quantile, fit_ridge
from probefusion.screening.usability import StateFacts
from probefusion.screening.usability_record import UsabilityRecord
from probefusion.types import EmbeddingSet, FloatArray

__all__ = ["LabelledSets", "fit_usability", "measure_sets"]

_Floats = npt.NDArray[np.float64]

COVERAGE = 0.9
_NUM_PARTS = 4
"""Parts of the people: what the interval is corrected by is measured on people that the formulas do not know."""
_FAR_ENDS = (0.999, 0.005)
"""What is no face ends at this quantile of the other pictures, a face begins at that of good sets; the border lies
in the middle, so that other cameras and other pictures than those measured have room."""
_HELD_BACK = 0.3
"""Strength of the ridge regression on the looks; less fits the cameras of the sets, not faces."""
_COPIES = 8
"""Sets that hold one image so many times teach that copies are no evidence."""
_LEAST_PEOPLE = 40
_LEAST_NON_FACES = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledSets:
    """Probe sets of equal size, and a clean image of each person.

    Args:
        probes: P x K images, set after set; the first n of a set are a smaller one.
        subjects: (P,) the person of each set.
        gallery: G clean images, one of each person, not among the probes.
        gallery_subjects: (G,) their names, all different.
        name: What and how many they are, for the record.
        groups: (G,) families of the people of the gallery: those of one are not compared with each other; None
            compares all.

    Raises:
        ShapeError: If the numbers do not fit.
        InvalidInputError: If a person of a set is not in the gallery.
    """

    probes: EmbeddingSet
    subjects: npt.NDArray[np.str_]
    gallery: EmbeddingSet
    gallery_subjects: npt.NDArray[np.str_]
    name: str
    groups: npt.NDArray[np.str_] | None = None

    def __post_init__(self) -> None:
        if not len(self.subjects) or len(self.probes) % len(self.subjects):
            raise ShapeError(
                f"probes: expected K images for each of {len(self.subjects)} sets, got {len(self.probes)}."
            )
        if len(self.gallery) != len(self.gallery_subjects):
            raise ShapeError(
                f"gallery_subjects: expected {len(self.gallery)}, got {len(self.gallery_subjects)}."
            )
        missing = np.setdiff1d(self.subjects, self.gallery_subjects)
        if len(missing):
            raise InvalidInputError(f"subjects: {missing[0]!r} has no image in the gallery.")

    @property
    def is_non_mated(self) -> npt.NDArray[np.bool_]:
        """(P, G) whether set and gallery image are of people of whom neither is the other, nor of the family."""
        groups = self.gallery_subjects if self.groups is None else self.groups
        group_of = dict(zip(self.gallery_subjects.tolist(), groups.tolist(), strict=True))
        mine = np.array([group_of[name] for name in self.subjects.tolist()])
        is_other: npt.NDArray[np.bool_] = mine[:, None] != groups[None]
        return is_other

    @property
    def set_size(self) -> int:
        """K."""
        return len(self.probes) // len(self.subjects)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Measured:
    """What B sets gave: facts of their states, similarities, people, terms of the gain and the gain."""

    facts: StateFacts
    similarities: _Floats
    subjects: npt.NDArray[np.str_]
    gain_terms: _Floats
    gains: _Floats


def fit_usability(
    fuser: Fuser,
    sets: Sequence[LabelledSets],
    non_faces: EmbeddingSet,
    *,
    set_sizes: Sequence[int] = (1, 2, 4, 8, 16),
    false_match_rate: float = 1e-3,
    seed: int = 0,
) -> UsabilityRecord:
    """Measures how similarity to a clean image follows from a state, for one fuser and embedder.

    Args:
        fuser: The fuser; it must keep states.
        sets: Sets of people whom neither fuser nor embedder has seen, good and bad ones.
        non_faces: Embeddings of pictures that show no face, as of `draw_non_faces`.
        set_sizes: Sizes that are cut from the sets; larger ones than K are left out.
        false_match_rate: Rate of the level from which a template is usable.
        seed: Of the draws.

    Raises:
        EmptySetError: If there are too few people or pictures that show no face.
        InvalidInputError: If the embedder of the sets is not known, or they are of several.
        ProbeFusionError: If the sets do not fit the fuser.
    """
    embedder = _embedder_of(sets, non_faces)
    rng = np.random.default_rng(seed)
    measured = [_measure(fuser, labelled, set_sizes) for labelled in sets]
    whole = _Measured(
        facts=_join([part.facts for part in measured]),
        similarities=np.concatenate([part.similarities for part in measured]),
        subjects=np.concatenate([part.subjects for part in measured]),
        gain_terms=np.concatenate([part.gain_terms for part in measured]),
        gains=np.concatenate([part.gains for part in measured]),
    )
    people = np.unique(whole.subjects)
    if len(people) < _LEAST_PEOPLE or len(non_faces) < _LEAST_NON_FACES:
        raise EmptySetError(
            f"sets, non_faces: expected at least {_LEAST_PEOPLE} people and {_LEAST_NON_FACES} other pictures "
            f"to measure usability with, got {len(people)} and {len(non_faces)}. Give more."
        )
    others = _other_looks(fuser, non_faces, set_sizes, rng)
    level = _level(fuser, sets, set_sizes, false_match_rate)
    part_of = dict(zip(people, rng.permutation(len(people)) % _NUM_PARTS, strict=True))
    parts = np.array([part_of[subject] for subject in whole.subjects])
    held_out = _held_out_scores(whole, others, parts)
    good = whole.similarities >= level
    if not good.any():
        raise InvalidInputError(
            f"sets: expected some whose similarity reaches {level:.2f}, got none. Give clean sets too."
        )
    formulas, shifts = _fit_interval(whole, held_out[0], parts)
    appearance, likeness = _fit_looks(whole, others, np.ones(len(parts), bool))
    return UsabilityRecord(
        fuser=fuser.fingerprint,
        embedder=embedder,
        appearance=_plain(appearance[:-1]),
        appearance_offset=float(appearance[-1]),
        likeness=_plain(likeness[:-1]),
        likeness_offset=float(likeness[-1]),
        least_likeness=_border(others @ likeness[:-1] + likeness[-1], held_out[1][good]),
        lower=_plain(formulas[0] - shifts * _UNIT),
        median=_plain(formulas[1]),
        upper=_plain(formulas[2] + shifts * _UNIT),
        level=level,
        false_match_rate=false_match_rate,
        coverage=COVERAGE,
        gain=_plain(fit_ridge(whole.gain_terms, whole.gains, strength=1e-6)),
        fitted_on=_told(sets, whole, non_faces, set_sizes, seed),
    )


_UNIT = np.eye(10)[0]


def _border(of_others: _Floats, of_good: _Floats) -> float:
    end, begin = (
        float(np.quantile(scores, share))
        for scores, share in zip((of_others, of_good), _FAR_ENDS, strict=True)
    )
    return (end + begin) / 2


def _plain(values: _Floats) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values)


def _told(
    sets: Sequence[LabelledSets], whole: _Measured, non_faces: EmbeddingSet,
    set_sizes: Sequence[int], seed: int,
) -> dict[str, Any]:  # fmt: skip
    return {
        "sets": [labelled.name for labelled in sets],
        "num_people": len(np.unique(whole.subjects)),
        "num_sets": len(whole.subjects),
        "num_non_faces": len(non_faces),
        "set_sizes": list(set_sizes),
        "copies": _COPIES,
        "seed": seed,
    }


def _embedder_of(sets: Sequence[LabelledSets], non_faces: EmbeddingSet) -> str:
    names = {part.embedder for labelled in sets for part in (labelled.probes, labelled.gallery)}
    names.add(non_faces.embedder)
    if len(names) != 1 or None in names:
        raise InvalidInputError(
            f"sets, non_faces: expected embeddings of one known embedder, got "
            f"{', '.join(sorted(str(name) for name in names))}."
        )
    return str(names.pop())


def _sizes(labelled: LabelledSets, set_sizes: Sequence[int]) -> list[int]:
    return [size for size in set_sizes if size <= labelled.set_size]


def _measure(fuser: Fuser, labelled: LabelledSets, set_sizes: Sequence[int]) -> _Measured:
    num_sets, size = len(labelled.subjects), labelled.set_size
    places = {name: row for row, name in enumerate(labelled.gallery_subjects.tolist())}
    order = [places[name] for name in labelled.subjects.tolist()]
    alone = np.arange(len(labelled.gallery) + 1)
    clean = fuser.fuse_many(labelled.gallery, alone)[order]
    plain_clean = MeanFuser(num_threads=1).fuse_many(labelled.gallery, alone)[order]
    first = np.arange(num_sets)[:, None] * size
    rows = [first + np.arange(count) for count in _sizes(labelled, set_sizes)]
    rows.append(np.repeat(first, _COPIES, axis=1))
    found = [measure_sets(fuser, labelled.probes, some, clean, plain_clean) for some in rows]
    return _Measured(
        facts=_join([part[0] for part in found]),
        similarities=np.concatenate([part[1] for part in found]),
        subjects=np.tile(labelled.subjects, len(rows)),
        gain_terms=np.concatenate([part[2] for part in found]),
        gains=np.concatenate([part[3] for part in found]),
    )


def measure_sets(
    fuser: Fuser, images: EmbeddingSet, rows: npt.NDArray[np.int64], clean: FloatArray,
    plain_clean: FloatArray,
) -> tuple[StateFacts, _Floats, _Floats, _Floats]:  # fmt: skip
    """What sets of equal size give, beside a clean image of each person.

    Args:
        fuser: The fuser.
        images: All images.
        rows: (P, n) which of them each set holds.
        clean: (P, D) template of the clean image of each set's person.
        plain_clean: (P, D) its unit embedding.

    Returns:
        Facts of the states; (P,) similarities; (P, 6) terms of the gain; (P,) gains over the plain mean.
    """
    count = rows.shape[1]
    chosen = images[rows.ravel()]
    borders = np.arange(len(rows) + 1) * count
    states = fuser.encode_many(chosen, borders)
    fused = fuser.finish_many(states)
    facts = StateFacts.of(states, np.full(len(rows), count))
    plain = MeanFuser(num_threads=1)
    plain_states = plain.encode_many(chosen, borders)
    mean = plain.finish_many(plain_states)
    effective = [
        1 / float(np.square(np.asarray(fuser.fuse(chosen[a:b]).weights, np.float64)).sum())
        for a, b in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True)
    ]
    similarities = np.einsum("bd,bd->b", fused, clean).astype(np.float64)
    terms = gain_terms(
        agreement=np.einsum("bd,bd->b", fused, mean),
        effective_images=effective,
        num_images=facts.num_images,
        coherence=StateFacts.of(plain_states, facts.num_images).coherence,
    )
    gains = similarities - np.einsum("bd,bd->b", mean, plain_clean)
    return facts, similarities, terms, gains


def _level(
    fuser: Fuser, sets: Sequence[LabelledSets], set_sizes: Sequence[int], rate: float
) -> float:
    """The similarity that a share `rate` of the comparisons of different people reach, all sizes together."""
    found = []
    for labelled in sets:
        gallery = fuser.fuse_many(labelled.gallery, np.arange(len(labelled.gallery) + 1))
        for count in _sizes(labelled, set_sizes):
            size = labelled.set_size
            rows = np.arange(len(labelled.subjects))[:, None] * size + np.arange(count)
            chosen = labelled.probes[rows.ravel()]
            fused = fuser.fuse_many(chosen, np.arange(len(rows) + 1) * count)
            found.append((fused @ gallery.T)[labelled.is_non_mated])
    return float(np.quantile(np.concatenate(found), 1 - rate))


def _other_looks(
    fuser: Fuser, pictures: EmbeddingSet, set_sizes: Sequence[int], rng: np.random.Generator
) -> _Floats:
    """Looks of states of pictures that show no face: alone, copies, and mixed."""
    count = max(set_sizes)
    alone = np.arange(len(pictures))
    mixed = rng.integers(0, len(pictures), (len(pictures), count))
    looks = []
    for rows in (alone[:, None], np.repeat(alone[:, None], 2, axis=1), mixed, mixed[:, :4]):
        borders = np.arange(len(rows) + 1) * rows.shape[1]
        states = fuser.encode_many(pictures[rows.ravel()], borders)
        looks.append(StateFacts.of(states, np.full(len(rows), rows.shape[1])).looks)
    return np.concatenate(looks)


def _fit_looks(
    whole: _Measured, others: _Floats, chosen: npt.NDArray[np.bool_]
) -> tuple[_Floats, _Floats]:
    """Constants of the two scores of the looks, the offset last: predicted similarity, and faces from others."""
    faces = whole.facts.looks[chosen]
    looks = np.concatenate([faces, others])
    middle, scale = faces.mean(axis=0), faces.std(axis=0) + 1e-6
    scaled = np.c_[(looks - middle) / scale, np.ones(len(looks))]
    weights = np.r_[np.ones(len(faces)), np.full(len(others), 0.5 * len(faces) / len(others))]
    found = []
    similar = np.r_[whole.similarities[chosen], np.zeros(len(others))]
    is_face = np.r_[np.ones(len(faces)), -np.ones(len(others))]
    for wanted in (similar, is_face):
        fitted = fit_ridge(scaled, wanted, strength=_HELD_BACK, weights=weights, has_offset=True)
        plain = fitted[:-1] / scale
        found.append(np.r_[plain, fitted[-1] - plain @ middle])
    return found[0], found[1]


def _held_out_scores(
    whole: _Measured, others: _Floats, parts: npt.NDArray[np.int64]
) -> tuple[_Floats, _Floats]:
    """Both scores of each set, by constants that do not know its person."""
    scores = np.empty((2, len(parts)))
    looks = np.c_[whole.facts.looks, np.ones(len(parts))]
    for part in range(_NUM_PARTS):
        inside = parts == part
        for row, constants in enumerate(_fit_looks(whole, others, ~inside)):
            scores[row, inside] = looks[inside] @ constants
    return scores[0], scores[1]


def _fit_interval(
    whole: _Measured, appearance: _Floats, parts: npt.NDArray[np.int64]
) -> tuple[list[_Floats], float]:
    """Constants of lower end, median and upper end, and by how much the ends must move to cover as promised.

    Source: Romano et al. 2019, conformalized quantile regression; the scores are of held-out people.
    """
    terms = whole.facts.terms(appearance)
    shares = ((1 - COVERAGE) / 2, 0.5, (1 + COVERAGE) / 2)
    misses = np.empty(len(parts))
    for part in range(_NUM_PARTS):
        inside = parts == part
        low, _, high = (
            terms[inside] @ fit_quantile(terms[~inside], whole.similarities[~inside], share)
            for share in shares
        )
        actual = whole.similarities[inside]
        misses[inside] = np.maximum(low - actual, actual - high)
    formulas = [fit_quantile(terms, whole.similarities, share) for share in shares]
    return formulas, float(np.quantile(misses, COVERAGE))


def _join(facts: Sequence[StateFacts]) -> StateFacts:
    names = ("num_images", "log_weight", "coherence", "variety", "looks")
    return StateFacts(
        **{name: np.concatenate([getattr(part, name) for part in facts]) for name in names}
    )
