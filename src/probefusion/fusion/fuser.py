"""The interface of all fusers: encode, finish, fuse, fuse_many."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from probefusion.errors import InvalidInputError
from probefusion.fusion.compatibility import (
    as_set,
    check_chunk_size,
    check_fits,
    check_offsets,
    check_state,
)
from probefusion.fusion.contributions import (
    Contributions,
    Finished,
    Sums,
    add_up,
    normalize_rows,
)
from probefusion.fusion.threshold import Threshold, check_wanted
from probefusion.types import EmbeddingSet, FloatArray, Template
from probefusion.types.fusion_state import FusionState

__all__ = ["Fuser"]

_SETS_AT_ONCE = 1024
"""Sets whose states `fuse_many` holds at the same time: bounds the memory, whatever their number."""


class Fuser(ABC):
    """Turns the images of a person into one template.

    `fuse = finish . encode`. The state between the two can be saved, sent, added to and taken from;
    the fuser itself never remembers anything. Instances may be used from several threads.

    Subclasses provide `_contribute`, `_finish` and, where a faster way than one set after the other
    exists, `_encode_many`.

    Attributes:
        name: Short name.
        fingerprint: Name and hash; states and templates carry it.
        embedder: Fingerprint of the embedder it was made for, or None if it takes any.
        dim: D it was made for, or None if it takes any.
        style_channels: C it needs, or 0 if it needs no style.
        num_clusters: M of its states.
        style_width: S of its states, or None if that is not known.
        adds_directions: Whether it adds up weighted vectors of at most unit length.
        max_weight: The most that one image can weigh, all clusters together.
        needs_norms: Whether it judges images by the length of their embeddings.
        needs_quality: Whether it judges images by the quality of their crops.
        is_exact: Whether any order and any split of the images gives the same template (< 1e-6 in
            each component). Otherwise only the order of the batches is free, not their borders.
    """

    name: str
    fingerprint: str
    embedder: str | None
    dim: int | None
    style_channels: int
    num_clusters: int
    style_width: int | None = None
    adds_directions: bool = False
    max_weight: float = math.inf
    needs_norms: bool
    needs_quality: bool = False
    is_exact: bool

    def encode(self, images: EmbeddingSet | FloatArray) -> FusionState:
        """The state of one batch of a person's images.

        Args:
            images: The set, or its embeddings (N, D) alone; all its images are seen at once.

        Raises:
            DtypeError: If it is neither a set nor an array of floating-point numbers.
            EmbedderMismatchError, ShapeError, MissingNormsError, MissingStyleError: If the set does not
                fit the fuser.
        """
        images = as_set(images, self)
        return self._state(self._contribute(images), images)

    def encode_with_shares(
        self, images: EmbeddingSet | FloatArray
    ) -> tuple[FusionState, npt.NDArray[np.floating]]:
        """The state of one batch, and how strongly each of its images stands in it.

        With the shares kept (M numbers an image), `weigh` can tell the weight of every image of a
        stream at any later time, without the images.

        Args:
            images: The set, or its embeddings (N, D) alone; all its images are seen at once.

        Returns:
            The state as `encode` gives it, and the shares (N, M), >= 0.

        Raises:
            DtypeError: If it is neither a set nor an array of floating-point numbers.
            EmbedderMismatchError, ShapeError, MissingNormsError, MissingStyleError: If the set does not
                fit the fuser.
        """
        images = as_set(images, self)
        part = self._contribute(images)
        return self._state(part, images), part.shares

    def weigh(
        self, state: FusionState, shares: npt.NDArray[np.floating]
    ) -> npt.NDArray[np.float64]:
        """How much images count in the result of a state that they went into, not normalised.

        Args:
            state: The state of all images.
            shares: (N, M) of some of them, as `encode_with_shares` gave them.

        Returns:
            (N,) float64, >= 0. Divided by the sum over all images of the state, these are the weights
            that `fuse` gives.

        Raises:
            FuserMismatchError: If another fuser made the state.
            EmptySetError: If it holds no images.
        """
        cluster_weights = self._finish_one(state).cluster_weights[0]
        raw: npt.NDArray[np.float64] = shares.astype(np.float64) @ cluster_weights
        return raw

    def finish(self, state: FusionState) -> Template:
        """The template of a state, without per-image weights.

        Raises:
            FuserMismatchError: If another fuser made the state.
            EmptySetError: If it holds no images.
        """
        finished = self._finish_one(state)
        return Template.unchecked(
            vector=normalize_rows(finished.fused, self.name)[0],
            num_images=state.num_images,
            fuser=self.fingerprint,
            embedder=state.embedder,
            weights=None,
        )

    def fuse(self, images: EmbeddingSet | FloatArray, *, chunk_size: int | None = None) -> Template:
        """The template of a set, with the weight of each image.

        Args:
            images: The set; or, for fusers that need no more, its embeddings (N, D) alone, as the network
                gave them.
            chunk_size: Encode this many images at a time, in order; None takes all at once. For
                exact fusers this changes nothing but the memory; official fusers depend on it.

        Raises:
            DtypeError: If it is neither a set nor an array of floating-point numbers.
            EmbedderMismatchError, ShapeError, MissingNormsError, MissingStyleError: If the set does not
                fit the fuser.
            InvalidInputError: If `chunk_size` is below 1.
        """
        images = as_set(images, self)
        check_chunk_size(chunk_size)
        chunks = [images] if chunk_size is None else images.chunks(chunk_size)
        parts = [self._contribute(chunk) for chunk in chunks]
        total = parts[0] if len(parts) == 1 else add_up(parts)
        if not sum(total.mass.tolist()) > 0:
            raise InvalidInputError(
                f"images: {images.num_images} images weigh nothing at all for fuser {self.name!r}. "
                f"Check embeddings and style."
            )
        finished = self._finish(total.mass[None], total.sums[None], total.style_sums[None])
        gains = finished.cluster_weights[0].astype(np.float64)
        shares = [part.shares @ gains for part in parts]
        weights = shares[0] if len(shares) == 1 else np.concatenate(shares)
        whole = weights.sum()
        if whole > 0:
            weights /= whole
        else:
            weights = np.full(len(weights), 1 / len(weights))
        return Template.unchecked(
            vector=normalize_rows(finished.fused, self.name)[0],
            num_images=images.num_images,
            fuser=self.fingerprint,
            embedder=images.embedder,
            weights=weights.astype(np.float32),
        )

    def fuse_many(
        self,
        images: EmbeddingSet | FloatArray,
        offsets: npt.ArrayLike,
        *,
        chunk_size: int | None = None,
    ) -> FloatArray:
        """Templates of many sets in one call.

        Args:
            images: All images of all sets, one set after the other.
            offsets: (B+1,) integers, ascending from 0 to N: set b is images[offsets[b]:offsets[b+1]].
            chunk_size: As for `fuse`.

        Returns:
            (B, D) float32 unit vectors, equal to `fuse` of each set within 1e-5.

        Raises:
            InvalidInputError: If the offsets do not ascend from 0 to N.
            EmptySetError: If a set is empty, naming it.
        """
        images = as_set(images, self)
        borders = _check_many(images, offsets, chunk_size)
        templates = np.empty((len(borders) - 1, images.dim), dtype=np.float32)
        for first in range(0, len(templates), _SETS_AT_ONCE):
            part = borders[first : first + _SETS_AT_ONCE + 1]
            fused = self._finish(*self._encode_many(images, part, chunk_size)).fused
            templates[first : first + len(fused)] = normalize_rows(fused, self.name, first)
        return templates

    def encode_many(
        self,
        images: EmbeddingSet | FloatArray,
        offsets: npt.ArrayLike,
        *,
        chunk_size: int | None = None,
    ) -> Sums:
        """States of many sets in one call, as arrays.

        Args:
            images: As for `fuse_many`.
            offsets: As for `fuse_many`.
            chunk_size: As for `fuse`.

        Raises:
            InvalidInputError, EmptySetError: As for `fuse_many`.
        """
        images = as_set(images, self)
        borders = _check_many(images, offsets, chunk_size)
        return self._encode_many(images, borders, chunk_size)

    def finish_many(self, states: Sums) -> FloatArray:
        """Templates of many states, (B, D) float32 unit vectors.

        Raises:
            InvalidInputError: If a fused vector has no direction.
        """
        return normalize_rows(self._finish(*states).fused, self.name)

    def check_fits(self, images: EmbeddingSet) -> None:
        """Refuses a set that this fuser cannot fuse.

        Raises:
            ProbeFusionError: As for `probefusion.fusion.compatibility.check_fits`.
        """
        check_fits(self, images)

    def threshold_for(self, false_match_rate: float, num_images: int) -> Threshold | None:
        """The threshold that was calibrated for this fuser's templates.

        Args:
            false_match_rate: The rate wanted, a fraction; met within 1 %.
            num_images: Images in the larger of the two sets that are compared.

        Returns:
            The threshold of the largest set size not above `num_images`, or of the smallest measured.
            None for a fuser without calibration, and where there is none at this rate.

        Raises:
            DtypeError: If an argument is no number.
            ConfigError: If the rate is not between 0 and 1, or there is no image.
        """
        check_wanted(false_match_rate, num_images)
        return None

    @abstractmethod
    def _contribute(self, images: EmbeddingSet) -> Contributions:
        """Sums of one batch and the shares of its images."""

    @abstractmethod
    def _finish(
        self,
        mass: npt.NDArray[np.float64],
        sums: npt.NDArray[np.float64],
        style_sums: npt.NDArray[np.float64],
    ) -> Finished:
        """Reads B states out: (B, M), (B, M, D), (B, M, S) float64."""

    def _encode_many(
        self, images: EmbeddingSet, offsets: npt.NDArray[np.int64], chunk_size: int | None
    ) -> Sums:
        """States of the sets offsets[b]:offsets[b+1]; one set after the other."""
        states = []
        for start, stop in itertools.pairwise(offsets):
            chunks = images[start:stop].chunks(chunk_size or int(stop - start))
            whole = add_up([self._contribute(chunk) for chunk in chunks])
            states.append((whole.mass, whole.sums, whole.style_sums))
        return Sums(*(np.stack(column) for column in zip(*states, strict=True)))

    def _state(self, part: Contributions, images: EmbeddingSet) -> FusionState:
        return FusionState(
            mass=part.mass,
            sums=part.sums,
            style_sums=part.style_sums,
            num_images=images.num_images,
            fuser=self.fingerprint,
            embedder=images.embedder,
        )

    def _finish_one(self, state: FusionState) -> Finished:
        check_state(self, state)
        return self._finish(state.mass[None], state.sums[None], state.style_sums[None])


def _check_many(
    images: EmbeddingSet, offsets: npt.ArrayLike, chunk_size: int | None
) -> npt.NDArray[np.int64]:
    check_chunk_size(chunk_size)
    return check_offsets(offsets, images.num_images)
