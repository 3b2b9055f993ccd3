"""IJB-S (surveillance): six searches of video templates in galleries of stills or videos.

The data set is under licence and never part of this package; `read_ijb_s` reads the protocol
tables of a copy that the user has, and `assign_faces` says which of the user's face crops belong
to which template. One folder holds

    cs6_metadata.csv                       a header, then per face box: subject id, file, ...
    cs6_surveillance_to_single-booking_probe.csv, cs6_surveillance_to_surveillance_probe.csv,
    cs6_uav_to_single-booking_probe.csv    a header, then one file per line
    galleries/cs6_surveillance_to_{single,booking,surveillance}_{g1,g2}.csv
                                           a header, then: any, subject id, file, ...

where a file is `videos/4012.mp4` or a still such as `img/12.jpg`. Not verified against the
distributed files: the words in the headers (passed over here), the columns after those named, and
that no still or probe is listed twice.

Templates are formed as in the published evaluations: one per subject and video; in the single
galleries one per line; in the booking galleries all stills of a subject together; the multi-view
probes join all videos of each subject that occurs in the surveillance probes, the videos of the
galleries and those outside the probe list among them. A UAV still stands for the first subject
that the metadata name for it. Templates come in the order of the files, so two readers number them
alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from probefusion.checks import check_length, read_only
from probefusion.errors import DtypeError, InvalidInputError, UnknownNameError
from probefusion.protocols.ijb_s_tables import IjbsTables
from probefusion.protocols.templates import (
    IdentificationTask,
    Int32Array,
    LabelledTemplates,
    TemplateIndex,
)
from probefusion.protocols.text_tables import MAX_INTEGER, require_paths

__all__ = [
    "IJB_S_TASKS",
    "FaceAssignment",
    "IjbS",
    "parse_face_paths",
    "read_ijb_s",
]

IJB_S_TASKS: dict[str, tuple[str, str]] = {
    "surveillance_to_single": ("surveillance_for_stills", "single"),
    "surveillance_to_booking": ("surveillance_for_stills", "booking"),
    "multiview_surveillance_to_booking": ("multiview", "booking"),
    "surveillance_to_surveillance": ("surveillance_for_videos", "surveillance"),
    "uav_surveillance_to_single": ("uav", "single"),
    "uav_surveillance_to_booking": ("uav", "booking"),
}
"""Each search with the name of its probes and of its galleries (g1 and g2 of that name).

