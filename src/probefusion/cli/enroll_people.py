"""Everybody of a folder of people into a gallery, person by person; can be stopped and goes on where it was."""

from __future__ import annotations

import argparse
import json
import sys
from copy import copy
from pathlib import Path
from typing import Any

from probefusion.cli.gallery_added import added_facts
from probefusion.cli.gallery_inputs import (
    contribution_from,
    exit_code,
    fingerprint_of,
    fuse_inputs,
    warn,
)
from probefusion.cli.gallery_options import open_gallery
from probefusion.cli.pipeline_options import pipeline_of

__all__ = ["run_people"]


def run_people(options: argparse.Namespace) -> int:
    """Enrols everybody; 3 if somebody or something was left out, 130 if it was interrupted."""
    from probefusion.cli.interrupt import interruption
    from probefusion.errors import ProbeFusionError

    folders = _folders(Path(options.name))
    pipeline = pipeline_of(options)
    people: list[dict[str, Any]] = []
    present: list[str] = []
    problems: list[dict[str, str]] = []
    first_error: ProbeFusionError | None = None
    is_partial = False
    promise = "the person at hand is finished; the same command goes on from there"
    with (
        open_gallery(options, create=True, fuser=options.fuser, keep=options.keep) as gallery,
        interruption(promise) as stop,
    ):
        for number, folder in enumerate(folders, 1):
            if stop():
                break
            one = copy(options)
            one.paths = [str(folder)]
            fingerprint = fingerprint_of(one.paths)
            if contribution_from(gallery, folder.name, fingerprint) is not None:
                present.append(folder.name)
                print(f"{number}/{len(folders)} {folder.name}: there already", file=sys.stderr)
                continue
            try:
                if folder.name in gallery:
                    reason = "is there with other images; add these: probefusion update"
                    problems.append({"name": folder.name, "reason": reason})
                    print(f"warning: {folder.name}: {reason}", file=sys.stderr)
                    continue
                fused = fuse_inputs(one, pipeline)
                added = gallery.enroll(
                    folder.name, fused, source=f"{one.paths[0]} {fingerprint}".strip()
                )
            except ProbeFusionError as error:
                first_error = first_error or error
                problems.append({"name": folder.name, "reason": str(error)})
                print(f"warning: {folder.name}: left out: {error}", file=sys.stderr)
                continue
            people.append(added_facts(options, "enroll", added, fused))
            is_partial = is_partial or exit_code(fused) != 0
            print(f"{number}/{len(folders)} {added}", file=sys.stderr)
            warn(fused)
        was_stopped = stop()
        revision = gallery.revision
    if first_error is not None and not people and not present:
        raise first_error
    _tell(options, revision, people, present, problems, len(folders), was_stopped)
    if was_stopped:
        return 130
    return 3 if problems or is_partial else 0


def _folders(path: Path) -> list[Path]:
    from probefusion.errors import ConfigError, MissingFileError

    if not path.exists():
        raise MissingFileError(f"--people: {str(path)!r} is not there.")
    found = (
        sorted(each for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))
        if path.is_dir()
        else []
    )
    if not found:
        raise ConfigError(
            f"--people: expected a folder with a folder of images for each person, got {str(path)!r} without any."
        )
    return found


def _tell(
    options: argparse.Namespace,
    revision: int,
    people: list[dict[str, Any]],
    present: list[str],
    problems: list[dict[str, str]],
    num_folders: int,
    was_stopped: bool,
) -> None:
    if options.json:
        facts = {
            "gallery": options.gallery,
            "collection": options.collection,
            "action": "enroll people",
            "revision": revision,
            "people": people,
            "already_there": present,
            "left_out": problems,
            "num_folders": num_folders,
            "was_stopped": was_stopped,
        }
        print(json.dumps(facts, indent=2))
        return
    print(
        f"{options.gallery}: {len(people)} people enrolled, {len(present)} there already from the same files, "
        f"{len(problems)} left out, of {num_folders}"
    )
    if people:
        first, last = people[0]["revision"], people[-1]["revision"]
        print(
            f"revisions {first} to {last}; to undo one: probefusion undo {options.gallery} REVISION"
        )
