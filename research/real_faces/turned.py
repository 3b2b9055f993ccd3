"""Faces in turned photos: is the right turn found, do strangers match, and what does it cost?

    python -m research.real_faces.turned lfw112.zip --detector yunet_320.onnx

Each aligned crop is set into a photo of its border's colours, leaned by -30, 0 and 30 degrees, and turned by 0, 90,
180 and 270. A face is found rightly if its landmarks lie within 15 pixels (root mean square, of a crop of 112) of
where they are. False matches: all pairs of different people upright in the plane, at the threshold of the fuser for a
false match rate of 0.001.
"""

from __future__ import annotations

import argparse
import time
import zipfile
from collections.abc import Iterator

import cv2
import numpy as np

from probefusion.faces import ARCFACE_LANDMARKS, YuNetDetector, align_face, largest_face
from probefusion.faces.align import landmark_residual
from probefusion.faces.decoding import decode_image
from probefusion.zoo import load_embedder, load_fuser

SIDE, BORDER = 224, 80
"""Pixels of the crop in the photo, and around it on each side."""
_RIGHT = 15.0
_LEANS, _TURNS = (-30, 0, 30), (0, 90, 180, 270)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("crops", help="zip of PERSON/IMAGE, aligned crops of 112x112")
    parser.add_argument("--detector", required=True)
    parser.add_argument("--num-people", type=int, default=500)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    detector = YuNetDetector(options.detector)
    photos = [photo(crop) for crop in first_crops(options.crops, options.num_people)]
    for judged in (False, True):
        print(
            f"looked at again: {judged}\n| turned | leaning | found | found rightly | false matches |"
        )
        print("|---|---|---|---|---|")
        for turned in _TURNS:
            for lean in _LEANS:
                print(row(photos, detector, turned=turned, lean=lean, judged=judged))
    tell_residuals(photos, detector)
    tell_cost(photos, detector)


def first_crops(path: str, count: int) -> Iterator[np.ndarray]:
    """The first crop of so many people, spread evenly over all."""
    with zipfile.ZipFile(path) as archive:
        first: dict[str, str] = {}
        for name in sorted(archive.namelist()):
            if name.endswith((".jpg", ".png")):
                first.setdefault(name.rsplit("/", 2)[-2], name)
        people = sorted(first)
        for place in np.unique(np.linspace(0, len(people) - 1, count).round().astype(int)):
            yield decode_image(archive.read(first[people[place]]))


def photo(crop: np.ndarray) -> np.ndarray:
    """A photo of 384 pixels with the crop in its middle."""
    large = cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return cv2.copyMakeBorder(large, *[BORDER] * 4, cv2.BORDER_REPLICATE)


def row(
    photos: list[np.ndarray], detector: YuNetDetector, *, turned: int, lean: int, judged: bool
) -> str:
    """A row of the table."""
    crops, right = [], 0
    for upright in photos:
        image, places = leaning(upright, lean)
        image = np.ascontiguousarray(np.rot90(image, turned // 90))
        faces = detector.detect(image) if judged else detector.detect_turned(image, 0)
        face = largest_face(faces)
        if face is None:
            continue
        off = upright_points(face.landmarks, turned, len(image)) - places
        right += bool(np.sqrt((off**2).sum(axis=1).mean()) * 112 / SIDE < _RIGHT)
        crops.append(align_face(image, face.landmarks))
    matches = "" if lean else f"{false_matches(crops):.4f}"
    found = f"{len(crops) / len(photos):.3f} | {right / len(photos):.3f}"
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


def false_matches(crops: list[np.ndarray]) -> float:
    """Share of the pairs of different people at or above the fuser's threshold."""
    images = load_embedder().embed_set(np.stack(crops))
    fuser = load_fuser("exact", embedder=images.embedder)
    vectors = fuser.fuse_many(images, np.arange(len(images) + 1))
    found = fuser.card.threshold_for(1e-3, 1)
    pairs = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    return float((pairs >= found.similarity).mean())


def tell_residuals(photos: list[np.ndarray], detector: YuNetDetector) -> None:
    """How far the landmarks of faces found in leaning photos are from a face's, once they are aligned."""
    views = [leaning(image, lean)[0] for image in photos for lean in _LEANS]
    found = [largest_face(detector.detect_turned(view, 0)) for view in views]
    residuals = [landmark_residual(face.landmarks) for face in found if face is not None]
    median, high, most = np.percentile(residuals, [50, 99, 100])
    print(
        f"residual of landmarks, {len(residuals)} views: median {median:.1f}, 99 % {high:.1f}, most {most:.1f}"
    )


def tell_cost(photos: list[np.ndarray], detector: YuNetDetector) -> None:
    """Processor time of a search with and without the second look, upright photos."""
    embedder = load_embedder(num_threads=1)
    spent = {"search": 0.0, "search and second look": 0.0, "embedding": 0.0}
    for image in photos:
        begin = time.process_time()
        detector.detect_turned(image, 0)
        middle = time.process_time()
        face = largest_face(detector.detect(image))
        end = time.process_time()
        if face is not None:
            embedder.embed(np.stack([align_face(image, face.landmarks)]))
        for name, seconds in zip(
            spent, (middle - begin, end - middle, time.process_time() - end), strict=True
        ):
            spent[name] += seconds
    for name, seconds in spent.items():
        print(f"{name}: {1e3 * seconds / len(photos):.2f} ms a photo")


if __name__ == "__main__":
    main()
