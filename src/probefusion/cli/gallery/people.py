"""A folder of people's folders into a gallery, as `enroll --people` and `update --people` do it."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from probefusion.cli.gallery.adding import added_facts
from probefusion.cli.gallery.changes import place_facts
from probefusion.cli.gallery.inputs import input_facts
from probefusion.cli.gallery.options import gallery_command, shown_address
from probefusion.cli.pipeline_options import pipeline_of
from probefusion.errors import ConfigError, ProbeFusionError

if TYPE_CHECKING:
    from probefusion.gallery import Gallery
    from probefusion.gallery.results import Added
    from probefusion.pipeline.enroll_people import EnrolledPerson

__all__ = ["add_people", "check_people", "check_photos"]

_LISTED = 20
"""People that are listed; all are in the result of --json."""


def check_people(options: argparse.Namespace, folder: str, alone: tuple[str, ...]) -> None:
    """Refuses what does not go with --people.

    Args:
        options: The command's.
        folder: The folder of people.
        alone: Options that are for one person.
    """
    from probefusion.pipeline.enroll_people import folders_of_people

    folders_of_people(folder)  # before a gallery is made for them
    for name in alone:
        if getattr(options, name):
            raise ConfigError(f"--{name}: is for one person, got --people beside it.")


def check_photos(options: argparse.Namespace, folder: str) -> None:
    """Refuses photos without a detector before a gallery is made, by the first of the folders.

    Raises:
        ConfigError: If a detector is needed.
    """
    from probefusion.errors import EmptySetError
    from probefusion.pipeline.enroll_people import folders_of_people

    if options.aligned or options.detector is not None:
        return
    with suppress(EmptySetError):
        pipeline_of(options).fuse(folders_of_people(folder)[0], one_person=True)


def add_people(
    gallery: Gallery,
    options: argparse.Namespace,
    folder: str,
    *,
    action: str,
    adds_people: bool,
    adds_visits: bool,
) -> int:
    """Adds everybody of a folder, and tells it; gives the exit code.

    Args:
        gallery: Where to.
        options: The command's.
        folder: The folder of people.
        action: The command, for `--json`.
        adds_people: Whether people who are not there are made known.
        adds_visits: Whether people who are there get what is new.
    """
    from probefusion.cli.phases import progress_by_unit
    from probefusion.pipeline.enroll_people import enroll_people

    found = _Found(options=options, action=action)
    try:
        with progress_by_unit({"people": "adding"}) as progress:
            for person in enroll_people(
                gallery,
                pipeline_of(options),
                folder,
                adds_people=adds_people,
                adds_visits=adds_visits,
                guard=getattr(options, "guard", True),
                strangers=options.strangers,
                time=options.time,
                progress=progress,
            ):
                found.take(person)
    except KeyboardInterrupt:
        print("probefusion: interrupted", file=sys.stderr)
        found.tell_kept()
        return 130
    except (ProbeFusionError, OSError):
        found.tell_kept()
        raise
    if options.json:
        facts = place_facts(options) | found.counts() | {"num_people": len(gallery)}
        print(json.dumps({**facts, "people": found.people}, indent=2))
    else:
        found.tell(len(gallery))
    return 3 if found.needs_a_look else 0


@dataclass
class _Found:
    """What became of people so far. Of their images nothing is held on to."""

    options: argparse.Namespace
    action: str
    added: list[Added] = field(default_factory=list)
    people: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    num_there: int = 0

    @property
    def needs_a_look(self) -> bool:
        return bool(self.notes or self.left_out)

    def take(self, person: EnrolledPerson) -> None:
        """Notes what became of a person."""
        facts: dict[str, Any] = {
            "name": person.name,
            "outcome": person.outcome,
            "reason": person.reason or None,
            "added": None,
        }
        self.num_there += person.outcome == "there already"
        if person.outcome == "left out":
            self.left_out.append(f"{person.name}: {person.reason}")
        if person.added is not None and person.fused is not None:
            self.added.append(person.added)
            if self.options.json:
                facts["added"] = {
                    "revision": person.added.revision,
                    **added_facts(person.added),
                    **input_facts(person.fused),
                }
            notes = [*map(str, person.added.doubts), *person.added.warnings, *person.fused.problems]
            if person.fused.skipped:
                notes.append(f"{len(person.fused.skipped)} images skipped")
            self.notes += [f"{person.name}: {note}" for note in notes]
        if self.options.json:
            self.people.append(facts)

    def counts(self) -> dict[str, Any]:
        """Counts, for `--json`."""
        return {
            "action": self.action,
            "num_added": len(self.added),
            "num_held": sum(each.is_held for each in self.added),
            "num_there_already": self.num_there,
            "num_left_out": len(self.left_out),
        }

    def tell_kept(self) -> None:
        """Says what is kept of a run that stopped."""
        what = "was added and is kept" if len(self.added) == 1 else "were added and are kept"
        people = _people(len(self.added))
        print(f"{people} {what}. Run the same command again to go on.", file=sys.stderr)

    def tell(self, size: int) -> None:
        """Prints what was done; `size` is how many people there are now."""
        added, there = self.added, self.num_there
        images = sum(each.num_images for each in added)
        text = f"{_people(len(added))} added, {images} image{'' if images == 1 else 's'}"
        print(f"{text}; {there} were there already, from the same images" if there else text)
        collection = self.options.collection
        print(f"{_people(size)} in {shown_address(self.options)}, collection {collection!r}")
        for each in added if len(added) <= _LISTED else ():
            held = ", held back" if each.is_held else ""
            print(f"  {each.name}: {each.num_images} images{held}, revision {each.revision}")
        if added:
            revisions = sorted(each.revision for each in added)
            last = gallery_command(self.options, "undo", str(revisions[-1]))
            print(f"revisions {revisions[0]} to {revisions[-1]}; to undo the last: {last}")
        if any(each.is_held for each in added):
            print(f"to see what is held back: {gallery_command(self.options, 'gallery held')}")
        if self.left_out:
            print(f"left out {_people(len(self.left_out))}:", file=sys.stderr)
            for line in self.left_out[:_LISTED]:
                print(f"  {line}", file=sys.stderr)
            if len(self.left_out) > _LISTED:
                print(f"  and {len(self.left_out) - _LISTED} more", file=sys.stderr)
        for note in self.notes:
            print(f"warning: {note}", file=sys.stderr)


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"
