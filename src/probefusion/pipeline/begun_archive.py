"""What an earlier run left in the output of `embed_archive`, and what is to be done now."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from probefusion.archives.images import (
    SINGLE,
    ChunkFacts,
    ImagePlan,
    Making,
    begins_with,
    check_making,
    chunk_place,
    read_facts,
    read_manifest,
    read_names,
    with_later,
)
from probefusion.archives.storage import Place, join, list_files, shown_place
from probefusion.errors import FileFormatError, OutputExistsError
from probefusion.files.reading import in_one_line, reason_of

__all__ = ["BegunArchive", "find_begun"]

_DAMAGED_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class BegunArchive:
    """What stands in the output, and what is to be done.

    Args:
        plan: All chunks; the first are those of an earlier run.
        stale: Files that are in the way.
        done: What became of the chunks that an earlier run did.
        num_planned: Chunks of the earlier run, done or not.
    """

    plan: ImagePlan
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
        return BegunArchive(plan=plan, stale=tuple(ours.values()))
    check_making(content, output, making)
    before = content["chunks"]
    done = _done(output, before, found)
    if not begins_with(plan.chunks, before):
        names = {
            number: read_names(chunk_place(output, number))
            for number in done
            if before[number]["kind"] in SINGLE
        }
        plan = with_later(plan, before, names, making.source, output=shown_place(output))
    return BegunArchive(plan=plan, done=done, num_planned=len(before))


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
