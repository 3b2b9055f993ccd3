"""Images that came to a source after some of it was embedded: what was done stays, and what is new comes behind it.

Which images a chunk's file was made of is known by digests in its metadata. So nothing is embedded twice, nothing that
was erased comes back, and images may come anywhere: into old folders, or new ones of whatever name. Images that could
not be used may be mended or go, and those that were erased may go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from probefusion.archives.images.chunks import Chunk, SourceSettings, tag_of
from probefusion.archives.images.known_images import KnownImage, name_digest
from probefusion.archives.images.plan import SINGLE, ImagePlan, chunk_of, mark_of_file, most_of
from probefusion.archives.images.source_files import SourceFile
from probefusion.errors import ConfigError
from probefusion.faces.listing import as_text
from probefusion.files.reading import in_one_line

__all__ = ["DoneChunk", "with_later"]

_STEP = "Name another output folder, or begin anew with --force (force=True)."


@dataclass(frozen=True, kw_only=True)
class DoneChunk:
    """A chunk that an earlier run did.

    Args:
        known: The single images or clips that it is made of; of shards and Parquet files there are none.
        skipped: Names of those that could not be used.
        used: Gives the digests of names of those that have rows; asked only where something is not as it was.
    """

    known: Sequence[KnownImage] = ()
    skipped: Collection[str] = field(default_factory=frozenset)
    used: Callable[[], Collection[bytes]] = frozenset


def with_later(
    plan: ImagePlan,
    before: Sequence[Mapping[str, Any]],
    done: Mapping[int, DoneChunk],
    settings: SourceSettings,
    *,
    output: str,
) -> ImagePlan:
    """A plan whose first chunks are those of an earlier run, as far as they were done; the rest follows.

    Args:
        plan: What the source gives now.
        before: What the manifest of the earlier run says of its chunks.
        done: The chunks that were done, by their numbers.
        settings: How the source is read.
        output: The folder of the earlier run, for messages.

    Raises:
        ConfigError: If what was embedded is not there any more, or is not what it was.
    """
    chunks: dict[int, Chunk] = {}
    whole = {_whole_key(chunk.facts): chunk for chunk in plan.chunks if chunk.kind not in SINGLE}
    free: dict[str, list[int]] = defaultdict(list)
    files = {
        name_digest(each.file.name): each for each in plan.listing.files if each.kind in SINGLE
    }
    for number, old in enumerate(before):
        if old["kind"] not in SINGLE:
            found = whole.pop(_whole_key(old), None) or _uncut(old, whole)
            if found is None:
                told = f"chunk {number} ({in_one_line(str(old.get('name', 'a file')))})"
                raise _changed(output, f"{told} was changed, or is not there any more")
            chunks[number] = found
        elif number in done:
            chunks[number] = _as_before(plan, number, old, done[number], files, settings, output)
        else:
            free[old["kind"]].append(number)
    left: dict[str, list[SourceFile]] = defaultdict(list)
    for each in files.values():
        left[each.kind].append(each)
    later: list[Chunk] = []
    for kind in SINGLE:
        cut = _cut(left[kind], [before[number] for number in free[kind]], plan, settings, output)
        chunks.update(zip(free[kind], cut, strict=False))
        later += cut[len(free[kind]) :]
    later += [chunk for chunk in plan.chunks if whole.get(_whole_key(chunk.facts)) is chunk]
    ordered = [chunks[number] for number in range(len(before))]
    return ImagePlan(chunks=(*ordered, *later), skipped=plan.skipped, listing=plan.listing)


def _whole_key(facts: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(facts[key] for key in ("kind", "start", "stop", "tag"))


def _uncut(old: Mapping[str, Any], whole: dict[tuple[Any, ...], Chunk]) -> Chunk | None:
    """The row group that an earlier release took for one chunk, of its parts, which are taken out of `whole`."""
    parts = {
        key: chunk
        for key, chunk in whole.items()
        if chunk.num_rows is not None
        and (chunk.names[0], chunk.start, chunk.stop)
        == (old.get("name"), old["start"], old["stop"])
        and chunk.tag == tag_of([(old["tag"], chunk.start, chunk.first_row, chunk.num_rows)])
    }
    if not parts:
        return None
    for key in parts:
        del whole[key]
    first = next(iter(parts.values()))
    expected = sum(chunk.expected for chunk in parts.values())
    return replace(first, first_row=0, num_rows=None, expected=expected, tag=old["tag"])


def _as_before(
    plan: ImagePlan,
    number: int,
    old: Mapping[str, Any],
    done: DoneChunk,
    files: dict[bytes, SourceFile],
    settings: SourceSettings,
    output: str,
) -> Chunk:
    """A chunk that was done; its images are taken out of `files`, but for those that were mended since.

    Raises:
        ConfigError: If an image that was embedded is gone or changed, or would be of another person now.
    """
    if not done.known:
        raise ConfigError(
            f"{in_one_line(output)}: was begun by an older release, which did not note what its files are made of, so "
            f"images cannot come later. {_STEP}"
        )
    was, wrapping = old.get("wrapping", plan.listing.wrapping), plan.listing.wrapping
    if was != wrapping:
        raise ConfigError(
            f"{in_one_line(output)}: folders of people lay {was} folders deep in the source, now {wrapping}, as new "
            f"images lie beside or below them. Put new people's folders beside those of the others. {_STEP}"
        )
    changed = {
        image.name
        for image in done.known
        if image.name not in files or mark_of_file(files[image.name]) != image.mark
    }
    used = done.used() if changed else ()
    gone = sum(name not in files for name in changed if name in used)
    if gone:
        told = f"{gone} of the {len(done.known)} images of chunk {number} are not there any more"
        raise _changed(output, told)
    skipped = {name_digest(name) for name in done.skipped}
    kept: list[SourceFile] = []
    for image in done.known:
        if image.name not in changed:
            kept.append(files.pop(image.name))
        elif image.name in used:
            name = in_one_line(as_text(files[image.name].file.name))
            raise _changed(output, f"{name} was changed")
        elif image.name not in skipped:
            files.pop(image.name, None)  # it was erased, and stays so
    if len(kept) == len(done.known):
        return replace(chunk_of(kept, wrapping, settings), tag=old["tag"])
    names = tuple(each.file.name for each in kept)
    return Chunk(kind=old["kind"], names=names, places=(), wrapping=wrapping, tag=old["tag"])


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
        raise _changed(output, "it lost images")
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


def _changed(output: str, what: str) -> ConfigError:
    return ConfigError(
        f"{in_one_line(output)}: its source is not what it was: {what}. Images may come later, and those that could "
        f"not be used may be mended; what was embedded must stay as it is. {_STEP}"
    )
