"""Writes the fusers of the package from the networks of research/comparison/compare_fusers.py that never saw fold 3.

    python -m research.comparison.ship_fusers --work compare-work -o src/probefusion/zoo/weights

Thresholds and figures in the cards are measured on fold 3, mix 'hard'.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from probefusion.evaluation.probe_data import ProbeData
from probefusion.evaluation.sweep import calibrate, sweep
from probefusion.fusion import MeanFuser
from probefusion.fusion.learned import open_fuser
from probefusion.nn.architectures import Network, build_network
from probefusion.nn.exact import ExactFuser
from probefusion.training.export.fuser_folder import export_fuser
from research.comparison.compare_fusers import probes_path
from research.comparison.contenders import CONTENDERS, training_config, without_style

FOLD = 3
SHIPPED = ("exact", "exact-fast", "exact-embedding", "exact-unit", "official-512")
LICENCE = "research only (trained on LFW), see LICENSE-WEIGHTS.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=SHIPPED)
    parser.add_argument("--revision", type=int, default=2)
    parser.add_argument("--num-sets", type=int, default=4, help="probe sets of a person")
    parser.add_argument(
        "--first-people", type=int, metavar="K", help="of them alone were the variants, by name"
    )
    parser.add_argument("--label", help="first part of the name (default: that of the fuser)")
    parser.add_argument("-o", "--output", required=True, type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = ProbeData.load(probes_path(options.work, "hard", FOLD, options.num_sets))
    for name in options.only:
        ship(options, name, data)


def ship(options: argparse.Namespace, name: str, data: ProbeData) -> None:
    """Exports, measures and calibrates one fuser."""
    known = CONTENDERS[name]
    embedder = data.gallery.embedder
    data = data if known.uses_style else without_style(data)
    channels = 0 if data.gallery.style is None else data.gallery.style.shape[1]
    network = build_network(
        known.architecture, {"dim": data.gallery.dim, "style_channels": channels, **known.network}
    )
    common = {"steps": options.steps, "batch_size": options.batch_size}
    budget = f"{options.steps}x{options.batch_size}"
    trained = options.work / "networks" / budget / f"{name}-seed0-fold{FOLD}.safetensors"
    network.load_state_dict(load_file(trained))
    short = options.label or ("official" if known.architecture == "official" else name)
    label = f"{short}.{embedder.split('@')[0]}-lfw112.r{options.revision}"
    people = f"the first {options.first_people} people of " if options.first_people else ""
    training = {
        "data": f"lfw112, {people}folds 0, 1 and 2 of degraded-folder/v1",
        "config": asdict(training_config(name, 0, common)),
    }
    export_measured(
        network,
        data,
        options.output / label,
        architecture=known.architecture,
        training=training,
        num_sets=options.num_sets,
        licence=LICENCE,
    )


def export_measured(
    network: Network,
    data: ProbeData,
    folder: Path,
    *,
    architecture: str,
    training: dict[str, Any],
    num_sets: int,
    licence: str,
) -> None:
    """Writes a fuser folder whose card holds figures and thresholds measured on `data`, and prints the figures.

    Args:
        network: The trained network.
        data: Probes of fold 3, mix 'hard'; without style if the network looks at none.
        folder: The folder; its name is the fuser's.
        architecture: Its name.
        training: Facts for the card.
        num_sets: Probe sets of each person in `data`.
        licence: Of the weights.
    """
    arguments: dict[str, Any] = {
        "name": folder.name,
        "architecture": architecture,
        "embedder": data.gallery.embedder,
        "licence": licence,
        "needs_norms": network.config.sees_norm if isinstance(network, ExactFuser) else True,
        "training": training,
    }
    with tempfile.TemporaryDirectory() as work:
        draft = Path(work) / "draft.fuser"
        export_fuser(network, draft, **arguments)
        fuser = open_fuser(draft, num_threads=1)
        source = f"{data.protocol}, fold {FOLD}, {num_sets} probe sets of each person"
        points = [
            {
                "fuser": "mean" if point.fuser == "mean" else "this",
                "num_images": point.num_images,
                "rank1": round(point.rank1, 4),
                "tar": {f"{v.target:g}": round(v.tar, 4) for v in point.verification if v.resolved},
            }
            for point in sweep(data, [MeanFuser(num_threads=1), fuser])
        ]
        thresholds = calibrate(
            data, fuser, false_match_rates=(1e-2, 1e-3, 1e-4, 1e-5), source=source
        )
    export_fuser(
        network,
        folder,
        force=True,
        metrics={"protocol": source, "points": points},
        thresholds=thresholds,
        **arguments,
    )
    tar = {p["num_images"]: p["tar"]["0.0001"] for p in points if p["fuser"] == "this"}
    print(folder.name, tar)


if __name__ == "__main__":
    main()
