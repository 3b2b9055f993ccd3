r"""Makes what research/compact_embedder/relearn.py learns from: crops, and what a teacher sees in each.

    python -m research.compact_embedder.targets --images lfw112.zip --images fiw112.zip --films imfdb112.zip \
        --leave-out NAME --chimeras 12000 --mirrored --teacher sface.onnx --work WORK

Writes WORK/crops.npy (I, 112, 112, 3) uint8, WORK/kinds.npy (I,) their kinds (`relearn.KINDS`), WORK/targets.npy
(I, D) unit embeddings by the teacher, and WORK/centres.npy (P, D), a unit centre for each person. People of fold 3,
by which fusers and embedders are judged, are left out of every data set of photos. Of films only the people of folds
0 and 1 are taken, so that half of the actors can judge. `--chimeras` adds faces put together from two (`draw_chimera`),
of which seven in ten begin with a face of a film and half get the other part from one. `--mirrored` takes the mean of
what the teacher sees in a crop and in its mirror image.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.faces.images import read_crop
from probefusion.protocols import read_people
from probefusion.protocols.degraded_folder import fold_of
from probefusion.zoo.embedders import load_embedder
from research.compact_embedder.chimera import draw_chimera
from research.compact_embedder.relearn import KINDS

__all__ = ["FILM_FOLDS", "make_targets"]

FILM_FOLDS = (0, 1)
"""Folds of the actors that are learned from; the others judge."""

_TEST_FOLD = 3
_FILM_FIRST, _FILM_SECOND = 0.7, 0.5
_BATCH = 128

Crops = npt.NDArray[np.uint8]
Units = npt.NDArray[np.float32]


def make_targets(
    data: list[str],
    embedder: Any,
    work: Path,
    *,
    films: list[str] | None = None,
    leave_out: tuple[str, ...] = (),
    num_chimeras: int = 0,
    mirrored: bool = False,
    seed: int = 5,
) -> tuple[Units, Units]:
    """Writes crops, kinds, targets and centres.

    Args:
        data: Folders or zip archives with a folder of aligned crops per person.
        embedder: The teacher.
        work: An existing folder.
        films: The same, of film stills.
        leave_out: People of films who are not taken.
        num_chimeras: Faces put together from two.
        mirrored: Whether the teacher sees the mirror image too. Chimeras are seen once.
        seed: Of the chimeras.

    Returns:
        Targets and centres.
    """
    parts: dict[str, list[Crops]] = {kind: [] for kind in KINDS}
    targets: dict[str, list[Units]] = {kind: [] for kind in KINDS}
    centres = []
    for kind, places in (("photo", data), ("film", films or [])):
        for place in places:
            for own in _people(place, kind, leave_out):
                seen = _seen(embedder, own, mirrored=mirrored)
                parts[kind].append(own)
                targets[kind].append(seen)
                centres.append(_unit(seen.mean(axis=0)))
    if num_chimeras:
        photos, stills = (np.concatenate(parts[kind] or [_NONE]) for kind in ("photo", "film"))
        drawn = _chimeras(photos, stills, num_chimeras, seed)
        parts["chimera"].append(drawn)
        targets["chimera"].append(_seen(embedder, drawn, mirrored=False))
    found = np.concatenate(_flat(targets)).astype(np.float32), np.stack(centres).astype(np.float32)
    kinds = [np.full(len(crops), KINDS.index(kind)) for kind in KINDS for crops in parts[kind]]
    np.save(work / "crops.npy", np.concatenate(_flat(parts)))
    np.save(work / "kinds.npy", np.concatenate(kinds).astype(np.uint8))
    np.save(work / "targets.npy", found[0])
    np.save(work / "centres.npy", found[1])
    return found


_NONE = np.zeros((0, 112, 112, 3), np.uint8)


def _flat(parts: dict[str, list[Any]]) -> list[Any]:
    return [part for kind in KINDS for part in parts[kind]]


def _people(place: str, kind: str, leave_out: tuple[str, ...]) -> list[Crops]:
    people = read_people(place)
    return [
        np.stack([read_crop(people.read(image), source=image) for image in images])
        for name, images in people.images.items()
        if _is_learned_from(name, kind, leave_out)
    ]


def _is_learned_from(name: str, kind: str, leave_out: tuple[str, ...]) -> bool:
    if kind == "film":
        return fold_of(name) in FILM_FOLDS and name not in leave_out
    return fold_of(name) != _TEST_FOLD


def _seen(embedder: Any, crops: Crops, *, mirrored: bool) -> Units:
    found = _embedded(embedder, crops)
    return _unit(found + _embedded(embedder, crops[:, :, ::-1])) if mirrored else found


def _embedded(embedder: Any, crops: Crops) -> Units:
    starts = range(0, len(crops), _BATCH)
    parts = [embedder.embed(np.ascontiguousarray(crops[s : s + _BATCH]))[0] for s in starts]
    return _unit(np.concatenate(parts))


def _unit(embeddings: npt.NDArray[Any]) -> Units:
    units: Units = embeddings / np.linalg.norm(embeddings, axis=-1, keepdims=True)
    return units


def _chimeras(photos: Crops, stills: Crops, count: int, seed: int) -> Crops:
    rng = np.random.default_rng([seed, 1])
    first = _picked(photos, stills, count, _FILM_FIRST, rng)
    second = _picked(photos, stills, count, _FILM_SECOND, rng)
    pairs = enumerate(zip(first, second, strict=True))
    return np.stack([draw_chimera(*pair, np.random.default_rng([seed, 2, i])) for i, pair in pairs])


def _picked(
    photos: Crops, stills: Crops, count: int, film_share: float, rng: np.random.Generator
) -> list[Crops]:
    """Crops of which this share come from films, if there are films."""
    is_film = rng.random(count) < (film_share if len(stills) else 0.0)
    of_films = rng.integers(max(1, len(stills)), size=count)
    of_photos = rng.integers(len(photos), size=count)
    return [
        stills[still] if film else photos[photo]
        for film, still, photo in zip(is_film, of_films, of_photos, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", required=True, action="append", metavar="DIR|ZIP")
    parser.add_argument("--films", default=[], action="append", metavar="DIR|ZIP")
    parser.add_argument("--leave-out", default=[], action="append", metavar="PERSON")
    parser.add_argument("--chimeras", default=0, type=int, help="faces put together from two")
    parser.add_argument(
        "--mirrored", action="store_true", help="the teacher sees mirror images too"
    )
    parser.add_argument("--teacher", required=True, metavar="ONNX")
    parser.add_argument("--work", required=True, type=Path, metavar="DIR")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    targets, centres = make_targets(
        options.images,
        load_embedder(options.teacher, num_threads=options.threads),
        options.work,
        films=options.films,
        leave_out=tuple(options.leave_out),
        num_chimeras=options.chimeras,
        mirrored=options.mirrored,
    )
    print(f"{len(targets)} crops of {len(centres)} people")


if __name__ == "__main__":
    main()
