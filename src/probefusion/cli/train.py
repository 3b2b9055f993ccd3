"""`probefusion train`: a folder of face images in, a fuser folder out."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from probefusion.cli.options import add_embedder_option, add_output_options, add_trust_option
from probefusion.cli.setting_flags import add_setting_flags, given_settings
from probefusion.training.config import RunSettings, TrainingConfig

if TYPE_CHECKING:
    from probefusion.cli.interrupt import Interruption
    from probefusion.training.loop import StepReport
    from probefusion.training.run import TrainedFuser, TrainingProgress

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "train",
        help="train a fuser for an embedder on your own face images",
        description="Trains a fuser on aligned face images, one folder per person. A killed run goes "
        "on where it stopped when the same command is given again.",
    )
    parser.add_argument(
        "--images",
        required=True,
        metavar="DIR|ZIP",
        help="aligned 112x112 crops, folder per person",
    )
    parser.add_argument("-o", "--output", required=True, metavar="FUSER_DIR")
    add_embedder_option(parser)
    parser.add_argument(
        "--from",
        dest="start_from",
        metavar="FUSER",
        help="go on training a fuser: a fuser folder, or the name of one inside the package that has its "
        "weights.safetensors; architecture and network settings are its own",
    )
    parser.add_argument(
        "--config",
        metavar="FILE.toml",
        help="settings by their long names (with _ for -); a table [network] holds those of the "
        "architecture; a flag goes before the file",
    )
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="MODULE",
        help="Python module to import first, which registers further architectures",
    )
    add_setting_flags(parser.add_argument_group("network and training"), TrainingConfig)
    add_setting_flags(parser.add_argument_group("run"), RunSettings)
    add_trust_option(parser)
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Trains, calibrates and exports; 130 if stopped, to be gone on with."""
    from probefusion.cli.interrupt import interruption
    from probefusion.pipeline.train import run_training

    promise = "this step is finished and kept; the same command goes on from there"
    with interruption(promise, is_patient=False) as stop, _progress(stop) as progress:
        trained = run_training(
            options.images,
            output=options.output,
            embedder=options.embedder,
            start_from=options.start_from,
            config=options.config,
            preprocessing=options.preprocessing,
            norm_output=options.norm_output,
            plugins=options.plugin,
            force=options.force,
            trust_alignment=options.trust_alignment,
            progress=progress,
            should_stop=stop,
            settings=given_settings(options, TrainingConfig, RunSettings),
        )
    if trained.card is None and trained.is_finished:
        return 0  # the first process of torchrun writes and reports
    if trained.card is None:
        print(
            f"stopped after step {trained.step}; give the same command again to go on from "
            f"{trained.work}",
            file=sys.stderr,
        )
        return 130
    _report(trained, as_json=options.json)
    return 3 if trained.skipped else 0


@contextmanager
def _progress(stop: Interruption) -> Iterator[TrainingProgress]:
    """Bars for each part; an interruption waits for the end of a step while training, else nowhere.

    Of several processes of `torchrun` the first alone shows them.
    """
    from probefusion.cli.phases import progress_of_phases
    from probefusion.training.run import TrainingProgress

    def be_patient(report: StepReport) -> None:
        stop.is_patient = report.step < report.steps

    if os.environ.get("RANK", "0") != "0":
        yield TrainingProgress(on_step=be_patient)
        return
    with progress_of_phases() as phase:
        training = phase("training", "steps")

        def on_step(report: StepReport) -> None:
            be_patient(report)
            training(report.step, report.steps)

        yield TrainingProgress(
            on_extract=phase("embedding variants", "images"),
            on_step=on_step,
            on_decode=phase("reading images", "images"),
            on_calibrate=phase("calibrating", "images"),
        )


def _report(trained: TrainedFuser, *, as_json: bool) -> None:
    """Tells what was made."""
    from probefusion.cli.pipeline_options import report_skipped

    card = trained.card
    if card is None:
        return
    report_skipped(trained.skipped)
    if as_json:
        facts = {
            "output": str(trained.folder),
            "name": card.name,
            "fingerprint": card.fingerprint,
            "num_people": trained.num_people,
            "num_held_out": trained.num_held_out,
            "num_thresholds": len(card.thresholds),
            "metrics": card.metrics,
            "report": None if trained.report is None else str(trained.report),
        }
        print(json.dumps(facts, indent=2))
        return
    print(f"{trained.folder}: {card.fingerprint}, trained on {trained.num_people} people")
    if trained.report is None:
        print(
            "no thresholds and no report: too few held-out people with three images or more",
            file=sys.stderr,
        )
    else:
        print(
            f"{trained.report}: evaluation on {trained.num_held_out} people it was not trained on"
        )
