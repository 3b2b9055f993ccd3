"""What an earlier run left in the output of `embed_archive`, and what is to be done now."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from probefusion.archives.files.storage import Place, join, list_files, shown_place
from probefusion.archives.images import (
    SINGLE,
    Chunk,
    ChunkFacts,
    DoneChunk,
    ImagePlan,
    Making,
    begins_with,
    check_making,
    chunk_place,
    read_facts,
    read_known,
    read_manifest,
    read_used,
    with_later,
)
from probefusion.errors import FileFormatError, OutputExistsError
from probefusion.faces.listing import as_text
from probefusion.files.reading import in_one_line, reason_of

__all__ = ["BegunArchive", "find_begun"]

_DAMAGED_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class BegunArchive:
    """What stands in the output, and what is to be done.

    Args:
        plan: All chunks; the first are those of an earlier run.
        making: What the manifest is to say of how rows are made.
        stale: Files that are in the way.
        done: What became of the chunks that an earlier run did.
        num_planned: Chunks of the earlier run, done or not.
    """

    plan: ImagePlan
    making: Making
    stale: tuple[str, ...] = ()
    done: dict[int, ChunkFacts] = field(default_factory=dict)
    num_planned: int = 0


def find_begun(output: Place, making: Making, plan: ImagePlan, *, force: bool) -> BegunArchive:
    """Looks at what an earlier run did; nothing is changed yet.

    Raises:
        ConfigError: If an earlier run was made otherwise, or what it embedded has changed.
        FileFormatError: If files of the earlier run are damaged.
        OutputExistsError: If there are files of others.
    """
    listed = list_files(output, suffixes=(".parquet",), missing_ok=True)
    found = {file.name: join(output, file.name) for file in listed}
    content = None if force or not found else read_manifest(output)
    if content is None:
        ours = {name: place for name, place in found.items() if name.startswith("chunk-")}
        others = sorted(set(found) - set(ours)) if force else sorted(found)
        if others:
            raise OutputExistsError(
                f"output {in_one_line(shown_place(output))}: holds {in_one_line(others[0])}, which is not of a run "
                f"that could be gone on with. Name another folder."
            )
        return BegunArchive(plan=plan, making=making, stale=tuple(ours.values()))
    noted = check_making(content, output, making)
    before = content["chunks"]
    done = _done(output, before, found)
    if not begins_with(plan.chunks, before):
        chunks = {
            number: _done_chunk(output, before[number], facts) for number, facts in done.items()
        }
        plan = with_later(plan, before, chunks, making.source, output=shown_place(output))
        done = {
            number: _still_skipped(facts, plan.chunks[number]) for number, facts in done.items()
        }
    return BegunArchive(plan=plan, making=noted, done=done, num_planned=len(before))


def _done_chunk(output: Place, old: Mapping[str, Any], facts: ChunkFacts) -> DoneChunk:
    """What is known of a chunk that an earlier run did."""
    if old["kind"] not in SINGLE:
        return DoneChunk()
    place = chunk_place(output, facts.number)
    return DoneChunk(
        known=read_known(place),
        skipped=frozenset(image.source for image in facts.skipped),
        used=partial(read_used, place),
    )


def _still_skipped(facts: ChunkFacts, chunk: Chunk) -> ChunkFacts:
    """The facts without images that were mended or removed since; those that were mended are in a later chunk."""
    if chunk.kind not in ("files", "zip"):
        return facts
    names = frozenset(map(as_text, chunk.names))
    return replace(facts, skipped=tuple(image for image in facts.skipped if image.source in names))


def _done(
    output: Place, before: Sequence[Mapping[str, Any]], found: Collection[str]
) -> dict[int, ChunkFacts]:
    """What became of the chunks of an earlier run whose files are there.

    Raises:
        FileFormatError: If some of them cannot be read.
    """
    done: dict[int, ChunkFacts] = {}
    damaged: list[str] = []
    for number, old in enumerate(before):
        place = chunk_place(output, number)
        name = os.path.basename(place)  # noqa: PTH119 - of a url too
        if name not in found:
            continue
        try:
            facts = read_facts(place)
        except FileFormatError as error:
            damaged.append(f"{name} ({reason_of(error)})")
            continue
        if facts.tag == old["tag"]:
            done[number] = facts
    if damaged:
        more = f" and {len(damaged) - _DAMAGED_SHOWN} more" if len(damaged) > _DAMAGED_SHOWN else ""
        raise FileFormatError(
            f"output {in_one_line(shown_place(output))}: {len(damaged)} of its {len(found)} files cannot be read: "
            f"{in_one_line('; '.join(damaged[:_DAMAGED_SHOWN]))}{more}. Delete them and give the command again: it "
            f"makes them anew, also of images that were erased from them."
        )
    return done
