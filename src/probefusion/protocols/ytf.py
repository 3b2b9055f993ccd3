"""YouTube Faces (YTF): 3,425 videos of 1,595 people, 5,000 pairs of videos in ten folds.

The videos are the user's own copy. `read_ytf` reads the table of pairs and lists the frames:

    splits.txt                             a header or none, then per line, separated by commas: split
                                           (1 to 10), number of the pair, first video, second
                                           video, 1 for the same person or 0
    aligned_images_DB/<person>/<number>/aligned_detect_<number>.<frame>.jpg

A video is named `<person>/<number>`. The columns of `splits.txt` are those that public evaluation
code relies on; not verified against the distributed file: the words of its header, whether columns
follow, and that no pair comes twice. A corrected table (`splits_corrected.txt`) has been
published beside the first one; a report must name the one it used. Labels are taken as they stand,
for the corrected table knows videos that lie in another person's folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.checks import read_only
from probefusion.errors import FileFormatError
from probefusion.protocols.templates import TemplateIndex, VerificationPairs
from probefusion.protocols.text_tables import (
    format_error,
    read_fields,
    read_lines,
    require_paths,
    text_of,
    whole_number,
)

__all__ = ["NUM_FOLDS", "NUM_VIDEOS", "PAIRS_PER_FOLD", "Ytf", "read_ytf"]

NUM_VIDEOS = 3425
"""Videos in a complete copy."""

NUM_FOLDS = 10
"""Folds of the cross-validation, numbered from 1."""

PAIRS_PER_FOLD = 250
"""Mated pairs per fold; as many are non-mated."""

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
_PAIR = re.compile(rb"^\W*[\d.]+\W*[,;\t]|[,;\t]\W*[\d.]+\W*$")
"""A line whose first or last field is a number is a pair, if a spoilt one; no header has one."""
_COLUMNS = ("split", "pair", "first video", "second video", "same")


@dataclass(frozen=True, kw_only=True, eq=False)
class Ytf:
    """The videos of YTF, their frames and the pairs to compare.

    Args:
        folder: The folder with a folder per person.
        videos: (V,) text, `<person>/<number>`, sorted by person and then by number.
        frame_names: (F,) text, file names in the video's folder, video after video, each in the
            order of its frame numbers.
        frames: One template per video, in the order of `videos`; `template_ids` are the positions
            0, 1, ... and rows point into `frame_names`. A video without frames is an empty
            template, a failure to acquire.
        pairs: Pairs of positions in `videos`, with the fold of each.

    The arrays are views marked read-only.
    """

    folder: Path
    videos: npt.NDArray[np.str_]
    frame_names: npt.NDArray[np.str_]
    frames: TemplateIndex
    pairs: VerificationPairs


def read_ytf(
    root: str | Path,
    *,
    splits: str = "splits.txt",
    images: str = "aligned_images_DB",
    allow_duplicates: bool = False,
    check_counts: bool = True,
) -> Ytf:
    """Reads videos, frames and pairs of YTF.

    Args:
        root: The folder that holds the table and the folder of images.
        splits: The table's path below `root`.
        images: The folder of images below `root`; file names must end in `.<frame>.jpg`.
        allow_duplicates: Whether a pair may be listed more than once with one label (each line is
            then kept). Two lines that disagree about a pair are always refused.
        check_counts: Whether there must be 3,425 videos and ten folds of 250 mated and 250
            non-mated pairs.

    Returns:
        The benchmark. Files that are no images are passed over; hidden ones too.

    Raises:
        MissingFileError: If the table or the folder is missing; the message shows the layout.
        FileFormatError: With file and line, if a line has fewer than
            five columns or another number than the line before, a field is no whole number, the
            split is 0, the label is neither 0 nor 1, a video has no folder or is paired with
            itself, or a pair comes twice in either order; if a frame's name has no number; or if
            the counts are not the published ones.
    """
    root = Path(root)
    table, folder = root / splits, root / images
    require_paths([table, folder], layout=_layout(splits, images))
    videos, names, offsets = _list_videos(folder)
    if not videos:
        raise FileFormatError(
            f"{str(folder)!r} holds no video. Expected layout:\n{_layout(splits, images)}"
        )
    positions_of = {video: position for position, video in enumerate(videos)}
    pairs = _read_pairs(table, positions_of, folder, allow_duplicates)
    if check_counts:
        _refuse_counts(len(videos), pairs, folder, table)
    sizes = np.diff(offsets)
    positions = np.arange(len(videos), dtype=np.int32)
    return Ytf(
        folder=folder,
        videos=read_only(np.array(videos)),
        frame_names=read_only(np.array(names, dtype=np.str_)),
        frames=TemplateIndex(
            template_ids=positions,
            offsets=np.array(offsets),
            rows=np.arange(len(names), dtype=np.int32),
            media_ids=np.repeat(positions, sizes),
        ),
        pairs=pairs,
    )


def _list_videos(folder: Path) -> tuple[list[str], list[str], list[int]]:
    videos: list[str] = []
    names: list[str] = []
    offsets = [0]
    for person in _folders(folder):
        for video in sorted(_folders(person), key=lambda path: (len(path.name), path.name)):
            videos.append(f"{person.name}/{video.name}")
            frames = [
                (_frame_number(path), path.name)
                for path in video.iterdir()
                if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
            ]
            names.extend(name for _, name in sorted(frames))
            offsets.append(len(names))
    return videos, names, offsets


def _folders(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith("."):
            yield path


def _frame_number(path: Path) -> int:
    number = path.stem.rpartition(".")[2]
    if not (number.isascii() and number.isdigit()):
        raise FileFormatError(
            f"{str(path)!r}: expected a frame named ...<number of the frame>{path.suffix}, for "
            f"instance aligned_detect_0.555.jpg. Rename it or remove it."
        )
    return int(number)


def _read_pairs(
    path: Path, videos: dict[str, int], folder: Path, allow_duplicates: bool
) -> VerificationPairs:
    _, top = next(read_lines(path))
    has_header = not _PAIR.search(top)  # copies without one are in circulation
    first: list[int] = []
    second: list[int] = []
    mated: list[bool] = []
    folds: list[int] = []
    seen: dict[tuple[int, int], tuple[int, int]] = {}
    width = 0
    for line, fields in read_fields(
        path, columns=_COLUMNS, delimiter=",", more=True, header=has_header
    ):
        width = width or len(fields)
        if len(fields) != width:
            raise format_error(
                path,
                line,
                f"expected {width} columns as in the lines before, got {len(fields)}. "
                f"Restore the line.",
            )
        fold, _, same = (
            whole_number(fields[column], path=path, line=line, name=_COLUMNS[column])
            for column in (0, 1, 4)
        )
        if fold < 1:
            raise format_error(path, line, "split: expected a number from 1, got 0.")
        if same > 1:
            raise format_error(path, line, f"same: expected 0 or 1, got {same}. Restore the line.")
        one, other = (
            _video(fields[column], videos, path, line, _COLUMNS[column], folder)
            for column in (2, 3)
        )
        if one == other:
            raise format_error(path, line, "a video is compared with itself. Restore the line.")
        pair = (min(one, other), max(one, other))
        before, label = seen.setdefault(pair, (line, same))
        if label != same:
            raise format_error(
                path, line, f"the same pair has the other label in line {before}. Restore the line."
            )
        if before != line and not allow_duplicates:
            raise format_error(
                path,
                line,
                f"the same pair is listed already in line {before}. Remove one of the lines; if "
                f"your copy is the official one, pass allow_duplicates=True.",
            )
        first.append(one)
        second.append(other)
        mated.append(bool(same))
        folds.append(fold)
    return VerificationPairs(
        first=np.array(first, dtype=np.int32),
        second=np.array(second, dtype=np.int32),
        mated=np.array(mated),
        folds=np.array(folds, dtype=np.int32),
    )


def _video(
    field: bytes, videos: dict[str, int], path: Path, line: int, name: str, folder: Path
) -> int:
    video = text_of(field, path=path, line=line, name=name).replace("\\", "/")
    if video not in videos:
        raise format_error(
            path,
            line,
            f"{name}: {video!r} has no folder in {str(folder)!r}. Unpack the images again.",
        )
    return videos[video]


def _refuse_counts(num_videos: int, pairs: VerificationPairs, folder: Path, table: Path) -> None:
    advice = "Download it again, or pass check_counts=False to use it as it is."
    if num_videos != NUM_VIDEOS:
        raise FileFormatError(
            f"{str(folder)!r}: expected {NUM_VIDEOS} videos, the published number of YTF, got "
            f"{num_videos}. {advice}"
        )
    folds = pairs.folds if pairs.folds is not None else np.zeros(len(pairs), dtype=np.int32)
    for fold in range(1, max(NUM_FOLDS, int(folds.max())) + 1):
        expected = PAIRS_PER_FOLD if fold <= NUM_FOLDS else 0
        inside = pairs.mated[folds == fold]
        got = (int(np.count_nonzero(inside)), int(np.count_nonzero(~inside)))
        if got != (expected, expected):
            raise FileFormatError(
                f"{table.name}: expected {expected} mated and {expected} non-mated pairs in split "
                f"{fold}, got {got[0]} and {got[1]}. {advice}"
            )


def _layout(splits: str, images: str) -> str:
    return (
        f"  root/  (YouTube Faces)\n"
        f"    {splits}   split, pair, first video, second video, same\n"
        f"    {images}/<person>/<number>/aligned_detect_<number>.<frame>.jpg"
    )
