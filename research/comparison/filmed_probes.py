r"""Fusers on faces that are poor in another way than any they were trained on: filmed, coded, found again.

    python -m research.comparison.filmed_probes --images lfw112.zip --work WORK --fuser mean --fuser exact \
        -o research/reports/filmed

People, sets and severities are those of degraded-folder/v1, fold 3, mix 'hard'; what is done to an image is
`film`: a small face in three moving frames, light that changes by a power, photon noise, H.264, and an
alignment that is a little wrong. The protocol's own degradation shares the shrinking with it and little else.
WORK keeps the filmed crops, which are the same for every embedder.
"""

from __future__ import annotations

import argparse
import datetime
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from probefusion.embedders import Embedder
from probefusion.evaluation.probe_data import ProbeData
from probefusion.evaluation.scoring import pool_scores, score_probes
from probefusion.faces.images import read_crop
from probefusion.protocols import read_people
from probefusion.protocols.degraded_folder import DegradedFolderProtocol, People
from probefusion.types import EmbeddingSet
from probefusion.workers import available_threads, map_in_order
from probefusion.zoo import DEFAULT_EMBEDDER, load_embedder, load_fuser
from research.comparison.cross_fit import (
    CrossFitPlan,
    compare_pooled,
    judge,
    summarise,
)
from research.comparison.tables import differences_table, rates_table, verdict_facts

FOLD = 3
BLOCK = 256
SMALLEST_FACE = 14
MARGIN = (12, 8)
"""Pixels to the left of the face in the frame, and above it."""

Image = npt.NDArray[np.uint8]


def film(crop: Image, severity: float, rng: np.random.Generator) -> Image:
    """A crop as a camera far away would give it; severity as in `degrade`, 0 changes nothing."""
    if severity == 0:
        return crop.copy()
    draws = rng.random(12)
    signed = 2 * draws - 1
    side = round(112 * (SMALLEST_FACE / 112) ** (severity * (0.6 + 0.4 * draws[0])))
    light = _defocus(crop, 2.5 * severity * draws[1]) / 255.0
    light = 2 ** (severity * signed[2]) * light**2 ** (0.5 * severity * signed[3])
    posed = _moved(
        np.clip(light, 0, 1),
        zoom=2 ** (0.12 * severity * signed[4]),
        degrees=7 * severity * signed[5],
        shift=3.5 * severity * signed[6:8],
        size=(112, 112),
    )
    small = cv2.resize(posed, (side, side), interpolation=cv2.INTER_AREA)
    place = np.asarray(MARGIN) + rng.random(2)
    electrons = 4000 * (1 - 0.9 * severity * draws[10])
    frames = []
    for step in (-2, -1, 0):
        at = place + 1.5 * severity * signed[8:10] * step
        frame = _moved(small, shift=at, size=(side + 2 * MARGIN[0], side + 2 * MARGIN[1]))
        spread = np.sqrt(frame / electrons + (0.01 * severity) ** 2)
        noisy = frame + spread * rng.standard_normal(frame.shape)
        frames.append(np.clip(np.rint(255 * noisy), 0, 255).astype(np.uint8))
    last = _coded(frames, crf=round(20 + 18 * severity * draws[11]))[-1]
    found = place + 0.02 * severity * side * rng.standard_normal(2)
    scale = 112 / side
    matrix = np.array([[scale, 0, 0], [0, scale, 0]])
    matrix[:, 2] = (scale - 1) / 2 - scale * found
    aligned: Image = cv2.warpAffine(last, matrix, (112, 112), borderMode=cv2.BORDER_REPLICATE)
    return aligned


def _defocus(crop: Image, radius: float) -> Image:
    if radius <= 0.5:
        return crop
    reach = math.ceil(radius)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(rows, columns), 0, 1)
    blurred: Image = cv2.filter2D(crop, -1, disc / disc.sum())
    return blurred


