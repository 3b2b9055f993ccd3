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
    "WITHOUT_LENGTHS",
    "check_crops",
    "check_embeddings",
    "check_report",
    "check_settings",
    "refuse_folder_settings",
    "usual_fusers",
]

FOLDER_PROTOCOL = "degraded-folder"
"""The open protocol, on any folder of people; the others are benchmarks under licence."""


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


def check_settings(is_folder: bool, **benchmark_settings: Any) -> None:
    """Refuses settings of the benchmarks beside the degraded-folder protocol, and such that mean nothing.

    Raises:
        ConfigError: If there is one.
    """
    given = [name for name, value in benchmark_settings.items() if value not in (None, False)]
    given = [name for name in given if name != "chunks" or len(benchmark_settings["chunks"])]
    if is_folder and "embeddings" in given:
        raise ConfigError(
            "embeddings: the degraded-folder protocol degrades the images itself, so their embeddings "
            "cannot exist before. Leave embeddings out and name the embedder."
        )
    if is_folder and given:
        raise ConfigError(
            f"{given[0]}: belongs to the benchmarks, not to {FOLDER_PROTOCOL}. Leave it out."
        )
    if benchmark_settings["flipped"] and benchmark_settings["embeddings"] is None:
        raise ConfigError("flipped: says what the rows of embeddings hold, and none are given.")
    if benchmark_settings["detector"] is not None and benchmark_settings["embeddings"] is not None:
        raise ConfigError(
            "detector: finds faces in images, and with embeddings no image is read. Leave one of them out."
        )
    chunks = benchmark_settings["chunks"]
    if any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in chunks):
        raise ConfigError(f"chunks: expected whole numbers of at least 1, got {tuple(chunks)}.")


def refuse_folder_settings(usual_ones: inspect.Signature, **settings: Any) -> None:
    """Refuses settings of the degraded-folder protocol beside a benchmark, unless they are left as they are.

    Raises:
        ConfigError: If there is one.
    """
    defaults = usual_ones.parameters
    for name, value in settings.items():
        usual = defaults[name].default
        if (tuple(value) if isinstance(usual, tuple) else value) != usual:
            raise ConfigError(
                f"{name}: belongs to {FOLDER_PROTOCOL}, not to the benchmarks. Leave it out."
            )


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
