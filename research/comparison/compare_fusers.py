"""Trains every fuser on the same data and budget, cross-fitted over four folds, and writes the table.

    python -m research.comparison.compare_fusers --images lfw112.zip --embedder mobilefacenet_128d.onnx \
        --work compare-work -o research/reports/comparison

Everything that takes long is kept in the work folder: embedded variants, embedded probes, trained
networks. A run that was stopped goes on from there. `--jobs 2` trains two networks at a time, each
with one thread. Times and costs in the table are of one thread.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from probefusion.embedders import CropQuality, Embedder, JudgedEmbedder
from probefusion.evaluation.embed_protocol import embed_protocol
from probefusion.evaluation.probe_data import ProbeData
from probefusion.evaluation.scoring import ProbeScores, pool_scores, score_probes
from probefusion.faces.images import read_crop
from probefusion.fusion import Fuser, MeanFuser, NormWeightedFuser
from probefusion.fusion.learned import open_fuser
from probefusion.metrics import ComparisonScores, PairedDifference
from probefusion.nn.architectures import build_network
from probefusion.protocols import DegradedFolderProtocol, read_people
from probefusion.protocols.degraded_folder import fold_of
from probefusion.training.export.fuser_folder import export_fuser
from probefusion.training.extraction import extract_variants
from probefusion.training.loop import train_network
from probefusion.training.recipes import DEFAULT_RECIPE, find_recipe
from probefusion.training.variant_store import VariantStore
from probefusion.zoo import load_embedder
from research.comparison.contenders import (
    ANY,
    CONTENDERS,
    training_config,
    uses_style,
    without_style,
)
from research.comparison.cross_fit import (
    CrossFitPlan,
    PairedVerdict,
    compare_pooled,
    judge,
    summarise,
)
from research.comparison.network_fuser import NetworkFuser
from research.comparison.tables import verdict_facts, write_report
from research.rivals import RIVALS

FOLDS = (0, 1, 2, 3)
OURS = "exact"
ONE_BY_ONE = ", one by one"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", required=True, metavar="DIR|ZIP")
    parser.add_argument("--embedder", required=True, metavar="MODEL")
    parser.add_argument("--work", required=True, type=Path, metavar="DIR")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR")
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--folds", nargs="+", type=int, choices=FOLDS, default=list(FOLDS))
    parser.add_argument("--num-sets", type=int, default=4, help="probe sets per person and size")
    parser.add_argument(
        "--first-people", type=int, metavar="K", help="train on the first K by name (default: all)"
    )
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--judged", action="store_true", help="probes with quality, for universal")
    parser.add_argument("--first-seed", action="store_true", help="train each with its first seed")
    parser.add_argument("--jobs", type=int, default=1)
    stages = ("variants", "probes", "embed", "train", "report", "all")
    parser.add_argument("--stage", choices=stages, default="all", help="embed: variants and probes")
    options = parser.parse_args()
    if options.stage in ("report", "all") and OURS not in options.only:
        parser.error(
            f"--only: the report compares all with {OURS!r}, which is not among {options.only}"
        )
    work = options.work
    common = {"steps": options.steps, "batch_size": options.batch_size}
    if options.stage in ("variants", "embed", "all"):
        embed_variants(options.images, options.embedder, work, options.folds, options.first_people)
    if options.stage in ("probes", "embed", "all"):
        embed_probes(options)
    jobs = [
        (work, name, seed, fold, common)
        for name in options.only
        for seed in CONTENDERS[name].seeds[: 1 if options.first_seed else None]
        for fold in options.folds
    ]
    if options.stage in ("train", "all"):
        context = get_context("spawn")
        with ProcessPoolExecutor(options.jobs, mp_context=context) as workers:
            for done in as_completed([workers.submit(train, *job) for job in jobs]):
                print(done.result(), flush=True)
    if options.stage in ("report", "all"):
        report(options, common)


def embed_variants(
    images: str, model: str, work: Path, folds: Sequence[int], first_people: int | None = None
) -> None:
    """Variants of all images that somebody trains on."""
    people = read_people(images)
    # Nobody trains on those who are tested alone.
    trained_on = sorted(name for name in people.images if set(folds) != {fold_of(name)})
    extract_variants(
        {name: people.images[name] for name in trained_on[:first_people]},
        lambda source: read_crop(people.read(source), source=source),
        load_embedder(model),
        find_recipe(DEFAULT_RECIPE).draw,
        work / "variants",
        recipe=DEFAULT_RECIPE,
        progress=_told("variants"),
    )


def embed_probes(options: argparse.Namespace) -> None:
    """The probes of the folds, hard and clean."""
    people, work = read_people(options.images), options.work
    embedder: Embedder = load_embedder(options.embedder)
    if options.judged:
        embedder = JudgedEmbedder(embedder, CropQuality())
    for mix in ("hard", "clean"):
        for fold in options.folds:
            path = probes_path(work, mix, fold, options.num_sets)
            if not path.exists():
                protocol = DegradedFolderProtocol(
                    people=people, folds=(fold,), mix=mix, num_sets=options.num_sets
                )
                told = _told(f"{mix} {fold}")
                data = embed_protocol(
                    protocol, embedder, num_images=32, cache=work / "cache", progress=told
                )
                data.save(path)


def train(work: Path, name: str, seed: int, fold: int, common: dict[str, Any]) -> str:
    """Trains one network on the people of the other folds, unless that is done."""
    path = _network_path(work, name, seed, fold, common)
    if path.exists():
        return f"{path.stem}: done before"
    torch.set_num_threads(1)
    store = _store(work, name, fold)
    started = time.perf_counter()
    config = training_config(name, CONTENDERS[name].seed(seed, fold), common)
    result = train_network(store, config)
    minutes = (time.perf_counter() - started) / 60
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {key: value.contiguous() for key, value in result.network.state_dict().items()}
    save_file(tensors, path.with_suffix(".tmp"), metadata={"minutes": f"{minutes:.2f}"})
    path.with_suffix(".tmp").rename(path)
    return f"{path.stem}: {minutes:.1f} min, centre loss {result.centre_losses[-30:].mean():.4f}"


def report(options: argparse.Namespace, common: dict[str, Any]) -> None:
    """Scores all fusers on the folds they never saw and writes the table."""
    mixes, names, folds = ("hard", "clean"), options.only, tuple(options.folds)
    jobs = min(options.jobs, len(mixes))
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as workers:
        measured = [
            workers.submit(measure, options.work, mix, names, folds, common, options.num_sets)
            for mix in mixes
        ]
        found = {mix: task.result() for mix, task in zip(mixes, measured, strict=True)}
    titles = {name: CONTENDERS[name].title for name in names}
    titles |= {
        f"{name}{ONE_BY_ONE}": f"{title}{ONE_BY_ONE}"
        for name, title in titles.items()
        if name.startswith("official")
    }
    settings = {**common, "folds": folds, "num_sets": options.num_sets}
    write_report(options.output, found, plan_for(names), titles, settings)


def measure(
    work: Path,
    mix: str,
    names: list[str],
    folds: tuple[int, ...],
    common: dict[str, Any],
    num_sets: int,
) -> dict[str, Any]:
    """Rates, differences and costs of all fusers in one mix.

    Scores of ours, of the mean and of one other fuser are held at a time.
    """
    torch.set_num_threads(1)
    plan = plan_for(names)
    data = {fold: ProbeData.load(probes_path(work, mix, fold, num_sets)) for fold in folds}
    chunks = {f"{name}{ONE_BY_ONE}": 1 for name in names if name.startswith("official")}
    shown = ["mean", "norm-weighted", *names, *chunks]
    results: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    against_ours: dict[str, tuple[PairedDifference, ...]] = {}
    against_mean: dict[str, tuple[PairedDifference, ...]] = {}
    kept: dict[str, dict[int, Sequence[ComparisonScores]]] = {}
    for name in sorted(shown, key=lambda name: (name != OURS, name != "mean")):
        scores, facts[name] = _score(
            work, name.removesuffix(ONE_BY_ONE), data, plan, common, mix, chunk=chunks.get(name)
        )
        results[name] = {size: asdict(summarise(seeds, plan)) for size, seeds in scores.items()}
        pooled: dict[int, Sequence[ComparisonScores]] = {
            size: [pool_scores(f) for f in seeds] for size, seeds in scores.items()
        }
        if name in (OURS, "mean"):
            kept[name] = pooled
        if name != OURS:
            against_ours[name] = compare_pooled(kept[OURS], pooled, plan)
        if name.startswith("exact-"):
            against_mean[f"{name} - mean"] = compare_pooled(pooled, kept["mean"], plan)
        print(f"{mix}: scored {name}", flush=True)
    verdicts: dict[str, tuple[PairedVerdict, ...]] = {}
    for family in (*_families(mix, against_ours), against_mean):
        verdicts |= judge(family, plan) if family else {}
    return {
        "results": {name: results[name] for name in shown},
        "verdicts": {
            name: [verdict_facts(found) for found in verdicts[name]]
            for name in (*(name for name in shown if name != OURS), *against_mean)
        },
        "facts": {name: facts[name] for name in shown},
        "num_people": len(np.unique(np.concatenate([d.probe_subjects for d in data.values()]))),
        "protocols": [d.protocol for d in data.values()],
        "embedder": data[folds[0]].gallery.embedder,
    }


def plan_for(names: list[str]) -> CrossFitPlan:
    """What is measured, with replicates enough for Holm's correction over so many fusers."""
    plan = CrossFitPlan()
    others = 2 + len(names) + sum(name.startswith("official") for name in names)
    tests = others * len(plan.set_sizes)
    return replace(plan, num_replicates=max(plan.num_replicates, 1000 * math.ceil(tests / 20)))


