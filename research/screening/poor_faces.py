r"""What a stated rate comes to where both sides are poor in a way that no calibration drew.

    python -m research.screening.poor_faces exact --embedder compact_128d --data lfw112.zip

Of each person with four images or more the first four are made poor in one way, and templates of one and of four of
them are compared with those of all others. Prints the achieved over the stated rate, and how many templates are usable.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from probefusion.degradations.broadcast import broadcast
from probefusion.degradations.degrade import degrade
from probefusion.faces.images import read_crop
from probefusion.fusion.decisions import Side, decide, find_calibration
from probefusion.protocols import read_people
from probefusion.screening.usability import judge_states
from probefusion.zoo import find_usability, load_embedder, load_fuser

__all__ = ["KINDS", "main"]

Image = npt.NDArray[np.uint8]
Kind = Callable[[Image, np.random.Generator], Image]

NUM_IMAGES = 4


def _through(side: int) -> Kind:
    def shrink(crop: Image, _: np.random.Generator) -> Image:
        small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, (112, 112), interpolation=cv2.INTER_CUBIC))

    return shrink


def _covered(crop: Image, _: np.random.Generator) -> Image:
    found = crop.copy()
    found[50:] = 0
    return found


def _as_calibrated(crop: Image, rng: np.random.Generator) -> Image:
    severity = 1 - 0.4 * rng.random() if rng.random() < 0.85 else 0.6 * rng.random()
    return (broadcast if rng.random() < 0.5 else degrade)(crop, severity, rng)


def _noisy(crop: Image, rng: np.random.Generator) -> Image:
    return np.clip(crop + rng.normal(0, 60, crop.shape), 0, 255).astype(np.uint8)


KINDS: dict[str, Kind] = {
    "as they are": lambda crop, _: crop,
    "degraded as the calibration degrades": _as_calibrated,
    "through 20 pixels": _through(20),
    "through 12 pixels": _through(12),
    "through 8 pixels": _through(8),
    "lower half covered": _covered,
    "strongly blurred": lambda crop, _: np.asarray(cv2.GaussianBlur(crop, (0, 0), 6)),
    "noisy": _noisy,
}
"""Ways to make a crop poor."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fuser")
    parser.add_argument("--embedder", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--people", type=int, default=160)
    parser.add_argument("--rate", type=float, default=1e-2)
    options = parser.parse_args(arguments)
    embedder = load_embedder(options.embedder, num_threads=1)
    fuser = load_fuser(options.fuser, embedder=embedder.fingerprint, num_threads=1)
    record = find_calibration(None, fuser, fuser.fingerprint, embedder.fingerprint)
    usable = find_usability(fuser, embedder.fingerprint)
    if record is None or usable is None:
        raise SystemExit("no calibration or usability for this fuser and embedder")
    people = read_people(options.data)
    chosen = [name for name, images in people.images.items() if len(images) >= NUM_IMAGES]
    crops = [
        read_crop(people.read(source), source=source)
        for name in chosen[: options.people]
        for source in people.images[name][:NUM_IMAGES]
    ]
    count = len(crops) // NUM_IMAGES
    first, second = np.triu_indices(count, 1)
    for kind, make in KINDS.items():
        rng = np.random.default_rng(0)
        images = embedder.embed_set(np.stack([make(crop, rng) for crop in crops]))
        told = []
        for size in (1, NUM_IMAGES):
            rows = (np.arange(count)[:, None] * NUM_IMAGES + np.arange(size)).ravel()
            states = fuser.encode_many(images[rows], np.arange(count + 1) * size)
            vectors = fuser.finish_many(states).astype(np.float64)
            sides = [
                Side(name="", vectors=vectors[part], num_images=np.full(len(part), size))
                for part in (first, second)
            ]
            decisions = decide(record, *sides, false_match_rate=options.rate)
            limits = [each.threshold.similarity for each in decisions if each.threshold is not None]
            warned = sum(bool(each.warnings) for each in decisions)
            hits = np.einsum("pd,pd->p", sides[0].vectors, sides[1].vectors) >= limits
            verdicts = judge_states(states, [size] * count, usable)
            share = np.mean([each.verdict == "usable" for each in verdicts])
            told.append(
                f"{size}: {hits.mean() / options.rate:.2f}, usable {share:.2f}, unlike the calibration {warned}"
            )
        print(f"{kind} | {' | '.join(told)}", flush=True)


if __name__ == "__main__":
    main()
