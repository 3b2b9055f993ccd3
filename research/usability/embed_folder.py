r"""Embeds all images of a folder of people once, with the quality of their crops.

    python -m research.usability.embed_folder --images imfdb112_dev.zip --embedder compact_128d -o WORK/imfdb

Writes WORK/imfdb.EMBEDDER.npz, an `EmbeddingSet` whose sources are "person/file".
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from probefusion.embedders import CropQuality
from probefusion.faces.images import read_crop
from probefusion.protocols import read_people
from probefusion.zoo import load_embedder
from research.usability.draw_sets import embed_crops

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", required=True)
    parser.add_argument("--embedder", action="append", required=True)
    parser.add_argument("-o", "--output", required=True)
    options = parser.parse_args(arguments)
    people = read_people(options.images)
    sources = [name for names in people.images.values() for name in names]
    names = ["/".join(Path(source).parts[-2:]) for source in sources]
    networks = [load_embedder(name, num_threads=1) for name in options.embedder]
    crops = (read_crop(people.read(source), source=source) for source in sources)
    for images in embed_crops(crops, networks, CropQuality(num_threads=1)):
        name = str(images.embedder).partition("@")[0]
        replace(images, sources=np.array(names)).save(f"{options.output}.{name}.npz", force=True)


if __name__ == "__main__":
    main()
