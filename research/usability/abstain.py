r"""Do sets that show no face end as "not usable"? With pictures that no record was fitted with.

    python -m research.usability.abstain --crops lfw112.zip --video clip.mp4 --detector yunet_2023mar \
        --embedder compact_128d --fuser exact --fuser mean

Drawn hands, animals, writing, noise, black; corners of crops of LFW fold 3; squares of a video's frames without a
face. Each as one image, as 8 copies of one, and as 16 different ones. Prints JSON: the share not usable.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from probefusion.embedders import CropQuality
from probefusion.faces.frames import VideoReader
from probefusion.faces.images import read_crop
from probefusion.protocols import read_people
from probefusion.protocols.degraded_folder import fold_of
from probefusion.screening.usability import judge_states
from probefusion.zoo import load_detector, load_embedder, load_fuser
from probefusion.zoo.usability import find_usability
from research.usability.draw_sets import embed_crops
from research.usability.unseen_kinds import TEST_KINDS, corners, draw_test_kind, scenes

__all__ = ["main", "unseen_pictures"]

NUM_IMAGES = 100
EVERY = 25
"""Frames of the video that are looked at: one of so many."""


def unseen_pictures(crops: str, video: str, detector: str) -> dict[str, npt.NDArray[np.uint8]]:
    """Pictures of every kind, (N, 112, 112, 3) uint8."""
    rng = np.random.default_rng(7)
    found = {kind: draw_test_kind(kind, NUM_IMAGES, rng) for kind in TEST_KINDS}
    people = read_people(crops)
    sources = [names[0] for name, names in people.images.items() if fold_of(name) == 3]
    chosen = rng.permutation(sources)[:NUM_IMAGES].tolist()
    faces = [read_crop(people.read(source), source=source) for source in chosen]
    found["corner of a crop"] = corners(faces, rng)
    finder = load_detector(detector)
    with VideoReader(video) as opened:
        frames = [frame.image for frame in itertools.islice(opened, 0, 500, EVERY)]
    boxes = [[face.box for face in finder.detect(frame)] for frame in frames]
    found["square of a scene"] = scenes(frames, boxes, NUM_IMAGES, rng)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--crops", required=True)
    parser.add_argument("--video", required=True)
    parser.add_argument("--detector", required=True)
    parser.add_argument("--embedder", action="append", required=True)
    parser.add_argument("--fuser", action="append", required=True)
    options = parser.parse_args(arguments)
    pictures = unseen_pictures(options.crops, options.video, options.detector)
    for name in options.embedder:
        network = load_embedder(name, num_threads=1)
        whole = embed_crops(
            np.concatenate(list(pictures.values())), [network], CropQuality(num_threads=1)
        )[0]
        for given in options.fuser:
            fuser = load_fuser(given, embedder=network.fingerprint, num_threads=1)
            record = find_usability(fuser, network.fingerprint)
            if record is None:
                raise SystemExit(f"{given}: nothing was fitted for {network.fingerprint}")
            rng = np.random.default_rng(3)
            shares, first = {}, 0
            for kind, images in pictures.items():
                rows = first + np.arange(len(images))
                first += len(images)
                sets = [rows[:, None], np.repeat(rows[:, None], 8, axis=1)]
                sets.append(rng.choice(rows, (len(rows), 16)))
                found = []
                for some in sets:
                    borders = np.arange(len(some) + 1) * some.shape[1]
                    states = fuser.encode_many(whole[some.ravel()], borders)
                    judged = judge_states(states, np.full(len(some), some.shape[1]), record)
                    found += [one.is_not_usable for one in judged]
                shares[kind] = round(float(np.mean(found)), 4)
            mean = round(float(np.mean(list(shares.values()))), 4)
            told = {"fuser": fuser.fingerprint, "embedder": network.fingerprint}
            print(json.dumps({**told, "not_usable": shares, "mean": mean}), flush=True)


if __name__ == "__main__":
    main()
