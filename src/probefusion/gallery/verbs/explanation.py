"""Why this match? What of a person, and of the query, carried it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from probefusion.errors import ConfigError
from probefusion.fusion import Fuser
from probefusion.gallery.contributions.features import Kept
from probefusion.gallery.contributions.kept_parts import left_out_of
from probefusion.gallery.contributions.models import choose_model
from probefusion.gallery.contributions.sums import Part, add_up, template_of, without
from probefusion.gallery.stores.records import ContributionRow, ImageRow
from probefusion.gallery.stores.store import Reader
from probefusion.gallery.verbs.judging import Judging
from probefusion.gallery.verbs.searching import fuse_material
from probefusion.screening.poor_faces import told_of_poor
from probefusion.types import EmbeddingSet, FloatArray, FusionState, Usability
from probefusion.zoo import judge_template

__all__ = ["CarriedContribution", "CarriedImage", "Explaining", "MatchExplanation"]


@dataclass(frozen=True, kw_only=True)
class CarriedImage:
    """What one image had to do with a match.

    Args:
        id: Id of the image, or its place in the query.
        source: What names it, or "".
        weight: Its share in the template, 0 to 1.
        similarity: Cosine between this image alone and the template of the other side.
    """

    id: str
    source: str
    weight: float
    similarity: float


@dataclass(frozen=True, kw_only=True)
class CarriedContribution:
    """What one contribution had to do with a match.

    Args:
        id: Its id.
        time: UTC time, ISO 8601.
        source: Where from, or "".
        num_images: Images of it that count.
        weight: Its share in the person's template, 0 to 1.
        similarity: Cosine between this contribution alone and the query.
        similarity_without: Cosine between the person without it and the query; None if nothing else is there.
        images: Its images, the one with the largest weight first; () where the state alone is kept.
    """

    id: str
    time: str
    source: str
    num_images: int
    weight: float
    similarity: float
    similarity_without: float | None
    images: tuple[CarriedImage, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MatchExplanation:
    """Why a query is so similar to a person.

    Args:
        person_id: Who.
        name: Name of the person.
        similarity: Cosine between the two templates.
        contributions: What the person has, the largest weight first.
        query: Images of the query, the largest weight first; () for a state or template.
        usability: What can be expected of the template of the query, and of the person.
        warnings: That one of them is not usable.
    """

    person_id: str
    name: str
    similarity: float
    contributions: tuple[CarriedContribution, ...]
    usability: tuple[Usability, Usability]
    query: tuple[CarriedImage, ...] = ()
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The match in a line, and a line for each contribution."""
        lines = [f"{self.name}: similarity {self.similarity:.3f}"]
        for part in self.contributions:
            rest = (
                ""
                if part.similarity_without is None
                else f", {part.similarity_without:.3f} without it"
            )
            lines.append(
                f"  {100 * part.weight:3.0f} % {part.id} {part.time} {part.source}".rstrip()
                + f": similarity {part.similarity:.3f} alone{rest}"
            )
        return "\n".join(lines)


class Explaining(Judging):
    """The part of `Gallery` that says why."""

    def explain(self, what: Any, name: str) -> MatchExplanation:
        """What of a person, and of a query, carried their similarity.

        Args:
            what: The query, as for `search`.
            name: Name of the person.

        Raises:
            UnknownNameError: If there is nobody of that name.
            ConfigError: If the person has no images.
            ProbeFusionError: As for `search`.
        """
        material = self._material(what)
        with self._reading() as reader:
            person = self._person(reader, name)
            model = choose_model(reader.models(), material)
            fuser = self._fusers.of(model)
            rows = {row.id: row for row in reader.contributions(person.id)}
            parts = self._parts.of_person(reader, person.id, model, fuser).parts
            total, template = add_up(parts), template_of(parts, fuser)
            if total is None or template is None:
                raise ConfigError(
                    f"{person.name!r} has no images that could be compared. Add some: update."
                )
            query = fuse_material(material, fuser)
            whole = _whole_weight(fuser, total)
            carried = []
            for part in parts:
                row = rows[part.contribution_id]
                if part.state is None:
                    continue
                kept = self._parts.kept(reader, row, model.embedder)
                images = _images(reader, row, kept, fuser, total, whole, query.vector)
                carried.append(
                    _carried(row, part, parts, fuser, total, whole, query.vector, images)
                )
        kept = material.kept
        usability = (
            judge_template(query) if kept is None else self._judge(kept, fuser),
            self._judge(total, fuser),
        )
        return MatchExplanation(
            person_id=person.id,
            name=person.name,
            similarity=_cosine(query.vector, template.vector),
            contributions=tuple(sorted(carried, key=lambda each: (-each.weight, each.id))),
            query=_query_images(kept, query.weights, fuser, template.vector)
            if isinstance(kept, EmbeddingSet)
            else (),
            usability=usability,
            warnings=(
                *told_of_poor("the query", usability[0], decides=False),
                *told_of_poor("the person", usability[1], decides=False),
            ),
        )


def _cosine(one: FloatArray, other: FloatArray) -> float:
    return float(np.clip(one.astype(np.float64) @ other.astype(np.float64), -1, 1))


def _whole_weight(fuser: Fuser, total: FusionState) -> float:
    return float(fuser.weigh(total, total.mass[None])[0])


def _carried(
    row: ContributionRow,
    part: Part,
    parts: tuple[Part, ...],
    fuser: Fuser,
    total: FusionState,
    whole: float,
    query: FloatArray,
    images: tuple[CarriedImage, ...],
) -> CarriedContribution:
    if part.state is None:
        raise ConfigError(f"contribution {row.id}: it has no image that counts.")
    rest = template_of([other for other in parts if other is not part], fuser)
    return CarriedContribution(
        id=row.id,
        time=row.time,
        source=row.source,
        num_images=part.state.num_images,
        weight=float(fuser.weigh(total, part.state.mass[None])[0]) / whole,
        similarity=_cosine(fuser.finish(part.state).vector, query),
        similarity_without=None if rest is None else _cosine(rest.vector, query),
        images=images,
    )


def _images(
    reader: Reader,
    row: ContributionRow,
    kept: Kept | None,
    fuser: Fuser,
    total: FusionState,
    whole: float,
    query: FloatArray,
) -> tuple[CarriedImage, ...]:
    left = None if kept is None else without(kept, left_out_of(reader, row.id))
    if not isinstance(left, EmbeddingSet):
        return ()
    _, shares = fuser.encode_with_shares(left)
    weights = fuser.weigh(total, shares) / whole
    alone = fuser.fuse_many(left, np.arange(len(left) + 1))
    labels: list[ImageRow] = [image for image in reader.images(row.id) if not image.left_out]
    found = [
        CarriedImage(
            id=image.id,
            source=image.source,
            weight=float(weight),
            similarity=_cosine(vector, query),
        )
        for image, weight, vector in zip(labels, weights, alone, strict=True)
    ]
    return tuple(sorted(found, key=lambda each: (-each.weight, each.id)))


def _query_images(
    images: EmbeddingSet, weights: FloatArray | None, fuser: Fuser, person: FloatArray
) -> tuple[CarriedImage, ...]:
    if weights is None:
        return ()
    alone = fuser.fuse_many(images, np.arange(len(images) + 1))
    sources = [""] * len(images) if images.sources is None else images.sources.tolist()
    found = [
        CarriedImage(
            id=str(row),
            source=sources[row],
            weight=float(weights[row]),
            similarity=_cosine(alone[row], person),
        )
        for row in range(len(images))
    ]
    return tuple(sorted(found, key=lambda each: (-each.weight, int(each.id))))
