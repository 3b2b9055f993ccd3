"""Films, clips and degraded probes, embedded once, scored with templates of any rule."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.embedders import Embedder
from probefusion.evaluation.embed_media import embed_media, rows_used
from probefusion.evaluation.probe_data import ProbeData
from probefusion.evaluation.scoring import ProbeScores, score_templates
from probefusion.protocols.media_images import read_media_images
from probefusion.protocols.media_protocol import MediaFolderProtocol
from research.real_faces.film_scores import Column, Films, FilmScores
from research.universal_refit.rules import Images, Rule, templates

__all__ = ["ClipSets", "FilmSets", "score_rule"]

Indices = npt.NDArray[np.int64]


class FilmSets(Films):
    """Films whose probe sets are fused by rules; gallery entries are single images, which rules leave as they are."""

    @cached_property
    def images(self) -> Images:
        """The images that are used, as a rule sees them."""
        found = self._rows.images
        if found.quality is None:
            raise ValueError(
                "embedder: expected one that also judges crops, got none of them judged."
            )
        return Images.of(found.embeddings, found.quality)

    @cached_property
    def owners(self) -> list[str]:
        """Whose the images are."""
        return [source.partition("/")[0] for source in self._sources]

    @cached_property
    def media(self) -> list[str]:
        """Film of each image."""
        return [self.protocol.images.media[source] for source in self._sources]

    @property
    def embedder_name(self) -> str:
        """The embedder without its hash."""
        return str(self._rows.images.embedder).split("@")[0]

    @property
    def has_style(self) -> bool:
        """Whether the embedder gives style."""
        return self._rows.images.style is not None

    @property
    def style(self) -> npt.NDArray[np.floating]:
        """(I, 2 C) style, flat."""
        style = np.asarray(self._rows.images.style, np.float64)
        return style.reshape(len(style), -1)

    @property
    def log_widths(self) -> npt.NDArray[np.floating]:
        """(I,) logarithm of the face's width in the original; the median where it is not known."""
        widths = np.array(
            [self.protocol.images.face_px.get(source, np.nan) for source in self._sources]
        )
        known = np.isfinite(widths)
        return np.log(np.where(known, widths, np.median(widths[known])))

    @property
    def _sources(self) -> list[str]:
        return [self.protocol.sources[row] for row in rows_used(self.protocol)]

    def members(self, column: Column) -> tuple[Indices, Indices, Indices]:
        """Places of the images of all probe sets, where sets begin and end, and each one's own gallery image."""
        if column not in self._members:
            rows, sizes, answers = [], [], []
            gallery = self.protocol.split.gallery
            for replicate, people, mine, offsets in self._sets(column):
                rows.append(self._rows.position[mine])
                sizes.append(np.diff(offsets))
                answers.append(self._rows.position[gallery[replicate][people]])
            bounds = np.concatenate([[0], np.cumsum(np.concatenate(sizes))])
            self._members[column] = np.concatenate(rows), bounds, np.concatenate(answers)
        return self._members[column]

    @cached_property
    def _members(self) -> dict[Column, tuple[Indices, Indices, Indices]]:
        return {}

    def scores_of(self, column: Column, found: npt.NDArray[np.floating]) -> FilmScores:
        """Scores of templates (S, D) of all probe sets of a column."""
        similarities, owners, start = [], [], 0
        for replicate, people, _, _ in self._sets(column):
            gallery = self.images.units[self._rows.position[self.protocol.split.gallery[replicate]]]
            similarities.append(found[start : start + len(people)] @ gallery.T)
            owners.append(people)
            start += len(people)
        return FilmScores(similarities=tuple(similarities), people=tuple(owners))

    def rule_scores(
        self,
        rule: Rule,
        columns: Sequence[Column],
        *,
        quality: npt.NDArray[np.floating] | None = None,
    ) -> dict[Column, FilmScores]:
        """Scores by column.

        Args:
            rule: The rule.
            columns: Which ones.
            quality: (I,) taken in place of that of the crops.
        """
        images = self.images
        if quality is not None:
            images = Images(
                units=images.units, log_lengths=images.log_lengths, quality=np.asarray(quality)
            )
        scores = {}
        for column in columns:
            rows, offsets, _ = self.members(column)
            scores[column] = self.scores_of(column, templates(rule, images.at(rows), offsets))
        return scores


class ClipSets(FilmSets):
    """Frames of YouTube clips, named by a digit, of the people of fold 3.

    Args:
        data: Folder or zip.
        embedder: The embedder, judging.
        cache: Where embeddings are kept.
    """

    def __init__(self, data: Path, embedder: Embedder, *, cache: Path | None = None) -> None:
        images = read_media_images(data, media_from="^(?P<medium>[0-9])")
        self.protocol = MediaFolderProtocol(images=images, folds=(3,), set_sizes=(1, 2, 4, 8))
        self._rows = embed_media(self.protocol, embedder, cache=cache)


def score_rule(data: ProbeData, rule: Rule, sizes: Sequence[int]) -> dict[int, ProbeScores]:
    """Scores of the first N images of each probe set of degraded-folder, by N."""
    if data.probes.quality is None:
        raise ValueError("data: expected probes with the quality of their crops, got none.")
    images = Images.of(data.probes.embeddings, data.probes.quality)
    gallery = data.gallery.embeddings / data.gallery.norms[:, None]
    count, width = len(data.probe_subjects), data.set_size
    found = {}
    for size in sizes:
        rows = (np.arange(count)[:, None] * width + np.arange(size)).ravel()
        fused = templates(rule, images.at(rows), np.arange(count + 1) * size)
        found[size] = score_templates(fused, gallery, data.probe_subjects, data.gallery_subjects)
    return found
