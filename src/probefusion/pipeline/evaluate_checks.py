"""What may be asked of an evaluation, looked at before anything is read."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

from probefusion.errors import ConfigError, OutputExistsError
from probefusion.files import check_name, check_output

__all__ = ["FOLDER_PROTOCOL", "check_report", "check_settings", "refuse_folder_settings"]

FOLDER_PROTOCOL = "degraded-folder"
"""The open protocol, on any folder of people; the others are benchmarks under licence."""


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
