"""What does it cost upright photos that turned ones are looked for?

    python -m research.real_faces.turned_cost lfw112.zip --detector yunet_320.onnx

Crops of people are set into plain photos of several sizes, one in each or six. Each photo is searched without and with
the second look, in turn and in both orders, and processor time is added up. Stated is how much throughput falls:
1 - time without / time with it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from probefusion.faces import ScrfdDetector, YuNetDetector, align_face
from probefusion.zoo import load_detector, load_embedder
from research.real_faces.turned import first_crops

_SIDES = (384, 640, 1280, 1920)
_ROWS = {1: (1, 1), 6: (2, 3)}
Detector = YuNetDetector | ScrfdDetector


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("crops", help="zip of PERSON/IMAGE, aligned crops of 112x112")
    parser.add_argument("--detector", required=True)
    parser.add_argument("--num-people", type=int, default=240)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    detector = load_detector(options.detector)
    embedder = load_embedder(num_threads=1)
    crops = list(first_crops(options.crops, options.num_people))
    print(
        "| side | faces | photos | below clear | search, ms | with the look | throughput falls by | and embedding |"
    )
    print("|---|---|---|---|---|---|---|---|")  # fmt: skip
    for side in _SIDES:
        for count in _ROWS:
            print(row(crops, detector, embedder, side, count, options.rounds), flush=True)


def row(
    crops: Sequence[np.ndarray],
    detector: Detector,
    embedder: object,
    side: int,
    count: int,
    rounds: int,
) -> str:
    """A row of the table."""
    rng = np.random.default_rng(side + count)
    num = max(len(crops) // count * 384 // max(side, 384), 12)
    photos = [photo(crops, side, count, rng) for _ in range(num)]
    spent = {False: 0.0, True: 0.0}
    embedding, found, doubtful = 0.0, 0, 0
    for turn in range(rounds):
        for place, image in enumerate(photos):
            order = (False, True) if (turn + place) % 2 else (True, False)
            for judged in order:
                begin = time.process_time()
                faces = detector.detect(image) if judged else detector.detect_turned(image, 0)
                spent[judged] += time.process_time() - begin
            if turn == 0:
                found += len(faces)
                doubtful += sum(face.score < 0.92 for face in faces)
                embedding += embed(image, faces, embedder.embed)  # type: ignore[attr-defined]
    each = {judged: 1e3 * seconds / (rounds * num) for judged, seconds in spent.items()}
    rest = 1e3 * embedding / num
    return (
        f"| {side} | {count} | {num} | {doubtful / max(found, 1):.3f} | {each[False]:.2f} | {each[True]:.2f} | "
        f"{1 - each[False] / each[True]:.3f} | {1 - (each[False] + rest) / (each[True] + rest):.3f} |"
    )


def embed(image: np.ndarray, faces: Sequence[object], run: Callable[[np.ndarray], object]) -> float:
    """Processor time of aligning and embedding the faces."""
    begin = time.process_time()
    if faces:
        run(np.stack([align_face(image, face.landmarks) for face in faces]))  # type: ignore[attr-defined]
    return time.process_time() - begin


def photo(
    crops: Sequence[np.ndarray], side: int, count: int, rng: np.random.Generator
) -> np.ndarray:
    """A photo, (3/4 side, side, 3), of so many people in rows; a crop fills a third to nine tenths of its place."""
    height = side * 3 // 4
    rows, columns = _ROWS[count]
    image = np.full((height, side, 3), rng.integers(40, 200, 3), np.uint8)
    image = cv2.add(image, rng.integers(0, 20, image.shape, np.uint8))
    cell = np.array([height // rows, side // columns])
    chosen = rng.choice(len(crops), count, replace=False)
    for place, number in enumerate(chosen):
        size = int(cell.min() * rng.uniform(0.33, 0.9))
        way = cv2.INTER_AREA if size < 112 else cv2.INTER_CUBIC
        top, left = cell * divmod(place, columns) + (cell - size) // 2
        image[top : top + size, left : left + size] = cv2.resize(
            crops[number], (size, size), interpolation=way
        )
    return image


if __name__ == "__main__":
    main()