Published tables give the first four and the UAV search in the booking galleries; the probe table's
name promises the UAV search in the single galleries too."""

_LAYOUT = """  protocols/  (IJB-S)
    cs6_metadata.csv
    cs6_surveillance_to_single-booking_probe.csv
    cs6_surveillance_to_surveillance_probe.csv
    cs6_uav_to_single-booking_probe.csv
    galleries/cs6_surveillance_to_single_g1.csv, ..._g2.csv
    galleries/cs6_surveillance_to_booking_g1.csv, ..._g2.csv
    galleries/cs6_surveillance_to_surveillance_g1.csv, ..._g2.csv"""

_PROBE_TABLES = {
    "surveillance_for_stills": "cs6_surveillance_to_single-booking_probe.csv",
    "surveillance_for_videos": "cs6_surveillance_to_surveillance_probe.csv",
    "uav": "cs6_uav_to_single-booking_probe.csv",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceAssignment:
    """Which face crops make up each template of IJB-S.

    Args:
        templates: One entry per template of the protocol, in its order; `template_ids` are the
            positions 0, 1, ... and media ids number the files.
        failures_to_acquire: (F,) int32, positions of templates that no face crop belongs to. They
            are counted and scored as misses; the published evaluation gives them a zero vector
            (`media_mean_then_sum_ragged(..., empty="zero")`) and so scores them all the same.
        unassigned: (U,) int32, rows of face crops that belong to no template.
    """

    templates: TemplateIndex
    failures_to_acquire: Int32Array
    unassigned: Int32Array


@dataclass(frozen=True, kw_only=True, eq=False)
class IjbS:
    """The templates of IJB-S and the six searches over them.

    Args:
        subjects: (T,) int32, the subject of each template.
        files: T tuples, the videos or stills that each template is made of.
        tasks: The searches, by the names of `IJB_S_TASKS`.
    """

    subjects: Int32Array
    files: tuple[tuple[str, ...], ...]
    tasks: Mapping[str, IdentificationTask]

    @property
    def num_templates(self) -> int:
        """T, how many templates there are, those of galleries included."""
        return len(self.files)

    def task(self, name: str) -> IdentificationTask:
        """The search of that name.

        Raises:
            UnknownNameError: If there is none.
        """
        if name not in self.tasks:
            raise UnknownNameError("IJB-S task", name, self.tasks)
        return self.tasks[name]

    def assign_faces(self, subjects: npt.ArrayLike, files: Sequence[str]) -> FaceAssignment:
        """Says which face crops make up each template.

        Args:
            subjects: (N,) integers, the subject that each face crop shows.
            files: N texts, the video or still it was cut from, as in the tables
                (`videos/4012.mp4`) or as `parse_face_paths` gives them (`videos_4012`).

        Returns:
            The crops of each template in the order given, file by file.

        Raises:
            ShapeError, DtypeError: For subjects that are no (N,) integers.
        """
        people = np.asarray(subjects)
        if people.ndim != 1 or (people.size and people.dtype.kind not in "iu"):
            raise DtypeError(
                f"subjects: expected one integer per face crop, got shape {people.shape} and "
                f"{people.dtype}."
            )
        check_length(files, len(people), name="files")
        crops: dict[tuple[int, str], list[int]] = {}
        for row, (subject, file) in enumerate(zip(people.tolist(), files, strict=True)):
            crops.setdefault((subject, _medium(file)), []).append(row)
        media: dict[str, int] = {}
        rows: list[int] = []
        media_ids: list[int] = []
        offsets = [0]
        used: set[tuple[int, str]] = set()
        for subject, names in zip(self.subjects.tolist(), self.files, strict=True):
            for name in names:
                key = (subject, _medium(name))
                found = crops.get(key, [])
                used.add(key)
                rows.extend(found)
                media_ids.extend([media.setdefault(key[1], len(media))] * len(found))
            offsets.append(len(rows))
        templates = TemplateIndex(
            template_ids=np.arange(self.num_templates, dtype=np.int32),
            offsets=np.array(offsets),
            rows=np.array(rows, dtype=np.int32),
            media_ids=np.array(media_ids, dtype=np.int32),
        )
        stray = sorted(row for key, found in crops.items() if key not in used for row in found)
        return FaceAssignment(
            templates=templates,
            failures_to_acquire=read_only(templates.empty),
            unassigned=read_only(np.array(stray, dtype=np.int32)),
        )


def parse_face_paths(paths: Iterable[str]) -> tuple[Int32Array, list[str]]:
    """Reads subject and medium off the names that published IJB-S evaluations give face crops.

    These are `<subject id>/videos_<number>_<anything>.jpg` for a frame of a video and
    `<subject id>/img_<number>.jpg` for a still, below any folder. Not verified against the crops
    that others have made: if yours are named otherwise, give `assign_faces` the columns yourself.

    Args:
        paths: Paths with `/`.

    Returns:
        ((N,) int32 subjects, N media such as `videos_4012`), for `IjbS.assign_faces`.

    Raises:
        InvalidInputError: For a path of another form, naming its position.

    Example:
        >>> parse_face_paths(["aligned/17/videos_4012_00031.jpg", "aligned/17/img_5.jpg"])
        (array([17, 17], dtype=int32), ['videos_4012', 'img_5'])
    """
    subjects: list[int] = []
    media: list[str] = []
    for position, text in enumerate(paths):
        path = PurePosixPath(text)
        subject, stem = path.parent.name, path.stem
        parts = stem.split("_")
        is_video = parts[0] == "videos" and len(parts) >= 3
        is_still = parts[0] == "img" and len(parts) >= 2
        is_subject = subject.isascii() and subject.isdigit() and len(subject) < 19
        if not (is_subject and int(subject) <= MAX_INTEGER and (is_video or is_still)):
            raise InvalidInputError(
                f"paths {position}: expected <subject id>/videos_<number>_<frame>.jpg or "
                f"<subject id>/img_<number>.jpg, got {text!r}. Rename it, or give assign_faces the "
                f"subjects and files yourself."
            )
        subjects.append(int(subject))
        media.append("_".join(parts[:2]) if is_video else stem)
    return np.array(subjects, dtype=np.int32), media


def read_ijb_s(folder: str | Path, *, check_counts: bool = True) -> IjbS:
    """Reads the protocol tables of IJB-S.

    Args:
        folder: The folder with `cs6_metadata.csv` and `galleries`.
        check_counts: Whether there must be 398 videos and 3,852 pairs of subject and video.

    Returns:
        Templates and searches. The templates of subject and video come first, in the order of the
        metadata; then the multi-view probes, the UAV stills, the single and booking galleries.

    Raises:
        MissingFileError: If a table is missing; the message shows the layout.
        FileFormatError: With file and line, if a line has too few columns, an id is no whole
            number, the header is missing, a probe or a line of a single or booking gallery comes
            twice, or a table names a file that the metadata do not know; or if the counts are not
            the published ones.
    """
    folder = Path(folder)
    metadata = folder / "cs6_metadata.csv"
    galleries = {
        (kind, part): folder / "galleries" / f"cs6_surveillance_to_{kind}_{part}.csv"
        for kind in ("single", "booking", "surveillance")
        for part in ("g1", "g2")
    }
    probes = {name: folder / table for name, table in _PROBE_TABLES.items()}
    require_paths([metadata, *probes.values(), *galleries.values()], layout=_LAYOUT)

    builder = IjbsTables()
    builder.add_metadata(metadata)
    if check_counts:
        builder.check_counts(metadata)
    sets = {
        name: builder.video_probes(probes[name])
        for name in ("surveillance_for_stills", "surveillance_for_videos")
    }
    sets["multiview"] = builder.multiview_probes(sets["surveillance_for_videos"])
    sets["uav"] = builder.uav_probes(probes["uav"])
    sides = {key: builder.gallery(path, key[0]) for key, path in galleries.items()}
    subjects = np.array(builder.subjects, dtype=np.int32)

    def labelled(name: str, positions: list[int]) -> LabelledTemplates:
        chosen = np.array(positions, dtype=np.int32)
        return LabelledTemplates(name=name, templates=chosen, subjects=subjects[chosen])

    tasks = {
        name: IdentificationTask(
            name=name,
            probes=labelled(probe, sets[probe]),
            galleries=(
                labelled(f"{gallery}_g1", sides[gallery, "g1"]),
                labelled(f"{gallery}_g2", sides[gallery, "g2"]),
            ),
        )
        for name, (probe, gallery) in IJB_S_TASKS.items()
    }
    return IjbS(
        subjects=read_only(subjects), files=tuple(builder.files), tasks=MappingProxyType(tasks)
    )


def _medium(file: str) -> str:
    """`videos/4012.mp4` and `videos_4012` both as `videos_4012`."""
    stem, dot, ending = file.rpartition(".")
    return (stem if dot and "/" not in ending else file).replace("/", "_")
