"""One change at a time to the official architecture, as in the paper, or to the exact fuser: one table.

    python -m research.comparison.ablate official --work compare-work -o research/reports/ablations
    python -m research.comparison.ablate exact --work compare-work -o research/reports/ablations

The work folder is that of research/comparison/compare_fusers.py. One fold is tested (3, dev), all probe sets of its
people, one seed: differences below about .02 are noise. Rows of chunks take the base network.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from probefusion.evaluation.probe_data import ProbeData
from probefusion.evaluation.scoring import pool_scores, score_probes
from probefusion.fusion.learned import open_fuser
from probefusion.metrics import tar_at_far
from probefusion.nn.architectures import build_network
from probefusion.protocols.degraded_folder import fold_of
from probefusion.training.config import TrainingConfig
from probefusion.training.export.fuser_folder import export_fuser
from probefusion.training.loop import train_network
from probefusion.training.variant_store import VariantStore

FOLD = 3
SIZES = (2, 4, 8, 16, 32)
Row = tuple[dict[str, Any], dict[str, Any]]
"""Changes of the network's settings and of the training's."""

FAST: dict[str, Any] = {"num_clusters": 1, "hidden": 64, "refines": False}

ROWS: dict[str, dict[str, Row]] = {
    "official": {
        "base: M = 4, style and norm, memory loss 1/512, self-attention": ({}, {}),
        **{f"M = {m}": ({"num_clusters": m}, {}) for m in (1, 2, 8, 16, 32)},
        "tokens of style only": ({"sees_norm": False}, {}),
        "tokens of norm only": ({"sees_style": False}, {}),
        "tokens of neither": ({"sees_style": False, "sees_norm": False}, {}),
        "no memory loss": ({}, {"memory_weight": 0.0}),
        "memory loss 1": ({}, {"memory_weight": 1.0}),
        "no self-attention": ({"attends": False}, {}),
    },
    "exact": {
        "base: M = 4, H = 256, correction, refinement, gains per dimension": ({}, {}),
        **{f"M = {m}": ({"num_clusters": m}, {}) for m in (1, 2, 8)},
        **{f"H = {h}": ({"hidden": h}, {}) for h in (64, 128, 512)},
        "no refinement": ({"refines": False}, {}),
        "no correction": ({"corrects": False}, {}),
        "neither": ({"refines": False, "corrects": False}, {}),
        "neither, one gain per cluster": (
            {"refines": False, "corrects": False, "per_dimension_gains": False},
            {},
        ),
        "weight does not see the embedding": ({"sees_embedding": False}, {}),
        "fast: M = 1, H = 64, no refinement": (FAST, {}),
        "fast, weight does not see the embedding": ({**FAST, "sees_embedding": False}, {}),
        "fast, M = 4": ({**FAST, "num_clusters": 4}, {}),
        "dropout .2": ({"dropout": 0.2}, {}),
        "centre loss alone": ({}, {"margin_weight": 0.0}),
        "margin softmax five times as heavy": ({}, {"margin_weight": 1.0}),
        "prefixes 2, 4, ..., 16": ({}, {"prefixes": (2, 4, 6, 8, 10, 12, 14, 16)}),
        "all variants drawn alike": ({}, {"bad_share": None}),
    },
}
TRAINING = {
    "official": {"memory_weight": 1 / 512, "memory_divided_by_batch": False},
    "exact": {"memory_weight": 0.0},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("architecture", choices=ROWS)
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("-o", "--output", required=True, type=Path)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--batch-size", type=int, default=32)
    options = parser.parse_args()
    torch.set_num_threads(1)
    whole = VariantStore.open(options.work / "variants")
    store = whole.of_people([name for name in whole.subject_ids if fold_of(name) != FOLD])
    data = ProbeData.load(options.work / f"hard-{FOLD}.npz")
    rows: list[dict[str, Any]] = []
    for title, (network, changes) in ROWS[options.architecture].items():
        folder = _trained(options, store, title, network, changes)
        fuser = open_fuser(folder, num_threads=1)
        rows.append({"title": title, "tar": _tar(data, fuser, None)})
        print(title, rows[-1]["tar"], flush=True)
        if options.architecture == "official" and not network and not changes:
            for chunk in (1, 2, 4, 8, 16):
                name = f"base, fed in chunks of {chunk}"
                rows.append({"title": name, "tar": _tar(data, fuser, chunk)})
                print(name, rows[-1]["tar"], flush=True)
    _write(options, rows)


def _trained(
    options: argparse.Namespace,
    store: VariantStore,
    title: str,
    network: dict[str, Any],
    changes: dict[str, Any],
) -> Path:
    label = re.sub(r"[^a-z0-9]+", "-", title.split(":")[0].lower()).strip("-")
    budget = f"ablations-{options.architecture}-{options.steps}x{options.batch_size}"
    path = options.work / "networks" / budget / f"{label}.safetensors"
    folder = path.with_suffix(".fuser")
    if folder.exists():
        return folder
    config = TrainingConfig(
        architecture=options.architecture,
        network=network,
        steps=options.steps,
        batch_size=options.batch_size,
        validation_share=0.0,
        **{**TRAINING[options.architecture], **changes},
    )
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        trained = train_network(store, config).network
        tensors = {key: value.contiguous() for key, value in trained.state_dict().items()}
        save_file(tensors, path)
        print(f"{title}: {(time.perf_counter() - started) / 60:.1f} min", flush=True)
    settings = {"dim": store.dim, "style_channels": store.style_channels, **network}
    built = build_network(options.architecture, settings)
    built.load_state_dict(load_file(path))
    export_fuser(
        built,
        folder,
        name=label,
        architecture=options.architecture,
        embedder=store.embedder,
        licence="research only",
        training={"held_out_fold": FOLD},
    )
    return folder


def _tar(data: ProbeData, fuser: Any, chunk: int | None) -> dict[int, float]:
    sizes = [size for size in SIZES if chunk is None or size > chunk]
    found = score_probes(data, fuser, sizes, chunk_size=chunk)
    rates = {}
    for size in sizes:
        scores = pool_scores([found[size]])
        rates[size] = round(float(tar_at_far(scores.mated, scores.non_mated, [1e-4])[0].tar), 4)
    return rates


def _write(options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    options.output.mkdir(parents=True, exist_ok=True)
    content = {"steps": options.steps, "batch_size": options.batch_size, "rows": rows}
    (options.output / f"{options.architecture}.json").write_text(
        json.dumps(content, indent=1) + "\n"
    )
    lines = [
        f"# One change at a time: the {options.architecture} architecture",
        "",
        f"TAR at FAR 1e-4 on fold {FOLD}, mix 'hard'; {options.steps} steps of {options.batch_size} "
        f"people, one seed: differences below about .02 are noise.",
        "",
        "| change | " + " | ".join(f"N={size}" for size in SIZES) + " |",
        "|---" * (len(SIZES) + 1) + "|",
    ]
    for row in rows:
        cells = [f"{row['tar'].get(size, np.nan):.3f}".replace("nan", "") for size in SIZES]
        lines.append(f"| {row['title']} | " + " | ".join(cells) + " |")
    (options.output / f"{options.architecture}.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
