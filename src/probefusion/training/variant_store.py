"""Embeddings of augmented training images, computed once and kept on disk.

DIR/store.json       facts: embedder, seed, people, images, counts
DIR/embeddings.npy   (I, V, D) float16, raw embeddings of V variants of I images
DIR/style.npy        (I, V, C, 2) float16, their style; absent for embedders without taps
DIR/clean.npy        (I, 2, D) float32, raw embeddings of each image and its mirror image
DIR/checks.npy       (I, 3) uint32, a checksum of each image's row in these three
DIR/progress.json    how many images are done, and which could not be read

An opened store holds names and numbers of images in memory, about 0.3 KB an image; rows are read from the disk when
they are asked for, and compared with their checksums then.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import EmptySetError, FileFormatError, IntegrityError
from probefusion.faces.images import SkippedImage
from probefusion.files import check_existing
from probefusion.files.content_hash import content_hash
from probefusion.files.npy import read_npy
from probefusion.files.reading import in_one_line
from probefusion.training.row_files import Checks, RowFile, Rows
from probefusion.training.store_files import CHECKED, StoreProgress, read_facts
from probefusion.types import FloatArray

__all__ = ["VariantStore", "class_centres"]

_CENTRE_ROWS = 1024
"""Images whose clean embeddings are read at a time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class VariantStore:
    """Embedded variants of training images, on the disk or in memory.

    Args:
        embeddings: (I, V, D) float16, length kept.
        style: (I, V, C, 2) float16, or None.
        clean: (I, 2, D) float32: each image and its mirror image, not augmented.
        subjects: (I,) int64, index into `subject_ids`.
        subject_ids: Names of the S people.
        sources: (I,) names of the images.
        embedder: Fingerprint of the embedder.
        facts: The whole of `store.json`.
        skipped: Images that could not be read, and why.
    """

    embeddings: Rows
    style: Rows | None
    clean: Rows
    subjects: npt.NDArray[np.int64]
    subject_ids: tuple[str, ...]
    sources: tuple[str, ...]
    embedder: str
    facts: dict[str, Any]
    skipped: tuple[SkippedImage, ...] = ()

    @property
    def num_variants(self) -> int:
        """V, variants per image."""
        return int(self.embeddings.shape[1])

    @property
    def dim(self) -> int:
        """D of the embeddings."""
        return int(self.embeddings.shape[2])

    @property
    def style_channels(self) -> int:
        """C of the style, 0 without."""
        return 0 if self.style is None else int(self.style.shape[2])

    def of_people(self, subject_ids: Collection[str]) -> VariantStore:
        """The part of the store that belongs to some people.

        Args:
            subject_ids: Their names; those the store does not hold are passed over.

        Returns:
            A store of its own; what lies on the disk is not read.

        Raises:
            EmptySetError: If it holds none of them.
        """
        chosen = set(subject_ids)
        wanted = np.array([subject in chosen for subject in self.subject_ids])
        rows = np.flatnonzero(wanted[self.subjects])
        if not len(rows):
            raise EmptySetError("subject_ids: expected people of the store, got none of them.")
        kept = tuple(name for name, is_in in zip(self.subject_ids, wanted, strict=True) if is_in)
        part = self._of_images(rows)
        subjects = (np.cumsum(wanted) - 1)[part.subjects]
        facts = {
            "subject_ids": list(kept),
            "subjects": subjects.tolist(),
            "sources": list(part.sources),
        }
        return replace(part, subjects=subjects, subject_ids=kept, facts={**self.facts, **facts})

    def _of_images(self, rows: npt.NDArray[np.int64]) -> VariantStore:
        """Some images, of the same list of people."""
        return replace(
            self,
            embeddings=_selected(self.embeddings, rows),
            style=None if self.style is None else _selected(self.style, rows),
            clean=_selected(self.clean, rows),
            subjects=self.subjects[rows],
            sources=tuple(self.sources[row] for row in rows),
        )

    @staticmethod
    def open(folder: str | Path) -> VariantStore:
        """Opens a finished store.

        Raises:
            MissingFileError: If the folder or a file is missing.
            FileFormatError: If it is not finished or not consistent.
            IntegrityError: If its files do not hold what was written to them; of a store with checksums rows
                are compared when they are read.
        """
        folder = check_existing(folder, name="variant store")
        facts = read_facts(folder)
        progress = StoreProgress.read(folder)
        count = len(facts["sources"])
        if progress.done != count:
            raise FileFormatError(
                f"{in_one_line(folder)}: only {progress.done} of {count} images are embedded. "
                f"Run the same training command again to finish it."
            )
        checks = _read_checks(folder, progress, count)
        files = {
            name: RowFile(folder / name, None if checks is None else checks[:, column].copy())
            for column, name in enumerate(CHECKED)
            if name != "style.npy"
            or (folder / name).exists()
            or (checks is not None and checks[:, column].any())
        }
        for name, file in files.items():
            if len(file) != count:
                raise FileFormatError(
                    f"{in_one_line(folder)}: {name}: expected {count} rows, got {len(file)}. "
                    f"Remove the folder of the store: its images are then embedded anew."
                )
        progress.check(folder, files)
        whole = VariantStore(
            embeddings=files["embeddings.npy"],
            style=files.get("style.npy"),
            clean=files["clean.npy"],
            subjects=np.asarray(facts["subjects"], dtype=np.int64),
            subject_ids=tuple(facts["subject_ids"]),
            sources=tuple(facts["sources"]),
            embedder=facts["embedder"],
            facts=facts,
        )
        skipped = tuple(
            SkippedImage(source=whole.sources[number], reason=reason)
            for number, reason in progress.unusable
        )
        rest = whole._without([number for number, _ in progress.unusable], folder)
        return replace(rest, skipped=skipped)

    def _without(self, unusable: list[int], folder: Path) -> VariantStore:
        """The images that could be read, and their people."""
        if not unusable:
            return self
        is_usable = np.ones(len(self.sources), bool)
        is_usable[unusable] = False
        rest = self._of_images(np.flatnonzero(is_usable))
        has_images = np.zeros(len(self.subject_ids), bool)
        has_images[rest.subjects] = True
        if not has_images.any():
            raise EmptySetError(
                f"{in_one_line(folder)}: none of the {len(self.sources)} images could be read. "
                f"Check the image folder, and remove this one."
            )
        return replace(
            rest,
            subjects=(np.cumsum(has_images) - 1)[rest.subjects],
            subject_ids=tuple(
                name for name, there in zip(self.subject_ids, has_images, strict=True) if there
            ),
        )