def _families(mix: str, differences: dict[str, Any]) -> list[dict[str, Any]]:
    """What Holm's correction runs over: all comparisons of ours; on clean images those with the mean apart.

    Whether fusing harms clean images is a question of its own, asked of the mean alone.
    """
    if mix != "clean":
        return [differences]
    others = {name: found for name, found in differences.items() if name != "mean"}
    return [{"mean": differences["mean"]}, others]


def _score(
    work: Path,
    name: str,
    data: dict[int, ProbeData],
    plan: CrossFitPlan,
    common: dict[str, Any],
    mix: str,
    chunk: int | None = None,
) -> tuple[dict[int, list[list[ProbeScores]]], dict[str, Any]]:
    seeds = CONTENDERS[name].seeds if name in CONTENDERS else (0,)
    collected: dict[int, list[list[ProbeScores]]] = {size: [] for size in plan.set_sizes}
    facts: dict[str, Any] = {"microseconds": [], "minutes": [], "parameters": 0, "deviation": 0.0}
    for seed in seeds:
        per_fold = []
        for fold, probes in data.items():
            fuser, about = _fuser(work, name, seed, fold, common, probes)
            probes = probes if uses_style(name) else without_style(probes)
            per_fold.append(score_probes(probes, fuser, plan.set_sizes, chunk_size=chunk))
            if mix == "hard" and seed == seeds[0] and name == OURS:
                facts["deviation"] = max(facts["deviation"], _one_by_one(fuser, probes))
            if mix == "hard" and seed == seeds[0] and chunk is None:
                facts["microseconds"].append(_cost(fuser, probes))
                facts.update(parameters=about.get("parameters", 0))
            if "minutes" in about:
                facts["minutes"].append(about["minutes"])
        for size in plan.set_sizes:
            collected[size].append([scores[size] for scores in per_fold])
    known = CONTENDERS.get(name)
    return collected, {
        "microseconds": float(np.median(facts["microseconds"])) if facts["microseconds"] else None,
        "minutes": float(np.mean(facts["minutes"])) if facts["minutes"] else 0.0,
        "parameters": facts["parameters"],
        "keeps": known.keeps if known else ANY,
        "needs": known.needs if known else {"mean": "unit embedding"}.get(name, "embedding"),
        "num_seeds": len(seeds),
        "one_by_one_deviation": facts["deviation"] if name == OURS else None,
    }


