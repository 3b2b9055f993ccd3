"""Embeds the gallery and the degraded probe images of the open protocol, once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.embedders.embedder import Embedder
from probefusion.embedders.quality import embedding_key
from probefusion.evaluation.blocks import embed_in_blocks
from probefusion.evaluation.probe_data import ProbeData
from probefusion.faces.images import read_crop
from probefusion.protocols.degraded_folder import DegradedFolderProtocol, ProbeImage, render

__all__ = ["embed_protocol"]


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

    def told(before: int) -> Callable[[int], None] | None:
        return None if progress is None else lambda done: progress(before + done, total)

    embedded = embed_in_blocks(
        embedder,
        different,
        lambda image: render(image, read),
        kept,
        "probes",
        progress=told(0),
    )
    gallery = embed_in_blocks(
        embedder,
        sources,
        read,
        kept,
        "gallery",
        progress=told(len(different)),
    )
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
