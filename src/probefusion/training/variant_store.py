"""Embeddings of augmented training images, computed once and kept on disk.

DIR/store.json       facts: embedder, seed, people, images, counts
DIR/embeddings.npy   (I, V, D) float16, raw embeddings of V variants of I images
DIR/style.npy        (I, V, C, 2) float16, their style; absent for embedders without taps
DIR/clean.npy        (I, 2, D) float32, raw embeddings of each image and its mirror image
DIR/progress.json    how many images are done, with hashes of their rows; a killed extraction goes on from there
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError, EmptySetError, FileFormatError, MismatchError
from probefusion.files import check_existing
from probefusion.files.npy import map_npy, read_npy
from probefusion.files.reading import in_one_line
from probefusion.training.store_files import StoreProgress, read_facts, write_facts
from probefusion.types import FloatArray
from probefusion.workers import available_threads, map_in_order

__all__ = ["Embeds", "VariantStore", "class_centres", "extract_variants"]

_FLUSH_EVERY = 200

_DRAWN_AHEAD = 4
"""Images whose variants are drawn while others are embedded."""

DrawVariants = Callable[[npt.NDArray[np.uint8], np.random.Generator], npt.NDArray[np.uint8]]


class Embeds(Protocol):
    """What is asked of an embedder: crops in, raw embeddings and style out."""

    @property
    def fingerprint(self) -> str:
        """Identifies the model, its preprocessing and its taps."""

    @property
    def own_fingerprint(self) -> str:
        """The same of this very form of it: an 8-bit form goes by the fingerprint of its original."""

    def embed(self, crops: npt.NDArray[np.uint8]) -> tuple[FloatArray, FloatArray | None]:
        """(N, H, W, 3) uint8 RGB to (N, D) float32 and (N, C, 2) float32 or None."""


@dataclass(frozen=True, kw_only=True, eq=False)
class VariantStore:
    """Embedded variants of training images, memory-mapped.

    Args:
        embeddings: (I, V, D) float16, length kept.
        style: (I, V, C, 2) float16, or None.
        clean: (I, 2, D) float32: each image and its mirror image, not augmented.
        subjects: (I,) int64, index into `subject_ids`.
        subject_ids: Names of the S people.
        sources: (I,) names of the images.
        embedder: Fingerprint of the embedder.
        facts: The whole of `store.json`.
    """

    embeddings: npt.NDArray[np.float16]
    style: npt.NDArray[np.float16] | None
    clean: FloatArray
    subjects: npt.NDArray[np.int64]
    subject_ids: tuple[str, ...]
    sources: tuple[str, ...]
    embedder: str
    facts: dict[str, Any]

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
            A store of its own, in memory.

        Raises:
            EmptySetError: If it holds none of them.
        """
        chosen = set(subject_ids)
        wanted = np.array([subject in chosen for subject in self.subject_ids])
        rows = np.flatnonzero(wanted[self.subjects])
        if not len(rows):
            raise EmptySetError("subject_ids: expected people of the store, got none of them.")
        kept = tuple(name for name, is_in in zip(self.subject_ids, wanted, strict=True) if is_in)
        subjects = (np.cumsum(wanted) - 1)[self.subjects[rows]]
        sources = tuple(self.sources[row] for row in rows)
        facts = {
            "subject_ids": list(kept),
            "subjects": subjects.tolist(),
            "sources": list(sources),
        }
        return VariantStore(
            embeddings=self.embeddings[rows],
            style=None if self.style is None else self.style[rows],
            clean=self.clean[rows],
            subjects=subjects,
            subject_ids=kept,
            sources=sources,
            embedder=self.embedder,
            facts={**self.facts, **facts},
        )

    @staticmethod
    def open(folder: str | Path) -> VariantStore:
        """Opens a finished store.

        Raises:
            MissingFileError: If the folder or a file is missing.
            FileFormatError: If it is not finished or not consistent.
            IntegrityError: If its files do not hold what was written to them.
        """
        folder = check_existing(folder, name="variant store")
        facts = read_facts(folder)
        progress = StoreProgress.read(folder)
        if progress.done != len(facts["sources"]):
            raise FileFormatError(
                f"{in_one_line(folder)}: only {progress.done} of {len(facts['sources'])} images are embedded. "
                f"Run the same training command again to finish it."
            )
        files = {
            "embeddings.npy": map_npy(folder / "embeddings.npy"),
            "clean.npy": read_npy(folder / "clean.npy"),
        }
        if (folder / "style.npy").exists():
            files["style.npy"] = map_npy(folder / "style.npy")
        progress.check(folder, files)
        return VariantStore(
            embeddings=files["embeddings.npy"],
            style=files.get("style.npy"),
            clean=files["clean.npy"],
            subjects=np.asarray(facts["subjects"], dtype=np.int64),
            subject_ids=tuple(facts["subject_ids"]),
            sources=tuple(facts["sources"]),
            embedder=facts["embedder"],
            facts=facts,
        )


