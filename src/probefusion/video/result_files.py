"""The results of a video on disk: tracks.json, templates and states, one by one and together."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from probefusion.errors import MissingFileError, OutputExistsError
from probefusion.files import check_name, replace_file, replace_folder_content, try_to_write
from probefusion.gallery import Match
from probefusion.types import TemplateSet, Usability
from probefusion.video.clip import Clip, Person
from probefusion.video.events import VideoEvent
from probefusion.video.explanation import Explanation

__all__ = [
    "SCHEMA_VERSION",
    "check_folder",
    "clip_facts",
    "event_facts",
    "person_facts",
    "result_folder",
    "write_results",
]

SCHEMA_VERSION = 1
"""Version of tracks.json. Keys are only added within a version."""

_TEMPLATES = "templates.npz"
_NAMES = ("tracks.json", "report.html", "annotated.mp4", _TEMPLATES)
_FOLDERS = {"templates": "track-*.npz", "states": "track-*.safetensors"}


def check_folder(folder: str | Path, *, force: bool = False) -> list[Path]:
    """The results of a video that stand in a folder, which need not exist.

    Raises:
        OutputExistsError: If it is a file, or results stand in it and `force` is False.
        MissingFileError: If it cannot be made.
        PermissionError, OSError: If no file can be made there, as on a read-only disk.
        ConfigError: If its name is too long or no Unicode.
    """
    check_name(folder)
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"output {str(folder)!r} is a file, expected a folder.")
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise MissingFileError(
            f"output {str(folder)!r} cannot be made: {str(nearest)!r} is no folder that may be written to."
        )
    try_to_write(folder, nearest)
    standing = [folder / name for name in _NAMES if (folder / name).exists()]
    standing += [
        item for name, pattern in _FOLDERS.items() for item in (folder / name).glob(pattern)
    ]
    if standing and not force:
        raise OutputExistsError(
            f"output {str(folder)!r} holds {standing[0].name}. Use --force (force=True) to replace the "
            f"results in it, or name another folder."
        )
    return standing


@contextmanager
def result_folder(folder: str | Path, *, force: bool = False) -> Iterator[Path]:
    """A new folder for the results of a video, which move into `folder` together when the block ends.

    Until then, and if the block fails, `folder` is as it was. Then results of a video that stand in it are
    replaced or removed; other files stay.

    Raises:
        OutputExistsError, MissingFileError: As `check_folder`.
    """
    with replace_folder_content(folder, check_folder(folder, force=force)) as draft:
        for name in _FOLDERS:
            (draft / name).mkdir()
        yield draft


def write_results(
    clip: Clip, explanations: Sequence[Explanation], folder: Path, *, settings: dict[str, Any]
) -> None:
    """Writes tracks.json, each person's template (with its weights) and state, and all together.

    `templates.npz` is a `TemplateSet` of all people with their states: its ids are the track numbers.

    Args:
        clip: The video.
        explanations: Of each of its people, in their order.
        folder: As `result_folder` gave it.
        settings: What the video was processed with, for the record.
    """
    for item in explanations:
        person = item.person
        template = replace(person.template, weights=item.weights.astype(np.float32))
        template.save(folder / _template_file(person))
        person.state.save(folder / _state_file(person))
    people = {str(item.person.number): item.person for item in explanations}
    TemplateSet.of(
        {name: person.template for name, person in people.items()},
        {name: person.state for name, person in people.items()},
    ).save(folder / _TEMPLATES)
    head = {
        "schema": "probefusion/tracks",
        "schema_version": SCHEMA_VERSION,
        **clip_facts(clip),
        "settings": settings,
        "templates": _TEMPLATES,
    }
    with replace_file(folder / "tracks.json", force=True) as stream:
        text = json.dumps(head, indent=1, ensure_ascii=False, allow_nan=False)
        stream.write(text.removesuffix("\n}").encode() + b',\n "tracks": [')
        for place, item in enumerate(explanations):
            stream.write(b"\n" if place == 0 else b",\n")
            for line in _track_lines(item):
                stream.write(line.encode())
        stream.write(b"\n ]\n}\n")


def clip_facts(clip: Clip) -> dict[str, Any]:
    """What is recorded of a video apart from its people."""
    from probefusion.version import __version__

    return {
        "probefusion": __version__,
        "video": asdict(clip.facts),
        "fuser": clip.fuser.fingerprint,
        "embedder": clip.embedder,
        "counts": asdict(clip.counts),
        "problems": list(clip.problems),
        "stopped_at": None if clip.stopped_at is None else round(clip.stopped_at, 4),
        "seconds": round(clip.seconds, 3),
        "frames_per_second": round(clip.frames_per_second, 2),
        "decisions": [_rounded(decision) for decision in clip.decisions],
    }


def person_facts(explanation: Explanation) -> dict[str, Any]:
    """What is recorded of a person apart from the single images."""
    person, match = explanation.person, explanation.match
    return {
        "track": person.number,
        "merged_tracks": [track.number for track in person.tracks],
        "num_images": person.num_images,
        "template": _template_file(person),
        "state": _state_file(person),
        "first_time": round(person.segments[0].first_time, 4),
        "last_time": round(max(segment.last_time for segment in person.segments), 4),
        "segments": [_rounded(asdict(segment)) for segment in person.segments],
        "match": _match_facts(match),
        "reference": explanation.reference,
        "similarity": round(explanation.fused_similarity, 6),
        "similarity_of_mean": round(explanation.mean_similarity, 6),
        "mean_similarity_of_images": round(float(explanation.similarities.mean()), 6),
        "share_of_images_below": round(explanation.share_beaten, 6),
        "num_images_carrying_half": explanation.num_carrying_half,
        "screening": explanation.screening.facts(),
        "usability": _usability_facts(person.template.usability),
        "growth": [_rounded(asdict(point)) for point in explanation.growth],
    }


def event_facts(event: VideoEvent) -> dict[str, Any]:
    """An event for a line of JSON: without template and state, which are in `event.person`.

    The names are those of `VideoEvent` and `PersonSnapshot`, and stay: `kind`, `time`, `number`,
    `num_images`, `first_time`, `last_time` and `match`, which is null without a gallery and else holds
    `name` (of the match, or null), `is_match`, `threshold`, `false_match_rate`, `warnings` and `candidates`, each
    with `name` and `similarity`. Of a `Gallery` also `false_positive_rate`, `revision`, `why_none` (why there is
    no threshold, or null) and for each candidate `person_id`, `threshold`, `is_match` and `is_ignored`. Names are
    only added.
    """
    person = event.person
    return {
        "kind": event.kind,
        "time": round(event.time, 4),
        "number": person.number,
        "num_images": person.num_images,
        "first_time": round(person.first_time, 4),
        "last_time": round(person.last_time, 4),
        "match": _match_facts(event.match),
    }


def _match_facts(match: Match | None) -> dict[str, Any] | None:
    if match is None:
        return None
    candidates = [_rounded(asdict(candidate)) for candidate in match.candidates]
    facts = {
        "name": match.name,
        "is_match": match.is_match,
        "threshold": match.threshold,
        "false_match_rate": match.false_match_rate,
        "candidates": candidates,
        "warnings": list(match.warnings),
    }
    if match.result is None:
        return facts
    for candidate, person in zip(candidates, match.result.candidates, strict=True):
        candidate["person_id"] = person.person_id
        candidate["threshold"] = None if person.threshold is None else round(person.threshold, 6)
        candidate["is_match"] = person.is_match
        candidate["is_ignored"] = person.is_ignored
    return {
        **facts,
        "false_positive_rate": match.result.false_positive_rate,
        "revision": match.result.revision,
        "why_none": match.result.why_none,
    }


def _usability_facts(usability: Usability | None) -> dict[str, Any] | None:
    return None if usability is None else _rounded(asdict(usability))


def _track_lines(explanation: Explanation) -> Iterator[str]:
    head = json.dumps(person_facts(explanation), ensure_ascii=False, allow_nan=False)
    yield "  " + head.removesuffix("}") + ', "images": ['
    place = 0
    for rows, weights in explanation.person.blocks():
        for row, weight in zip(rows, weights, strict=True):
            image = {
                "frame": int(row["frame"]),
                "time": round(float(row["time"]), 4),
                "box": [round(float(value), 1) for value in row["box"]],
                "score": round(float(row["score"]), 4),
                "weight": float(f"{weight:.6g}"),
                "similarity": round(float(explanation.similarities[place]), 4),
            }
            yield ("\n   " if place == 0 else ",\n   ") + json.dumps(image)
            place += 1
    yield "\n  ]}"


def _template_file(person: Person) -> str:
    return f"templates/track-{person.number:04d}.npz"


def _state_file(person: Person) -> str:
    return f"states/track-{person.number:04d}.safetensors"


def _rounded(facts: dict[str, Any]) -> dict[str, Any]:
    return {
        key: round(value, 6) if isinstance(value, float) else value for key, value in facts.items()
    }
