"""Judges the universal fuser on an embedder it has never seen.

    python -m research.crop_quality.judge --images lfw112.zip --quality 'quality/{fold}/quality.onnx' \
        --folds 0 1 2 3 --judged-on WORK -o research/reports/universal

WORK is that of research.comparison.compare_fusers for the embedder: its embeddings are fused. `{fold}` in
the name of the quality network stands for the fold that it was not trained on, as research.crop_quality.train
wrote into the file; other files and folds are refused.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from probefusion.embedders import CropQuality
from probefusion.evaluation.probe_data import ProbeData
from probefusion.evaluation.scoring import ProbeScores, pool_scores, score_probes
from probefusion.faces.images import read_crop
from probefusion.files import sha256_of
from probefusion.fusion import Fuser, MeanFuser, NormWeightedFuser
from probefusion.fusion.universal import UniversalFuser
from probefusion.protocols import DegradedFolderProtocol, read_people
from probefusion.protocols.degraded_folder import render
from research.compact_embedder.distill import DEV_FOLD
from research.comparison.cross_fit import (
    CrossFitPlan,
    compare_pooled,
    judge,
    summarise,
)
from research.comparison.tables import differences_table, rates_table, verdict_facts

FOLDS = (0, 1, 2, 3)


class WeightedBy(UniversalFuser):
    """The universal fuser with another power of the weights."""

    def __init__(self, exponent: float) -> None:
        self.exponent = exponent
        self.name = f"universal, weights to the power {exponent:g}"
        super().__init__(num_threads=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", required=True, metavar="DIR|ZIP")
    parser.add_argument("--quality", required=True, metavar="FILE.onnx")
    parser.add_argument("--folds", nargs="+", type=int, choices=FOLDS, default=list(FOLDS))
    parser.add_argument("--judged-on", required=True, type=Path, metavar="WORK")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR")
    options = parser.parse_args()
    people = read_people(options.images)
    judged_on = ProbeData.load(options.judged_on / f"hard-{options.folds[0]}.npz").gallery.embedder
    facts = {fold: check_strangers(options.quality, fold, judged_on) for fold in options.folds}
    plan = CrossFitPlan()
    content: dict[str, Any] = {}
    for mix in ("hard", "clean"):
        content[mix] = measure(options, people, mix, plan)
    content["folds"] = options.folds
    content["networks"] = facts
    content["quality"] = _name(options.quality)
    content["judged_on"] = judged_on
    write(options.output, content, plan)


def _name(quality: str) -> str:
    return Path(quality.replace("{fold}", "cross-fitted")).resolve().parent.name


def check_strangers(quality: str, fold: int, judged_on: str) -> dict[str, str]:
    """What a network's file says of its training; refuses people or an embedder that it has seen."""
    path = Path(quality.replace("{fold}", str(fold)))
    facts = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    if facts.get("held_out_fold") != str(fold):
        raise SystemExit(
            f"--folds: {path} was trained without fold {facts.get('held_out_fold')}, not without {fold}"
        )
    if judged_on in (facts["seen"], facts["fused"]):
        raise SystemExit(f"--judged-on: {path} was trained with {judged_on}")
    return {**facts, "sha256": sha256_of(path)}


def measure(
    options: argparse.Namespace, people: Any, mix: str, plan: CrossFitPlan
) -> dict[str, Any]:
    """Rates and differences to the mean on the second embedder."""
    fusers: list[Fuser] = [
        MeanFuser(num_threads=1),
        NormWeightedFuser(num_threads=1),
        WeightedBy(0.5),
        WeightedBy(1.0),
    ]
    scores: dict[str, dict[int, list[list[ProbeScores]]]] = {
        fuser.name: {size: [[]] for size in plan.set_sizes} for fuser in fusers
    }
    for fold in options.folds:
        data = judged(options, people, mix, fold)
        for fuser in fusers:
            for size, found in score_probes(data, fuser, plan.set_sizes).items():
                scores[fuser.name][size][0].append(found)
    pooled = {
        name: {size: [pool_scores(folds) for folds in seeds] for size, seeds in by_size.items()}
        for name, by_size in scores.items()
    }
    families = {
        name: compare_pooled(pooled[name], pooled["mean"], plan)
        for name in pooled
        if name != "mean"
    }
    return {
        "results": {
            name: {size: asdict(summarise(by_size[size], plan)) for size in plan.set_sizes}
            for name, by_size in scores.items()
        },
        "verdicts": {
            name: [verdict_facts(verdict) for verdict in verdicts]
            for name, verdicts in judge(families, plan).items()
        },
    }


def judged(options: argparse.Namespace, people: Any, mix: str, fold: int) -> ProbeData:
    """The second embedder's probes with the quality of their crops."""
    model = Path(options.quality.replace("{fold}", str(fold)))
    folder = options.judged_on / f"judged-{sha256_of(model)[:12]}"
    folder.mkdir(exist_ok=True)
    kept = folder / f"{mix}-{fold}.npz"
    if not kept.exists():
        protocol = DegradedFolderProtocol(people=people, folds=(fold,), mix=mix)
        network = CropQuality(model, num_threads=1)

        def read(source: str) -> Any:
            return read_crop(people.read(source), source=source)

        drawn = [image for probe in protocol.probe_sets(32) for image in probe.images]
        # An image that is not degraded is the same wherever it is drawn.
        keys = [(image.source, image.seed if image.severity else 0) for image in drawn]
        images = dict(zip(keys, drawn, strict=True))
        gallery = network.judge(np.stack([read(entry.source) for entry in protocol.gallery]))
        found: dict[Any, float] = {}
        order = list(images)
        for start in range(0, len(order), 256):
            some = order[start : start + 256]
            crops = np.stack([render(images[key], read) for key in some])
            found.update(zip(some, network.judge(crops).tolist(), strict=True))
        probes = np.array([found[key] for key in keys], dtype=np.float32)
        np.savez(kept, gallery=gallery, probes=probes)
    quality = np.load(kept)
    data = ProbeData.load(options.judged_on / f"{mix}-{fold}.npz")
    return replace(
        data,
        gallery=replace(data.gallery, quality=quality["gallery"]),
        probes=replace(data.probes, quality=quality["probes"]),
    )


def write(folder: Path, content: dict[str, Any], plan: CrossFitPlan) -> None:
    """Writes `universal.json` and `universal.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {name: name for name in content["hard"]["results"]}
    judged_on = content["judged_on"].split("@")[0]
    seen = (
        "The embedder inside the quality network was trained on the people of the other folds too."
        if content["folds"] == [DEV_FOLD]
        else f"The embedder inside the quality network was trained on all people but those of fold "
        f"{DEV_FOLD}."
    )
    folds = ", ".join(map(str, content["folds"]))
    stem = f"{content['quality']}-to-{judged_on}"
    (folder / f"{stem}.json").write_text(
        json.dumps(content, indent=1, default=lambda value: getattr(value, "item", str)()) + "\n"
    )
    lines = [
        f"# Universal fuser: weights by {content['quality']}, embeddings of {judged_on}",
        "",
        f"Folds {folds} of degraded-folder/v1, TAR at FAR 1e-4, intervals over people. The quality network never saw "
        f"{judged_on}. What judges a fold learned its weights without the people of that fold. {seen}",
    ]
    for mix in ("hard", "clean"):
        lines += ["", f"## Mix '{mix}'", "", *rates_table(content[mix], plan, names)]
        lines += ["", f"## Minus the mean, mix '{mix}'", ""]
        lines += differences_table(content[mix], plan, names)
    (folder / f"{stem}.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
