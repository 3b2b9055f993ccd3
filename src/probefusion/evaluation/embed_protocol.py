"""Embeds the gallery and the degraded probe images of the open protocol, once."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.embedders.embedder import Embedder
from probefusion.embedders.quality import embedding_key
from probefusion.errors import FileFormatError, InvalidInputError
from probefusion.evaluation.probe_data import ProbeData
from probefusion.faces.images import read_crop
from probefusion.protocols.degraded_folder import DegradedFolderProtocol, ProbeImage, render
from probefusion.types import EmbeddingSet
from probefusion.workers import available_threads, map_in_order

__all__ = ["embed_protocol"]

_BATCH = 32

_BLOCK = 512
"""Images per cache file: what an interruption may cost."""


def embed_protocol(
    protocol: DegradedFolderProtocol,
    embedder: Embedder,
    *,
    num_images: int,
    cache: str | Path | None = None,
    read_image: Callable[[str], npt.NDArray[np.uint8]] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ProbeData:
    """Embeds everything an evaluation of the protocol needs.

    Args:
        protocol: Who is in the gallery and in the probe sets.
        embedder: The embedder.
        num_images: K, images per probe set; smaller sets are the first images of each.
        cache: Folder to keep embeddings in, block by block; an interrupted run goes on from there. Blocks
            are found by a hash of the protocol, the image files' bytes and the embedder.
        read_image: Gives an aligned crop by name, (112, 112, 3) uint8 RGB, where images are decoded
            already; called from several threads. None decodes a file each time it is drawn.
        progress: Called with (images done, images in all).

    Returns:
        Gallery and probes, probe set after probe set in the protocol's order.

    Raises:
        ConfigError: If `num_images` is larger than the protocol's largest set.
        FileFormatError: If an image cannot be read.
    """
    name = f"{protocol.definition()['version']}/{protocol.mix}@{protocol.content_hash[:12]}"
    sets = list(protocol.probe_sets(num_images))
    images = [image for probe_set in sets for image in probe_set.images]
    sources = [entry.source for entry in protocol.gallery]
    crops = _Crops(protocol)
    read = crops.read if read_image is None else read_image
    kept = None if cache is None else Path(cache) / _cache_name(crops, embedder, num_images)
    # An image that is not degraded is the same wherever it is drawn; it is embedded once.
    different = list(dict.fromkeys(map(_without_idle_seed, images)))
    total = len(sources) + len(different)
    embedded = _embed(
        embedder,
        different,
        lambda image: render(image, read),
        kept,
        "probes",
        0,
        total,
        progress,
    )
    gallery = _embed(embedder, sources, read, kept, "gallery", len(different), total, progress)
    place = {image: index for index, image in enumerate(different)}
    probes = embedded[np.array([place[_without_idle_seed(image)] for image in images])]
    return ProbeData(
        gallery=gallery,
        gallery_subjects=np.array([entry.subject_id for entry in protocol.gallery]),
        probes=probes,
        probe_subjects=np.array([probe_set.subject_id for probe_set in sets]),
        severities=np.array(
            [[image.severity for image in probe_set.images] for probe_set in sets], np.float32
        ),
        protocol=name,
    )


def _without_idle_seed(image: ProbeImage) -> ProbeImage:
    return replace(image, seed=0) if image.severity == 0 else image


class _Crops:
    """Reads the crops of a protocol by name."""

    def __init__(self, protocol: DegradedFolderProtocol) -> None:
        self.protocol = protocol

    def read(self, source: str) -> npt.NDArray[np.uint8]:
        """The aligned crop, (112, 112, 3) uint8 RGB."""
        return read_crop(self.protocol.people.read(source), source=source)

    def digest(self) -> str:
        """SHA-256 over the protocol and the bytes of every image it may use."""
        digest = hashlib.sha256(self.protocol.content_hash.encode())
        people = self.protocol.people
        wanted = {entry.source for entry in self.protocol.gallery}
        for subject in self.protocol.probe_subjects:
            wanted.update(people.images[subject])
        for source in sorted(wanted):
            digest.update(hashlib.sha256(people.read(source)).digest())
        return digest.hexdigest()


def _cache_name(crops: _Crops, embedder: Embedder, num_images: int) -> str:
    return f"{crops.digest()[:16]}-{embedding_key(embedder)}-{num_images}"


def _embed(
    embedder: Embedder,
    items: Sequence[str] | Sequence[ProbeImage],
    draw: Callable[..., npt.NDArray[np.uint8]],
    cache: Path | None,
    part: str,
    done: int,
    total: int,
    progress: Callable[[int, int], None] | None,
) -> EmbeddingSet:
    """Draws crops while others are embedded, block by block; cached blocks are not done again."""
    blocks = []
    for start in range(0, len(items), _BLOCK):
        kept = None if cache is None else cache / f"{part}-{start:08d}.npz"
        if kept is not None and kept.exists():
            try:
                block = EmbeddingSet.load(kept)
            except InvalidInputError as error:
                raise FileFormatError(
                    f"{kept}: damaged cache file. Delete it and run the same command again."
                ) from error
        else:
            wanted = items[start : start + _BLOCK]
            crops = map_in_order(draw, wanted, available_threads(), ahead=2 * _BATCH)
            block = EmbeddingSet.concatenate(
                embedder.embed_set(np.stack(batch)) for batch in _batches(crops)
            )
            if kept is not None:
                kept.parent.mkdir(parents=True, exist_ok=True)
                block.save(kept, force=True)
        blocks.append(block)
        if progress is not None:
            progress(done + min(start + _BLOCK, len(items)), total)
    return EmbeddingSet.concatenate(blocks)


def _batches(
    crops: Iterable[npt.NDArray[np.uint8]], size: int = _BATCH
) -> Iterator[list[npt.NDArray[np.uint8]]]:
    iterator = iter(crops)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
