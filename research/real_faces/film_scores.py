"""Similarities of fused probe sets and galleries of media-folder, kept whole so that people can be left out later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.embedders import Embedder
from probefusion.evaluation.embed_media import embed_media
from probefusion.evaluation.licensed import EmbeddedRows
from probefusion.evaluation.media_results import MEDIUM, ProbeSize
from probefusion.fusion import Fuser
from probefusion.metrics import ComparisonScores
from probefusion.protocols.media_images import open_face_table, read_media_images
from probefusion.protocols.media_protocol import MediaFolderProtocol
from probefusion.protocols.size_classes import SizeClass
from probefusion.types import FloatArray

__all__ = ["Column", "FilmScores", "Films"]

Indices = npt.NDArray[np.int64]
Column = tuple[str, ProbeSize]
"""Size class and number of images."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FilmScores:
    """One fuser on the probe sets of one column.

    Args:
        similarities: For each replicate (P_r, G) of its probe sets to all gallery entries.
        people: For each replicate (P_r,) whose sets these are, as places in the gallery.
    """

    similarities: tuple[FloatArray, ...]
    people: tuple[Indices, ...]

    def among(self, kept: npt.NDArray[np.bool_]) -> ComparisonScores:
        """The comparisons of some people with each other, all replicates together.

        Args:
            kept: (G,) who is in gallery and probes.
        """
        return self._comparisons([kept[people] for people in self.people], kept)

    def of_probes(self, kept: npt.NDArray[np.bool_]) -> FilmScores:
        """The probe sets of some people, against the whole gallery."""
        mine = [kept[people] for people in self.people]
        return FilmScores(
            similarities=tuple(s[m] for s, m in zip(self.similarities, mine, strict=True)),
            people=tuple(p[m] for p, m in zip(self.people, mine, strict=True)),
        )

    def with_probes(self, other: FilmScores) -> FilmScores:
        """The probe sets of both."""
        return FilmScores(
            similarities=tuple(
                np.concatenate(pair)
                for pair in zip(self.similarities, other.similarities, strict=True)
            ),
            people=tuple(
                np.concatenate(pair) for pair in zip(self.people, other.people, strict=True)
            ),
        )

    @property
    def whole(self) -> ComparisonScores:
        """The comparisons of everybody."""
        gallery = self.similarities[0].shape[1]
        return self._comparisons(
            [np.ones(len(people), bool) for people in self.people], np.ones(gallery, bool)
        )

    def _comparisons(
        self, rows: list[npt.NDArray[np.bool_]], kept: npt.NDArray[np.bool_]
    ) -> ComparisonScores:
        mated, non_mated, mine, theirs = [], [], [], []
        entries = np.flatnonzero(kept)
        for similarities, people, row in zip(self.similarities, self.people, rows, strict=True):
            order = np.argsort(people[row], kind="stable")
            found, who = similarities[row][order], people[row][order]
            own = who[:, None] == entries
            mated.append(found[np.arange(len(who)), who])
            non_mated.append(found[:, entries][~own])
            mine.append(who)
            theirs.append(np.repeat(who, len(entries) - 1))
        return ComparisonScores.from_subjects(
            np.concatenate(mated),
            np.concatenate(non_mated),
            mated_subjects=np.concatenate(mine),
            non_mated_subjects=np.concatenate(theirs),
        )


class Films:
    """Films as media-folder/v1 takes them, embedded once.

    Args:
        data: Folder or zip; the medium stands before `__` in a file's name.
        embedder: The embedder.
        leave_out: People who are not used.
        size_classes: Beside all faces.
        cache: Where embeddings are kept.
    """

    def __init__(
        self,
        data: Path,
        embedder: Embedder,
        *,
        leave_out: tuple[str, ...] = (),
        size_classes: tuple[str, ...] = ("..60", "60.."),
        cache: Path | None = None,
    ) -> None:
        images = read_media_images(data, media_from="^(?P<medium>.+?)__")
        images = images.with_faces(open_face_table("faces.csv", data))
        self.protocol = MediaFolderProtocol(
            images=images,
            size_classes=tuple(SizeClass.parse(text) for text in size_classes),
            leave_out=leave_out,
        )
        self._rows: EmbeddedRows = embed_media(self.protocol, embedder, cache=cache)

    @property
    def subjects(self) -> list[str]:
        """The people of the gallery."""
        return [str(name) for name in self.protocol.split.subjects]

    @property
    def columns(self) -> list[Column]:
        """Size classes and numbers of images that somebody has enough images for, then whole films."""
        split = self.protocol.split
        draws: list[Column] = [
            (draw.size_class.text, draw.num_images) for draw in split.draws if len(draw.people) > 1
        ]
        return draws + [(probes.size_class.text, MEDIUM) for probes in split.medium_probes]

    def scores(
        self, fuser: Fuser, columns: Sequence[Column] | None = None
    ) -> dict[Column, FilmScores]:
        """Scores of a fuser by column, all of them or some; both sides are fused."""
        split, images = self.protocol.split, self._rows.images
        different, places = np.unique(split.gallery, return_inverse=True)
        places = places.reshape(split.gallery.shape)
        gallery = fuser.fuse_many(
            images[self._rows.position[different]], np.arange(len(different) + 1)
        )
        found = {}
        for column in self.columns if columns is None else columns:
            similarities, owners = [], []
            for replicate, people, rows, offsets in self._sets(column):
                templates = fuser.fuse_many(images[self._rows.position[rows]], offsets)
                similarities.append(templates @ gallery[places[replicate]].T)
                owners.append(people)
            found[column] = FilmScores(similarities=tuple(similarities), people=tuple(owners))
        return found

    def coherences(self, column: Column) -> npt.NDArray[np.float64]:
        """(S,) length of the mean of the unit embeddings of each probe set, replicate by replicate."""
        images = self._rows.images
        units = images.embeddings / images.norms[:, None]
        found = [
            np.add.reduceat(units[self._rows.position[rows]], offsets[:-1], axis=0)
            / np.diff(offsets)[:, None]
            for _, _, rows, offsets in self._sets(column)
        ]
        return np.linalg.norm(np.concatenate(found).astype(np.float64), axis=1)

    def _sets(self, column: Column) -> list[tuple[int, Indices, Indices, Indices]]:
        """(replicate, people, rows, offsets) of each replicate."""
        text, size = column
        split = self.protocol.split
        if size == MEDIUM:
            (probes,) = (p for p in split.medium_probes if p.size_class.text == text)
            sets = []
            for replicate in range(split.num_replicates):
                mine = np.flatnonzero(probes.replicates == replicate)
                bounds = probes.offsets[mine[0] : mine[-1] + 2]
                rows = probes.rows[bounds[0] : bounds[-1]]
                sets.append((replicate, probes.people[mine], rows, bounds - bounds[0]))
            return sets
        (draw,) = (d for d in split.draws if (d.size_class.text, d.num_images) == (text, size))
        offsets = np.arange(len(draw.people) + 1) * draw.num_images
        return [(r, draw.people, rows.ravel(), offsets) for r, rows in enumerate(draw.rows)]
