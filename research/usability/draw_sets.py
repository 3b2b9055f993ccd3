r"""Embeds sets of the degraded-folder protocol once for several embedders, with the quality of every crop.

    python -m research.usability.draw_sets --images fiw112.zip --mix hard --folds 0 --set-size 16 \
        --embedder mobilefacenet_128d.onnx --embedder compact_128d -o WORK/fiw-hard

Writes WORK/fiw-hard.EMBEDDER.npz for each embedder, as `ProbeData`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.embedders import CropQuality, Embedder
from probefusion.evaluation.probe_data import ProbeData
from probefusion.faces.images import read_crop
from probefusion.protocols import read_people
from probefusion.protocols.degraded_folder import DegradedFolderProtocol, render
from probefusion.types import EmbeddingSet
from probefusion.zoo import load_embedder

__all__ = ["draw_sets", "embed_crops", "main"]

Image = npt.NDArray[np.uint8]

_BLOCK = 128


def draw_sets(
    protocol: DegradedFolderProtocol,
    embedders: Sequence[Embedder],
    quality: CropQuality,
    *,
    num_images: int,
) -> list[ProbeData]:
    """The protocol's gallery and probe sets, by each embedder.

    Args:
        protocol: Who, and how bad.
        embedders: By which embedders.
        quality: What judges the crops.
        num_images: K, images of each set.
    """
    read = partial(_read, protocol)
    sets = list(protocol.probe_sets(num_images))
    images = [image for probe_set in sets for image in probe_set.images]
    keys = [replace(image, seed=0) if image.severity == 0 else image for image in images]
    different = list(dict.fromkeys(keys))
    rows = {image: row for row, image in enumerate(different)}
    order = np.array([rows[key] for key in keys])
    probes = embed_crops((render(image, read) for image in different), embedders, quality)
    gallery = embed_crops((read(entry.source) for entry in protocol.gallery), embedders, quality)
    return [
        ProbeData(
            gallery=mine,
            gallery_subjects=np.array([entry.subject_id for entry in protocol.gallery]),
            probes=theirs[order],
            probe_subjects=np.array([probe_set.subject_id for probe_set in sets]),
            severities=np.array(
                [[image.severity for image in probe_set.images] for probe_set in sets], np.float32
            ),
            protocol=f"degraded-folder/v1/{protocol.mix}@{protocol.content_hash[:12]}",
        )
        for mine, theirs in zip(gallery, probes, strict=True)
    ]


def embed_crops(
    crops: Iterable[Image], embedders: Sequence[Embedder], quality: CropQuality
) -> list[EmbeddingSet]:
    """The crops by each embedder, with their quality, a block at a time."""
    parts: list[list[EmbeddingSet]] = [[] for _ in embedders]
    rest = iter(crops)
    while block := list(islice(rest, _BLOCK)):
        judged = quality.judge(np.stack(block))
        for found, embedder in zip(parts, embedders, strict=True):
            found.append(replace(embedder.embed_set(np.stack(block)), quality=judged))
    return [EmbeddingSet.concatenate(found) for found in parts]


def _read(protocol: DegradedFolderProtocol, source: str) -> Image:
    return read_crop(protocol.people.read(source), source=source)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", required=True)
    parser.add_argument("--mix", default="hard")
    parser.add_argument("--folds", nargs="+", type=int, default=[3])
    parser.add_argument("--set-size", type=int, default=16)
    parser.add_argument("--num-sets", type=int, default=1)
    parser.add_argument("--embedder", action="append", required=True)
    parser.add_argument("-o", "--output", required=True)
    options = parser.parse_args(arguments)
    protocol = DegradedFolderProtocol(
        people=read_people(options.images),
        folds=tuple(options.folds),
        mix=options.mix,
        num_sets=options.num_sets,
    )
    embedders = [load_embedder(name, num_threads=1) for name in options.embedder]
    found = draw_sets(protocol, embedders, CropQuality(num_threads=1), num_images=options.set_size)
    for embedder, data in zip(embedders, found, strict=True):
        name = embedder.fingerprint.partition("@")[0]
        data.save(Path(f"{options.output}.{name}.npz"), force=True)


if __name__ == "__main__":
    main()
