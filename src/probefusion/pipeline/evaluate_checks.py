"""What may be asked of an evaluation, looked at before anything is computed."""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probefusion.errors import ConfigError, MissingStyleError, OutputExistsError, ShapeError
from probefusion.files import check_name, check_output
from probefusion.pipeline.alignment_check import check_data_aligned

if TYPE_CHECKING:
    from probefusion.embedders import Embedder
    from probefusion.fusion import Fuser
    from probefusion.protocols.licensed import Benchmark
    from probefusion.types import EmbeddingSet

__all__ = [
    "FOLDER_PROTOCOL",
    "MEDIA_PROTOCOL",
    "WITHOUT_LENGTHS",
    "check_crops",
    "check_embeddings",
    "check_report",
    "check_settings",
    "usual_fusers",
]

FOLDER_PROTOCOL = "degraded-folder"
"""The open protocol that degrades images, on any folder of people."""

MEDIA_PROTOCOL = "media-folder"
"""The open protocol on real images whose media are known; all others are benchmarks under licence."""

_BENCHMARKS = "the benchmarks"
_FOLDERS = (FOLDER_PROTOCOL, MEDIA_PROTOCOL)

_OWNERS: dict[str, tuple[str, ...]] = {
    "embeddings": (MEDIA_PROTOCOL, _BENCHMARKS),
    "flipped": (MEDIA_PROTOCOL, _BENCHMARKS),
    "chunks": (_BENCHMARKS,),
    "images": (_BENCHMARKS,),
    "detector": (_BENCHMARKS,),
    "mix": (FOLDER_PROTOCOL,),
    "folds": _FOLDERS,
    "set_sizes": _FOLDERS,
    "num_sets": _FOLDERS,
    "seed": _FOLDERS,
    "num_replicates": _FOLDERS,
    "media_from": (MEDIA_PROTOCOL,),
    "faces": (MEDIA_PROTOCOL,),
    "face_px": (MEDIA_PROTOCOL,),
    "relatives": (MEDIA_PROTOCOL,),
    "leave_out": (MEDIA_PROTOCOL,),
    "ignore": (MEDIA_PROTOCOL,),
}
"""Which protocols a setting belongs to."""


WITHOUT_LENGTHS = (
    "norm-weighted was left out: the embeddings are all of length 1, so it could weigh nothing. Give them as "
    "the network made them, or their lengths, to have it measured."
)
"""What is told where the usual fusers are not all taken."""


def usual_fusers(norms_known: bool) -> tuple[str, ...]:
    """The fusers that are evaluated where none is named: those that can be for these embeddings.

    Args:
        norms_known: Whether the embeddings come with their own lengths.
    """
    return ("mean", "norm-weighted") if norms_known else ("mean",)


def check_settings(protocol: str, usual_ones: inspect.Signature, **settings: Any) -> None:
    """Refuses settings of other protocols, unless they are left as they are, and such that mean nothing.

    Args:
        protocol: Name of the protocol, a known one.
        usual_ones: Where the settings' defaults stand.
        settings: What was given.

    Raises:
        ConfigError: If there is one.
    """
    kind = protocol if protocol in _FOLDERS else _BENCHMARKS
    for name, value in settings.items():
        if not _is_given(value, usual_ones.parameters[name].default):
            continue
        if name == "embeddings" and kind == FOLDER_PROTOCOL:
            raise ConfigError(
                "embeddings: the degraded-folder protocol degrades the images itself, so their embeddings "
                "cannot exist before. Leave embeddings out and name the embedder."
            )
        if kind not in _OWNERS[name]:
            raise ConfigError(
                f"{name}: belongs to {' and '.join(_OWNERS[name])}, not to {kind}. Leave it out."
            )
    if settings["flipped"] and settings["embeddings"] is None:
        raise ConfigError("flipped: says what the rows of embeddings hold, and none are given.")
    if settings["detector"] is not None and settings["embeddings"] is not None:
        raise ConfigError(
            "detector: finds faces in images, and with embeddings no image is read. Leave one of them out."
        )
    chunks = settings["chunks"]
    if any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in chunks):
        raise ConfigError(f"chunks: expected whole numbers of at least 1, got {tuple(chunks)}.")


def _is_given(value: Any, usual: Any) -> bool:
    if usual is None or value is None:
        return value is not usual
    return bool((tuple(value) if isinstance(usual, tuple) else value) != usual)


def check_report(output: str | os.PathLike[str], *, force: bool) -> None:
    """Refuses a folder that no report can be written to.

    Raises:
        OutputExistsError: If a report stands there and `force` is False, or a file.
    """
    folder = Path(output)
    check_name(f"{os.fspath(output)}.work")
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"output {str(folder)!r} is a file, expected a folder.")
    check_output(folder / "report.json" if folder.is_dir() else folder, force=force)


def check_embeddings(fusers: Sequence[Fuser], images: EmbeddingSet) -> None:
    """Refuses embeddings made elsewhere that a fuser cannot take, before anything is scored.

    Raises:
        ProbeFusionError: As for `Fuser.check_fits`; says what to do with such files.
    """
    for fuser in fusers:
        try:
            fuser.check_fits(images)
        except MissingStyleError as error:
            raise MissingStyleError(
                f"{error} Embeddings made elsewhere can bring it as style (R, C, 2) in an .npz; without "
                f"it take 'exact-embedding', which looks at embedding and length alone."
            ) from error
        except ShapeError as error:
            if fuser.dim is not None and images.dim == 2 * fuser.dim:
                raise ShapeError(
                    f"{error} Rows of twice the length hold image and mirror image, as InsightFace's "
                    f"helper saves them: give --flipped (flipped=True), and they are added."
                ) from error
            raise


def check_crops(
    benchmark: Benchmark, embedder: Embedder, *, images: object, is_trusted: bool
) -> None:
    """Refuses a benchmark whose images must be aligned crops and are not.

    Raises:
        ConfigError: As for `check_data_aligned`.
    """
    if benchmark.takes_crops:
        check_data_aligned(
            benchmark.row_paths,
            Path.read_bytes,
            name="--data" if images is None else "--images",
            input_size=embedder.spec.input_size,
            is_trusted=is_trusted,
        )
