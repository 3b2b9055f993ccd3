"""Sets of images for a calibration: as they are and degraded, of labelled people or of a pile of faces.

The definition, `calibration-sets/v1`. Of each person and medium there is one set of images as they are: the
images in the order of the SHA-256 of their names, as many as the largest of the sizes that they suffice for.
Of the first `num_poor` people, in the order of the SHA-256 of their names, there is one poor set, of the first
medium: positions 0, 1, ... draw an image, with replacement. With w0, w1, w2, w3 the first four big-endian
64-bit numbers of the SHA-256 of `calibration-sets/v1|<position>|<person>|<medium>`, the image is number w0 mod
K, t1 and t2 are w1 and w2 over 2^64, and the severity is 1 - 0.4 t2 if t1 < 0.85, else 0.6 t2. Even w3 are
degraded by `face-degradation/v1`, odd ones by `face-broadcast/v1`, from NumPy's `PCG64(w3)`. Sets are nested:
that of N images is the first N.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.degradations.broadcast import broadcast
from probefusion.degradations.degrade import degrade
from probefusion.embedders.embedder import Embedder
from probefusion.embedders.quality import embedding_key
from probefusion.errors import FileFormatError
from probefusion.evaluation.blocks import embed_in_blocks
from probefusion.faces.images import list_images, read_crop
from probefusion.files import check_existing
from probefusion.fusion import Fuser
from probefusion.protocols.degraded_folder import ProbeImage
from probefusion.protocols.people import People, composed, read_people
from probefusion.types import EmbeddingSet

__all__ = [
    "SETS_VERSION",
    "DrawnSet",
    "EmbeddedSets",
    "draw_sets",
    "embed_sets",
    "in_order_of_hash",
    "read_faces",
]

SETS_VERSION = "calibration-sets/v1"
"""Name of the definition in this module."""

_BAD_SHARE = 0.85
_BAD_ABOVE = 0.6


@dataclass(frozen=True, kw_only=True)
class DrawnSet:
    """The images of one set.

    Args:
        person: Whose.
        medium: Beginning of the images' names that says which film or day they are of, or "".
        is_poor: Whether they are degraded.
        images: The images, in order.
    """

    person: str
    medium: str
    is_poor: bool
    images: tuple[ProbeImage, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class EmbeddedSets:
    """Drawn sets with their embeddings.

    Args:
        drawn: The sets.
        images: Their embeddings, set after set.
        source: What they are of, in words.
    """

    drawn: tuple[DrawnSet, ...]
    images: EmbeddingSet
    source: str

    def templates(
        self, fuser: Fuser, sizes: Sequence[int]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Templates (T, D) of each set at each size it has, the sizes (T,), and which set each is of (T,)."""
        starts = np.cumsum([0, *(len(drawn.images) for drawn in self.drawn)])
        vectors, numbers, owners = [], [], []
        for size in sizes:
            whose = np.array(
                [place for place, drawn in enumerate(self.drawn) if len(drawn.images) >= size],
                dtype=np.int64,
            )
            if len(whose) == 0:
                continue
            rows = (starts[whose][:, None] + np.arange(size)).ravel()
            offsets = np.arange(len(whose) + 1) * size
            vectors.append(fuser.fuse_many(self.images[rows], offsets).astype(np.float64))
            numbers.append(np.full(len(whose), size))
            owners.append(whose)
        return np.concatenate(vectors), np.concatenate(numbers), np.concatenate(owners)


def read_faces(path: str | Path) -> People:
    """People with a folder each; or a pile of faces, each file of another person.

    Raises:
        MissingFileError, FileFormatError: If there is nothing, or no image.
    """
    path = check_existing(path, name="image folder")
    found, skipped = list_images(path)
    names = [image.member or image.path.relative_to(path).as_posix() for image in found]
    if names and not any("/" in name for name in names):
        pile = {Path(name).stem: (name,) for name in names}
        if len(pile) < len(names):
            raise FileFormatError(
                f"{str(path)!r}: two files of this pile of faces have one name but for its ending. Each file "
                f"counts as another person; rename one."
            )
        return People(images=pile, path=path, skipped=tuple(skipped))
    return read_people(path)


