"""The manifest of an archive that is made of images: what was to be done, written before anything else.

It stands beside the chunks' files as `_embed_archive.json` and says what they are made of and how. A run that finds
one goes on where the last one stopped, if it fits: the same models and settings, and a source that holds what was
embedded; new images come behind it (`probefusion.archives.images.later`). Names of single images are not in it.
Readers of whole folders (Arrow, Spark) pass over names that begin so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from probefusion.archives.files.storage import (
    Place,
    exists,
    join,
    read_bytes,
    shown_place,
    write_bytes,
)
from probefusion.archives.images.chunk_file import RowFormat
from probefusion.archives.images.chunks import Chunk, SourceSettings
from probefusion.errors import ConfigError, FileFormatError
from probefusion.faces.stance import STANCE_MARK
from probefusion.files.hashed_json import check_json_hash, hashed_json
from probefusion.files.reading import in_one_line
from probefusion.types.revisions import remedy

__all__ = [
    "MANIFEST",
    "Making",
    "begins_with",
    "check_making",
    "chunk_place",
    "read_manifest",
    "write_manifest",
]

MANIFEST = "_embed_archive.json"
_VERSION = 1
_KIND = "probefusion archive of images"


@dataclass(frozen=True, kw_only=True)
class Making:
    """How rows are made of images.

    Args:
        rows: What they look like.
        model: Fingerprint of the very file of the embedder, which may stand for another.
        detector: Fingerprint of the face detector; "" where images are aligned crops.
        quality: Fingerprint of what judges crops, "" for nothing.
        source: How the source is read.
    """

    rows: RowFormat
    model: str
    detector: str
    quality: str
    source: SourceSettings

    def facts(self) -> dict[str, Any]:
        """What a manifest says of it."""
        read = {**asdict(self.source), "person": str(self.source.person)}
        made = {"model": self.model, "detector": self.detector, "quality": self.quality}
        return {**made, **asdict(self.rows), **read}


def chunk_place(output: Place, number: int) -> str:
    """Where the file of a chunk stands."""
    return join(output, f"chunk-{number:07d}.parquet")


def write_manifest(output: Place, making: Making, chunks: Sequence[Chunk]) -> None:
    """Writes the manifest; what stood there is replaced at once.

    Raises:
        OSError, StorageError: As for `probefusion.archives.files.storage.writing`.
    """
    content = {
        "kind": _KIND,
        "version": _VERSION,
        "making": making.facts(),
        "chunks": [chunk.facts for chunk in chunks],
    }
    write_bytes(join(output, MANIFEST), hashed_json(content, indent=1))


def read_manifest(output: Place) -> dict[str, Any] | None:
    """The manifest of a folder, or None where there is none.

    Raises:
        FileFormatError, IntegrityError: If it is damaged or none of ours.
        StorageError: If it cannot be read.
    """
    place = join(output, MANIFEST)
    if not exists(place):
        return None
    shown = in_one_line(shown_place(place))
    step = "Name another output folder, or begin anew with --force (force=True)."
    try:
        content = json.loads(read_bytes(place))
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{shown}: expected a manifest, it is damaged. {step}") from error
    if not isinstance(content, dict) or content.get("kind") != _KIND:
        raise FileFormatError(f"{shown}: expected a manifest of embed-archive, got another. {step}")
    check_json_hash(content, where=shown, step=step, is_needed=True)
    if content.get("version") != _VERSION:
        raise FileFormatError(
            f"{shown}: expected version {_VERSION}, got {content.get('version')!r}. {step}"
        )
    return content


def check_making(content: Mapping[str, Any], output: Place, making: Making) -> Making:
    """Refuses to go on with rows that were made otherwise.

    An archive whose detector does not say whether it asked the small network about turned faces (`STANCE_MARK`), as
    those of releases before, is gone on with by one that does; its manifest keeps what it says.

    Returns:
        What the manifest is to say from now on.

    Raises:
        ConfigError: If models or settings are not what they were.
    """
    shown = in_one_line(shown_place(output))
    step = "Name another output folder, or begin anew with --force (force=True)."
    was = content["making"]
    if was.get("detector") == making.detector.partition(STANCE_MARK)[0]:
        making = replace(making, detector=was["detector"])
    now = making.facts()
    for name in dict.fromkeys([*now, *was]):
        if was.get(name) != now.get(name):
            if name == "model":
                step = f"{remedy(was.get(name), now.get(name), '')} {step}".lstrip()
            raise ConfigError(
                f"{shown}: was begun with {name} {was.get(name)!r}, got {now.get(name)!r}. {step}"
            )
    return making


def begins_with(chunks: Sequence[Chunk], before: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the first chunks are those of a manifest; older releases noted other facts beside these."""
    if len(chunks) < len(before):
        return False
    for chunk, old in zip(chunks, before, strict=False):
        facts = chunk.facts
        if any(old.get(name, facts[name]) != facts[name] for name in facts):
            return False
    return True