def _fuser(
    work: Path, name: str, seed: int, fold: int, common: dict[str, Any], data: ProbeData
) -> tuple[Fuser, dict[str, Any]]:
    """Ours and the official one through the exported graphs, as users run them; rivals in PyTorch."""
    if name == "mean":
        return MeanFuser(num_threads=1), {}
    if name == "norm-weighted":
        return NormWeightedFuser(num_threads=1), {}
    known = CONTENDERS[name]
    path = _network_path(work, name, seed, fold, common)
    channels = 0 if not known.uses_style else int(data.gallery.style.shape[1])
    settings = {"dim": data.gallery.dim, "style_channels": channels, **known.network}
    network = build_network(known.architecture, settings)
    network.load_state_dict(load_file(path))
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        minutes = float(json.loads(stream.read(length))["__metadata__"]["minutes"])
    about = {
        "minutes": minutes,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
    }
    if known.architecture in RIVALS:
        return NetworkFuser(network, name=name, embedder=data.gallery.embedder), about
    folder = path.with_suffix(".fuser")
    if not folder.exists():
        export_fuser(
            network,
            folder,
            name=name,
            architecture=known.architecture,
            embedder=data.gallery.embedder,
            licence="research only",
            training={"held_out_fold": fold, "seed": seed, **common},
        )
    return open_fuser(folder, num_threads=1), about


