"""IJB-B and IJB-C in the layout of the InsightFace helper: images, templates, pairs, galleries.

The data sets are under licence and never part of this package; these functions read a copy that
the user has. Example lines of the three text files, columns separated by blanks:

    ijbb_face_tid_mid.txt         1.jpg 1 69544
    ijbb_name_5pts_score.txt      1.jpg 46.060 62.026 87.785 60.323 68.851 77.656 52.162 99.875
                                  86.450 98.648 0.999 (one line)
    ijbb_template_pair_label.txt  1 11065 1

The 1:N tables have the header TEMPLATE_ID,SUBJECT_ID,FILENAME,SIGHTING_ID,FACE_X,FACE_Y,FACE_WIDTH,
FACE_HEIGHT. Not verified against the distributed files: that no pair is listed twice, and the number of
pairs of IJB-C. What is refused can be let through by an argument; the message says which.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.checks import read_only
from probefusion.errors import FileFormatError
from probefusion.protocols.ijb_layout import PUBLISHED_COUNTS, IjbDataset, ijb_layout, refuse_count
from probefusion.protocols.templates import TemplateIndex
from probefusion.protocols.text_tables import (
    format_error,
    line_of_row,
    read_fields,
    real_numbers,
    require_paths,
    text_of,
    whole_number,
)
from probefusion.types import FloatArray

__all__ = ["IjbSet", "read_ijb_set"]

_POINTS = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class IjbSet:
    """The images of IJB-B or IJB-C and the templates they make up.

    Args:
        dataset: "ijbb" or "ijbc".
        root: The folder with `meta` and `loose_crop`.
        image_names: (N,) text, file names in `loose_crop`.
        landmarks: (N, 5, 2) float32, x and y in pixels of the loose crop: both eyes, the tip of the
            nose, both corners of the mouth.
        detector_scores: (N,) float32 >= 0, the detector's score of the face.
        templates: Which images and media make up each template.

    Row i of every array, and entry i of `templates.rows`, is line i of the files (from 0, blank
    lines not counted). The arrays are views marked read-only.
    """

    dataset: str
    root: Path
    image_names: npt.NDArray[np.str_]
    landmarks: FloatArray
    detector_scores: FloatArray
    templates: TemplateIndex

    @property
    def num_images(self) -> int:
        """N, how many images there are."""
        return len(self.image_names)

    def image_path(self, row: int) -> Path:
        """Where the image of a row lies."""
        return self.root / "loose_crop" / str(self.image_names[row])


def read_ijb_set(
    root: str | Path,
    *,
    dataset: IjbDataset,
    check_images: bool = True,
    check_counts: bool = True,
) -> IjbSet:
    """Reads which images there are, where their faces are and which templates they make up.

    Args:
        root: The folder with `meta` and `loose_crop`, `IJBB` or `IJBC` in the helper's copy.
        dataset: "ijbb" or "ijbc".
        check_images: Whether every image must lie in `loose_crop`. False is for work on embeddings
            that exist already, without the images.
        check_counts: Whether the numbers of images and templates must be the published ones.

    Returns:
        The images and templates, in the order of the files.

    Raises:
        UnknownNameError: For another data set.
        MissingFileError: If a file or `loose_crop` is missing; the message shows the layout.
        FileFormatError: With file and line, if a line has another number of columns, a field is no
            number, an image is listed twice, is not in `loose_crop`, or the two files do not name
            the same images in the same order; or if the counts are not the published ones.
    """
    root = Path(root)
    layout = ijb_layout(dataset)
    medium_path = root / "meta" / f"{dataset}_face_tid_mid.txt"
    point_path = root / "meta" / f"{dataset}_name_5pts_score.txt"
    folder = root / "loose_crop"
    require_paths([medium_path, point_path, *([folder] if check_images else [])], layout=layout)

    names, template_ids, media_ids = _read_media(medium_path)
    landmarks, scores = _read_points(point_path, names, medium_path)
    if check_images:
        _refuse_missing_images(names, folder, point_path)
    templates = TemplateIndex.from_columns(template_ids, media_ids)
    if check_counts:
        counts = PUBLISHED_COUNTS[dataset]
        refuse_count(len(names), counts.num_images, "images", dataset, medium_path)
        refuse_count(len(templates), counts.num_templates, "templates", dataset, medium_path)
    return IjbSet(
        dataset=dataset,
        root=root,
        image_names=read_only(np.array(names)),
        landmarks=read_only(landmarks),
        detector_scores=read_only(scores),
        templates=templates,
    )


def _read_media(path: Path) -> tuple[list[str], array[int], array[int]]:
    names: list[str] = []
    lines: dict[str, int] = {}
    template_ids, media_ids = array("i"), array("i")
    for line, fields in read_fields(path, columns=("image", "template id", "media id")):
        name = text_of(fields[0], path=path, line=line, name="image")
        if lines.setdefault(name, line) != line:
            raise format_error(
                path,
                line,
                f"image {name!r} is listed already in line {lines[name]}. Remove one of the lines.",
            )
        names.append(name)
        template_ids.append(whole_number(fields[1], path=path, line=line, name="template id"))
        media_ids.append(whole_number(fields[2], path=path, line=line, name="media id"))
    return names, template_ids, media_ids


def _read_points(path: Path, names: list[str], other: Path) -> tuple[FloatArray, FloatArray]:
    columns = ["image", *(f"{axis}{i}" for i in range(1, _POINTS + 1) for axis in "xy"), "score"]
    numbers = array("d")
    row = 0
    for line, fields in read_fields(path, columns=columns):
        name = text_of(fields[0], path=path, line=line, name="image")
        expected = names[row] if row < len(names) else None
        if name != expected:
            raise format_error(
                path,
                line,
                f"expected image {expected!r} as in {other.name}, got {name!r}. Both files must "
                f"name the same images in the same order; take both from one copy.",
            )
        numbers.extend(real_numbers(fields[1:], path=path, line=line, names=columns[1:]))
        row += 1
    if row < len(names):
        raise FileFormatError(
            f"{path.name} ends after {row} images, {other.name} has {len(names)}; image "
            f"{names[row]!r} is the first one missing. Take both files from one copy."
        )
    values = np.array(numbers).reshape(-1, len(columns) - 1).astype(np.float32)
    negative = values[:, -1] < 0
    if negative.any():
        first = int(np.argmax(negative))
        raise format_error(
            path,
            line_of_row(path, first),
            f"score: expected a number >= 0, got {values[first, -1]:.6g}. Restore the line.",
        )
    landmarks = values[:, :-1].reshape(-1, _POINTS, 2)
    return np.ascontiguousarray(landmarks), np.ascontiguousarray(values[:, -1])


def _refuse_missing_images(names: list[str], folder: Path, path: Path) -> None:
    present = {entry.name for entry in folder.iterdir()}
    missing = [row for row, name in enumerate(names) if name not in present]
    if missing:
        raise format_error(
            path,
            line_of_row(path, missing[0]),
            f"image {names[missing[0]]!r} is not in {str(folder)!r} ({len(missing)} of "
            f"{len(names)} images are missing). Unpack the images again, or pass "
            f"check_images=False to work without them.",
        )