def _moved(
    image: npt.NDArray[Any],
    *,
    shift: npt.NDArray[np.float64],
    size: tuple[int, int],
    zoom: float = 1.0,
    degrees: float = 0.0,
) -> npt.NDArray[np.float32]:
    centre = ((image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2)
    matrix = cv2.getRotationMatrix2D(centre, degrees, zoom)
    matrix[:, 2] += shift
    size = (size[0] + size[0] % 2, size[1] + size[1] % 2)  # the codec asks for even sides
    moved: npt.NDArray[np.float32] = cv2.warpAffine(
        image.astype(np.float32), matrix, size, borderMode=cv2.BORDER_REPLICATE
    )
    return moved


def _coded(frames: Sequence[Image], *, crf: int) -> list[Image]:
    """What H.264 leaves of a short clip."""
    coded = io.BytesIO()
    with av.open(coded, "w", format="mp4") as file:
        settings = {"crf": str(crf), "preset": "veryfast", "bf": "0", "threads": "1"}
        stream = file.add_stream("libx264", rate=25, options=settings)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())
    coded.seek(0)
    with av.open(coded) as file:
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", required=True, metavar="DIR|ZIP", help="lfw112")
    parser.add_argument("--embedder", metavar="MODEL", default=DEFAULT_EMBEDDER)
    parser.add_argument("--fuser", required=True, action="append", help="the first: the baseline")
    parser.add_argument("--num-sets", type=int, default=4, help="probe sets of a person")
    parser.add_argument("--work", required=True, type=Path, metavar="DIR")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR")
    options = parser.parse_args()
    plan = CrossFitPlan()
    sizes = plan.set_sizes
    options.work.mkdir(parents=True, exist_ok=True)
    protocol = DegradedFolderProtocol(
        people=read_people(options.images),
        folds=(FOLD,),
        set_sizes=sizes,
        num_sets=options.num_sets,
    )
    embedder = load_embedder(options.embedder)
    data = embedded(protocol, sizes[-1], embedder, options.work)
    scores = {}
    for name in options.fuser:
        fuser = load_fuser(name, embedder=embedder.fingerprint)
        scores[name] = score_probes(data, fuser, sizes)
    results = {
        name: {size: asdict(summarise([[found[size]]], plan)) for size in sizes}
        for name, found in scores.items()
    }
    pooled = {
        name: {size: [pool_scores([found[size]])] for size in sizes}
        for name, found in scores.items()
    }
    baseline, *others = options.fuser
    verdicts = judge(
        {
            f"{name} - {baseline}": compare_pooled(pooled[name], pooled[baseline], plan)
            for name in others
        },
        plan,
    )
    content = {
        "embedder": embedder.fingerprint,
        "fold": FOLD,
        "num_sets": options.num_sets,
        "num_people": len(protocol.probe_subjects),
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "results": results,
        "verdicts": {name: [verdict_facts(v) for v in found] for name, found in verdicts.items()},
    }
    write(options.output, content, plan)


def write(folder: Path, content: dict[str, Any], plan: CrossFitPlan) -> None:
    """`EMBEDDER.json` and `EMBEDDER.md` in the folder; the page on standard output too."""
    folder.mkdir(parents=True, exist_ok=True)
    name = content["embedder"].split("@")[0]
    names = {fuser: fuser for fuser in content["results"]}
    lines = [
        f"# Filmed, coded and found again: {name}",
        "",
        f"{content['num_people']} people of fold {content['fold']}, {content['num_sets']} probe sets each, severities "
        "of mix 'hard', but degraded as `research/comparison/filmed_probes.py` defines it, "
        "which no fuser was trained on. "
        f"TAR at FAR {plan.decision_rate:g}; {content['date']}.",
        "",
        *rates_table(content, plan, names),
        "",
        "95 % interval of the difference, paired over people. **+** better, **-** worse (Holm over all of them, "
        f".05); = not worse by {plan.margin:g} or more (Holm, one-sided .025); ? undecided.",
        "",
        *differences_table(content, plan, names),
    ]
    text = json.dumps(content, indent=1, default=lambda value: getattr(value, "item", str)())
    (folder / f"{name}.json").write_text(text + "\n")
    (folder / f"{name}.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def filmed_crops(protocol: DegradedFolderProtocol, size: int, path: Path) -> npt.NDArray[np.uint8]:
    """Every image of every probe set, filmed; drawn once and kept."""
    images = [image for found in protocol.probe_sets(size) for image in found.images]
    if not path.exists():
        draft = path.with_suffix(".part.npy")
        crops = np.lib.format.open_memmap(draft, "w+", np.uint8, (len(images), 112, 112, 3))
        drawn = map_in_order(
            lambda image: film(
                read_crop(protocol.people.read(image.source), source=image.source),
                image.severity,
                np.random.default_rng(image.seed),
            ),
            images,
            available_threads(),
        )
        for place, crop in enumerate(drawn):
            crops[place] = crop
        crops.flush()
        draft.replace(path)
    return np.load(path, mmap_mode="r")


def embedded(
    protocol: DegradedFolderProtocol, size: int, embedder: Embedder, work: Path
) -> ProbeData:
    """Gallery of clean images and filmed probes."""
    crops = filmed_crops(protocol, size, work / f"filmed-{protocol.content_hash[:12]}-{size}.npy")
    sets = list(protocol.probe_sets(size))
    parts = [embedder.embed_set(crops[at : at + BLOCK]) for at in range(0, len(crops), BLOCK)]
    people: People = protocol.people
    gallery = np.stack([read_crop(people.read(entry.source)) for entry in protocol.gallery])
    return ProbeData(
        gallery=embedder.embed_set(gallery),
        gallery_subjects=np.array([entry.subject_id for entry in protocol.gallery]),
        probes=EmbeddingSet.concatenate(parts),
        probe_subjects=np.array([found.subject_id for found in sets]),
        severities=np.array([[i.severity for i in found.images] for found in sets], np.float32),
        protocol="filmed",
    )


if __name__ == "__main__":
    main()
