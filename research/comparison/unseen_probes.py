r"""Fusers on the people of fold 3, degraded in one way or another, with intervals and Holm.

    python -m research.comparison.unseen_probes --kind printed --images lfw112.zip --work WORK \
        --fuser mean --fuser official --fuser exact --against mean --against official -o research/reports/unseen/printed

People, sets and severities are those of degraded-folder/v1, mix 'hard', whatever is done to an image: `hard` is
the protocol's own degradation, `filmed` is `research.comparison.filming` and `printed` is
`research.comparison.printing`, of which no fuser has seen an image; `clean` does nothing. WORK keeps the crops, which
are the same for every embedder.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.degradations.degrade import degrade
from probefusion.embedders import CropQuality, Embedder
from probefusion.embedders.quality import JudgedEmbedder, embedding_key
from probefusion.evaluation.probe_data import ProbeData
from probefusion.evaluation.scoring import pool_scores, score_probes
from probefusion.faces.images import read_crop
from probefusion.metrics import ComparisonScores
from probefusion.protocols import read_people
from probefusion.protocols.degraded_folder import DegradedFolderProtocol, People
from probefusion.types import EmbeddingSet
from probefusion.workers import available_threads, map_in_order
from probefusion.zoo import DEFAULT_EMBEDDER, load_embedder, load_fuser
from research.comparison.cross_fit import CrossFitPlan, compare_pooled, judge, summarise
from research.comparison.filming import film
from research.comparison.printing import print_and_scan
from research.comparison.tables import differences_table, rates_table, verdict_facts

FOLD = 3
BLOCK = 256

Image = npt.NDArray[np.uint8]

KINDS: dict[str, tuple[str, Callable[[Image, float, np.random.Generator], Image]]] = {
    "hard": ("degraded as `degrade` does, as in training", degrade),
    "clean": ("not degraded", lambda crop, severity, rng: crop.copy()),
    "filmed": ("degraded as `research/comparison/filming.py` does, unlike all training", film),
    "printed": (
        "degraded as `research/comparison/printing.py` does, unlike all training",
        print_and_scan,
    ),
}
"""What is done to the images, and in words."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", required=True, choices=KINDS)
    parser.add_argument("--images", required=True, metavar="DIR|ZIP", help="lfw112")
    parser.add_argument("--embedder", metavar="MODEL", default=DEFAULT_EMBEDDER)
    parser.add_argument("--fuser", required=True, action="append")
    parser.add_argument("--against", required=True, action="append", help="one of the fusers")
    parser.add_argument("--num-sets", type=int, default=4, help="probe sets of a person")
    parser.add_argument("--work", required=True, type=Path, metavar="DIR")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR")
    options = parser.parse_args()
    if unknown := set(options.against) - set(options.fuser):
        parser.error(f"--against: expected one of {options.fuser}, got {sorted(unknown)[0]}")
    sizes = CrossFitPlan().set_sizes
    options.work.mkdir(parents=True, exist_ok=True)
    protocol = DegradedFolderProtocol(
        people=read_people(options.images),
        folds=(FOLD,),
        set_sizes=sizes,
        num_sets=options.num_sets,
    )
    embedder: Embedder = load_embedder(options.embedder)
    if "universal" in options.fuser:
        embedder = JudgedEmbedder(embedder, CropQuality())
    data = embedded(protocol, options.kind, sizes[-1], embedder, options.work)
    content = measure(data, options.fuser, options.against)
    content |= {
        "kind": options.kind,
        "num_sets": options.num_sets,
        "num_people": len(protocol.probe_subjects),
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
    }
    write(options.output, content)


