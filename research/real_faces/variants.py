"""Embeds training images in sixteen variants of two families of degradations, for one embedder.

    python -m research.real_faces.variants --lfw lfw112/ --embedder MODEL -o WORK/NAME

LFW gives up to eight images of each person who has two or more, Families in the Wild (`--fiw`, if wanted) two of
each (three of people with more than five). The images are shuffled, and the first `--num-images` of them are
taken. A killed run goes on where it was; the draws of an image come from its name alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from probefusion.degradations.augment import Image, draw_variants
from probefusion.degradations.broadcast import broadcast, frame
from probefusion.degradations.degrade import degrade
from probefusion.types import FloatArray
from probefusion.zoo import load_embedder

__all__ = ["NUM_MILD", "NUM_SEVERE", "Variants", "draw_families"]

NUM_MILD = 8
NUM_SEVERE = 8
"""Variants of an image: the mild ones first, then the badly degraded ones."""

_BAD_ABOVE = 0.6
_FRAMED = 0.3
_BLOCK = 250
_PER_PERSON_LFW = 8


def draw_families(image: Image, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Sixteen variants of a crop, then the crop and its mirror image.

    Two of the official recipe, one framed in black, one that is only mirrored, two mild ones of
    `degrade` and two of `broadcast`; then four bad ones of each. All but the official ones are mirrored with
    probability 1/2, and those of `degrade` framed with probability .3.

    Args:
        image: (112, 112, 3) uint8 RGB.
        rng: Source of randomness.

    Returns:
        (18, 112, 112, 3) uint8 RGB.
    """

    def mirrored() -> Image:
        return np.ascontiguousarray(image[:, ::-1]) if rng.random() < 0.5 else image

    def framed(crop: Image, probability: float) -> Image:
        return frame(crop, rng.random(5)) if rng.random() < probability else crop

    variants = list(draw_variants(image, rng, 2))
    variants.append(framed(mirrored(), 1.0))
    variants.append(mirrored())
    for count, low, span in ((2, 0.0, _BAD_ABOVE), (4, 1.0, _BAD_ABOVE - 1)):
        for _ in range(count):
            poor = degrade(mirrored(), low + span * rng.random(), rng)
            variants.append(framed(poor, _FRAMED))
        for _ in range(count):
            variants.append(broadcast(mirrored(), low + span * rng.random(), rng))
    return np.stack([*variants, image, image[:, ::-1]])


@dataclass(frozen=True, kw_only=True, eq=False)
class Variants:
    """What an embedder makes of the variants of training images.

    Args:
        embeddings: (I, 18, D) float16, length kept; the last two are the clean image and its mirror image.
        style: (I, 18, C, 2) float16.
        people: (I,) names, "lfw/NAME" or "fiw/NAME".
        embedder: Fingerprint.
    """

    embeddings: npt.NDArray[np.float16]
    style: npt.NDArray[np.float16]
    people: tuple[str, ...]
    embedder: str

    def without_style(self) -> Variants:
        """The same with the style forgotten."""
        return replace(self, style=self.style[:, :, :0])

    @staticmethod
    def open(folder: Path) -> Variants:
        """Reads what `main` wrote."""
        facts = json.loads((folder / "variants.json").read_text())
        blocks = [np.load(path) for path in sorted(folder.glob("block-*.npz"))]
        embeddings = np.concatenate([block["embeddings"] for block in blocks])
        if len(embeddings) < len(facts["people"]):
            raise SystemExit(f"{folder}: only {len(embeddings)} images are done; run it again")
        return Variants(
            embeddings=embeddings,
            style=np.concatenate([block["style"] for block in blocks]),
            people=tuple(facts["people"]),
            embedder=facts["embedder"],
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lfw", required=True, type=Path, metavar="DIR", help="folder per person")
    parser.add_argument("--fiw", type=Path, metavar="DIR", help="folder per person")
    parser.add_argument("--embedder", required=True, metavar="MODEL")
    parser.add_argument("--num-images", type=int, default=2313)
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    images = list(training_images(options.lfw, options.fiw))
    np.random.default_rng(0).shuffle(images)
    images = images[: options.num_images]
    embedder = load_embedder(options.embedder)
    options.output.mkdir(parents=True, exist_ok=True)
    facts = {
        "embedder": embedder.fingerprint,
        "people": [f"{source}/{path.parent.name}" for source, path in images],
    }
    (options.output / "variants.json").write_text(json.dumps(facts))
    for start in range(0, len(images), _BLOCK):
        path = options.output / f"block-{start:06d}.npz"
        if not path.exists():
            found = [embedder.embed(drawn(path)) for _, path in images[start : start + _BLOCK]]
            draft = path.with_suffix(".part.npz")
            np.savez(
                draft,
                embeddings=_halves([embeddings for embeddings, _ in found]),
                style=_halves([style for _, style in found if style is not None]),
            )
            draft.rename(path)
            print(f"{start + len(found)} of {len(images)}", flush=True)


def training_images(lfw: Path, fiw: Path | None) -> Iterator[tuple[str, Path]]:
    """Source and path of all images that may be taken, people and images by name."""
    for folder in sorted(path for path in lfw.iterdir() if path.is_dir()):
        files = sorted(folder.iterdir())
        if len(files) >= 2:
            yield from (("lfw", path) for path in files[:_PER_PERSON_LFW])
    for folder in sorted(path for path in fiw.iterdir() if path.is_dir()) if fiw else ():
        files = sorted(folder.iterdir())
        yield from (("fiw", path) for path in files[: 2 + (len(files) > 5)])


def drawn(path: Path) -> npt.NDArray[np.uint8]:
    """The variants of one image file."""
    image = cv2.imread(str(path))
    if image is None:
        raise SystemExit(f"{path}: no image")
    digest = hashlib.sha256(f"{path.parent.name}/{path.name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    return draw_families(image[..., ::-1], rng)


def _halves(arrays: list[FloatArray]) -> npt.NDArray[np.float16]:
    halves: npt.NDArray[np.float16] = np.stack(arrays).astype(np.float16)
    return halves


if __name__ == "__main__":
    main()
