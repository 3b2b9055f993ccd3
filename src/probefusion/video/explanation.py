"""Why a person's template is what it is: each image's similarity and weight, and how it grew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from probefusion.files.reading import in_one_line
from probefusion.fusion import Fuser, MeanFuser
from probefusion.gallery import Match
from probefusion.screening import Screening
from probefusion.types import FloatArray
from probefusion.video.clip import Clip, Person
from probefusion.video.known_people import KnownPeople, best_vectors, searcher
from probefusion.video.thumbnails import Thumbnail

__all__ = [
    "Explanation",
    "Growth",
    "WeighedThumbnail",
    "doubtful_names",
    "explain_clip",
    "explain_person",
]

_MEAN = MeanFuser()


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Similarity after some of the images.

    Args:
        num_images: How many.
        time: When the last of them was seen.
        fused: Similarity of the fused template.
        mean: Similarity of the plain mean.
    """

    num_images: int
    time: float
    fused: float
    mean: float


@dataclass(frozen=True, kw_only=True, eq=False)
class WeighedThumbnail:
    """A kept face crop with its final weight and its own similarity."""

    thumbnail: Thumbnail
    weight: float
    similarity: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Explanation:
    """What speaks for the result of one person.

    Args:
        person: The person.
        match: The search of the gallery, or None without one.
        reference: What similarities are measured with: the name of the gallery entry matched (the most
            similar one where no threshold is known), or None for the person's own template.
        fused_similarity: Cosine of the fused template with the reference.
        mean_similarity: Cosine of the plain mean of the images with the reference's plain mean.
        times: (N,) seconds of each image.
        similarities: (N,) cosine of each image alone with the reference.
        weights: (N,) weight of each image in the template, sum 1.
        growth: Similarity after more and more images.
        target: (D,) the reference's unit vector.
        screening: Whether a sample of the images is of one person, or why nobody looked.
    """

    person: Person
    match: Match | None
    reference: str | None
    fused_similarity: float
    mean_similarity: float
    times: npt.NDArray[np.float64]
    similarities: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    growth: tuple[Growth, ...]
    target: FloatArray
    screening: Screening

    @property
    def share_beaten(self) -> float:
        """Share of the single images that are less similar to the reference than the template."""
        return float(np.mean(self.similarities < self.fused_similarity))

    @property
    def num_carrying_half(self) -> int:
        """How many of the heaviest images carry half of the weight together."""
        heaviest_first = np.sort(self.weights)[::-1]
        reached = np.searchsorted(np.cumsum(heaviest_first), 0.5 - 1e-12)
        return min(int(reached) + 1, len(self.weights))

    def thumbnails(self) -> list[WeighedThumbnail]:
        """The face crops that were kept, heaviest first; read from the temporary file."""
        found = [
            WeighedThumbnail(
                thumbnail=thumbnail,
                weight=float(self.person.weights(thumbnail.shares[None])[0]),
                similarity=_cosine(thumbnail.own_template, self.target),
            )
            for thumbnail in self.person.thumbnails()
        ]
        return sorted(found, key=lambda item: -item.weight)


def explain_clip(
    clip: Clip,
    stills: KnownPeople | None = None,
    *,
    false_match_rate: float = 1e-3,
    false_positive_rate: float | None = None,
    threshold: float | None = None,
    screening: bool = True,
) -> list[Explanation]:
    """Searches a gallery for each person of a clip, and explains each result.

    Args:
        clip: The clip, not closed.
        stills: Stills, or a `Gallery`; None searches nobody.
        false_match_rate: As for `probefusion.video.watch_video`.
        false_positive_rate: As for `probefusion.video.watch_video`.
        threshold: As for `probefusion.video.watch_video`.
        screening: Whether to look if the images of each are of one person.

    Returns:
        One explanation for each of the clip's people, in their order.
    """
    found = []
    search = None
    if stills is not None:
        search = searcher(
            stills,
            clip.fuser,
            false_match_rate=false_match_rate,
            false_positive_rate=false_positive_rate,
            threshold=threshold,
        )
    for person in clip.people:
        match = None if search is None else search(person.template)
        screened = person.screen(clip.facts.source) if screening else None
        found.append(explain_person(person, clip.fuser, stills, match, screened))
    return found


def doubtful_names(explanations: Sequence[Explanation]) -> list[str]:
    """Names that a gallery gave to people who were seen in one frame, and so are two; in words.

    Args:
        explanations: Of the people of one clip.
    """
    named: dict[str, list[Person]] = {}
    for item in explanations:
        if item.match is not None and item.match.name is not None:
            named.setdefault(item.match.name, []).append(item.person)
    return [
        f"tracks {one.number} and {other.number} were seen in one frame, and both match {in_one_line(name)}: one of "
        f"them is somebody else"
        for name, people in named.items()
        for one, other in combinations(people, 2)
        if one.meets(other)
    ]


def explain_person(
    person: Person,
    fuser: Fuser,
    stills: KnownPeople | None = None,
    match: Match | None = None,
    screening: Screening | None = None,
) -> Explanation:
    """Reads a person's images back, 24 bytes of memory each.

    Args:
        person: The person.
        fuser: The fuser of the video.
        stills: Stills or `Gallery` that was searched, or None.
        match: The search of the gallery, where there is one.
        screening: What was said of its images; None if nobody was to look.
    """
    template = person.template.vector
    mean_template = _MEAN.finish(person.mean_state).vector
    name, target, mean_target = None, template, mean_template
    if stills is not None and match is not None and match.is_match is not False:
        vectors = best_vectors(stills, match)
        if vectors is not None and match.best is not None:
            name, (target, mean_target) = match.best.name, vectors
    times, similarities, weights = [], [], []
    for rows, block_weights in person.blocks():
        times.append(rows["time"])
        similarities.append(_similarity(rows["own_template"], target))
        weights.append(block_weights)
    growth = tuple(
        Growth(
            num_images=point.state.num_images,
            time=point.time,
            fused=_cosine(fuser.finish(point.state).vector, target),
            mean=_cosine(_MEAN.finish(point.mean_state).vector, mean_target),
        )
        for point in person.growth()
    )
    return Explanation(
        person=person,
        match=match,
        reference=name,
        fused_similarity=_cosine(template, target),
        mean_similarity=_cosine(mean_template, mean_target),
        times=np.concatenate(times),
        similarities=np.concatenate(similarities),
        weights=np.concatenate(weights),
        growth=growth,
        target=target,
        screening=screening or Screening.absent(person.num_images, "not wanted (--no-screening)"),
    )


def _similarity(rows: npt.NDArray[np.float16], target: FloatArray) -> npt.NDArray[np.float64]:
    """Cosines (n,) of stored unit vectors, whose half precision costs about 1e-4."""
    wide = rows.astype(np.float64)
    found: npt.NDArray[np.float64] = (wide @ target) / np.linalg.norm(wide, axis=1)
    return found


def _cosine(one: FloatArray, other: FloatArray) -> float:
    return float(np.dot(one.astype(np.float64), other.astype(np.float64)))
