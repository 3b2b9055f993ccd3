"""What a contribution keeps, as bytes: its images in half precision, or their sums in single precision.

    magic      4 bytes, "pfgF" for features, "pfgS" for a state
    version    2 bytes, little endian, as all numbers
    length     4 bytes, of the header
    header     JSON: sizes, embedder, and what else there is
    arrays     one after the other, as the header implies
    digest     16 bytes, BLAKE2b of all before

A row of numbers is kept as half-precision numbers times a power of two, so that its largest number lies in [1/2, 1).
Rounding happens once: what is read and written again gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from probefusion.errors import FileFormatError, IntegrityError, InvalidInputError
from probefusion.types import EmbeddingSet, FloatArray, FusionState

__all__ = ["Kept", "as_kept", "from_bytes", "pack_rows", "to_bytes", "unpack_rows"]

Kept: TypeAlias = EmbeddingSet | FusionState
"""What a contribution keeps: images, or the sums over them."""

FORMAT_VERSION = 1
_FEATURES, _STATE = b"pfgF", b"pfgS"
_START = struct.Struct("<4sHI")
_DIGEST_SIZE = 16
_LARGEST_EXPONENT = 127
_LONGEST_HEADER = 1 << 16

Rows: TypeAlias = npt.NDArray[np.float32]
Halves: TypeAlias = npt.NDArray[np.float16]
Exponents: TypeAlias = npt.NDArray[np.int16]


def to_bytes(kept: Kept) -> bytes:
    """The bytes of a contribution's images or state.

    Of a set its embeddings and style are kept in half precision, quality and detector scores as they are; media ids
    and sources are no part of it. Of a state the sums are kept in single precision, the masses as they are.

    Args:
        kept: The set or state, of at least one image.

    Raises:
        InvalidInputError: If a number is too large to be kept, or a state holds no image.
    """
    if isinstance(kept, EmbeddingSet):
        magic, header, arrays = _FEATURES, *_parts_of_set(kept)
    else:
        magic, header, arrays = _STATE, *_parts_of_state(kept)
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    start = _START.pack(magic, FORMAT_VERSION, len(text))
    body = b"".join([start, text, *(array.tobytes() for array in arrays)])
    return body + _digest(body)


def from_bytes(data: bytes, *, origin: str = "contribution") -> Kept:
    """Reads what `to_bytes` wrote.

    Args:
        data: The bytes.
        origin: Where they come from, for messages.

    Raises:
        FileFormatError: If they are nothing that a contribution keeps, or of a newer release.
        IntegrityError: If they are not what was written.
    """
    if len(data) < _START.size + _DIGEST_SIZE:
        raise FileFormatError(f"{origin}: expected features or a state, got {len(data)} bytes.")
    magic, version, length = _START.unpack_from(data)
    if magic not in (_FEATURES, _STATE):
        raise FileFormatError(f"{origin}: expected features or a state, got other bytes.")
    if version > FORMAT_VERSION:
        raise FileFormatError(
            f"{origin}: format version {version} is newer than {FORMAT_VERSION}, which this release reads. Upgrade "
            f"probefusion."
        )
    if data[-_DIGEST_SIZE:] != _digest(data[:-_DIGEST_SIZE]):
        raise IntegrityError(
            f"{origin}: its bytes are not what was written. Take the database from a backup."
        )
    if length > min(_LONGEST_HEADER, len(data) - _START.size - _DIGEST_SIZE):
        raise FileFormatError(f"{origin}: a header of {length} bytes cannot be.")
    try:
        header = json.loads(data[_START.size : _START.size + length])
        body = _Body(data, _START.size + length, len(data) - _DIGEST_SIZE)
        kept = _read_set(header, body) if magic == _FEATURES else _read_state(header, body)
        body.check_at_end()
    except (InvalidInputError, KeyError, TypeError, ValueError) as error:
        raise FileFormatError(
            f"{origin}: it does not hold what its header says: {error}"
        ) from error
    return kept


def as_kept(kept: Kept) -> Kept:
    """What is read back of a set or state once it was kept: rounded, without media ids and sources."""
    return from_bytes(to_bytes(kept))


def pack_rows(values: Rows) -> tuple[Exponents, Halves]:
    """Rows as half-precision numbers times a power of two.

    Args:
        values: (N, K) float32.

    Returns:
        (N,) int16 exponents and (N, K) float16 in (-1, 1).

    Raises:
        InvalidInputError: If a row has a number above 2^127.
    """
    exponents = np.frexp(np.abs(values).max(axis=1, initial=0.0))[1].astype(np.int32)
    halves = np.ldexp(values, -exponents[:, None]).astype("<f2")
    rounded_up = np.abs(halves).max(axis=1, initial=0.0) >= 1
    exponents[rounded_up] += 1
    halves[rounded_up] = np.ldexp(values[rounded_up], -exponents[rounded_up, None]).astype("<f2")
    if exponents.max(initial=0) > _LARGEST_EXPONENT:
        row = int(exponents.argmax())
        raise InvalidInputError(
            f"image {row}: expected numbers below 1.7e38, got {np.abs(values[row]).max():.3g}. Check the embedder."
        )
    return exponents.astype("<i2"), halves


def unpack_rows(exponents: Exponents, halves: Halves) -> Rows:
    """(N, K) float32 of what `pack_rows` gave."""
    rows: Rows = np.ldexp(halves.astype(np.float32), exponents.astype(np.int32)[:, None])
    return rows


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST_SIZE).digest()


def _parts_of_set(images: EmbeddingSet) -> tuple[dict[str, Any], list[npt.NDArray[Any]]]:
    count = len(images)
    header = {
        "images": count,
        "dim": images.dim,
        "style": None if images.style is None else images.style.shape[1],
        "quality": images.quality is not None,
        "scores": images.detector_scores is not None,
        "embedder": images.embedder,
        "norms_known": bool(images.norms_known),
    }
    arrays: list[npt.NDArray[Any]] = [*pack_rows(images.embeddings)]
    if images.style is not None:
        arrays += pack_rows(images.style.reshape(count, -1))
    arrays += [
        column.astype("<f4")
        for column in (images.quality, images.detector_scores)
        if column is not None
    ]
    return header, arrays


def _read_set(header: dict[str, Any], body: _Body) -> EmbeddingSet:
    count, dim, channels = header["images"], header["dim"], header["style"]
    embeddings = unpack_rows(body.take("<i2", count), body.take("<f2", count, dim))
    style: FloatArray | None = None
    if channels is not None:
        exponents, halves = body.take("<i2", count), body.take("<f2", count, 2 * channels)
        style = unpack_rows(exponents, halves).reshape(count, channels, 2)
    return EmbeddingSet(
        embeddings=embeddings,
        style=style,
        quality=body.take("<f4", count) if header["quality"] else None,
        detector_scores=body.take("<f4", count) if header["scores"] else None,
        embedder=header["embedder"],
        norms_known=header["norms_known"],
        was_stored=True,
    )


def _parts_of_state(state: FusionState) -> tuple[dict[str, Any], list[npt.NDArray[Any]]]:
    if state.num_images < 1:
        raise InvalidInputError("state: expected a state of at least 1 image, got one of none.")
    with np.errstate(over="ignore"):
        sums, style_sums = state.sums.astype("<f4"), state.style_sums.astype("<f4")
    if not (np.isfinite(sums).all() and np.isfinite(style_sums).all()):
        raise InvalidInputError(
            f"state: sums of {state.num_images} images are too large to be kept."
        )
    header = {
        "images": state.num_images,
        "clusters": len(state.mass),
        "dim": sums.shape[1],
        "style": style_sums.shape[1],
        "fuser": state.fuser,
        "embedder": state.embedder,
    }
    return header, [state.mass.astype("<f8"), sums, style_sums]


def _read_state(header: dict[str, Any], body: _Body) -> FusionState:
    clusters = header["clusters"]
    return FusionState(
        mass=body.take("<f8", clusters),
        sums=body.take("<f4", clusters, header["dim"]),
        style_sums=body.take("<f4", clusters, header["style"]),
        num_images=header["images"],
        fuser=header["fuser"],
        embedder=header["embedder"],
    )


class _Body:
    """The arrays, read one after the other."""

    def __init__(self, data: bytes, start: int, stop: int) -> None:
        self._data, self._place, self._stop = data, start, stop

    def take(self, dtype: str, *shape: int) -> npt.NDArray[Any]:
        if any(not isinstance(length, int) or length < 0 for length in shape):
            raise ValueError(f"{shape} is no shape")
        count = int(np.prod(shape, dtype=object))
        size = count * np.dtype(dtype).itemsize
        if size > self._stop - self._place:
            raise ValueError(f"{size} bytes are wanted where {self._stop - self._place} are left")
        array = np.frombuffer(self._data, dtype=dtype, count=count, offset=self._place)
        self._place += size
        return array.reshape(shape)

    def check_at_end(self) -> None:
        if self._place != self._stop:
            raise ValueError(f"{self._stop - self._place} bytes are left over")
