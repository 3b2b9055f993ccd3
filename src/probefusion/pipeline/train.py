"""Training a fuser for an embedder on one's own face images, from nothing or from another fuser."""

from __future__ import annotations

import dataclasses
import importlib
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probefusion.errors import ConfigError, ProbeFusionError, UnknownNameError
from probefusion.extras import import_extra
from probefusion.files import check_existing, check_not_input, check_output
from probefusion.pipeline.folder_people import check_people_aligned
from probefusion.settings import check_settings, read_settings_file

if TYPE_CHECKING:
    from probefusion.embedders import Embedder, OnnxEmbedder
    from probefusion.fusion import Fuser
    from probefusion.training.config import RunSettings, TrainingConfig
    from probefusion.training.run import TrainedFuser, TrainingProgress
    from probefusion.training.starting_point import StartingPoint

__all__ = ["run_training", "train"]

Source = str | os.PathLike[str]


def train(
    images: Source,
    *,
    output: Source,
    embedder: Source | Embedder | None = None,
    architecture: str | None = None,
    start_from: Source | None = None,
    config: Source | None = None,
    preprocessing: str | None = None,
    norm_output: str | None = None,
    plugins: Sequence[str] = (),
    force: bool = False,
    trust_alignment: bool = False,
    progress: TrainingProgress | None = None,
    **settings: Any,
) -> Fuser:
    """Trains a fuser for an embedder on aligned face images, and opens it.

    A training that was interrupted goes on where it stopped when the same call is made again. This is for
    one process; on several, start the command `probefusion train` with torchrun.

    Args:
        images: Folder or zip of aligned 112x112 crops, one folder per person.
        output: Fuser folder to make.
        embedder: An ONNX face-recognition model, a known model's name, or an embedder; None takes the
            one inside the package, which is for research only.
        architecture: "exact", "exact-fast", "official" or what a plugin registers; None is "exact", or
            that of `start_from`.
        start_from: A fuser folder, or the name of a fuser inside the package, to go on training from:
            architecture and network settings are its own, and the embedder must be the one it was
            made for. The learning rate is then lower unless given.
        config: TOML file with settings; those given as arguments go before it.
        preprocessing: How images go into an embedder that is not known ("arcface").
        norm_output: Output of it that holds the length of an embedding that it normalises; "" for none.
        plugins: Modules that register further architectures when they are imported.
        force: Whether existing output may be replaced.
        trust_alignment: Whether the images are taken for aligned crops without a look at them.
        progress: Told how far the training is.
        **settings: Any field of `probefusion.training.config.TrainingConfig` and `RunSettings`, such as
            `steps`, `margin_weight`, `network` (a dictionary), `folds`, `name`, `licence`.

    Returns:
        The fuser, opened from `output`.

    Raises:
        ConfigError: If a setting is unknown (a close one is suggested), of another type or out of range, or
            the images are not aligned crops.
        EmbedderMismatchError: If `start_from` was made for another embedder.
        OutputExistsError: If `output` exists and `force` is False.
        MissingExtraError: If PyTorch is not installed.

    Warns:
        UserWarning: If images were left out because they cannot be read; the work folder's `run.json`
            lists them.
    """
    trained = run_training(
        images,
        output=output,
        embedder=embedder,
        architecture=architecture,
        start_from=start_from,
        config=config,
        preprocessing=preprocessing,
        norm_output=norm_output,
        plugins=plugins,
        force=force,
        trust_alignment=trust_alignment,
        progress=progress,
        settings=settings,
    )
    from probefusion.zoo.fusers import load_fuser

    if trained.skipped:
        first = trained.skipped[0]
        warnings.warn(
            f"{len(trained.skipped)} images were left out, the first {first} "
            f"All are listed in {trained.work / 'run.json'}.",
            stacklevel=2,
        )
    return load_fuser(trained.folder)


