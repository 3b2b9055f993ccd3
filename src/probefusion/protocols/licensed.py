"""The licensed benchmarks as one thing: image rows, templates over them, pairs and searches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError, UnknownNameError
from probefusion.faces.align import align_face
from probefusion.faces.cropping import crop_largest_face
from probefusion.faces.face import Detector
from probefusion.faces.images import decode_image, list_images, read_crop
from probefusion.protocols import (
    IdentificationTask,
    LabelledTemplates,
    TemplateIndex,
    VerificationPairs,
    read_ijb_identification,
    read_ijb_pairs,
    read_ijb_s,
    read_ijb_set,
    read_tinyface,
    read_ytf,
)
from probefusion.protocols.ijb_s import parse_face_paths

__all__ = ["BENCHMARKS", "Benchmark", "open_benchmark"]

BENCHMARKS = ("ijbb", "ijbc", "ijbs", "tinyface", "ytf")

Crop = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class Benchmark:
    """A benchmark ready to be embedded.

    Args:
        name: One of `BENCHMARKS`.
        row_names: Name of each image row, relative to the data.
        row_order: Where that order comes from, in words.
        row_paths: Where each image lies.
        read_row: Gives the aligned crop of a row, or None where no face is found that can be aligned.
        templates: Which rows and media make up each template.
        pairs: One-to-one comparisons, or None.
        searches: One-to-many searches, possibly none.
        joins_galleries: Whether the galleries of a search are also searched as one for closed-set ranks.
        facts: What was read, for the report.
        ranks_among: What ranks count: "subjects", or "templates" of the gallery.
        detector_scores: (R,) the detector's score of each row's face, where the benchmark has one.
        found_by: What finds the faces in the images, "" where they are aligned or the benchmark says where
            they are. Crops found by one detector are not taken for those of another.
        takes_crops: Whether the images are taken for aligned crops as they are.
        template_names: Name of each template where they have other names than their ids.
        person_of: Who is shown by each template, "" where that is not known; () for what the searches say.
    """

    name: str
    row_names: Sequence[str]
    row_order: str
    row_paths: Sequence[Path]
    read_row: Callable[[int], Crop | None]
    templates: TemplateIndex
    pairs: VerificationPairs | None
    searches: tuple[IdentificationTask, ...]
    joins_galleries: bool
    facts: dict[str, Any]
    ranks_among: Literal["subjects", "templates"] = "subjects"
    detector_scores: npt.NDArray[np.float32] | None = None
    found_by: str = ""
    takes_crops: bool = False
    template_names: Sequence[str] = ()
    person_of: Sequence[str] = ()


def open_benchmark(
    name: str,
    root: str | Path,
    *,
    images: str | Path | None = None,
    detector: Detector | None = None,
    check_counts: bool = True,
    check_images: bool = True,
    row_names: Sequence[str] | None = None,
) -> Benchmark:
    """Reads a benchmark from the user's own copy.

    Args:
        name: "ijbb", "ijbc" (faces aligned by the landmarks of the meta files), "ijbs" (face crops in
            `images`), "tinyface" or "ytf" (faces found by `detector`; without one the images must be
            aligned square crops).
        root: Folder of the benchmark; its layout stands in each reader's docstring.
        images: Folder of aligned face crops, for "ijbs".
        detector: Finds faces in the images of "tinyface" and "ytf".
        check_counts: Whether the numbers must be the published ones.
        check_images: Whether every image must be there; False for work on embeddings made before.
        row_names: Names of the face crops of "ijbs" where the images themselves are not there.

    The order of the rows, which embeddings made elsewhere must follow, is for "ijbb" and "ijbc" that
    of the lines of `meta/NAME_name_5pts_score.txt` (the loose-crop list, as in InsightFace's helper);
    for "ijbs" that of `row_names`, else of the crops in `images` sorted by path; for "tinyface" the
    gallery table, then the distractors sorted by path, then the probe table; for "ytf" the videos
    sorted by person and number, the frames of each by frame number.

    Raises:
        UnknownNameError: For another benchmark.
        ConfigError: If both `images` and `row_names` are missing for "ijbs".
        MissingFileError, FileFormatError: As the readers.
    """
    openers: dict[str, Callable[[], Benchmark]] = {
        "ijbb": lambda: _open_ijb("ijbb", Path(root), check_counts, check_images),
        "ijbc": lambda: _open_ijb("ijbc", Path(root), check_counts, check_images),
        "ijbs": lambda: _open_ijb_s(Path(root), images, row_names, check_counts),
        "tinyface": lambda: _open_tinyface(Path(root), detector, check_counts, check_images),
        "ytf": lambda: _open_ytf(Path(root), detector, check_counts),
    }
    if name not in openers:
        raise UnknownNameError("protocol", name, openers)
    return openers[name]()


def _open_ijb(dataset: Any, root: Path, check_counts: bool, check_images: bool) -> Benchmark:
    data = read_ijb_set(root, dataset=dataset, check_counts=check_counts, check_images=check_images)
    paths = [data.image_path(row) for row in range(data.num_images)]

    def read_row(row: int) -> Crop:
        path = paths[row]
        image = decode_image(path.read_bytes(), source=str(path))
        return align_face(image, data.landmarks[row], check_order=False)

    return Benchmark(
        name=dataset,
        row_names=data.image_names.tolist(),
        row_order=f"the lines of meta/{dataset}_name_5pts_score.txt",
        row_paths=paths,
        read_row=read_row,
        templates=data.templates,
        pairs=read_ijb_pairs(
            root, dataset=dataset, templates=data.templates, check_counts=check_counts
        ),
        searches=(read_ijb_identification(root, dataset=dataset, templates=data.templates),),
        joins_galleries=False,
        facts={"num_images": data.num_images, "num_templates": len(data.templates)},
        detector_scores=data.detector_scores,
    )


def _open_ijb_s(
    root: Path,
    images: str | Path | None,
    row_names: Sequence[str] | None,
    check_counts: bool,
) -> Benchmark:
    if images is None and row_names is None:
        raise ConfigError(
            "images: IJB-S needs the folder of aligned face crops, or embeddings in an .npz that names "
            "them. Give --images DIR."
        )
    data = read_ijb_s(root, check_counts=check_counts)
    num_skipped = 0
    if row_names is not None:
        names = list(row_names)
    else:
        found, skipped = list_images([str(images)])
        names, num_skipped = [source.name for source in found], len(skipped)
    subjects, media = parse_face_paths(names)
    assigned = data.assign_faces(subjects, media)
    paths = [Path(name) for name in names]

    return Benchmark(
        name="ijbs",
        row_names=names,
        row_order="the face crops, sorted by path"
        if row_names is None
        else "the names of the embeddings",
        row_paths=paths,
        read_row=lambda row: _read_face(paths[row], None),
        templates=assigned.templates,
        pairs=None,
        searches=tuple(data.tasks.values()),
        joins_galleries=True,
        takes_crops=True,
        facts={
            "num_images": len(names),
            "num_templates": data.num_templates,
            "failures_to_acquire": len(assigned.failures_to_acquire),
            "crops_of_no_template": len(assigned.unassigned),
            "skipped_files": num_skipped,
        },
    )


def _open_tinyface(
    root: Path, detector: Detector | None, check_counts: bool, check_images: bool
) -> Benchmark:
    data = read_tinyface(root, check_counts=check_counts, check_images=check_images)
    names = [*data.gallery_files.tolist(), *data.probe_files.tolist()]
    paths = [data.images / name for name in names]
    count, num_gallery = len(names), len(data.gallery_files)
    rows = np.arange(count, dtype=np.int32)
    search = IdentificationTask(
        name="tinyface",
        probes=LabelledTemplates(
            name="probe", templates=rows[num_gallery:], subjects=data.probe_subjects
        ),
        galleries=(
            LabelledTemplates(
                name="gallery", templates=rows[:num_gallery], subjects=data.gallery_subjects
            ),
        ),
    )
    return Benchmark(
        name="tinyface",
        row_names=names,
        row_order="the gallery table, the distractors sorted by path, the probe table",
        row_paths=paths,
        read_row=lambda row: _read_face(paths[row], detector),
        templates=TemplateIndex.from_columns(rows, rows),
        pairs=None,
        searches=(search,),
        joins_galleries=False,
        facts={
            "num_images": count,
            "num_distractors": data.num_distractors,
            "ranks": "places among the images of the gallery",
        },
        ranks_among="templates",
        found_by=_name_of(detector),
        takes_crops=detector is None,
    )


def _open_ytf(root: Path, detector: Detector | None, check_counts: bool) -> Benchmark:
    data = read_ytf(root, check_counts=check_counts)
    names = [""] * len(data.frames.rows)
    for video, folder in enumerate(data.videos.tolist()):
        for row in data.frames.rows_of(video).tolist():
            names[row] = f"{folder}/{data.frame_names[row]}"
    paths = [data.folder / name for name in names]
    return Benchmark(
        name="ytf",
        row_names=names,
        row_order="the videos sorted by person and number, the frames of each by number",
        row_paths=paths,
        read_row=lambda row: _read_face(paths[row], detector),
        templates=data.frames,
        pairs=data.pairs,
        searches=(),
        joins_galleries=False,
        facts={"num_images": len(names), "num_videos": len(data.videos)},
        template_names=data.videos.tolist(),
        person_of=[video.rpartition("/")[0] for video in data.videos.tolist()],
        found_by=_name_of(detector),
        takes_crops=detector is None,
    )


def _read_face(path: Path, detector: Detector | None) -> Crop | None:
    """The largest face of an image, aligned; the image itself where it is a crop already."""
    if detector is None:
        return read_crop(path.read_bytes(), source=str(path))
    image = decode_image(path.read_bytes(), source=str(path))
    found = crop_largest_face(image, detector, size=112)
    return None if isinstance(found, str) else found.crop


def _name_of(detector: Detector | None) -> str:
    if detector is None:
        return ""
    return str(getattr(detector, "fingerprint", type(detector).__qualname__))
