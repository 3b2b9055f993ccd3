"""Real poor images: enrolled from some films or clips of a person, searched with another one.

In each draw the probe is one medium of the person, taken at random among those with enough images while the other
media together hold enough to enrol; its images, and those that enrol, are drawn without replacement, the latter from
all other media together. People without such a medium are left out in every draw and at every size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.embedders.embedder import Embedder
from probefusion.embedders.quality import embedding_key
from probefusion.errors import EmptySetError
from probefusion.evaluation.blocks import embed_in_blocks
from probefusion.faces.images import read_crop
from probefusion.protocols.media_images import MediaImages
from research.smear.smear_sets import Rows, SmearSets, SmearSize

__all__ = ["draw_media", "embed_media_images"]

_SEED = 31


def embed_media_images(
    images: MediaImages,
    embedder: Embedder,
    *,
    subjects: Iterable[str],
    largest: SmearSize,
    num_draws: int,
    cache: Path,
    source: str,
    progress: Callable[[int], None] | None = None,
) -> SmearSets:
    """Draws the sets and embeds every image of the people, once.

    Args:
        images: Images with people and media.
        embedder: The embedder.
        subjects: Whom to take, of those with images enough.
        largest: The largest numbers of images that any size asks for.
        num_draws: R.
        cache: Folder that keeps the embeddings, block by block.
        source: What they are, in words.
        progress: Called with the number of images done.

    Raises:
        EmptySetError: If nobody has images enough.
    """
    wanted = set(subjects)
    media: dict[str, dict[str, list[str]]] = {}
    for person, photos in images.people.images.items():
        if person in wanted:
            for name in photos:
                media.setdefault(person, {}).setdefault(images.media[name], []).append(name)
    fit = {person: found for person, found in media.items() if _probe_media(found, largest)}
    if not fit:
        raise EmptySetError(
            f"{source}: expected people with {largest.num_probe} images of one medium and "
            f"{largest.num_enrolled} of others, got none of {len(media)}."
        )
    names = [name for found in fit.values() for mine in found.values() for name in mine]
    read = images.people.read

    def crop(name: str) -> npt.NDArray[np.uint8]:
        return read_crop(read(name), source=name)

    digest = hashlib.sha256()
    for name in names:
        digest.update(f"{name}\n".encode() + hashlib.sha256(read(name)).digest())
    folder = cache / f"media-{digest.hexdigest()[:16]}-{embedding_key(embedder)}"
    embedded = embed_in_blocks(embedder, names, crop, folder, "images", progress=progress)
    place = {name: row for row, name in enumerate(names)}
    drawn = [
        [
            draw_media(found, largest, np.random.default_rng([_SEED, draw, person]))
            for person, found in enumerate(fit.values())
        ]
        for draw in range(num_draws)
    ]

    def rows(side: int) -> Rows:
        return np.array(
            [[[place[name] for name in pair[side]] for pair in pairs] for pairs in drawn]
        )

    return SmearSets(
        people=np.array(list(fit)), images=embedded, enrolled=rows(0), probes=rows(1), source=source
    )


def _probe_media(media: dict[str, list[str]], largest: SmearSize) -> list[str]:
    total = sum(map(len, media.values()))
    return [
        medium
        for medium, names in sorted(media.items())
        if len(names) >= largest.num_probe and total - len(names) >= largest.num_enrolled
    ]


def draw_media(
    media: dict[str, list[str]], largest: SmearSize, rng: np.random.Generator
) -> tuple[list[str], list[str]]:
    """Names of the images that enrol and of those that search, of one person in one draw.

    Args:
        media: The person's images by medium.
        largest: How many of each.
        rng: Source of randomness.
    """
    fit = _probe_media(media, largest)
    probe = fit[rng.integers(len(fit))]
    others = sorted(name for medium, names in media.items() if medium != probe for name in names)
    enrolled = rng.permutation(len(others))[: largest.num_enrolled]
    searching = rng.permutation(len(media[probe]))[: largest.num_probe]
    return [others[row] for row in enrolled], [sorted(media[probe])[row] for row in searching]
