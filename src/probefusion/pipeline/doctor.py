"""What is wrong with an embedding pipeline: its images, its embedder's settings, its network, its stored embeddings."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from probefusion.embedders import CropQuality, OnnxEmbedder, inspect_embedder
from probefusion.embedders.face_views import Crops, FaceViews, unit_rows
from probefusion.embedders.feeding_faults import check_feeding
from probefusion.embedders.guess import MIN_FACES
from probefusion.embedders.network_faults import NetworkCheck, check_network
from probefusion.pipeline.alignment_check import Paths, median_offset
from probefusion.pipeline.crops_to_examine import (
    ExaminedImages,
    read_images_to_examine,
    sized,
)
from probefusion.pipeline.doctor_store import compare_store
from probefusion.reports.embedder_findings import (
    feeding_findings,
    network_findings,
    store_finding,
)
from probefusion.reports.findings import CHECKS, Finding, unseen
from probefusion.reports.image_findings import (
    alignment_finding,
    crop_findings,
    faces_finding,
    mirror_finding,
)
from probefusion.screening.crop_faults import CropCheck, blank_rows, check_crops
from probefusion.zoo import DEFAULT_EMBEDDER, load_detector, resolve_embedder

if TYPE_CHECKING:
    from probefusion.faces import Detector, SkippedImage

__all__ = ["Diagnosis", "Finding", "diagnose", "image_findings"]

StrPath = str | os.PathLike[str]

_SIDE = 112
_FEW = 4
_SPOILT = 0.05
"""Where neighbours change an embedding by more than this, its settings cannot be judged."""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What was found.

    Args:
        findings: Each check's, in a fixed order.
        embedder: Fingerprint of the embedder.
        num_images: Images that were looked at.
        num_people: People that folders tell, or None.
        separation: Mean similarity (cosine) of mates and of non-mates, as the embedder is set, or None where
            folders tell no mates.
        skipped: Images that could not be used, and why.
    """

    findings: tuple[Finding, ...]
    embedder: str
    num_images: int
    num_people: int | None
    separation: tuple[float, float] | None
    skipped: tuple[SkippedImage, ...] = ()

    @property
    def faults(self) -> tuple[Finding, ...]:
        """The findings that are faults."""
        return tuple(finding for finding in self.findings if finding.status == "fault")

    def __str__(self) -> str:
        """The faults, a line each, or that there are none."""
        if not self.faults:
            return f"{self.num_images} images: no fault found"
        lines = [f"{finding.title}: {finding.evidence}. {finding.fix}" for finding in self.faults]
        return "\n".join([f"{self.num_images} images: {len(lines)} faults found", *lines])


def diagnose(
    images: Paths,
    embedder: StrPath | None = None,
    *,
    detector: StrPath | Detector | None = None,
    store: StrPath | None = None,
    preprocessing: str | None = None,
    norm_output: str | None = None,
    num_threads: int | None = None,
) -> Diagnosis:
    """Looks for the commonest faults of an embedding pipeline, on at most 64 of the images.

    Faults of images are told by the quality network of the package, and by a face detector where one was
    pulled; those of the embedder's settings by trying all usual ones on the same faces, after the
    images' own faults were undone. What these images cannot tell is said to be so.

    Args:
        images: Aligned crops: a folder, a zip archive, files; best a folder for each person, of 8 people at least. With
            a detector, photos.
        embedder: A known name or an ONNX file; None takes the one inside the package.
        detector: Name, file or detector that finds the faces in photos; None if the images are crops.
        store: File of embeddings that were made of the same images, in any format that `read_embeddings` reads. Rows
            belong to images by their names, without names by their order.
        preprocessing: How images go into an embedder that is not known ("arcface").
        norm_output: Output of it that holds the length of an embedding that it normalises; "" for none.
        num_threads: Threads to use; None for one per core.

    Raises:
        EmptySetError: If no image can be used.
        MissingFileError: If a file or folder does not exist.
        ConfigError: If the store's rows cannot be assigned to images.
        ProbeFusionError: As for `resolve_embedder`, `load_detector` and `read_embeddings`.
    """
    settings = {"preprocessing": preprocessing, "norm_output": norm_output}
    path, spec = resolve_embedder(
        DEFAULT_EMBEDDER if embedder is None else os.fspath(embedder), settings=settings
    )
    if isinstance(detector, str | os.PathLike):
        detector = load_detector(os.fspath(detector))
    examined = read_images_to_examine(images, detector)
    network = OnnxEmbedder(path, spec, num_threads=num_threads)
    facts = inspect_embedder(path, input_size=spec.input_size, search_taps=False)
    is_blank = blank_rows(examined.crops)
    shown = examined if is_blank.all() else examined[np.flatnonzero(~is_blank)]
    fed = network.prepare(sized(_that_differ(shown.crops[:_FEW]), spec.input_size))
    ran = check_network(path, facts, fed, norm_output=spec.norm_output)
    knows_cut = spec.input_size == _SIDE
    seen = check_crops(shown.crops, CropQuality(num_threads=num_threads), judges_cut=knows_cut)
    stored = None if store is None else compare_store(store, examined, network, path)
    findings = [
        faces_finding(seen, _names_of(examined, is_blank), len(examined.crops)),
        *image_findings(shown, seen, detector, knows_cut=knows_cut),
        mirror_finding(None if stored is None else stored[0]),
        *_feeding(path, network, shown, seen, ran, num_threads),
        *network_findings(ran),
    ]
    if stored is not None:
        findings.append(store_finding(stored[0], made_by=stored[1], embedder=spec.fingerprint))
    return Diagnosis(
        findings=tuple(sorted(findings, key=lambda finding: list(CHECKS).index(finding.check))),
        embedder=spec.fingerprint,
        num_images=len(examined.crops),
        num_people=None if examined.people is None else len(set(examined.people)),
        separation=_separation(network, shown),
        skipped=examined.skipped,
    )


