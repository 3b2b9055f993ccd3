"""`probefusion train`: a folder of face images in, a fuser folder out."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probefusion.cli.inputs import load_chosen_embedder, report_skipped
from probefusion.cli.options import (
    add_embedder_option,
    add_output_options,
    number_list,
    positive,
)

if TYPE_CHECKING:
    from probefusion.training.loop import StepReport

__all__ = ["add_parser", "run"]

_DEFAULTS: dict[str, Any] = {
    "architecture": "exact",
    "recipe": None,
    "steps": 800,
    "batch_size": None,
    "learning_rate": 1e-3,
    "memory_weight": 1.0,
    "validation_share": None,
    "patience": 6,
    "seed": 0,
    "folds": (0, 1, 2),
    "device": "cpu",
    "licence": "unspecified",
    "name": None,
    "work": None,
    "network": {},
}
"""Settings that a TOML file may give too; a flag goes before the file, the file before these."""

_PEOPLE_TO_SPARE = 200
"""From so many training people on some are kept apart to stop early by."""


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
        "--config",
        metavar="FILE.toml",
        help="settings by their long names; a table [network] holds those of the architecture",
    )
    parser.add_argument(
        "--architecture", choices=("exact", "exact-fast", "official"), help="default exact"
    )
    parser.add_argument(
        "--recipe",
        metavar="NAME",
        help="surveillance-20 (default), or official-16: augmentation and settings as published",
    )
    parser.add_argument("--steps", type=positive, metavar="N", help="default 800")
    parser.add_argument(
        "--batch-size", type=positive, metavar="B", help="people per step (default: 128 or all)"
    )
    parser.add_argument("--learning-rate", type=float, metavar="LR", help="default 0.001")
    parser.add_argument("--memory-weight", type=float, metavar="W", help="default 1")
    parser.add_argument(
        "--validation-share",
        type=float,
        metavar="S",
        help="share of the training people kept to stop early by (default .1 from 200 people on)",
    )
    parser.add_argument("--patience", type=positive, metavar="N", help="looks, default 6")
    parser.add_argument(
        "--without",
        nargs="+",
        choices=("style", "norm"),
        default=(),
        help="train a fuser for embeddings that come without style, or without their length too",
    )
    parser.add_argument(
        "--report",
        metavar="DIR",
        help="where the evaluation report goes (default FUSER_DIR.report)",
    )
    parser.add_argument("--seed", type=int, help="default 0")
    parser.add_argument(
        "--folds",
        type=number_list,
        metavar="LIST",
        help="folds to train on, the rest calibrates (default 0,1,2)",
    )
    parser.add_argument(
        "--device", metavar="NAME", help="PyTorch device, cpu or cuda (default cpu)"
    )
    parser.add_argument("--licence", metavar="TEXT", help="licence of the weights, for the card")
    parser.add_argument(
        "--name", help="name of the fuser (default ARCHITECTURE.EMBEDDER-FOLDER.r1)"
    )
    parser.add_argument(
        "--work",
        metavar="DIR",
        help="where embedded variants and checkpoint lie (default FUSER_DIR.work)",
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="threads to use")
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Trains, calibrates and exports; 130 if stopped, to be gone on with."""
    from probefusion.checks import check_existing, check_output
    from probefusion.extras import import_extra

    torch = import_extra("torch", extra="train", purpose="training")
    from probefusion.cli.progress import progress_bar
    from probefusion.errors import ConfigError
    from probefusion.protocols.degraded_folder import fold_of, read_people
    from probefusion.training.config import TrainingConfig
    from probefusion.training.run import train_fuser

    settings = _settings(options)
    output = check_output(Path(options.output), force=options.force)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    try:
        torch.empty(0, device=settings["device"])
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"--device: {settings['device']!r} cannot be used here ({reason}). Use cpu."
        ) from error
    people = read_people(check_existing(options.images, name="--images"))
    embedder = load_chosen_embedder(options)
    folds = tuple(settings["folds"])
    num_people = sum(fold_of(subject) in folds for subject in people.images)
    base = TrainingConfig.official if settings["recipe"] == "official-16" else TrainingConfig
    recipe = {} if settings["recipe"] is None else {"recipe": settings["recipe"]}
    config = base(
        **recipe,
        architecture=settings["architecture"],
        network=settings["network"],
        steps=settings["steps"],
        batch_size=settings["batch_size"] or max(1, min(128, num_people)),
        learning_rate=settings["learning_rate"],
        memory_weight=settings["memory_weight"],
        validation_share=_validation_share(settings["validation_share"], num_people),
        patience=settings["patience"],
        seed=settings["seed"],
    )
    report = Path(options.report or f"{output}.report")
    data = Path(options.images).stem
    name = settings["name"] or f"{config.architecture}.{embedder.spec.name}-{data}.r1"
    work = Path(settings["work"] or f"{output}.work")
    work.mkdir(parents=True, exist_ok=True)
    with _stop_requested() as should_stop:
        bars = [
            progress_bar("embedding variants", unit="images"),
            progress_bar("training", unit="steps"),
            progress_bar("calibrating", unit="images"),
        ]
        with bars[0] as extracting, bars[1] as training, bars[2] as calibrating:

            def on_step(report: StepReport) -> None:
                should_stop.is_training = report.step < report.steps
                training(report.step, report.steps)

            trained = train_fuser(
                people,
                embedder,
                output,
                config,
                work=work,
                name=name,
                licence=settings["licence"],
                train_folds=folds,
                without=frozenset(options.without),
                report=report,
                device=settings["device"],
                force=options.force,
                on_extract=extracting,
                on_step=on_step,
                on_calibrate=calibrating,
                should_stop=should_stop,
            )
    if trained.card is None and trained.is_finished:
        return 0  # the first process of torchrun writes and reports
    if trained.card is None:
        print(
            f"stopped after step {trained.step}; give the same command again to go on from {work}",
            file=sys.stderr,
        )
        return 130
    facts = {
        "output": str(output),
        "name": trained.card.name,
        "fingerprint": trained.card.fingerprint,
        "num_people": trained.num_people,
        "num_held_out": trained.num_held_out,
        "num_thresholds": len(trained.card.thresholds),
        "metrics": trained.card.metrics,
        "report": str(report) if trained.card.metrics else None,
    }
    report_skipped(trained.skipped)
    if options.json:
        print(json.dumps(facts, indent=2))
    else:
        print(f"{output}: {trained.card.fingerprint}, trained on {trained.num_people} people")
        if trained.card.metrics:
            print(f"{report}: evaluation on {trained.num_held_out} people it was not trained on")
        else:
            print(
                "no thresholds and no report: too few held-out people with three images or more",
                file=sys.stderr,
            )
    return 3 if trained.skipped else 0


