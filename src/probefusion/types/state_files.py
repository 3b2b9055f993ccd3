"""The bytes of a `FusionState`: safetensors, with its facts and a hash of all in the metadata."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import FileFormatError, IntegrityError
from probefusion.files.content_hash import content_hash
from probefusion.files.reading import in_one_line, reading

__all__ = ["MAX_STATE_BYTES", "StateFacts", "read_state_bytes", "state_bytes"]

MAX_STATE_BYTES = 1 << 28
"""Files larger than this are no states: one takes a few hundred KB."""

FORMAT_VERSION = 1
_KIND = "fusion_state"
_ARRAYS = ("mass", "sums", "style_sums")
_FACTS = {"num_images", "fuser", "embedder"}
_METADATA = {"kind", "format_version", "facts", "sha256"}

StateFacts = dict[str, Any]


def state_bytes(arrays: dict[str, npt.NDArray[np.float64]], facts: StateFacts) -> bytes:
    """The bytes of a file.

    Args:
        arrays: mass, sums and style_sums.
        facts: num_images, fuser and embedder.
    """
    from safetensors.numpy import save

    metadata = {
        "kind": _KIND,
        "format_version": str(FORMAT_VERSION),
        "facts": json.dumps(facts),
    }
    metadata["sha256"] = content_hash({**metadata, **arrays})
    return save({key: np.array(value) for key, value in arrays.items()}, metadata=metadata)


def read_state_bytes(
    data: bytes, *, origin: str
) -> tuple[dict[str, npt.NDArray[np.float64]], StateFacts]:
    """The arrays and facts of a file, as `state_bytes` takes them.

    The hash is compared where there is one; states of releases up to 0.1 have none.

    Raises:
        FileFormatError: If it is no state, or one of a newer release.
        IntegrityError: If its content is not what was written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    with reading(origin, "safetensors bytes of a fusion state", also=(SafetensorError,)):
        arrays = load(data)
        metadata = _metadata(data)
        if metadata.get("kind") != _KIND:
            raise FileFormatError(
                f"{in_one_line(origin)}: expected a fusion state, got another safetensors file."
            )
        version = int(metadata["format_version"])
        if version > FORMAT_VERSION:
            raise FileFormatError(
                f"{in_one_line(origin)}: format version {version} is newer than {FORMAT_VERSION}, which this "
                f"release reads. Upgrade probefusion."
            )
        facts = json.loads(metadata["facts"])
        if metadata.keys() - _METADATA or arrays.keys() != set(_ARRAYS) or facts.keys() != _FACTS:
            raise ValueError("it has other parts than a state, or lacks one")
        wrong = [name for name in _ARRAYS if arrays[name].dtype != np.float64]
        if wrong:
            raise ValueError(f"{wrong[0]} is of {arrays[wrong[0]].dtype}, not float64")
        _check_hash(metadata, arrays, origin)
    return arrays, facts


def _metadata(data: bytes) -> dict[str, Any]:
    length = int.from_bytes(data[:8], "little")
    metadata: dict[str, Any] = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    return metadata


def _check_hash(
    metadata: dict[str, Any], arrays: dict[str, npt.NDArray[np.float64]], origin: str
) -> None:
    rest = {key: value for key, value in metadata.items() if key != "sha256"}
    found = metadata.get("sha256")
    if found is not None and found != content_hash({**rest, **arrays}):
        raise IntegrityError(
            f"{in_one_line(origin)}: its content is not what was written (another SHA-256). The state was changed "
            f"or damaged; take a copy of it, or encode the images again."
        )
