"""Does the SCRFD reader find what YuNet finds? A real SCRFD file on real faces.

    python -m research.real_faces.scrfd_agrees lfw112.zip scrfd.onnx --detector yunet_320.onnx

Aligned crops are set into photos as `research.real_faces.turned` does, and leaned by -20, 0 and 20 degrees. Told are
the distances of both detectors' landmarks from where they are, in pixels of a crop of 112 (root mean square), the
intersection over union of the two boxes, and the similarity of the two aligned crops.
"""

from __future__ import annotations

import argparse

import cv2
import numpy as np

from probefusion.faces import ScrfdDetector, YuNetDetector, align_face, largest_face
from probefusion.zoo import load_embedder
from research.real_faces.turned import SIDE, first_crops, leaning, photo

_LEANS = (-20, 0, 20)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("crops", help="zip of PERSON/IMAGE, aligned crops of 112x112")
    parser.add_argument("scrfd")
    parser.add_argument("--detector", required=True)
    parser.add_argument("--num-people", type=int, default=100)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    yunet, scrfd = (
        YuNetDetector(options.detector),
        ScrfdDetector(options.scrfd, num_threads=1),
    )
    embedder = load_embedder(num_threads=1)
    offs, unions, crops, missed = [], [], [], 0
    for upright in map(photo, first_crops(options.crops, options.num_people)):
        for lean in _LEANS:
            image, places = leaning(upright, lean)
            found = [largest_face(detector.detect_turned(image, 0)) for detector in (yunet, scrfd)]
            if None in found:
                missed += 1
                continue
            offs.append([off(face.landmarks, places) for face in found])
            unions.append(overlap(*(face.box for face in found)))
            crops += [align_face(image, face.landmarks) for face in found]
    first, second = np.array(offs).T
    vectors = embedder.embed_set(np.stack(crops)).embeddings
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    print(f"{len(offs)} views, {missed} missed by one of them")
    for name, values in (
        ("landmarks of YuNet off", first),
        ("landmarks of SCRFD off", second),
        ("intersection over union", np.array(unions)),
        ("similarity of the crops", (vectors[::2] * vectors[1::2]).sum(axis=1)),
    ):
        print(f"{name}: 1 % {np.quantile(values, 0.01):.2f}, median {np.median(values):.2f}, "
              f"99 % {np.quantile(values, 0.99):.2f}")  # fmt: skip


def off(landmarks: np.ndarray, places: np.ndarray) -> float:
    """Root mean square distance in pixels of a crop of 112."""
    return float(np.sqrt(((landmarks - places) ** 2).sum(axis=1).mean())) * 112 / SIDE


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes (x, y, width, height)."""
    low = np.maximum(one[:2], other[:2])
    high = np.minimum(one[:2] + one[2:], other[:2] + other[2:])
    shared = np.prod(np.maximum(high - low, 0))
    return float(shared / (np.prod(one[2:]) + np.prod(other[2:]) - shared))


if __name__ == "__main__":
    main()
