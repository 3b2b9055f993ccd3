"""Poor images made from photos: LFW people whom no fuser and no embedder of the package was trained on.

The definition, `smear-test/v1`. The people are the probe people of degraded-folder/v1, fold 3: three or more photos.
A person's photos stand in the order of the SHA-256 of their names; the first half (of an odd number the larger one)
enrols. In draw r there are 16 poor images that enrol and two times eight that search: `apart`, of the other half's
photos, and `shared`, of the enrolling photos again, degraded anew. All are degraded: there is no clean image on
either side.

With w0..w3 the first four big-endian 64-bit numbers of the SHA-256 of `smear-test/v1|<r>|<part>|<position>|<person>`
(part `enrolled`, `apart` or `shared`), an image is photo number w0 mod K, with t1, t2 = w1, w2 over 2^64 its severity
is 1 - 0.4 t2 if t1 < 0.85, else 0.6 t2 (as the mix `hard`), and w3 seeds `probefusion.degradations.degrade`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.embedders.embedder import Embedder
from probefusion.embedders.quality import embedding_key
from probefusion.evaluation.blocks import embed_in_blocks
from probefusion.evaluation.calibration_sets import in_order_of_hash
from probefusion.faces.images import read_crop
from probefusion.protocols.degraded_folder import (
    MIN_PROBE_PERSON_IMAGES,
    People,
    ProbeImage,
    fold_of,
    render,
)
from probefusion.protocols.people import composed
from research.smear.smear_sets import Rows, SmearSets

__all__ = ["LAYOUTS", "NUM_ENROLLED", "NUM_PROBE", "draw_images", "embed_degraded"]

FOLD = 3
LAYOUTS = ("apart", "shared")
"""Whether the probes are of other photos than the enrolment, or of the same ones."""

NUM_ENROLLED, NUM_PROBE = 16, 8
_BAD_SHARE, _BAD_ABOVE = 0.85, 0.6


def draw_images(photos: Sequence[str], person: str, draw: int) -> dict[str, list[ProbeImage]]:
    """The poor images of one person in one draw: `enrolled`, `apart`, `shared`.

    Args:
        photos: Names of the person's photos, two or more.
        person: Name.
        draw: Number of the draw.
    """
    ordered = in_order_of_hash(photos)
    middle = (len(ordered) + 1) // 2
    parts = {
        "enrolled": (ordered[:middle], NUM_ENROLLED),
        "apart": (ordered[middle:], NUM_PROBE),
        "shared": (ordered[:middle], NUM_PROBE),
    }
    return {
        part: [_poor(names, f"{draw}|{part}|{place}|{person}") for place in range(count)]
        for part, (names, count) in parts.items()
    }


def _poor(photos: Sequence[str], place: str) -> ProbeImage:
    digest = hashlib.sha256(composed(f"smear-test/v1|{place}").encode()).digest()
    words = [int.from_bytes(digest[start : start + 8], "big") for start in range(0, 32, 8)]
    first, second = (word / 2**64 for word in words[1:3])
    severity = 1 - (1 - _BAD_ABOVE) * second if first < _BAD_SHARE else _BAD_ABOVE * second
    return ProbeImage(source=photos[words[0] % len(photos)], severity=severity, seed=words[3])


def embed_degraded(
    people: People,
    embedder: Embedder,
    *,
    num_draws: int,
    cache: Path,
    progress: Callable[[int], None] | None = None,
) -> dict[str, SmearSets]:
    """Degrades and embeds the images of all draws; both layouts.

    Args:
        people: All people; those of fold 3 with three or more photos are taken.
        embedder: The embedder.
        num_draws: R.
        cache: Folder that keeps the embeddings, block by block; a run that was stopped goes on from there.
        progress: Called with the number of images done.

    Returns:
        The sets by layout.
    """
    taken = [
        name
        for name, photos in people.images.items()
        if fold_of(name) == FOLD and len(photos) >= MIN_PROBE_PERSON_IMAGES
    ]
    drawn: list[ProbeImage] = []
    rows: dict[str, list[Rows]] = {part: [] for part in ("enrolled", *LAYOUTS)}
    for draw in range(num_draws):
        for name in taken:
            for part, images in draw_images(people.images[name], name, draw).items():
                rows[part].append(np.arange(len(images)) + len(drawn))
                drawn += images

    def crop(image: ProbeImage) -> npt.NDArray[np.uint8]:
        return render(image, lambda source: read_crop(people.read(source), source=source))

    text = "\n".join(f"{image.source}|{image.severity}|{image.seed}" for image in drawn)
    digest = hashlib.sha256(text.encode(errors="surrogateescape"))
    for source in sorted({image.source for image in drawn}):
        digest.update(hashlib.sha256(people.read(source)).digest())
    folder = cache / f"degraded-{digest.hexdigest()[:16]}-{embedding_key(embedder)}"
    embedded = embed_in_blocks(embedder, drawn, crop, folder, "images", progress=progress)
    stacked = {
        part: np.stack(found).reshape(num_draws, len(taken), -1) for part, found in rows.items()
    }
    return {
        layout: SmearSets(
            people=np.array(taken),
            images=embedded,
            enrolled=stacked["enrolled"],
            probes=stacked[layout],
            source=f"smear-test/v1@{digest.hexdigest()[:12]}, photos {layout}",
        )
        for layout in LAYOUTS
    }
