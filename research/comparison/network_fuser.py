"""A PyTorch network behind the fuser interface, so that it is measured like every other fuser."""

from __future__ import annotations

import hashlib
from typing import NoReturn

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from probefusion.errors import InvalidInputError
from probefusion.fusion.compatibility import check_offsets
from probefusion.fusion.contributions import Contributions, Finished, normalize_rows
from probefusion.fusion.fuser import Fuser
from probefusion.nn.architectures import Network
from probefusion.types import EmbeddingSet, FloatArray, FusionState, Template

__all__ = ["NetworkFuser"]

_BATCH_IMAGES = 8192


class NetworkFuser(Fuser):
    """Fuses whole sets with a network; has no state, so nothing streams, merges or is taken out.

    For comparisons. What is to be used is exported to a fuser folder.

    Args:
        network: The network; put into evaluation mode, on the CPU.
        name: Name in reports.
        embedder: Fingerprint of the embedder it was trained for, or None.
    """

    num_clusters = 0
    is_exact = False
    needs_norms = False

    def __init__(self, network: Network, *, name: str, embedder: str | None = None) -> None:
        self.network = network.eval()
        self.name = name
        self.embedder = embedder
        self.dim = int(network.config.dim)
        self.style_channels = int(network.config.style_channels)
        self.fingerprint = f"{name}@{_digest(network)[:12]}"

    def encode(self, images: EmbeddingSet) -> NoReturn:
        """Refused: there is no state.

        Raises:
            InvalidInputError: Always.
        """
        raise InvalidInputError(
            f"fuser {self.name!r} needs the whole set at once and keeps no state: use fuse(images), or "
            f"export it as a fuser folder if its architecture has a state."
        )

    def finish(self, state: FusionState) -> NoReturn:
        """Refused: there is no state.

        Raises:
            InvalidInputError: Always.
        """
        raise InvalidInputError(f"fuser {self.name!r} keeps no state: use fuse(images).")

    def fuse(self, images: EmbeddingSet, *, chunk_size: int | None = None) -> Template:
        """The template of a set, without per-image weights.

        Args:
            images: The set, fused in one call.
            chunk_size: Must be None.

        Raises:
            EmbedderMismatchError, ShapeError, MissingStyleError: If the set does not fit.
            InvalidInputError: If a chunk size is given.
        """
        vector = self.fuse_many(images, [0, images.num_images], chunk_size=chunk_size)[0]
        return Template(
            vector=vector,
            num_images=images.num_images,
            fuser=self.fingerprint,
            embedder=images.embedder,
        )

    def fuse_many(
        self, images: EmbeddingSet, offsets: npt.ArrayLike, *, chunk_size: int | None = None
    ) -> FloatArray:
        """Templates of many sets; sets of equal size go through the network together.

        Args:
            images: All images of all sets, one set after the other.
            offsets: (B+1,) integers, as for every fuser.
            chunk_size: Must be None.

        Returns:
            (B, D) float32 unit vectors.

        Raises:
            InvalidInputError: If a chunk size is given or the offsets do not fit.
        """
        if chunk_size is not None:
            raise InvalidInputError(
                f"chunk_size: fuser {self.name!r} needs the whole set at once, got {chunk_size}."
            )
        self.check_fits(images)
        borders = check_offsets(offsets, images.num_images)
        lengths = np.diff(borders)
        fused = np.empty((len(lengths), images.dim), dtype=np.float32)
        for size in np.unique(lengths):
            members = np.flatnonzero(lengths == size)
            for part in np.array_split(members, max(1, len(members) * size // _BATCH_IMAGES)):
                rows = borders[part, None] + np.arange(size)
                fused[part] = self._run(images, rows)
        return normalize_rows(fused, self.name)

    def _run(self, images: EmbeddingSet, rows: npt.NDArray[np.int64]) -> FloatArray:
        if self.style_channels and images.style is not None:
            style = torch.from_numpy(images.style[rows])
        else:
            style = torch.zeros(*rows.shape, 0, 2)
        with torch.no_grad():
            result: FloatArray = self.network(
                torch.from_numpy(images.embeddings[rows]), style
            ).numpy()
        return result

    def _contribute(self, images: EmbeddingSet) -> Contributions:
        return self.encode(images)

    def _finish(
        self,
        mass: npt.NDArray[np.float64],
        sums: npt.NDArray[np.float64],
        style_sums: npt.NDArray[np.float64],
    ) -> Finished:
        raise InvalidInputError(f"fuser {self.name!r} keeps no state: use fuse(images).")


def _digest(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode() + value.detach().cpu().numpy().tobytes())
    return digest.hexdigest()