def measure(data: ProbeData, fusers: list[str], references: list[str]) -> dict[str, Any]:
    """Rates of all fusers and their differences to each reference, corrected over all of them together."""
    others = [(name, base) for base in references for name in fusers if name != base]
    num_tests = len(others) * len(CrossFitPlan().set_sizes)
    plan = replace(CrossFitPlan(), num_replicates=max(4000, 1000 * math.ceil(num_tests / 12)))
    results: dict[str, Any] = {}
    pooled: dict[str, dict[int, Sequence[ComparisonScores]]] = {}
    names = {}
    for name in fusers:
        fuser = load_fuser(name, embedder=data.gallery.embedder)
        names[name] = fuser.name.split(".")[0] + (
            f" ({fuser.name.rsplit('.', 1)[-1]})" if "." in fuser.name else ""
        )
        found = score_probes(data, fuser, plan.set_sizes)
        results[name] = {size: asdict(summarise([[found[size]]], plan)) for size in plan.set_sizes}
        pooled[name] = {size: [pool_scores([found[size]])] for size in plan.set_sizes}
        print(f"scored {name}", flush=True)
    verdicts = judge(
        {
            f"{name} - {base}": compare_pooled(pooled[name], pooled[base], plan)
            for name, base in others
        },
        plan,
    )
    return {
        "embedder": data.gallery.embedder,
        "fold": FOLD,
        "num_replicates": plan.num_replicates,
        "names": names,
        "results": results,
        "verdicts": {name: [verdict_facts(v) for v in found] for name, found in verdicts.items()},
    }


def write(folder: Path, content: dict[str, Any]) -> None:
    """`EMBEDDER.json` and `EMBEDDER.md` in the folder; the page on standard output too."""
    folder.mkdir(parents=True, exist_ok=True)
    plan = CrossFitPlan()
    name = content["embedder"].split("@")[0]
    lines = [
        f"# {content['kind'].capitalize()} probes: {name}",
        "",
        f"{content['num_people']} people of fold {content['fold']}, {content['num_sets']} probe sets each, severities "
        f"of mix 'hard'; images {KINDS[content['kind']][0]}. "
        f"TAR at FAR {plan.decision_rate:g}; {content['date']}.",
        "",
        *rates_table(content, plan, content["names"]),
        "",
        f"95 % interval of the difference, paired over people, {content['num_replicates']} replicates. **+** better, "
        f"**-** worse (Holm over all of them, .05); = not worse by {plan.margin:g} or more (Holm, one-sided "
        ".025); ? undecided.",
        "",
        *differences_table(content, plan, content["names"]),
    ]
    text = json.dumps(content, indent=1, default=lambda value: getattr(value, "item", str)())
    (folder / f"{name}.json").write_text(text + "\n")
    (folder / f"{name}.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def drawn_crops(protocol: DegradedFolderProtocol, kind: str, size: int, path: Path) -> Image:
    """Every image of every probe set; drawn once and kept."""
    images = [image for found in protocol.probe_sets(size) for image in found.images]
    if not path.exists():
        spoil = KINDS[kind][1]
        draft = path.with_suffix(".part.npy")
        crops = np.lib.format.open_memmap(draft, "w+", np.uint8, (len(images), 112, 112, 3))
        drawn = map_in_order(
            lambda image: spoil(
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
    kept: Image = np.load(path, mmap_mode="r")
    return kept


def embedded(
    protocol: DegradedFolderProtocol, kind: str, size: int, embedder: Embedder, work: Path
) -> ProbeData:
    """Gallery of clean images and poor probes; embedded once and kept."""
    path = work / f"{kind}-{protocol.content_hash[:12]}-{size}.{embedding_key(embedder)}.npz"
    if path.exists():
        return ProbeData.load(path)
    crops = drawn_crops(
        protocol, kind, size, work / f"{kind}-{protocol.content_hash[:12]}-{size}.npy"
    )
    sets = list(protocol.probe_sets(size))
    parts = [embedder.embed_set(crops[at : at + BLOCK]) for at in range(0, len(crops), BLOCK)]
    people: People = protocol.people
    gallery = np.stack([read_crop(people.read(entry.source)) for entry in protocol.gallery])
    data = ProbeData(
        gallery=embedder.embed_set(gallery),
        gallery_subjects=np.array([entry.subject_id for entry in protocol.gallery]),
        probes=EmbeddingSet.concatenate(parts),
        probe_subjects=np.array([found.subject_id for found in sets]),
        severities=np.array([[i.severity for i in found.images] for found in sets], np.float32),
        protocol=kind,
    )
    data.save(path)
    return data


if __name__ == "__main__":
    main()
