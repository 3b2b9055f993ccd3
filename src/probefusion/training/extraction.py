"""Embeds variants of training images into a store: block by block, by several processes, killed or not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError, EmptySetError, InvalidInputError, MismatchError
from probefusion.files.content_hash import content_hash
from probefusion.files.npy import read_npy
from probefusion.files.reading import in_one_line
from probefusion.training.parallel import Workers
from probefusion.training.row_files import RowWriter
from probefusion.training.store_files import CHECKED, DoneBlock, StoreProgress, read_facts
from probefusion.training.store_layout import (
    ImageRows,
    lay_out_store,
    take_over_store,
    write_block,
)
from probefusion.training.variant_store import VariantStore
from probefusion.types import FloatArray
from probefusion.workers import available_threads, map_in_order

__all__ = ["Embeds", "extract_variants"]

_BLOCK = 64
"""Images of a block: what a kill may cost each process."""

_DRAWN_AHEAD = 4
"""Images whose variants are drawn while others are embedded."""

Image: TypeAlias = npt.NDArray[np.uint8]

DrawVariants: TypeAlias = Callable[[Image, np.random.Generator], Image]


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


def extract_variants(
    people: Mapping[str, Sequence[str]],
    read_image: Callable[[str], Image],
    embedder: Embeds,
    draw_variants: DrawVariants,
    folder: str | Path,
    *,
    recipe: str,
    content: str = "",
    seed: int = 0,
    block_images: int = _BLOCK,
    workers: Workers | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> VariantStore:
    """Embeds variants of every image of every person, once; goes on where a killed run stopped.

    The random numbers of an image come from the seed and the image's name alone, so the result does
    not depend on the order, on the other images, on interruptions, or on how many processes share the
    work. Memory holds one block of images, whatever the size of the store.

    Args:
        people: Subject -> names of that person's images.
        read_image: Gives an image by name, (H, W, 3) uint8 RGB, aligned; called from several threads. Images of
            which it raises an `InvalidInputError` are left out of the store and listed in it.
        embedder: The embedder.
        draw_variants: Gives (V, H, W, 3) variants of an image, from an image and a generator.
        folder: Where the store is kept; made if missing. Several processes must see the same folder.
        recipe: Name of the augmentation recipe, kept with the store.
        content: Says what the images hold; a store of others is not gone on with.
        seed: Seed of the augmentation.
        block_images: Images that are written together; a kill costs each process less than so many.
        workers: The processes that share the work, all with the same arguments; None for this one alone.
        progress: Called with (images done by all processes, images in all).

    Returns:
        The finished store.

    Raises:
        EmptySetError: If there are no images, or none can be read.
        MismatchError: If the folder holds a store of other images, another embedder or seed.
        IntegrityError: If its files do not hold what was written to them.
        WorkerError: If another process failed.

    Source: Kim et al. 2022, supplementary; METHOD of the official training: 16 variants an image.
    """
    subject_ids = sorted(people)
    sources = [name for subject in subject_ids for name in people[subject]]
    if not sources:
        raise EmptySetError(
            "people: expected at least one image, got none. Check the image folder."
        )
    workers = Workers() if workers is None else workers
    task = _Extraction(
        folder=Path(folder),
        sources=sources,
        read_image=read_image,
        embedder=embedder,
        draw_variants=draw_variants,
        seed=seed,
        block_images=block_images,
        workers=workers,
        progress=progress,
    )
    if workers.is_first:
        facts = {
            "embedder": embedder.fingerprint,
            "recipe": recipe,
            "content": content,
            "seed": seed,
            "subject_ids": subject_ids,
            "subjects": [i for i, subject in enumerate(subject_ids) for _ in people[subject]],
            "sources": sources,
        }
        if embedder.own_fingerprint != embedder.fingerprint:
            facts["embedder_form"] = embedder.own_fingerprint
        task.prepare(facts)
    workers.wait("the variant store is laid out")
    reached = StoreProgress.read(task.folder)
    if reached.done < len(sources):
        task.block_images = reached.block_images or block_images
        task.embed_rest()
        workers.wait("all variants are embedded")
        if workers.is_first:
            task.finish()
        workers.wait("the variant store is finished")
    return VariantStore.open(task.folder)


@dataclass(kw_only=True)
class _Extraction:
    folder: Path
    sources: list[str]
    read_image: Callable[[str], Image]
    embedder: Embeds
    draw_variants: DrawVariants
    seed: int
    block_images: int
    workers: Workers
    progress: Callable[[int, int], None] | None
    first: dict[str, Image] = field(default_factory=dict)

    def prepare(self, facts: dict[str, Any]) -> None:
        """Makes empty files, or sees that those that are there are of this run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "store.json").exists():
            self._start(facts)
            return
        found = read_facts(self.folder)
        keys = [*facts, *({"embedder_form"} - facts.keys())]
        differing = [key for key in keys if found.get(key) != facts.get(key)]
        if differing:
            raise MismatchError(
                f"{in_one_line(self.folder)}: holds a store that differs in {', '.join(differing)}. "
                f"Choose another folder for this run, or remove that one."
            )
        progress = StoreProgress.read(self.folder)
        if progress.done < len(self.sources) and not (self.folder / "checks.npy").exists():
            take_over_store(self.folder, facts, progress, block_images=self.block_images)

    def embed_rest(self) -> None:
        """Embeds the blocks that neither this process nor another has done."""
        files = {
            name: RowWriter(self.folder / name) for name in CHECKED if (self.folder / name).exists()
        }
        checks = RowWriter(self.folder / "checks.npy")
        rows: list[ImageRows | str] = []
        drawn = map_in_order(self._draw, self._to_do(), available_threads(), ahead=_DRAWN_AHEAD)
        for number, drawn_image in drawn:
            rows.append(self._embedded(number, drawn_image))
            num_done = self.workers.add("images done", 1)
            if self.progress is not None:
                self.progress(num_done, len(self.sources))
            if (number + 1) % self.block_images == 0 or number + 1 == len(self.sources):
                write_block(self.folder, files, checks, number + 1 - len(rows), rows)
                rows = []

    def finish(self) -> None:
        """Says in one file what the blocks say, when all are there."""
        unusable = [image for block in DoneBlock.read_all(self.folder) for image in block.unusable]
        checks = content_hash({"checks": read_npy(self.folder / "checks.npy")})
        done = len(self.sources)
        StoreProgress(done=done, checks=checks, unusable=tuple(unusable)).write(self.folder)
        DoneBlock.remove_all(self.folder)

    def _to_do(self) -> Iterator[int]:
        """Numbers of the images that fall to this process, block by block, taken while there are any."""
        num_blocks = -(-len(self.sources) // self.block_images)
        while (block := self.workers.add("blocks taken", 1) - 1) < num_blocks:
            start = block * self.block_images
            end = min(start + self.block_images, len(self.sources))
            if DoneBlock.is_done(self.folder, start):
                self.workers.add("images done", end - start)
                continue
            yield from range(start, end)

    def _draw(self, number: int) -> tuple[int, tuple[Image, Image] | str]:
        source = self.sources[number]
        try:
            image = self.first.pop(source, None)
            image = self.read_image(source) if image is None else image
        except InvalidInputError as error:
            return number, str(error)
        return number, (image, self.draw_variants(image, _generator(self.seed, source)))

    def _embedded(self, number: int, drawn: tuple[Image, Image] | str) -> ImageRows | str:
        """The rows of an image, or why there are none."""
        if isinstance(drawn, str):
            return drawn
        image, variants = drawn
        embeddings, style = self.embedder.embed(
            np.concatenate([variants, image[None], image[None, :, ::-1]])
        )
        source = self.sources[number]
        rows: ImageRows = {
            "embeddings.npy": _half(embeddings[:-2], source),
            "clean.npy": embeddings[-2:],
        }
        if style is not None:
            rows["style.npy"] = _half(style[:-2], source)
        return rows

    def _start(self, facts: dict[str, Any]) -> None:
        """Lays out the files, sized by embedding the first image that can be read."""
        reasons = []
        for number in range(len(self.sources)):
            drawn = self._draw(number)[1]
            if not isinstance(drawn, str):
                break
            reasons.append(drawn)
        else:
            raise EmptySetError(
                f"people: none of the {len(reasons)} images can be read, the first: {reasons[0]}"
            )
        self.first[self.sources[number]] = drawn[0]
        embeddings, style = self.embedder.embed(drawn[1])
        shapes = embeddings.shape, None if style is None else style.shape
        lay_out_store(self.folder, facts, *shapes, block_images=self.block_images)


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
