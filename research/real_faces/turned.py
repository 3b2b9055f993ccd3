"""Faces in turned photos: is the right turn found, and do strangers match?

    python -m research.real_faces.turned lfw112.zip --detector yunet_320.onnx

Each aligned crop is set into a photo of its border's colours, leaned by -30, 0 and 30 degrees, and turned by 0, 90,
180 and 270. A face is found rightly if its landmarks lie within 15 pixels (root mean square, of a crop of 112) of
where they are; its turn is right if they lie within 20. False matches: all pairs of different people upright in the
plane, at the threshold of the fuser for a false match rate of 0.001, with an interval over people. What it costs is
measured by `turned_cost`.
"""

from __future__ import annotations

import argparse
import zipfile
from collections.abc import Iterator

import cv2
import numpy as np

from probefusion.faces import (
    ARCFACE_LANDMARKS,
    ScrfdDetector,
    YuNetDetector,
    align_face,
    largest_face,
)
from probefusion.faces.align import landmark_residual
from probefusion.faces.decoding import decode_image
from probefusion.zoo import load_detector, load_embedder, load_fuser

Detector = YuNetDetector | ScrfdDetector

SIDE, BORDER = 224, 80
"""Pixels of the crop in the photo, and around it on each side."""
_RIGHT, _RIGHT_TURN = 15.0, 20.0
_LEANS, _TURNS = (-30, 0, 30), (0, 90, 180, 270)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("crops", help="zip of PERSON/IMAGE, aligned crops of 112x112")
    parser.add_argument("--detector", required=True)
    parser.add_argument("--num-people", type=int, default=500)
    parser.add_argument("--turned", type=int, nargs="+", choices=_TURNS, default=_TURNS)
    parser.add_argument(
        "--only-judged", action="store_true", help="leave out the search without a second look"
    )
    options = parser.parse_args()
    cv2.setNumThreads(1)
    detector = load_detector(options.detector)
    photos = [photo(crop) for crop in first_crops(options.crops, options.num_people)]
    for judged in (True,) if options.only_judged else (False, True):
        print(f"looked at again: {judged}")
        print("| turned | leaning | found | found rightly | right turn | false matches |")
        print("|---|---|---|---|---|---|")
        for turned in options.turned:
            for lean in _LEANS:
                print(row(photos, detector, turned=turned, lean=lean, judged=judged), flush=True)
    if not options.only_judged:
        tell_residuals(photos, detector)


def first_crops(path: str, count: int) -> Iterator[np.ndarray]:
    """The first crop of so many people, spread evenly over all."""
    with zipfile.ZipFile(path) as archive:
        names = first_names(archive)
        for place in spread_places(len(names), count):
            yield decode_image(archive.read(names[place]))


def first_names(archive: zipfile.ZipFile) -> list[str]:
    """The name of the first crop of each person, by the person's name."""
    first: dict[str, str] = {}
    for name in sorted(archive.namelist()):
        if name.endswith((".jpg", ".png")):
            first.setdefault(name.rsplit("/", 2)[-2], name)
    return [first[person] for person in sorted(first)]


def spread_places(total: int, count: int) -> list[int]:
    """So many places of `total`, spread evenly."""
    return [int(place) for place in np.unique(np.linspace(0, total - 1, count).round())]


def photo(crop: np.ndarray) -> np.ndarray:
    """A photo of 384 pixels with the crop in its middle."""
    large = cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return cv2.copyMakeBorder(large, *[BORDER] * 4, cv2.BORDER_REPLICATE)


def row(
    photos: list[np.ndarray], detector: Detector, *, turned: int, lean: int, judged: bool
) -> str:
    """A row of the table."""
    crops, offs = [], []
    for upright in photos:
        image, places = leaning(upright, lean)
        image = np.ascontiguousarray(np.rot90(image, turned // 90))
        faces = detector.detect(image) if judged else detector.detect_turned(image, 0)
        face = largest_face(faces)
        if face is None:
            continue
        off = upright_points(face.landmarks, turned, len(image)) - places
        offs.append(np.sqrt((off**2).sum(axis=1).mean()) * 112 / SIDE)
        crops.append(align_face(image, face.landmarks))
    matches = "" if lean else false_matches(crops)
    shares = [len(offs), *((np.array(offs) < limit).sum() for limit in (_RIGHT, _RIGHT_TURN))]
    found = " | ".join(f"{count / len(photos):.3f}" for count in shares)
    return f"| {turned} | {lean} | {found} | {matches} |"


def leaning(image: np.ndarray, degrees: int) -> tuple[np.ndarray, np.ndarray]:
    """A photo turned a little in its plane, and where the landmarks are then."""
    side = len(image)
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), degrees, 1.0)
    turned = cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    places = ARCFACE_LANDMARKS * (SIDE / 112) + BORDER
    return turned, places @ matrix[:, :2].T + matrix[:, 2]


def upright_points(points: np.ndarray, turned: int, side: int) -> np.ndarray:
    """Points of a square photo that is turned, in the pixels of the upright one."""
    for _ in range(turned // 90):
        points = np.stack([side - 1 - points[:, 1], points[:, 0]], axis=1)
    return points


def false_matches(crops: list[np.ndarray]) -> str:
    """Share of the pairs of different people at or above the fuser's threshold, and its interval over people."""
    images = load_embedder().embed_set(np.stack(crops))
    fuser = load_fuser("exact", embedder=images.embedder)
    vectors = fuser.fuse_many(images, np.arange(len(images) + 1))
    found = fuser.card.threshold_for(1e-3, 1)
    is_match = vectors @ vectors.T >= found.similarity
    np.fill_diagonal(is_match, val=False)
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(500):
        times = np.bincount(rng.integers(len(crops), size=len(crops)), minlength=len(crops))
        weights = np.outer(times, times)
        np.fill_diagonal(weights, 0)
        drawn.append((weights * is_match).sum() / weights.sum())
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{is_match.sum() / (len(crops) * (len(crops) - 1)):.4f} ({low:.4f} to {high:.4f})"


def tell_residuals(photos: list[np.ndarray], detector: Detector) -> None:
    """How far the landmarks of faces found in leaning photos are from a face's, once they are aligned."""
    views = [leaning(image, lean)[0] for image in photos for lean in _LEANS]
    found = [largest_face(detector.detect_turned(view, 0)) for view in views]
    residuals = [landmark_residual(face.landmarks) for face in found if face is not None]
    median, high, most = np.percentile(residuals, [50, 99, 100])
    print(
        f"residual of landmarks, {len(residuals)} views: median {median:.1f}, 99 % {high:.1f}, most {most:.1f}"
    )


if __name__ == "__main__":
    main()