def draw_sets(
    people: People,
    *,
    subjects: Iterable[str],
    sizes: Sequence[int],
    num_poor: int,
    medium_by: str | None = None,
) -> tuple[DrawnSet, ...]:
    """The sets of some people, as the module says.

    Args:
        people: All people.
        subjects: Whom to take.
        sizes: Images in a set, ascending from 1; of a set that is none of these the largest below is taken.
        num_poor: Of how many of them poor sets are made.
        medium_by: Text in the names of files up to which a name says the medium; None: a person's images
            are of one.
    """
    drawn = []
    for place, person in enumerate(in_order_of_hash(subjects)):
        media: dict[str, list[str]] = {}
        for name in people.images[person]:
            media.setdefault(_medium_of(name, medium_by), []).append(name)
        for medium, listed in sorted(media.items()):
            names = in_order_of_hash(listed)
            kept = max(size for size in sizes if size <= len(names))
            clean = [ProbeImage(source=name, severity=0.0, seed=0) for name in names[:kept]]
            drawn.append(DrawnSet(person=person, medium=medium, is_poor=False, images=tuple(clean)))
            if place < num_poor and medium == min(media):
                poor = [_poor(names, f"{at}|{person}|{medium}") for at in range(sizes[-1])]
                drawn.append(
                    DrawnSet(person=person, medium=medium, is_poor=True, images=tuple(poor))
                )
    return tuple(drawn)


def embed_sets(
    people: People,
    drawn: tuple[DrawnSet, ...],
    embedder: Embedder,
    *,
    cache: str | Path | None,
    progress: Callable[[int, int], None] | None,
) -> EmbeddedSets:
    """Degrades and embeds the images of all sets; an image that is drawn twice as it is, once."""
    images = [image for each in drawn for image in each.images]
    different = list(dict.fromkeys(images))

    def render(image: ProbeImage) -> npt.NDArray[np.uint8]:
        crop = read_crop(people.read(image.source), source=image.source)
        if image.severity == 0:
            return crop
        rng = np.random.Generator(np.random.PCG64(image.seed))
        return (broadcast if image.seed % 2 else degrade)(crop, image.severity, rng)

    content = json.dumps([[image.source, image.severity, image.seed] for image in different])
    digest = hashlib.sha256(content.encode(errors="surrogateescape"))
    for source in sorted({image.source for image in different}):
        digest.update(hashlib.sha256(people.read(source)).digest())
    name = f"{digest.hexdigest()[:16]}-{embedding_key(embedder)}"
    embedded = embed_in_blocks(
        embedder,
        different,
        render,
        None if cache is None else Path(cache) / name,
        "sets",
        progress=None if progress is None else lambda done: progress(done, len(different)),
    )
    place = {image: row for row, image in enumerate(different)}
    rows = np.array([place[image] for image in images])
    return EmbeddedSets(
        drawn=drawn,
        images=embedded[rows],
        source=f"{SETS_VERSION}@{digest.hexdigest()[:12]}",
    )


def _poor(names: Sequence[str], place: str) -> ProbeImage:
    digest = hashlib.sha256(composed(f"{SETS_VERSION}|{place}").encode()).digest()
    words = [int.from_bytes(digest[start : start + 8], "big") for start in range(0, 32, 8)]
    first, second = (word / 2**64 for word in words[1:3])
    severity = 1 - (1 - _BAD_ABOVE) * second if first < _BAD_SHARE else _BAD_ABOVE * second
    return ProbeImage(source=names[words[0] % len(names)], severity=severity, seed=words[3])


def _medium_of(name: str, medium_by: str | None) -> str:
    file = name.rpartition("/")[2]
    return file.partition(medium_by)[0] if medium_by and medium_by in file else ""


def in_order_of_hash(names: Iterable[str]) -> list[str]:
    """Names in the order of the SHA-256 of their NFC form: as good as chance, and always the same."""
    return sorted(names, key=_digest)


def _digest(name: str) -> str:
    return hashlib.sha256(composed(name).encode(errors="surrogateescape")).hexdigest()
