"""The demonstration: bundled real embeddings through every bundled fuser, measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from probefusion.errors import UnknownNameError
from probefusion.evaluation.probe_data import ProbeData
from probefusion.evaluation.sweep import SweepPoint, sweep
from probefusion.files import bundled_folder
from probefusion.fusion import Fuser, MeanFuser
from probefusion.types import FloatArray
from probefusion.zoo import load_fuser

__all__ = ["DEMO_FUSERS", "DemoResult", "PersonView", "demo_data", "run_demo", "view_person"]

DEMO_FUSERS = ("mean", "norm-weighted", "exact-fast", "exact-embedding", "exact")
SET_SIZES = (1, 2, 4, 8, 16, 32)
FALSE_ACCEPT_RATES = (1e-4, 1e-3, 1e-2)


@dataclass(frozen=True, kw_only=True, eq=False)
class DemoResult:
    """What the demonstration measured.

    Args:
        points: TAR and rank 1 of every fuser at every set size.
        person: One person's probe set seen by one fuser.
        num_people: People with probe sets.
        num_gallery: Entries of the gallery.
        set_size: Images in a probe set.
        fuser: Name of the fuser that `person` shows.
        embedder: Fingerprint of the embedder of all images.
    """

    points: tuple[SweepPoint, ...]
    person: PersonView
    num_people: int
    num_gallery: int
    set_size: int
    fuser: str
    embedder: str | None = None

    @property
    def title(self) -> str:
        """What was measured, in a line."""
        return (
            f"{self.num_people} unseen people, degraded probes, {self.num_gallery} gallery entries"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class PersonView:
    """One person's probe set seen by one fuser.

    Args:
        subject_id: Who.
        similarities: (K,) cosine of each image, alone, with the person's gallery template.
        weights: (K,) share of each image in the fused template.
        fused_similarity: Cosine of the fused template with the gallery template.
        mean_similarity: Cosine of the mean of the unit embeddings with the gallery mean template.
        severities: (K,) known degradation.
    """

    subject_id: str
    similarities: FloatArray
    weights: FloatArray
    fused_similarity: float
    mean_similarity: float
    severities: FloatArray


def demo_data() -> ProbeData:
    """The bundled embeddings of held-out people."""
    return ProbeData.load(bundled_folder() / "demo_probes.npz")


def view_person(data: ProbeData, fuser: Fuser, subject_id: str | None = None) -> PersonView:
    """How a fuser weights the images of one person's first probe set.

    Args:
        data: Embedded gallery and probes.
        fuser: The fuser.
        subject_id: Who; None takes the first person of the data.

    Raises:
        UnknownNameError: If there is no such person among the probes.
    """
    subject = str(data.probe_subjects[0]) if subject_id is None else subject_id
    if subject not in data.probe_subjects:
        raise UnknownNameError("person", subject, np.unique(data.probe_subjects).tolist())
    index = int(np.flatnonzero(data.probe_subjects == subject)[0])
    size = data.set_size
    images = data.probes[index * size : (index + 1) * size]
    entry = int(np.flatnonzero(data.gallery_subjects == subject)[0])
    gallery = data.gallery[entry : entry + 1]
    template, mean = fuser.fuse(images), MeanFuser()
    own = fuser.fuse(gallery)
    if template.weights is None:
        raise TypeError("Fuser.fuse gives weights")
    alone = fuser.fuse_many(images, np.arange(size + 1))
    return PersonView(
        subject_id=subject,
        similarities=alone @ own.vector,
        weights=template.weights,
        fused_similarity=template.similarity(own),
        mean_similarity=mean.fuse(images).similarity(mean.fuse(gallery)),
        severities=data.severities[index],
    )


def run_demo(subject_id: str | None = None) -> DemoResult:
    """Evaluates the demonstration fusers on the bundled data.

    Args:
        subject_id: Whose probe to look at; None takes the first person.

    Returns:
        TAR and rank 1 of every fuser at every set size, and one person's probe seen by the last fuser.

    Raises:
        UnknownNameError: If there is no such person.
    """
    data = demo_data()
    fusers = [load_fuser(name, embedder=data.gallery.embedder) for name in DEMO_FUSERS]
    return DemoResult(
        person=view_person(data, fusers[-1], subject_id),
        points=tuple(
            sweep(
                data,
                fusers,
                set_sizes=SET_SIZES,
                false_accept_rates=FALSE_ACCEPT_RATES,
                max_blocks=4,
            )
        ),
        num_people=len(np.unique(data.probe_subjects)),
        embedder=data.gallery.embedder,
        num_gallery=data.gallery.num_images,
        set_size=data.set_size,
        fuser=fusers[-1].name,
    )
