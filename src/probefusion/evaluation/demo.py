"""The demonstration: bundled real embeddings through every bundled fuser, as a table and plots."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from probefusion.errors import UnknownNameError
from probefusion.evaluation.plots import plot_person, plot_sweep
from probefusion.evaluation.probe_data import ProbeData
from probefusion.evaluation.sweep import SweepPoint, sweep
from probefusion.fusion import Fuser, MeanFuser, load_fuser
from probefusion.types import FloatArray

__all__ = ["DEMO_FUSERS", "PersonView", "demo_data", "run_demo", "view_person"]

DEMO_FUSERS = ("mean", "norm-weighted", "official", "exact")
SET_SIZES = (1, 2, 4, 8, 16, 32)
FALSE_ACCEPT_RATES = (1e-4, 1e-3, 1e-2)


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
    return ProbeData.load(Path(str(files("probefusion"))) / "weights" / "demo_probes.npz")


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


def run_demo(
    output: str | Path, *, subject_id: str | None = None, force: bool = False
) -> list[SweepPoint]:
    """Evaluates the demonstration fusers on the bundled data and draws two pictures.

    Args:
        output: Folder for `sweep.png` and `person.png`; made if missing.
        subject_id: Whose probe to draw; None takes the first person.
        force: Whether existing pictures may be replaced.

    Returns:
        TAR and rank 1 of every fuser at every set size.

    Raises:
        OutputExistsError: If a picture exists and `force` is False.
        MissingExtraError: If matplotlib is not installed.
    """
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    data = demo_data()
    fusers = [load_fuser(name, embedder=data.gallery.embedder) for name in DEMO_FUSERS]
    view = view_person(data, fusers[-1], subject_id)
    points = sweep(
        data, fusers, set_sizes=SET_SIZES, false_accept_rates=FALSE_ACCEPT_RATES, max_blocks=4
    )
    people = len(np.unique(data.probe_subjects))
    plot_sweep(
        points,
        output / "sweep.png",
        title=f"{people} unseen people, degraded probes, {data.gallery.num_images} gallery entries",
        force=force,
    )
    plot_person(
        view.similarities,
        view.weights,
        view.fused_similarity,
        view.mean_similarity,
        output / "person.png",
        title=f"One person's {data.set_size} probe images, weighted by {fusers[-1].name}",
        severities=view.severities,
        force=force,
    )
    return points
