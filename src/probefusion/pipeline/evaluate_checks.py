"""What may be asked of an evaluation, looked at before anything is read."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

from probefusion.errors import ConfigError, OutputExistsError
from probefusion.files import check_name, check_output

__all__ = ["FOLDER_PROTOCOL", "MEDIA_PROTOCOL", "check_report", "check_settings"]

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
