"""Embeds the images that media-folder uses, each once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.embedders.embedder import Embedder
from probefusion.embedders.quality import embedding_key
from probefusion.evaluation.blocks import embed_in_blocks
from probefusion.evaluation.licensed import EmbeddedRows
from probefusion.faces.images import read_crop
from probefusion.protocols.media_protocol import MediaFolderProtocol

__all__ = ["embed_media", "repeated_images", "rows_used"]


def rows_used(protocol: MediaFolderProtocol) -> npt.NDArray[np.int64]:
    """The rows of `protocol.sources` that stand in a gallery or a probe set, ascending."""
    split = protocol.split
    parts = [split.gallery.ravel(), *(draw.rows.ravel() for draw in split.draws)]
    parts += [probes.rows for probes in split.medium_probes]
    return np.unique(np.concatenate(parts))


def repeated_images(protocol: MediaFolderProtocol) -> list[tuple[str, ...]]:
    """Images that are there byte for byte in several media, or of several people.

    With one of them in the gallery a probe may hold the gallery's own image.

    Args:
        protocol: Whose images are looked at, `protocol.sources`.

    Returns:
        The names of each such image, sorted, in the order of the first ones; [] if there are none.

    Raises:
        FileFormatError: If an image cannot be read.
    """
    images = protocol.images
    places: dict[bytes, list[str]] = {}
    for source in protocol.sources:
        digest = hashlib.sha256(images.people.read(source)).digest()
        places.setdefault(digest, []).append(source)
    return [
        tuple(names)
        for names in places.values()
        if len({(name.partition("/")[0], images.media[name]) for name in names}) > 1
    ]


def embed_media(
    protocol: MediaFolderProtocol,
    embedder: Embedder,
    *,
    cache: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EmbeddedRows:
    """Embeds every image that is used.

    Args:
        protocol: Who is in the gallery and in the probe sets.
        embedder: The embedder.
        cache: Folder to keep embeddings in, block by block; an interrupted run goes on from there. Blocks
            are found by a hash of the image files' names and bytes and the embedder, so that other classes,
            sizes or seeds on the same images find them again where the same images are used.
        progress: Called with (images done, images in all).

    Returns:
        The embeddings, and where each row of `protocol.sources` lies among them; -1 if it is not used.

    Raises:
        FileFormatError: If an image cannot be read.
        ShapeError: If an image is no crop of 112 x 112 pixels.
    """
    people = protocol.images.people
    rows = rows_used(protocol)
    sources = [protocol.sources[row] for row in rows]
    kept = None
    if cache is not None:
        digest = hashlib.sha256()
        for source in sources:
            digest.update(f"{source}\n".encode())
            digest.update(hashlib.sha256(people.read(source)).digest())
        kept = Path(cache) / f"{digest.hexdigest()[:16]}-{embedding_key(embedder)}"

    def crop(source: str) -> npt.NDArray[np.uint8]:
        return read_crop(people.read(source), source=source)

    images = embed_in_blocks(
        embedder,
        sources,
        crop,
        kept,
        "images",
        progress=None if progress is None else lambda done: progress(done, len(sources)),
    )
    position = np.full(len(protocol.sources), -1, dtype=np.int64)
    position[rows] = np.arange(len(rows))
    return EmbeddedRows(images=images, position=position)
