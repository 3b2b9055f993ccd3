"""What a person may point at: an embedding file, images, a folder; and what comes of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from probefusion.checks import check_existing
from probefusion.errors import ConfigError
from probefusion.types import EmbeddingSet

if TYPE_CHECKING:
    from probefusion.embedders import EmbeddingReport, OnnxEmbedder
    from probefusion.faces import SkippedImage
    from probefusion.fusion import Fuser

__all__ = [
    "GET_DETECTOR",
    "Loaded",
    "choose_fuser",
    "embed_paths",
    "embedder_settings",
    "load_chosen_embedder",
    "load_images",
    "report_skipped",
]


GET_DETECTOR = (
    "Get one with: probefusion models pull yunet_2023mar; then give --detector yunet_2023mar"
)
"""What to do without a face detector."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Loaded:
    """Embedding sets of one person and the images that could not be used.

    Args:
        sets: One per embedding file, and one for all images together.
        skipped: Images that were left out, with reasons.
    """

    sets: tuple[EmbeddingSet, ...]
    skipped: tuple[SkippedImage, ...] = ()


def load_images(paths: Sequence[str], options: argparse.Namespace) -> Loaded:
    """Reads embedding files and embeds images and folders.

    Raises:
        MissingFileError: If a path does not exist.
        ConfigError: If there are images that are not aligned and no detector was named.
        ProbeFusionError: If a file cannot be read, or no image can be used.
    """
    from probefusion.io import read_embeddings, readable_suffixes

    files: list[Path] = []
    images: list[Path] = []
    for text in paths:
        path = check_existing(text)
        if path.suffix.lower() == ".safetensors":
            raise ConfigError(
                f"{text}: a saved state is not expected here. Turn it into a template first: "
                f"probefusion fuse {text} -o template.npz"
            )
        is_file = path.is_file() and path.suffix.lower() in readable_suffixes()
        (files if is_file else images).append(path)
    sets = [read_embeddings(path) for path in files]
    if not images:
        return Loaded(sets=tuple(sets))
    report = embed_paths(images, options)
    return Loaded(sets=(*sets, report.embedding_set), skipped=tuple(report.skipped))


def embed_paths(paths: Sequence[Path], options: argparse.Namespace) -> EmbeddingReport:
    """Embeds images and folders with the embedder and detector of the options."""
    from probefusion.cli.progress import progress_bar
    from probefusion.embedders import CropQuality, embed_images
    from probefusion.zoo import load_detector

    if options.aligned and options.detector is not None:
        raise ConfigError(
            "--aligned, --detector: expected one of the two, got both. Aligned crops are not searched "
            "for faces: leave --detector out, or --aligned if these are photos."
        )
    if not options.aligned and options.detector is None:
        raise ConfigError(
            f"--detector: photos need a face detector. {GET_DETECTOR}; or give --aligned if the "
            f"images are aligned 112x112 face crops."
        )
    threads = getattr(options, "threads", None)
    embedder = load_chosen_embedder(options, device=options.device)
    detector = None if options.aligned else load_detector(options.detector)
    judges = _needs_quality(options, embedder.fingerprint)
    with progress_bar("embedding", unit="images") as progress:
        return embed_images(
            paths,
            embedder,
            detector=detector,
            aligned=options.aligned,
            quality=CropQuality(num_threads=threads) if judges else None,
            num_threads=threads,
            progress=progress,
        )


def _needs_quality(options: argparse.Namespace, embedder: str) -> bool:
    """Whether crops must be judged too, which costs as much as a small embedder.

    A set that is kept may meet any fuser later; one that is fused at once needs it for the universal
    fuser alone.
    """
    from probefusion.zoo.fusers import has_fuser_for

    fuser = getattr(options, "fuser", None)
    if fuser == "auto":
        return not has_fuser_for(embedder)
    return fuser in (None, "universal")


def load_chosen_embedder(options: argparse.Namespace, *, device: str = "cpu") -> OnnxEmbedder:
    """The embedder of the options; where none was named that of the package, told on stderr.

    Args:
        options: The command's.
        device: Where it runs, "cpu" or "cuda".

    Raises:
        ProbeFusionError: As for `load_embedder`.
    """
    from probefusion.zoo import DEFAULT_EMBEDDER, find_entry, load_embedder

    model = options.embedder
    if model is None:
        model = DEFAULT_EMBEDDER
        licence = find_entry(model).licence
        print(
            f"embedder: {model} of this package ({licence}); choose another with --embedder",
            file=sys.stderr,
        )
    return load_embedder(
        model,
        settings=embedder_settings(options),
        num_threads=getattr(options, "threads", None),
        device=device,
    )


def embedder_settings(options: argparse.Namespace) -> dict[str, str] | None:
    """What the options say about an embedder beyond its file."""
    return None if options.preprocessing is None else {"preprocessing": options.preprocessing}


def choose_fuser(options: argparse.Namespace, sets: Sequence[EmbeddingSet]) -> Fuser:
    """The fuser of the options; for `auto`, the one that fits all sets, told on stderr."""
    from probefusion.zoo import load_fuser, suggest_fuser

    name = options.fuser
    if name == "auto":
        fitting = {suggest_fuser(images) for images in sets}
        name = fitting.pop() if len(fitting) == 1 else "mean"
        print(f"fuser: {name} (choose with --fuser)", file=sys.stderr)
    embedders = {images.embedder for images in sets}
    embedder = embedders.pop() if len(embedders) == 1 else None
    return load_fuser(name, num_threads=options.threads, embedder=embedder)


def report_skipped(skipped: Sequence[SkippedImage]) -> None:
    """Counts and lists skipped images on standard error."""
    if skipped:
        print(f"skipped {len(skipped)} images:", file=sys.stderr)
        for image in skipped:
            print(f"  {image.source}: {image.reason}", file=sys.stderr)
