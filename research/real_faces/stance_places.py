"""Where a detector sets landmarks in turned photos: what the stance network learns from, first step.

    python -m research.real_faces.stance_places fiw112.zip --detector yunet_320.onnx --num-people 400 -o fiw.npz

Crops are set into photos of 352 pixels in sizes of 36 to 210 pixels, some blurred or darkened, leaned by up to 35
degrees, turned by 0 to 270, and searched for upright faces. Kept of each face found on the crop: its landmarks in the
crop's 112 pixels, how far they are from where they should be (root mean square), its score, the size, lean and turn,
and the face in grey as the network sees it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from probefusion.faces import ARCFACE_LANDMARKS
from probefusion.faces.align import similarity_transform
from probefusion.faces.stance import grey_square
from probefusion.zoo import load_detector
from research.real_faces.turned import Detector, first_crops

_PHOTO = 352
_ON_CROP = 0.4
"""A face whose middle is farther from the crop's face than this part of the crop's side is another one."""


def main() -> None:
    """Writes what was found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("crops", help="zip of PERSON/IMAGE, aligned crops of 112x112")
    parser.add_argument("--detector", required=True)
    parser.add_argument("--num-people", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(options.seed)
    detector = load_detector(options.detector)
    rows, squares = [], []
    for crop in first_crops(options.crops, options.num_people):
        for turned in (0, 90, 180, 270):
            for row, square in found(poorer(crop, rng), turned, detector, rng):
                rows.append(row)
                squares.append(square)
    np.savez_compressed(
        options.output,
        landmarks=np.stack([row[0] for row in rows]),
        facts=np.array([row[1:] for row in rows]),  # off, score, side, lean, turned
        squares=np.stack(squares),
    )


def poorer(crop: np.ndarray, rng: np.random.Generator, scale: float = 1.0) -> np.ndarray:
    """A crop, at times blurred, at times of other brightness and noise."""
    if rng.random() < 0.3:
        crop = cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.4, 2.5) * scale)
    if rng.random() < 0.3:
        bright = 255 * (crop / 255.0) ** rng.uniform(0.5, 2)
        crop = np.clip(bright + rng.normal(0, rng.uniform(0, 12), crop.shape), 0, 255)
    return np.ascontiguousarray(crop, np.uint8)


def found(
    crop: np.ndarray, turned: int, detector: Detector, rng: np.random.Generator
) -> Iterator[tuple[tuple[np.ndarray, float, float, int, float, int], np.ndarray]]:
    """The faces found on the crop in two photos of it."""
    for _ in range(2):
        side, lean = int(np.exp(rng.uniform(np.log(36), np.log(210)))), rng.uniform(-35, 35)
        way = cv2.INTER_AREA if side < 112 else cv2.INTER_CUBIC
        before = (_PHOTO - side) // 2
        after = _PHOTO - side - before
        mode = cv2.BORDER_REPLICATE if rng.random() < 2 / 3 else cv2.BORDER_CONSTANT
        image = cv2.copyMakeBorder(
            cv2.resize(crop, (side, side), interpolation=way),
            *(before, after, before, after),
            mode,
            value=rng.integers(0, 256, 3).tolist(),
        )
        matrix = cv2.getRotationMatrix2D((_PHOTO / 2, _PHOTO / 2), lean + turned, 1.0)
        image = cv2.warpAffine(image, matrix, (_PHOTO, _PHOTO), borderMode=cv2.BORDER_REPLICATE)
        places = (ARCFACE_LANDMARKS * side / 112 + before) @ matrix[:, :2].T + matrix[:, 2]
        back = similarity_transform(places, ARCFACE_LANDMARKS)
        for face in detector.detect_turned(image, 0):
            points = face.landmarks @ back[:, :2].T + back[:, 2]
            apart = np.linalg.norm(points.mean(axis=0) - ARCFACE_LANDMARKS.mean(axis=0))
            if apart < _ON_CROP * 112 and np.ptp(face.landmarks, axis=0).max() > 2:
                off = float(np.sqrt(((points - ARCFACE_LANDMARKS) ** 2).sum(axis=1).mean()))
                yield (
                    (points, off, face.score, side, lean, turned),
                    grey_square(image, face.landmarks),
                )


if __name__ == "__main__":
    main()
