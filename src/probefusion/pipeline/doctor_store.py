"""Stored embeddings beside those of their images, as they are and after what is often done to images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from probefusion.embedders import OnnxEmbedder
from probefusion.embedders.face_views import Crops, unit_rows
from probefusion.embedders.guess import SCALINGS, mean_and_std
from probefusion.errors import ConfigError
from probefusion.files.reading import in_one_line
from probefusion.io import read_embeddings
from probefusion.pipeline.crops_to_examine import ExaminedImages, sized
from probefusion.screening.store_rows import StoreCheck, check_store, match_rows
from probefusion.types import FloatArray

__all__ = ["compare_store"]


def compare_store(
    store: str | os.PathLike[str], examined: ExaminedImages, network: OnnxEmbedder, path: Path
) -> tuple[StoreCheck, str | None]:
    """Compares the rows of the examined images with what the embedder makes of them.

    Args:
        store: The file.
        examined: The images.
        network: The embedder.
        path: Its file.

    Returns:
        What was seen, and the fingerprint of the embedder that the store names, or None.

    Raises:
        ConfigError: If nothing tells which row is of which image.
        ProbeFusionError: As for `read_embeddings`.
    """
    rows = read_embeddings(os.fspath(store))
    names = None if rows.sources is None else [str(name) for name in rows.sources]
    pairs = match_rows(names, rows.num_images, examined.all_names)
    place = {name: number for number, name in enumerate(examined.names)}
    known = [(row, place[examined.all_names[image]]) for row, image in pairs or ()
             if examined.all_names[image] in place]  # fmt: skip
    if not known:
        raise ConfigError(
            f"--store: {in_one_line(store)} holds {rows.num_images} rows, of which none can be assigned to one of "
            f"{len(examined.all_names)} images by name{'' if names else ' (it has none) or by order'}. Give the file "
            f"that was made of these images, with their names as sources."
        )
    stored = rows.embeddings[[row for row, _ in known]]
    crops = sized(examined.crops[[image for _, image in known]], network.spec.input_size)
    embeddings = network.embed(crops)[0]
    check = check_store(stored, embeddings, {})
    if not check.is_same and check.cosine is not None:
        others = dict(_done_to_images(crops, embeddings, network))
        check = check_store(
            stored, embeddings, {**others, **dict(_fed_otherwise(crops, network, path))}
        )
    elif check.cosine is not None:
        check = check_store(stored, embeddings, {"mirrored": network.embed(_mirrored(crops))[0]})
    return check, rows.embedder


def _mirrored(crops: Crops) -> Crops:
    return np.ascontiguousarray(crops[:, :, ::-1])


def _done_to_images(
    crops: Crops, embeddings: FloatArray, network: OnnxEmbedder
) -> Iterator[tuple[str, FloatArray]]:
    mirrored = network.embed(_mirrored(crops))[0]
    yield "mirrored", mirrored
    both = unit_rows(embeddings) + unit_rows(mirrored)
    yield "mean of image and mirror image", both.astype(np.float32)
    for turn, angle in ((3, 90), (2, 180), (1, 270)):
        turned = np.ascontiguousarray(np.rot90(crops, turn, (1, 2)))
        yield f"turned by {angle}", network.embed(turned)[0]
    yield "red and blue exchanged", network.embed(np.ascontiguousarray(crops[..., ::-1]))[0]


def _fed_otherwise(
    crops: Crops, network: OnnxEmbedder, path: Path
) -> Iterator[tuple[str, FloatArray]]:
    for scaling in SCALINGS:
        for order in ("RGB", "BGR"):
            mean, std = mean_and_std(scaling, order)
            spec = replace(network.spec, channel_order=order, mean=mean, std=std, stands_for=None)
            if (mean, std, order) != (
                network.spec.mean,
                network.spec.std,
                network.spec.channel_order,
            ):
                yield f"{scaling}, {order}", OnnxEmbedder(path, spec).embed(crops)[0]
