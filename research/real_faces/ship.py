r"""Writes a fuser folder with a part of the correction of another one or none, perhaps with weights learned again.

    python -m research.real_faces.ship --start FUSER_FOLDER [--state STATE | --no-correction | --share SHARE] \
        --probes PROBES.npz -o FOLDER

PROBES are those of fold 3, mix 'hard', that research.comparison.compare_fusers makes for the embedder; figures and
thresholds in the card are measured on them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file

from probefusion.evaluation.probe_data import ProbeData
from probefusion.training.starting_point import read_starting_point
from research.comparison.contenders import without_style
from research.comparison.ship_fusers import LICENCE, export_measured
from research.real_faces.refit import halved, settings_of, with_share, without_correction


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--start", required=True, type=Path, metavar="FUSER_FOLDER")
    parser.add_argument(
        "--state", type=Path, help="weights learned again (default: those of the start)"
    )
    parser.add_argument("--no-correction", action="store_true", help="weights and gains alone")
    parser.add_argument(
        "--share", type=float, help="how much of the correction counts, 0 to 1 (default: half)"
    )
    parser.add_argument(
        "--num-images", type=int, default=1735, help="images that refit learned from"
    )
    parser.add_argument("--probes", required=True, type=Path, metavar="PROBES.npz")
    parser.add_argument("--num-sets", type=int, default=4, help="probe sets of a person in it")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FOLDER")
    options = parser.parse_args()
    if options.state and options.no_correction:
        parser.error("--state: what refit learned goes with half of the correction")
    if options.share is not None and (options.state or options.no_correction):
        parser.error("--share: give it alone, without --state or --no-correction")
    torch.set_num_threads(1)
    start = read_starting_point(options.start)
    if options.share is not None:
        network = with_share(start, options.share)
    else:
        network = without_correction(start) if options.no_correction else halved(start)
    training = start.card.training
    if options.state:
        network.load_state_dict(load_file(options.state))
        training = {
            "data": f"{options.num_images} images of lfw112, people of folds 0, 1 and 2 of degraded-folder/v1",
            "config": settings_of(),
        }
    data = ProbeData.load(options.probes)
    export_measured(
        network.eval(),
        data if start.card.style_channels else without_style(data),
        options.output,
        architecture=start.card.architecture,
        training={**training, "from": {**start.facts, "training": start.card.training}},
        num_sets=options.num_sets,
        licence=LICENCE,
    )


if __name__ == "__main__":
    main()
