"""What `enroll` and `update` tell of images that were added to people, one or many."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from probefusion.cli.gallery.changes import change_facts, tell_change
from probefusion.cli.gallery.inputs import input_facts
from probefusion.cli.gallery.options import gallery_command, shown_address
from probefusion.cli.pipeline_options import pipeline_of
from probefusion.errors import ConfigError, ProbeFusionError

if TYPE_CHECKING:
    from probefusion.gallery import Gallery
    from probefusion.gallery.results import Added
    from probefusion.pipeline.enroll_people import EnrolledPerson

__all__ = ["add_people", "added_facts", "check_people", "tell_added"]

_LISTED = 20
"""People left out that are listed; all are in the result of --json."""


def added_facts(added: Added, options: argparse.Namespace, action: str) -> dict[str, Any]:
    """What was added, for `--json`."""
    return {
        **change_facts(options, action, added.revision),
        "person_id": added.person_id,
        "name": added.name,
        "contribution_id": added.contribution_id,
        "keep": added.keep,
        "num_images": added.num_images,
        "total_images": added.total_images,
        "is_held": added.is_held,
        "doubts": [
            {"kind": doubt.kind, "reason": doubt.reason, "other": doubt.other}
            for doubt in added.doubts
        ],
    }


def tell_added(added: Added, options: argparse.Namespace) -> None:
    """Prints what was added, and warns of doubts."""
    images = "1 image" if added.num_images == 1 else f"{added.num_images} images"
    what = f"held back as {added.contribution_id}" if added.is_held else "added"
    print(f"{added.name}: {images} {what}, {added.total_images} in all")
    for doubt in added.doubts:
        print(f"warning: {added.name}: {doubt}", file=sys.stderr)
    if added.is_held:
        for verb in ("accept", "reject"):
            line = gallery_command(options, f"gallery {verb}", added.contribution_id)
            print(f"to {verb} them: {line}")
    tell_change(options, added.revision)


def check_people(options: argparse.Namespace, alone: tuple[str, ...]) -> None:
    """Refuses what does not go with --people.

    Args:
        options: The command's.
        alone: Options that are for one person.
    """
    from probefusion.pipeline.enroll_people import folders_of_people

    if len(options.paths) != 1:
        raise ConfigError(f"--people: expected one folder, got {len(options.paths)}.")
    folders_of_people(options.paths[0])  # before a gallery is made for them
    for name in alone:
        if getattr(options, name):
            raise ConfigError(f"--{name}: is for one person, got --people beside it.")


def add_people(gallery: Gallery, options: argparse.Namespace, *, adds_visits: bool) -> int:
    """Adds everybody of a folder; gives the exit code."""
    from probefusion.cli.phases import progress_by_unit
    from probefusion.pipeline.enroll_people import enroll_people

    found: list[EnrolledPerson] = []
    try:
        with progress_by_unit({"people": "enrolling"}) as progress:
            for person in enroll_people(
                gallery,
                pipeline_of(options),
                options.paths[0],
                adds_visits=adds_visits,
                strangers=options.strangers,
                progress=progress,
            ):
                found.append(person)
    except KeyboardInterrupt:
        print("probefusion: interrupted", file=sys.stderr)
        _tell_kept(found)
        return 130
    except (ProbeFusionError, OSError):
        _tell_kept(found)
        raise
    if options.json:
        print(json.dumps(_people_facts(found, gallery, options), indent=2))
    else:
        _tell_people(found, gallery, options)
    return 3 if any(map(_needs_a_look, found)) else 0


def _tell_kept(found: list[EnrolledPerson]) -> None:
    added = sum(person.outcome == "added" for person in found)
    what = "was added and is kept" if added == 1 else "were added and are kept"
    print(f"{_people(added)} {what}. Run the same command again to go on.", file=sys.stderr)


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"


def _needs_a_look(person: EnrolledPerson) -> bool:
    if person.outcome == "left out":
        return True
    doubts = person.added is not None and bool(person.added.doubts)
    fused = person.fused
    return doubts or (fused is not None and bool(fused.skipped or fused.problems))


def _people_facts(
    found: list[EnrolledPerson], gallery: Gallery, options: argparse.Namespace
) -> dict[str, Any]:
    people = []
    for person in found:
        facts: dict[str, Any] = {
            "name": person.name,
            "outcome": person.outcome,
            "reason": person.reason or None,
        }
        if person.added is not None and person.fused is not None:
            facts |= added_facts(person.added, options, "enroll") | input_facts(person.fused)
        people.append(facts)
    return {
        "gallery": shown_address(options),
        "collection": options.collection,
        "num_added": sum(person.outcome == "added" for person in found),
        "num_there_already": sum(person.outcome == "there already" for person in found),
        "num_left_out": sum(person.outcome == "left out" for person in found),
        "num_people": len(gallery),
        "people": people,
    }


def _tell_people(
    found: list[EnrolledPerson], gallery: Gallery, options: argparse.Namespace
) -> None:
    added = [person.added for person in found if person.added is not None]
    there = sum(person.outcome == "there already" for person in found)
    images = sum(each.num_images for each in added)
    text = f"{_people(len(added))} added, {images} image{'' if images == 1 else 's'}"
    print(f"{text}; {there} were there already, from the same images" if there else text)
    print(f"{_people(len(gallery))} in {shown_address(options)}, collection {gallery.collection!r}")
    for each in added if len(added) <= _LISTED else ():
        held = ", held back" if each.is_held else ""
        print(f"  {each.name}: {each.num_images} images{held}, revision {each.revision}")
    if added:
        revisions = sorted(each.revision for each in added)
        last = gallery_command(options, "undo", str(revisions[-1]))
        print(f"revisions {revisions[0]} to {revisions[-1]}; to undo the last: {last}")
    left_out = [person for person in found if person.outcome == "left out"]
    if left_out:
        print(f"left out {_people(len(left_out))}:", file=sys.stderr)
        for person in left_out[:_LISTED]:
            print(f"  {person.name}: {person.reason}", file=sys.stderr)
        if len(left_out) > _LISTED:
            print(f"  and {len(left_out) - _LISTED} more", file=sys.stderr)
    for person in found:
        notes = [] if person.added is None else [str(doubt) for doubt in person.added.doubts]
        notes += [] if person.fused is None else list(person.fused.problems)
        if person.fused is not None and person.fused.skipped:
            notes.append(f"{len(person.fused.skipped)} images skipped")
        for note in notes:
            print(f"warning: {person.name}: {note}", file=sys.stderr)