def image_findings(
    examined: ExaminedImages, seen: CropCheck, detector: Detector | None, *, knows_cut: bool = True
) -> list[Finding]:
    """What the images show without any embedder.

    Args:
        examined: The images.
        seen: What the quality network says of them.
        detector: What found the faces in photos, or None for crops.
        knows_cut: Whether they are to be cut as ArcFace's crops.
    """
    return [
        *examined.findings,
        *crop_findings(seen, len(examined.crops), knows_cut=knows_cut),
        _alignment(examined, seen, knows_cut=knows_cut, detector=detector),
    ]


def _names_of(examined: ExaminedImages, rows: npt.NDArray[np.bool_]) -> list[str]:
    return [examined.names[row] for row in np.flatnonzero(rows)]


def _that_differ(crops: Crops) -> Crops:
    """Images of which none is another's copy; where there is but one, its negative and noise come to it."""
    crops = crops[np.sort(np.unique(crops, axis=0, return_index=True)[1])]
    if len(crops) > 1:
        return crops
    noise = np.random.default_rng(0).integers(0, 256, crops.shape).astype(np.uint8)
    return np.concatenate([crops, 255 - crops, noise])


def _alignment(
    examined: ExaminedImages, seen: CropCheck, *, knows_cut: bool, detector: Detector | None
) -> Finding:
    if not knows_cut:
        reason = (
            "the embedder takes crops of another size than 112x112, which are aligned otherwise"
        )
        return unseen(("alignment",), reason)[0]
    offset = None
    if len(seen.corrected) >= MIN_FACES:
        offset = median_offset(seen.corrected, detector)
    return alignment_finding(seen, examined.sizes, offset=offset, odd_sizes=detector is None)


def _feeding(
    path: Path,
    network: OnnxEmbedder,
    examined: ExaminedImages,
    seen: CropCheck,
    ran: NetworkCheck,
    num_threads: int | None,
) -> list[Finding]:
    checks = ("channel-order", "scaling", "normalised-twice")
    is_spoilt = ran.neighbours_differ is not None and ran.neighbours_differ > _SPOILT
    if ran.is_random or ran.uses_batch_statistics or is_spoilt:
        return unseen(checks, "the network itself is at fault; mend that first")
    if len(examined.crops) < MIN_FACES:
        return unseen(
            checks, f"needs {MIN_FACES} images of different people, got {len(examined.crops)}"
        )
    if not seen.shows_faces:
        return unseen(checks, "hardly a face is seen in these images")
    spec = network.spec
    facts = inspect_embedder(path, input_size=spec.input_size, search_taps=False)
    facts = replace(facts, norm_output=spec.norm_output)
    views = FaceViews(path, facts, seen.corrected, dim=spec.dim, num_threads=num_threads)
    check = check_feeding(views, spec, people=examined.people)
    return feeding_findings(check, is_grey=seen.is_grey, network=ran)


def _separation(network: OnnxEmbedder, examined: ExaminedImages) -> tuple[float, float] | None:
    """Mean similarity of mates and of non-mates, where there are both."""
    if examined.people is None:
        return None
    people = np.array(examined.people)
    units = unit_rows(network.embed(sized(examined.crops, network.spec.input_size))[0])
    cosines = units @ units.T
    is_pair = np.triu(np.ones(cosines.shape, bool), 1)
    is_mated = people[:, None] == people[None]
    mated, non_mated = cosines[is_pair & is_mated], cosines[is_pair & ~is_mated]
    if not (len(mated) and len(non_mated)):
        return None
    return float(mated.mean()), float(non_mated.mean())
