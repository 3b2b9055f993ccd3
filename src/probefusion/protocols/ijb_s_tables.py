"""Reading the protocol tables of IJB-S; formats and what is not verified: see `ijb_s`."""

from __future__ import annotations

from pathlib import Path

from probefusion.errors import FileFormatError
from probefusion.protocols.text_tables import (
    format_error,
    read_fields,
    read_lines,
    text_of,
    whole_number,
)

__all__ = ["NUM_VIDEOS", "NUM_VIDEO_TEMPLATES", "IjbsTables"]

NUM_VIDEOS = 398
"""Videos in a complete copy."""

NUM_VIDEO_TEMPLATES = 3852
"""Pairs of subject and video in a complete copy."""


class IjbsTables:
    """Collects templates while the tables are read; positions are those of the result.

    `add_metadata` comes first; every other method names files that it must know.
    """

    def __init__(self) -> None:
        self.subjects: list[int] = []
        self.files: list[tuple[str, ...]] = []
        self.video_template: dict[tuple[int, str], int] = {}
        self.by_video: dict[str, list[int]] = {}
        self.by_subject: dict[int, list[int]] = {}
        self.first_subject: dict[str, int] = {}

    def add(self, subject: int, files: tuple[str, ...]) -> int:
        """Appends a template and gives its position."""
        self.subjects.append(subject)
        self.files.append(files)
        return len(self.files) - 1

    def add_metadata(self, path: Path) -> None:
        """Reads the metadata: a template per pair of subject and video, in the order of the file."""
        _require_header(path, column=0)
        # Millions of face boxes, thousands of pairs: look at a pair only when it is new.
        seen: set[tuple[bytes, bytes]] = set()
        columns = ("subject id", "file")
        for line, fields in read_fields(
            path, columns=columns, delimiter=",", more=True, header=True
        ):
            pair = (fields[0], fields[1])
            if pair in seen:
                continue
            seen.add(pair)
            subject = whole_number(fields[0], path=path, line=line, name="subject id")
            file = text_of(fields[1], path=path, line=line, name="file")
            self.first_subject.setdefault(file, subject)
            if _is_video(file) and (subject, file) not in self.video_template:
                position = self.add(subject, (file,))
                self.video_template[subject, file] = position
                self.by_video.setdefault(file, []).append(position)
                self.by_subject.setdefault(subject, []).append(position)

    def check_counts(self, path: Path) -> None:
        """Refuses metadata with other numbers of videos and pairs than the published ones."""
        got = (len(self.by_video), len(self.video_template))
        if got != (NUM_VIDEOS, NUM_VIDEO_TEMPLATES):
            raise FileFormatError(
                f"{path.name}: expected {NUM_VIDEOS} videos and {NUM_VIDEO_TEMPLATES} pairs of "
                f"subject and video, the published numbers of IJB-S, got {got[0]} and {got[1]}. "
                f"Download it again, or pass check_counts=False to use it as it is."
            )

    def video_probes(self, path: Path) -> list[int]:
        """Positions of all templates cut from the videos that a probe table lists, ascending."""
        wanted: list[str] = []
        for line, file in _probe_files(path):
            if file not in self.by_video:
                raise _unknown_file(path, line, file)
            wanted.append(file)
        return sorted(position for file in wanted for position in self.by_video[file])

    def multiview_probes(self, positions: list[int]) -> list[int]:
        """One template of all videos for each subject of the templates at `positions`."""
        people = dict.fromkeys(self.subjects[position] for position in positions)
        return [
            self.add(person, tuple(self.files[i][0] for i in self.by_subject[person]))
            for person in people
        ]

    def uav_probes(self, path: Path) -> list[int]:
        """Positions of the templates that the UAV table lists: its videos and its stills."""
        chosen: list[int] = []
        for line, file in _probe_files(path):
            if file not in self.first_subject:
                raise _unknown_file(path, line, file)
            if _is_video(file):
                chosen.extend(self.by_video[file])
            else:
                chosen.append(self.add(self.first_subject[file], (file,)))
        return chosen

    def gallery(self, path: Path, kind: str) -> list[int]:
        """Positions of a gallery's templates; `kind` is single, booking or surveillance."""
        _require_header(path, column=1)
        lines: dict[tuple[int, str], int] = {}
        columns = ("template", "subject id", "file")
        for line, fields in read_fields(
            path, columns=columns, delimiter=",", more=True, header=True
        ):
            subject = whole_number(fields[1], path=path, line=line, name="subject id")
            file = text_of(fields[2], path=path, line=line, name="file")
            # Video galleries may list a pair more than once; published code takes the set.
            if lines.setdefault((subject, file), line) != line and kind != "surveillance":
                raise format_error(
                    path,
                    line,
                    f"{file!r} of subject {subject} is listed already in line "
                    f"{lines[subject, file]}. Remove one of the lines.",
                )
            if kind == "surveillance" and (subject, file) not in self.video_template:
                raise format_error(
                    path,
                    line,
                    f"cs6_metadata.csv has no face of subject {subject} in {file!r}. "
                    f"Take all tables from one copy.",
                )
        if kind == "surveillance":
            return [self.video_template[pair] for pair in lines]
        if kind == "single":
            return [self.add(subject, (file,)) for subject, file in lines]
        stills: dict[int, list[str]] = {}
        for subject, file in lines:
            stills.setdefault(subject, []).append(file)
        return [self.add(subject, tuple(files)) for subject, files in stills.items()]


def _probe_files(path: Path) -> list[tuple[int, str]]:
    line, first = next(read_lines(path))
    if first.startswith((b"videos/", b"img/")):
        raise format_error(path, line, "expected a header, got a file. Restore the header.")
    lines: dict[str, int] = {}
    for line, fields in read_fields(path, columns=("file",), delimiter=",", header=True):
        file = text_of(fields[0], path=path, line=line, name="file")
        if lines.setdefault(file, line) != line:
            raise format_error(
                path,
                line,
                f"{file!r} is listed already in line {lines[file]}. Remove one of the lines.",
            )
    return [(line, file) for file, line in lines.items()]


def _require_header(path: Path, *, column: int) -> None:
    line, first = next(read_lines(path))
    fields = first.split(b",")
    if len(fields) > column and fields[column].strip().isdigit():
        raise format_error(
            path, line, "expected a header, got a line with a subject id. Restore the header."
        )


def _unknown_file(path: Path, line: int, file: str) -> FileFormatError:
    return format_error(
        path,
        line,
        f"cs6_metadata.csv has no face in {file!r}. Take all tables from one copy.",
    )


def _is_video(file: str) -> bool:
    return file.startswith("videos")
