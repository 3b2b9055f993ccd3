"""Judges the universal fuser on an embedder it has never seen, cross-fitted over four folds.

    python benchmarks/judge_universal.py --images lfw112.zip --learned-with WORK_A --judged-on WORK_B \
        -o docs/reports/universal

Both work folders are those of compare_fusers.py for two embedders: from the first come the learned
scalar weights that the quality network is taught, from the second the embeddings to be fused. With
`--ship FILE` the network that never saw fold 3 is written for others to use.

    python benchmarks/judge_universal.py --images lfw112.zip --quality quality.onnx --folds 3 \
        --judged-on WORK_B -o docs/reports/universal

judges a finished quality network on the folds it never saw.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from comparison_report import differences_table, rates_table, verdict_facts
from probefusion.evaluation.cross_fit import (
    CrossFitPlan,
    FoldScores,
    compare_pooled,
    judge,
    pool,
    score_fold,
    summarise,
)
from probefusion.evaluation.probe_data import ProbeData
from probefusion.faces import CropQuality
from probefusion.faces.images import read_crop
from probefusion.fusion import Fuser, MeanFuser, NormWeightedFuser
from probefusion.fusion.universal import UniversalFuser
from probefusion.nn.architectures import build_network
from probefusion.protocols import DegradedFolderProtocol, read_people
from probefusion.protocols.degraded_folder import fold_of, render
from probefusion.training.quality import (
    QualityTraining,
    draw_grey_variants,
    export_quality,
    image_log_weights,
    train_quality,
)
from probefusion.training.recipes import find_recipe
from probefusion.training.variant_store import VariantStore

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
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--learned-with", type=Path, metavar="WORK")
    source.add_argument("--quality", type=Path, metavar="FILE.onnx")
    parser.add_argument("--folds", nargs="+", type=int, choices=FOLDS, default=list(FOLDS))
    parser.add_argument("--judged-on", required=True, type=Path, metavar="WORK")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR")
    parser.add_argument("--networks", default="400x64", help="budget folder of compare_fusers.py")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--ship", type=Path, metavar="FILE.onnx")
    options = parser.parse_args()
    torch.set_num_threads(1)
    people = read_people(options.images)
    if options.quality is None:
        store = VariantStore.open(options.learned_with / "variants")
        for fold in options.folds:
            train_fold(options, people, store, fold)
    if options.ship is not None:
        options.ship.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_model(options.learned_with, 3), options.ship)
    plan = CrossFitPlan()
    content: dict[str, Any] = {"steps": options.steps}
    for mix in ("hard", "clean"):
        content[mix] = measure(options, people, mix, plan)
    if options.quality is None:
        learned = ProbeData.load(options.learned_with / "hard-3.npz").gallery.embedder
    else:
        learned = options.quality.parent.name
    content["folds"] = options.folds
    content["learned_with"] = learned
    content["judged_on"] = ProbeData.load(options.judged_on / "hard-3.npz").gallery.embedder
    write(options.output, content, plan)


def train_fold(options: argparse.Namespace, people: Any, store: VariantStore, fold: int) -> None:
    """Teaches a quality network the weights of the fuser that never saw the fold."""
    model = _model(options.learned_with, fold)
    if model.exists():
        return
    path = options.learned_with / "grey.npy"
    if path.exists():
        crops = np.load(path, mmap_mode="r")
    else:
        crops = draw_grey_variants(
            store.sources,
            lambda source: read_crop(people.read(source), source=source),
            find_recipe(store.facts["recipe"]).draw,
            path,
            num_variants=store.num_variants,
            seed=store.facts["seed"],
        )
    kept = [person for person in store.subject_ids if fold_of(person) != fold]
    part = store.of_people(kept)
    settings = {"dim": store.dim, "style_channels": store.style_channels}
    network = build_network("scalar-quality", settings)
    trained = (
        options.learned_with
        / "networks"
        / options.networks
        / f"scalar-quality-seed0-fold{fold}.safetensors"
    )
    network.load_state_dict(load_file(trained))
    log_weights = image_log_weights(network.eval(), part)
    rows = np.flatnonzero(np.isin(store.sources, part.sources))
    losses: list[float] = []
    quality = train_quality(
        crops,
        log_weights,
        QualityTraining(steps=options.steps),
        rows=rows,
        on_step=lambda _, loss: losses.append(loss),
    )
    model.parent.mkdir(parents=True, exist_ok=True)
    export_quality(quality, model)
    print(
        f"fold {fold}: loss {np.mean(losses[:20]):.3f} -> {np.mean(losses[-50:]):.3f}", flush=True
    )


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
    scores: dict[str, dict[int, list[list[FoldScores]]]] = {
        fuser.name: {size: [[]] for size in plan.set_sizes} for fuser in fusers
    }
    for fold in options.folds:
        data = judged(options, people, mix, fold)
        for fuser in fusers:
            for size, found in score_fold(data, fuser, plan.set_sizes).items():
                scores[fuser.name][size][0].append(found)
    pooled = {
        name: {size: [pool(folds) for folds in seeds] for size, seeds in by_size.items()}
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
    if options.quality is None:
        model, folder = _model(options.learned_with, fold), options.learned_with / "quality"
    else:
        model, folder = options.quality, options.judged_on / options.quality.parent.name
    folder.mkdir(exist_ok=True)
    kept = folder / f"judged-{mix}-{fold}.npz"
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
    short = [content[key].split("@")[0] for key in ("learned_with", "judged_on")]
    folds = ", ".join(map(str, content["folds"]))
    stem = f"{short[0]}-to-{short[1]}"
    (folder / f"{stem}.json").write_text(
        json.dumps(content, indent=1, default=lambda value: getattr(value, "item", str)()) + "\n"
    )
    lines = [
        f"# Universal fuser: weights learned with {short[0]}, embeddings of {short[1]}",
        "",
        f"Folds {folds} of degraded-folder/v1, TAR at FAR 1e-4, intervals over people. The quality network "
        f"of a fold was not trained on its people.",
    ]
    for mix in ("hard", "clean"):
        lines += ["", f"## Mix '{mix}'", "", *rates_table(content[mix], plan, names)]
        lines += ["", f"## Minus the mean, mix '{mix}'", ""]
        lines += differences_table(content[mix], plan, names)
    (folder / f"{stem}.md").write_text("\n".join(lines) + "\n")


def _model(work: Path, fold: int) -> Path:
    return work / "quality" / f"fold{fold}.onnx"


if __name__ == "__main__":
    main()
