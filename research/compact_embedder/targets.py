"""Makes what research/compact_embedder/relearn.py learns from: crops, and what a teacher sees in each.

    python -m research.compact_embedder.targets --images lfw112.zip --images fiw112.zip \
        --teacher sface.onnx --work WORK

Writes WORK/crops.npy (I, 112, 112, 3) uint8, WORK/targets.npy (I, D) unit embeddings by the teacher, and
WORK/centres.npy (P, D), a unit centre for each person. People of fold 3, by which fusers and embedders are
judged, are left out of every data set.
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

__all__ = ["make_targets"]

_TEST_FOLD = 3


def make_targets(
    data: list[str], embedder: Any, work: Path
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Writes crops, targets and centres.

    Args:
        data: Folders or zip archives with a folder of aligned crops per person.
        embedder: The teacher.
        work: An existing folder.

    Returns:
        Targets and centres.
    """
    crops, targets, centres = [], [], []
    for place in data:
        people = read_people(place)
        for name, images in people.images.items():
            if fold_of(name) == _TEST_FOLD:
                continue
            own = np.stack([read_crop(people.read(image), source=image) for image in images])
            embeddings = embedder.embed(own)[0]
            unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
            centre = unit.mean(axis=0)
            crops.append(own)
            targets.append(unit)
            centres.append(centre / np.linalg.norm(centre))
    found = np.concatenate(targets).astype(np.float32), np.stack(centres).astype(np.float32)
    np.save(work / "crops.npy", np.concatenate(crops))
    np.save(work / "targets.npy", found[0])
    np.save(work / "centres.npy", found[1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", required=True, action="append", metavar="DIR|ZIP")
    parser.add_argument("--teacher", required=True, metavar="ONNX")
    parser.add_argument("--work", required=True, type=Path, metavar="DIR")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    embedder = load_embedder(options.teacher, num_threads=options.threads)
    targets, centres = make_targets(options.images, embedder, options.work)
    print(f"{len(targets)} crops of {len(centres)} people")


if __name__ == "__main__":
    main()
