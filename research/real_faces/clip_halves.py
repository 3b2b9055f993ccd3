r"""The template of one half of a shot against that of the other, minus the most similar of 500 other people.

    python -m research.real_faces.clip_halves --clip caface_probe.mp4 --images lfw112.zip --detector yunet_320.onnx \
        --embedder compact_128d --fuser mean --fuser exact

The largest face of each frame counts. Other people: the first 500 of LFW by name, all their clean images fused;
they may be among those that fusers were trained on.
"""

from __future__ import annotations

import argparse

import numpy as np

from probefusion.embedders import CropQuality, Embedder
from probefusion.embedders.quality import JudgedEmbedder
from probefusion.faces import align_face, read_crop
from probefusion.faces.frames import VideoReader
from probefusion.protocols import read_people
from probefusion.zoo import load_detector, load_embedder, load_fuser

NUM_PEOPLE = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", required=True, metavar="VIDEO")
    parser.add_argument("--images", required=True, metavar="DIR|ZIP", help="lfw112")
    parser.add_argument("--detector", required=True, metavar="MODEL")
    parser.add_argument("--embedder", required=True, metavar="MODEL")
    parser.add_argument("--fuser", required=True, action="append")
    options = parser.parse_args()
    embedder: Embedder = JudgedEmbedder(load_embedder(options.embedder), CropQuality())
    detector = load_detector(options.detector)
    crops = []
    with VideoReader(options.clip) as reader:
        for frame in reader:
            faces = detector.detect(frame.image)
            if faces:
                face = max(faces, key=lambda found: found.box[2] * found.box[3])
                crops.append(align_face(frame.image, face.landmarks))
    people = read_people(options.images)
    names = sorted(people.images)[:NUM_PEOPLE]
    clean = [[read_crop(people.read(image)) for image in people.images[name]] for name in names]
    others = embedder.embed_set(np.concatenate([np.stack(own) for own in clean]))
    offsets = np.cumsum([0, *(len(own) for own in clean)])
    images = embedder.embed_set(np.stack(crops))
    middle = len(crops) // 2
    print(f"{embedder.fingerprint}, {len(crops)} faces")
    print("| fuser | mated | largest of 500 others | margin |\n|---|---|---|---|")
    for name in options.fuser:
        fuser = load_fuser(name, embedder=embedder.fingerprint)
        first, second = fuser.fuse_many(images, np.array([0, middle, len(crops)]))
        rivals = fuser.fuse_many(others, offsets)
        mated = float(first @ second)
        largest = max(float((rivals @ first).max()), float((rivals @ second).max()))
        print(f"| {fuser.name} | {mated:.3f} | {largest:.3f} | {mated - largest:.3f} |")


if __name__ == "__main__":
    main()
