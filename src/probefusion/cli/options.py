"""Options that several commands share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from probefusion.workers import MAX_THREADS
from probefusion.zoo.fuser_names import fuser_choices

if TYPE_CHECKING:
    from probefusion.faces import Detector

__all__ = [
    "add_device_option",
    "add_embedder_option",
    "add_embedding_options",
    "add_fuser_option",
    "add_output_options",
    "add_preprocessing_option",
    "add_stance_option",
    "add_trust_option",
    "detector_of",
    "name_list",
    "number_list",
    "positive",
]


def positive(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    try:
        value = int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}") from error
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {value}")
    return value


def thread_count(text: str) -> int:
    """A number of threads, for argparse."""
    value = positive(text)
    if value > MAX_THREADS:
        raise argparse.ArgumentTypeError(f"expected at most {MAX_THREADS}, got {value}")
    return value


def number_list(text: str) -> tuple[int, ...]:
    """Whole numbers separated by commas, for argparse."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected numbers as in 1,2,4, got {text!r}") from error


def name_list(text: str) -> tuple[str, ...]:
    """Names separated by commas, for argparse."""
    return tuple(part for part in text.split(",") if part)


def add_embedding_options(parser: argparse.ArgumentParser, *, labels: bool = False) -> None:
    """Options for turning images into embeddings.

    Args:
        parser: The command's.
        labels: Whether --embedder also states what made the embedding files that are given.
    """
    group = parser.add_argument_group("images")
    add_embedder_option(group, labels=labels)
    group.add_argument(
        "--aligned", action="store_true", help="images are aligned 112x112 crops: detect nothing"
    )
    group.add_argument(
        "--detector",
        metavar="MODEL",
        help="face detector for images that are not aligned: name or ONNX file of YuNet (yunet_2023mar) or of SCRFD "
        "(buffalo_l: non-commercial research only)",
    )
    add_stance_option(group)
    if labels:
        parser.add_argument(
            "--ignore-columns",
            type=name_list,
            default=(),
            metavar="A,B",
            help="columns of embedding tables that are no part of the embedding and are passed over",
        )
    add_device_option(group)


def add_stance_option(parser: Any) -> None:
    """What does without the small network that says which faces stand upright."""
    parser.add_argument(
        "--no-stance",
        action="store_true",
        help="look at every doubtful face in four turns, without the package's small network (for research only) that "
        "says which stand upright: slower, as sure",
    )


def detector_of(options: argparse.Namespace) -> str | Detector | None:
    """The face detector that the options name: opened where it is to be without the small network.

    Raises:
        ConfigError: If that is said, and there is no detector.
        ProbeFusionError: As for `load_detector`.
    """
    name: str | None = options.detector
    if not getattr(options, "no_stance", False):
        return name
    if name is None:
        from probefusion.cli.effects import refuse

        raise refuse(
            "--no-stance", "crops, in which no faces are looked for", "photos (--detector)"
        )
    from probefusion.zoo import load_detector

    return load_detector(name, knows_stance=False)


def add_device_option(parser: Any) -> None:
    """Where networks run."""
    parser.add_argument(
        "--device",
        choices=("cpu", "cuda"),
        default="cpu",
        help="where embedder and fuser run; cuda needs the package onnxruntime-gpu (default cpu)",
    )


def add_embedder_option(parser: Any, *, labels: bool = False) -> None:
    """The embedder, and how images go into it; `labels` as for `add_embedding_options`."""
    more = "; of embedding files that do not say it (.npy, .csv): what made them" if labels else ""
    parser.add_argument(
        "--embedder",
        metavar="MODEL",
        help="ONNX face-recognition model, or a known model's name (default: the compact one of the "
        f"package, for research only){more}",
    )
    add_preprocessing_option(parser)


def add_preprocessing_option(parser: Any) -> None:
    """How images go into an embedder that is not known, and where it gives the length."""
    parser.add_argument(
        "--preprocessing",
        choices=("arcface",),
        help="for an unknown embedder without a MODEL.json beside it: RGB, (x/255 - .5)/.5",
    )
    parser.add_argument(
        "--norm-output",
        metavar="NAME",
        help="output that holds the length of an embedding that the network itself brings to length 1, where "
        "that is not found (AdaFace exports: found); '' for none",
    )


def add_trust_option(parser: Any) -> None:
    """What says that images are aligned crops, whatever a look at them says."""
    parser.add_argument(
        "--trust-alignment",
        action="store_true",
        help="take the images for aligned crops; otherwise a face detector that was pulled looks at up to 64",
    )


def add_fuser_option(parser: argparse.ArgumentParser) -> None:
    """The fuser and how images are handed to it."""
    names = [name for name in fuser_choices() if name not in ("auto", "NAME", "DIR")]
    parser.add_argument(
        "--fuser",
        default="auto",
        metavar="NAME|DIR",
        help=f"{', '.join(names)} or a fuser folder; auto (default) takes the bundled exact fuser where it "
        f"fits the embedder, otherwise universal where crops were judged, otherwise mean",
    )
    parser.add_argument(
        "--chunk",
        type=positive,
        metavar="N",
        help="encode N images at a time (changes nothing for exact fusers)",
    )
    parser.add_argument("--threads", type=thread_count, metavar="N", help="threads to use")


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """--json and --force."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--force", action="store_true", help="replace existing output files")