def run_training(
    images: Source,
    *,
    output: Source,
    embedder: Source | Embedder | None = None,
    architecture: str | None = None,
    start_from: Source | None = None,
    config: Source | None = None,
    preprocessing: str | None = None,
    norm_output: str | None = None,
    plugins: Sequence[str] = (),
    force: bool = False,
    trust_alignment: bool = False,
    progress: TrainingProgress | None = None,
    should_stop: Callable[[], bool] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> TrainedFuser:
    """As `train`, but tells what was done instead of opening the fuser; it can be stopped.

    Args:
        images: As `train`, and all others that are not named here.
        output: Fuser folder to make.
        embedder: See `train`.
        architecture: See `train`.
        start_from: See `train`.
        config: See `train`.
        preprocessing: See `train`.
        norm_output: See `train`.
        plugins: See `train`.
        force: See `train`.
        trust_alignment: See `train`.
        progress: See `train`.
        should_stop: Asked after every training step; True keeps a checkpoint and ends the run.
        settings: The further settings by name.

    Returns:
        Folders, card, counts and the images left out; `is_finished` is False if it was stopped.
    """
    torch = import_extra("torch", extra="train", purpose="training")
    from probefusion.protocols.people import read_people
    from probefusion.training.parallel import threads_of_process
    from probefusion.training.run import train_fuser

    _import_plugins(plugins)
    folder = check_output(Path(output), force=force)
    check_not_input(
        folder,
        [os.fspath(path) for path in (images, start_from) if path is not None],
        name="output",
    )
    people = read_people(check_existing(Path(images), name="images"))
    named = {} if architecture is None else {"architecture": architecture}
    given = _given({**(settings or {}), **named}, config)
    threads = threads_of_process(given.get("threads"))
    opened = _open_embedder(embedder, preprocessing, norm_output, threads)
    check_people_aligned(people, opened, is_trusted=trust_alignment, name="--images")
    start = None if start_from is None else _starting_point(start_from, opened.fingerprint)
    chosen, run = _resolve(given, start)
    _check_device(run.device)
    if threads is not None:
        torch.set_num_threads(threads)
    name = run.name or f"{chosen.architecture}.{opened.spec.name}-{Path(images).stem}.r1"
    return train_fuser(
        people,
        opened,
        folder,
        chosen,
        run,
        name=name,
        start=start,
        force=force,
        progress=progress,
        should_stop=should_stop,
    )


def _open_embedder(
    embedder: Source | Embedder | None,
    preprocessing: str | None,
    norm_output: str | None,
    threads: int | None,
) -> OnnxEmbedder:
    from probefusion.embedders import OnnxEmbedder
    from probefusion.pipeline.chosen_embedder import open_embedder

    opened = open_embedder(
        embedder, preprocessing=preprocessing, norm_output=norm_output, num_threads=threads
    )
    if not isinstance(opened, OnnxEmbedder):
        raise ConfigError(
            f"embedder: expected an ONNX file, a known name or what load_embedder gives, got "
            f"{type(opened).__name__}. Training needs its ONNX form."
        )
    return opened


def _starting_point(start_from: Source, embedder: str) -> StartingPoint:
    """The fuser of that folder, or of that name inside the package, made for the embedder if any is."""
    from probefusion.training.starting_point import read_starting_point
    from probefusion.zoo.fusers import trained_fusers

    name = os.fspath(start_from)
    if Path(name).is_dir():
        return read_starting_point(name)
    bundled = trained_fusers(embedder)
    if name not in bundled:
        raise UnknownNameError("fuser to start from", name, (*bundled, "a fuser folder"))
    return read_starting_point(bundled[name])


def _given(arguments: Mapping[str, Any], config: Source | None) -> dict[str, Any]:
    """Settings by name: arguments before those of the file."""
    from probefusion.training.config import RunSettings, TrainingConfig

    classes = (TrainingConfig, RunSettings)
    file = {} if config is None else read_settings_file(config, *classes)
    return {**file, **check_settings(arguments, *classes, source="train")}


def _resolve(
    given: Mapping[str, Any], start: StartingPoint | None
) -> tuple[TrainingConfig, RunSettings]:
    """What was given before what the fuser to start from says before the defaults."""
    from probefusion.training.config import FINE_TUNING, RunSettings, TrainingConfig

    if start is not None:
        given = {**FINE_TUNING, **given, **_settings_of(start, given)}
    names = {field.name for field in dataclasses.fields(RunSettings)}
    run = RunSettings(**{name: value for name, value in given.items() if name in names})
    training = {name: value for name, value in given.items() if name not in names}
    return TrainingConfig.of(training), run


def _settings_of(start: StartingPoint, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the fuser to start from decides; anything else said about it is an error."""
    decided: dict[str, Any] = {
        "architecture": start.card.architecture,
        "network": start.network_settings,
        "without": start.without,
    }
    for name, value in decided.items():
        said = given.get(name) or value
        differs = (
            any(value.get(k) != v for k, v in said.items()) if name == "network" else said != value
        )
        if differs:
            raise ConfigError(
                f"{name}: expected what the fuser to start from has ({value!r}), got "
                f"{said!r}. Leave {name} out, or train from nothing."
            )
    return decided


def _check_device(device: str) -> None:
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device: {device!r} cannot be used here ({reason}). Use cpu.") from error


def _import_plugins(plugins: Sequence[str]) -> None:
    """Imports modules that register architectures."""
    for name in plugins:
        try:
            importlib.import_module(name)
        except ProbeFusionError:
            raise
        except ImportError as error:
            raise ConfigError(
                f"plugin: {name!r} could not be imported ({error}). Expected a Python module on the "
                f"path (PYTHONPATH) that calls probefusion.nn.architectures.register_architecture."
            ) from error
