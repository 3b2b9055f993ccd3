"""Many crops embedded block by block, each block kept, so that an interrupted run goes on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from probefusion.embedders.embedder import Embedder
from probefusion.errors import FileFormatError, InvalidInputError
from probefusion.types import EmbeddingSet
from probefusion.workers import available_threads, map_in_order

__all__ = ["embed_in_blocks"]

_BATCH = 32

_BLOCK = 512
"""Images per cache file: what an interruption may cost."""

Item = TypeVar("Item")


def embed_in_blocks(
    embedder: Embedder,
    items: Sequence[Item],
    draw: Callable[[Item], npt.NDArray[np.uint8]],
    cache: Path | None,
    part: str,
    *,
    progress: Callable[[int], None] | None = None,
) -> EmbeddingSet:
    """Draws crops while others are embedded, block by block; cached blocks are not done again.

    Args:
        embedder: The embedder.
        items: What to draw, one crop each; at least one.
        draw: Gives the crop of an item, (112, 112, 3) uint8 RGB; called from several threads.
        cache: Folder of the blocks, which must belong to these items and this embedder; None keeps none.
        part: Beginning of the blocks' file names.
        progress: Called with the number of items done.

    Returns:
        One embedding for each item, in their order.

    Raises:
        FileFormatError: If a kept block is damaged, or an image cannot be read.
    """
    blocks = []
    for start in range(0, len(items), _BLOCK):
        kept = None if cache is None else cache / f"{part}-{start:08d}.npz"
        if kept is not None and kept.exists():
            try:
                block = EmbeddingSet.load(kept)
            except InvalidInputError as error:
                raise FileFormatError(
                    f"{kept}: damaged cache file. Delete it and run the same command again."
                ) from error
        else:
            wanted = items[start : start + _BLOCK]
            crops = map_in_order(draw, wanted, available_threads(), ahead=2 * _BATCH)
            block = EmbeddingSet.concatenate(
                embedder.embed_set(np.stack(batch)) for batch in _batches(crops)
            )
            if kept is not None:
                kept.parent.mkdir(parents=True, exist_ok=True)
                block.save(kept, force=True)
        blocks.append(block)
        if progress is not None:
            progress(min(start + _BLOCK, len(items)))
    return EmbeddingSet.concatenate(blocks)


def _batches(
    crops: Iterable[npt.NDArray[np.uint8]], size: int = _BATCH
) -> Iterator[list[npt.NDArray[np.uint8]]]:
    iterator = iter(crops)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
