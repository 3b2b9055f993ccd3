"""Images that came to a source after some of it was embedded: what was done stays, and what is new comes behind it.

Which images a chunk's file was made of is known by digests of their names in its metadata, as the names themselves may
have been erased since. So nothing is embedded twice, nothing that was erased comes back, and images may come anywhere:
into old folders, or new ones of whatever name.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from probefusion.archives.images.chunks import Chunk, SourceSettings
from probefusion.archives.images.plan import SINGLE, ImagePlan, chunk_of, most_of
from probefusion.archives.images.source_files import SourceFile
from probefusion.errors import ConfigError, FileFormatError
from probefusion.files.reading import in_one_line

__all__ = ["digests_of", "names_of", "with_later"]

_BYTES = 8
_STEP = "Name another output folder, or begin anew with --force (force=True)."


def digests_of(names: Iterable[str]) -> str:
    """Digests of names as one text, for the metadata of a file; the order of the names stays."""
    return base64.b64encode(b"".join(map(_digest, names))).decode()


def names_of(text: str, origin: str) -> list[bytes]:
    """The digests of a text that `digests_of` made.

    Raises:
        FileFormatError: If it is damaged.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FileFormatError(
            f"{in_one_line(origin)}: the names of its images are damaged ({error})."
        ) from error
    return [data[start : start + _BYTES] for start in range(0, len(data), _BYTES)]


def with_later(
    plan: ImagePlan,
    before: Sequence[Mapping[str, Any]],
    done: Mapping[int, Sequence[bytes]],
    settings: SourceSettings,
    *,
    output: str,
) -> ImagePlan:
    """A plan whose first chunks are those of an earlier run, as far as they were done; the rest follows.

    Args:
        plan: What the source gives now.
        before: What the manifest of the earlier run says of its chunks.
        done: For each chunk that was done and is made of single images or clips, digests of their names in order.
        settings: How the source is read.
        output: The folder of the earlier run, for messages.

    Raises:
        ConfigError: If what was embedded is not there any more, or is not what it was.
    """
    chunks: dict[int, Chunk] = {}
    whole = {_whole_key(chunk.facts): chunk for chunk in plan.chunks if chunk.kind not in SINGLE}
    free: dict[str, list[int]] = defaultdict(list)
    files = {_digest(each.file.name): each for each in plan.listing.files if each.kind in SINGLE}
    for number, old in enumerate(before):
        if old["kind"] not in SINGLE:
            found = whole.pop(_whole_key(old), None)
            if found is None:
                raise ConfigError(_changed(output, number, str(old.get("name", "a file")), ""))
            chunks[number] = found
        elif number in done:
            chunks[number] = _as_before(plan, number, old, done[number], files, settings, output)
        else:
            free[old["kind"]].append(number)
    left: dict[str, list[SourceFile]] = defaultdict(list)
    for each in plan.listing.files:
        if each.kind in SINGLE and _digest(each.file.name) in files:
            left[each.kind].append(each)
    later: list[Chunk] = []
    for kind in SINGLE:
        cut = _cut(left[kind], [before[number] for number in free[kind]], plan, settings, output)
        chunks.update(zip(free[kind], cut, strict=False))
        later += cut[len(free[kind]) :]
    later += [chunk for chunk in plan.chunks if whole.get(_whole_key(chunk.facts)) is chunk]
    ordered = [chunks[number] for number in range(len(before))]
    return ImagePlan(chunks=(*ordered, *later), skipped=plan.skipped, listing=plan.listing)


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:_BYTES]


def _whole_key(facts: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(facts[key] for key in ("kind", "start", "stop", "tag"))


def _as_before(
    plan: ImagePlan,
    number: int,
    old: Mapping[str, Any],
    digests: Sequence[bytes],
    files: dict[bytes, SourceFile],
    settings: SourceSettings,
    output: str,
) -> Chunk:
    """A chunk that was done, of the images that it was made of, which are taken out of `files`.

    Raises:
        ConfigError: If one of them is gone, or any of them changed.
    """
    if len(digests) != old["num_names"]:
        raise ConfigError(
            f"{in_one_line(output)}: was begun by an older release, which did not note what its files are made of, so "
            f"images cannot come later. {_STEP}"
        )
    known = [files.pop(digest) for digest in digests if digest in files]
    names = f"{known[0].file.name} to {known[-1].file.name}" if known else "all of them"
    if len(known) < len(digests):
        gone = f"{len(digests) - len(known)} of its {len(digests)} images are not there any more"
        raise ConfigError(_changed(output, number, names, gone))
    chunk = chunk_of(known, plan.listing.wrapping, settings)
    if chunk.tag != old["tag"]:
        was = old.get("wrapping", chunk.wrapping)
        if was != chunk.wrapping:
            raise ConfigError(
                f"{in_one_line(output)}: folders of people lay {was} folders deep in the source, now {chunk.wrapping}, "
                f"as new images lie beside or below them. Put new people's folders beside those of the others. {_STEP}"
            )
        raise ConfigError(_changed(output, number, names, "some of its images were changed"))
    return chunk


def _cut(
    files: Sequence[SourceFile],
    begun: Sequence[Mapping[str, Any]],
    plan: ImagePlan,
    settings: SourceSettings,
    output: str,
) -> list[Chunk]:
    """Cuts images that are not embedded yet: where nothing changed, as an interrupted run meant to.

    Args:
        files: Of one kind.
        begun: What the manifest says of the chunks that were not done.
        plan: What the source gives now.
        settings: How it is read.
        output: For messages.

    Raises:
        ConfigError: If there are fewer images than there were.
    """
    if len(files) < len(begun):
        raise ConfigError(
            f"{in_one_line(output)}: its source lost images since it was begun. {_STEP}"
        )
    if not files:
        return []
    wrapping = plan.listing.wrapping
    sizes = [int(old["num_names"]) for old in begun]
    if sum(sizes) == len(files):
        chunks = [chunk_of(part, wrapping, settings) for part in _parts(files, sizes)]
        if all(chunk.tag == old["tag"] for chunk, old in zip(chunks, begun, strict=True)):
            return chunks
    most = most_of(files[0].kind, settings)
    count = max(-(-len(files) // most), len(begun))
    sizes = [most] * (len(files) // most) + [len(files) % most] * bool(len(files) % most)
    if len(sizes) < count:  # no number of a chunk may stay without one
        sizes = [len(files) // count + (place < len(files) % count) for place in range(count)]
    return [chunk_of(part, wrapping, settings) for part in _parts(files, sizes)]


def _parts(files: Sequence[SourceFile], sizes: Sequence[int]) -> list[Sequence[SourceFile]]:
    parts, start = [], 0
    for size in sizes:
        parts.append(files[start : start + size])
        start += size
    return parts


def _changed(output: str, number: int, names: str, what: str) -> str:
    told = what or "it was changed, or is not there any more"
    return (
        f"{in_one_line(output)}: its source is not what it was: chunk {number} ({in_one_line(names)}): {told}. Images "
        f"may come later; what was embedded must stay as it is. {_STEP}"
    )