def _read_checks(folder: Path, progress: StoreProgress, count: int) -> Checks | None:
    """The checksums of all rows, themselves checked; None for a store without."""
    if progress.checks is None:
        return None
    checks = read_npy(folder / "checks.npy")
    if content_hash({"checks": checks}) != progress.checks:
        raise IntegrityError(
            f"{in_one_line(folder)}: checks.npy does not hold what was written (another SHA-256). Remove the "
            f"folder of the store: its images are then embedded anew."
        )
    if checks.shape != (count, len(CHECKED)):
        raise FileFormatError(
            f"{in_one_line(folder)}: checks.npy: expected the shape {(count, len(CHECKED))}, got {checks.shape}."
        )
    return checks


def _selected(file: Rows, rows: npt.NDArray[np.int64]) -> Rows:
    return file.select(rows) if isinstance(file, RowFile) else file[rows]


def class_centres(store: VariantStore) -> FloatArray:
    """Unit mean of the unit embeddings of each person's clean images and their mirror images.

    Returns:
        (S, D) float32.

    Source: the official training recipe.
    """
    sums = np.zeros((len(store.subject_ids), store.dim))
    for start in range(0, len(store.subjects), _CENTRE_ROWS):
        clean = store.clean[start : start + _CENTRE_ROWS]
        units = clean / np.linalg.norm(clean, axis=2, keepdims=True)
        subjects = store.subjects[start : start + _CENTRE_ROWS]
        np.add.at(sums, subjects, units.sum(axis=1, dtype=np.float64))
    sums /= np.linalg.norm(sums, axis=1, keepdims=True)
    centres: FloatArray = sums.astype(np.float32)
    return centres