def _validation_share(given: float | None, num_people: int) -> float:
    if given is not None:
        return given
    return 0.1 if num_people >= _PEOPLE_TO_SPARE else 0.0


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """Flag before TOML file before default."""
    from probefusion.checks import check_existing
    from probefusion.errors import ConfigError, FileFormatError, UnknownNameError

    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    given: dict[str, Any] = {}
    if options.config is not None:
        path = check_existing(options.config, name="--config")
        try:
            given = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise FileFormatError(f"{path}: expected TOML, could not read it ({error}).") from error
        for key, value in given.items():
            if key not in _DEFAULTS:
                raise ConfigError(f"{path}: {UnknownNameError('setting', key, _DEFAULTS)}")
            given[key] = _checked(key, value, path)
    flags = {key: value for key in _DEFAULTS if (value := getattr(options, key, None)) is not None}
    return {**_DEFAULTS, **given, **flags}


def _checked(key: str, value: Any, path: Path) -> Any:
    """A setting of a TOML file, of the right type."""
    from probefusion.errors import ConfigError

    kinds: dict[str, tuple[type, ...]] = {
        "steps": (int,),
        "batch_size": (int,),
        "seed": (int,),
        "learning_rate": (int, float),
        "validation_share": (int, float),
        "patience": (int,),
        "memory_weight": (int, float),
        "folds": (list,),
        "network": (dict,),
    }
    wanted = kinds.get(key, (str,))
    fits = isinstance(value, wanted) and not isinstance(value, bool)
    if key == "folds" and fits:
        fits = all(type(fold) is int for fold in value)
    if not fits:
        names = " or ".join(kind.__name__ for kind in wanted)
        raise ConfigError(f"{path}: {key}: expected {names}, got {value!r}.")
    return value


class _Stop:
    """Asked after each training step; elsewhere an interruption ends the run at once.

    What is embedded is kept in either case.

    Attributes:
        is_training: Whether the next interruption waits for the end of a step.
    """

    def __init__(self) -> None:
        self.is_training = False
        self._is_asked = False

    def __call__(self) -> bool:
        return self._is_asked

    def handle(self, number: int, frame: object) -> None:
        """Signal handler."""
        del number, frame
        if self._is_asked or not self.is_training:
            raise KeyboardInterrupt
        self._is_asked = True
        print("stopping after this step (again: at once)", file=sys.stderr)


@contextmanager
def _stop_requested() -> Iterator[_Stop]:
    """Turns SIGTERM and Ctrl-C during training into a question asked after each step."""
    stop = _Stop()
    previous = {
        number: signal.signal(number, stop.handle) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
