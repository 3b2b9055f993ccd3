"""Makes the embeddings that `probefusion demo` shows, from a data set of aligned faces.

    python -m research.build_demo_data --images lfw112.zip -o src/probefusion/zoo/weights/demo_probes.npz

People of fold 3 only, whom no bundled fuser was trained on. Names are replaced by numbers. The number
of people is what fits into 2.5 MB with the style that the fusers look at.
"""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import replace

import numpy as np

from probefusion.evaluation.embed_protocol import embed_protocol
from probefusion.protocols import DegradedFolderProtocol, read_people
from probefusion.zoo import DEFAULT_EMBEDDER, load_embedder

NUM_PEOPLE = 64
NUM_GALLERY = 680
NUM_IMAGES = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", required=True)
    parser.add_argument("--embedder", default=DEFAULT_EMBEDDER)
    parser.add_argument("--cache")
    parser.add_argument("-o", "--output", required=True)
    options = parser.parse_args()
    protocol = DegradedFolderProtocol(
        people=read_people(options.images), folds=(3,), mix="hard", num_sets=1
    )
    embedder = load_embedder(options.embedder)
    data = embed_protocol(protocol, embedder, num_images=NUM_IMAGES, cache=options.cache)

    # A choice of people that depends on their names alone, not on what their images look like.
    def digest(name: str) -> str:
        return hashlib.sha256(f"demo/{name}".encode()).hexdigest()

    shown = sorted(sorted(data.probe_subjects.tolist(), key=digest)[:NUM_PEOPLE])
    others = sorted(set(data.gallery_subjects.tolist()) - set(shown), key=digest)
    enrolled = sorted(shown + others[: NUM_GALLERY - len(shown)])
    sets = np.flatnonzero(np.isin(data.probe_subjects, shown))
    entries = np.flatnonzero(np.isin(data.gallery_subjects, enrolled))
    rows = (sets[:, None] * NUM_IMAGES + np.arange(NUM_IMAGES)).ravel()
    numbers = {name: f"person-{index:04d}" for index, name in enumerate(enrolled)}
    replace(
        data,
        gallery=data.gallery[entries],
        gallery_subjects=np.array([numbers[name] for name in enrolled]),
        probes=data.probes[rows],
        probe_subjects=np.array([numbers[name] for name in data.probe_subjects[sets].tolist()]),
        severities=data.severities[sets],
        protocol=f"{data.protocol}, {NUM_PEOPLE} people, {NUM_GALLERY} gallery entries",
    ).save(options.output, force=True)


if __name__ == "__main__":
    main()