def extract_variants(
    people: Mapping[str, Sequence[str]],
    read_image: Callable[[str], npt.NDArray[np.uint8]],
    embedder: Embeds,
    draw_variants: DrawVariants,
    folder: str | Path,
    *,
    recipe: str,
    content: str = "",
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> VariantStore:
    """Embeds variants of every image of every person, once; goes on where a killed run stopped.

    The random numbers of an image come from the seed and the image's name alone, so the result does
    not depend on the order, on the other images, or on interruptions.

    Args:
        people: Subject -> names of that person's images.
        read_image: Gives an image by name, (H, W, 3) uint8 RGB, aligned; called from several threads.
        embedder: The embedder.
        draw_variants: Gives (V, H, W, 3) variants of an image, from an image and a generator.
        folder: Where the store is kept; made if missing.
        recipe: Name of the augmentation recipe, kept with the store.
        content: Digest of the images' bytes; a store of other bytes is not gone on with.
        seed: Seed of the augmentation.
        progress: Called with (images done, images in all).

    Returns:
        The finished store.

    Raises:
        EmptySetError: If there are no images.
        MismatchError: If the folder holds a store of other images, another embedder or seed.
        IntegrityError: If its files do not hold what was written to them.

    Source: Kim et al. 2022, supplementary; METHOD of the official training: 16 variants an image.
    """
    subject_ids = sorted(people)
    sources = [name for subject in subject_ids for name in people[subject]]
    if not sources:
        raise EmptySetError(
            "people: expected at least one image, got none. Check the image folder."
        )
    subjects = [index for index, subject in enumerate(subject_ids) for _ in people[subject]]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "embedder": embedder.fingerprint,
        "recipe": recipe,
        "content": content,
        "seed": seed,
        "subject_ids": subject_ids,
        "subjects": subjects,
        "sources": sources,
    }
    if embedder.own_fingerprint != embedder.fingerprint:
        facts["embedder_form"] = embedder.own_fingerprint
    if (folder / "store.json").exists():
        found = read_facts(folder)
        keys = [*facts, *({"embedder_form"} - facts.keys())]
        differing = [key for key in keys if found.get(key) != facts.get(key)]
        if differing:
            raise MismatchError(
                f"{in_one_line(folder)}: holds a store that differs in {', '.join(differing)}. "
                f"Choose another folder for this run, or remove that one."
            )
        done = StoreProgress.read(folder).done
    else:
        done = 0
        _start(folder, facts, read_image, embedder, draw_variants)
    if done < len(sources):
        _embed_rest(folder, sources, read_image, embedder, draw_variants, seed, progress)
    return VariantStore.open(folder)


def _start(
    folder: Path,
    facts: dict[str, Any],
    read_image: Callable[[str], npt.NDArray[np.uint8]],
    embedder: Embeds,
    draw_variants: DrawVariants,
) -> None:
    """Makes the empty files, sized by embedding the first image once."""
    first = facts["sources"][0]
    variants = draw_variants(read_image(first), _generator(facts["seed"], first))
    embeddings, style = embedder.embed(variants)
    count = len(facts["sources"])
    shapes: dict[str, tuple[tuple[int, ...], Any]] = {
        "embeddings.npy": ((count, *embeddings.shape), np.float16),
        "clean.npy": ((count, 2, embeddings.shape[1]), np.float32),
    }
    if style is not None:
        shapes["style.npy"] = ((count, *style.shape), np.float16)
    for name, (shape, dtype) in shapes.items():
        np.lib.format.open_memmap(folder / name, mode="w+", dtype=dtype, shape=shape).flush()
    StoreProgress(done=0).write(folder)
    write_facts(folder, facts)


def _embed_rest(
    folder: Path,
    sources: list[str],
    read_image: Callable[[str], npt.NDArray[np.uint8]],
    embedder: Embeds,
    draw_variants: DrawVariants,
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    names = [path.name for path in folder.glob("*.npy")]
    files = {name: np.lib.format.open_memmap(folder / name, mode="r+") for name in names}
    reached = StoreProgress.read(folder)
    reached.check(folder, files)
    done = reached.done

    def keep(count: int) -> None:
        nonlocal reached
        for file in files.values():
            file.flush()
        reached = reached.grown(count, files)
        reached.write(folder)

    def draw(source: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        image = read_image(source)
        return image, draw_variants(image, _generator(seed, source))

    index = done
    try:
        drawn = map_in_order(draw, sources[done:], available_threads(), ahead=_DRAWN_AHEAD)
        for index, (image, variants) in enumerate(drawn, start=done):
            embeddings, style = embedder.embed(
                np.concatenate([variants, image[None], image[None, :, ::-1]])
            )
            files["embeddings.npy"][index] = _half(embeddings[:-2], sources[index])
            files["clean.npy"][index] = embeddings[-2:]
            if style is not None:
                files["style.npy"][index] = _half(style[:-2], sources[index])
            if (index + 1) % _FLUSH_EVERY == 0:
                keep(index + 1)
            if progress is not None:
                progress(index + 1, len(sources))
    except BaseException:
        keep(index)
        raise
    keep(len(sources))


def class_centres(store: VariantStore) -> FloatArray:
    """Unit mean of the unit embeddings of each person's clean images and their mirror images.

    Returns:
        (S, D) float32.

    Source: the official training recipe.
    """
    units = store.clean / np.linalg.norm(store.clean, axis=2, keepdims=True)
    sums = np.zeros((len(store.subject_ids), store.dim))
    np.add.at(sums, store.subjects, units.sum(axis=1, dtype=np.float64))
    centres: FloatArray = (sums / np.linalg.norm(sums, axis=1, keepdims=True)).astype(np.float32)
    return centres


def _half(values: FloatArray, source: str) -> npt.NDArray[np.float16]:
    with np.errstate(over="ignore"):
        half: npt.NDArray[np.float16] = values.astype(np.float16)
    if not np.isfinite(half).all():
        raise ConfigError(
            f"{in_one_line(source)}: an embedding or style value does not fit half precision (largest "
            f"{np.abs(values).max():.3g}, allowed 65504). Check the preprocessing of the embedder."
        )
    return half


def _generator(seed: int, source: str) -> np.random.Generator:
    """The generator that an image's variants are drawn with, from seed and name alone."""
    digest = hashlib.sha256(f"{seed}/{source}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))