def _one_by_one(fuser: Fuser, data: ProbeData, size: int = 32, num_sets: int = 40) -> float:
    """Largest deviation of a component when images come one by one, in reverse, over some sets."""
    images, _ = data.probe_sets(size)
    largest = 0.0
    for probe in itertools.islice(images.chunks(size), num_sets):
        whole = fuser.fuse(probe).vector
        state = fuser.encode(probe[size - 1 :])
        for index in range(size - 2, -1, -1):
            state = state + fuser.encode(probe[index : index + 1])
        largest = max(largest, float(np.abs(fuser.finish(state).vector - whole).max()))
    return largest


def _cost(fuser: Fuser, data: ProbeData, size: int = 16) -> float:
    """Microseconds per image, all sets of 16 in one call, median of three."""
    images, _ = data.probe_sets(size)
    offsets = np.arange(0, images.num_images + 1, size)
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        fuser.fuse_many(images, offsets)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds)) / images.num_images * 1e6


def _store(work: Path, name: str, fold: int) -> VariantStore:
    whole = VariantStore.open(work / "variants")
    part = whole.of_people([person for person in whole.subject_ids if fold_of(person) != fold])
    return part if uses_style(name) else replace(part, style=None)


def _network_path(work: Path, name: str, seed: int, fold: int, common: dict[str, Any]) -> Path:
    budget = f"{common['steps']}x{common['batch_size']}"
    seed = CONTENDERS[name].seed(seed, fold)
    return work / "networks" / budget / f"{name}-seed{seed}-fold{fold}.safetensors"


def probes_path(work: Path, mix: str, fold: int, num_sets: int) -> Path:
    return work / (f"{mix}-{fold}.npz" if num_sets == 4 else f"{mix}-{num_sets}-sets-{fold}.npz")


def _told(what: str) -> Any:
    def tell(done: int, total: int) -> None:
        if done % 1000 < 40 or done == total:
            print(f"{what}: {done} of {total}", flush=True)

    return tell


if __name__ == "__main__":
    main()
