"""From a name or a path to a ready face detector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from probefusion.errors import ConfigError, FileFormatError
from probefusion.faces.detect import YuNetDetector
from probefusion.faces.scrfd import ScrfdDetector
from probefusion.sessions import start_session
from probefusion.zoo.cache import locate
from probefusion.zoo.manifest import find_by_sha256

__all__ = ["load_detector", "resolve_detector"]

_YUNET_OUTPUTS = frozenset(
    f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32)
)
_EXPECTED = (
    "a YuNet .onnx model (outputs cls_8 to kps_32) or an SCRFD .onnx model with landmarks (outputs of 1, 4 and "
    "10 columns at the strides 8, 16 and 32)"
)


def resolve_detector(model: str | Path) -> Path:
    """Finds a face detector's file.

    Args:
        model: Path of a YuNet or SCRFD `.onnx` file, or a name of the manifest, which is looked for in
            `models_folder()` and, for the detectors of InsightFace, in that package's folder too.

    Raises:
        UnknownNameError: If `model` is neither a file nor a known name.
        MissingFileError: If the file is not there.
        FileFormatError: If it is a folder.
        IntegrityError: If a known name's file has another hash.
        ConfigError: If it is a model of another kind.
    """
    return _resolve(model)[0]


def load_detector(
    model: str | Path,
    *,
    score_threshold: float | None = None,
    max_side: int | None = None,
    knows_stance: bool = True,
) -> YuNetDetector | ScrfdDetector:
    """Finds a face detector by name or path and makes it ready to run.

    A file that the manifest does not know is told by its outputs, whatever it is called.

    Args:
        model: As for `resolve_detector`.
        score_threshold: As for `YuNetDetector` and `ScrfdDetector`; None for their own.
        max_side: As for `YuNetDetector` and `ScrfdDetector`; None for their own.
        knows_stance: As for `YuNetDetector`.

    Raises:
        FileFormatError: If it is neither a YuNet nor an SCRFD model.
        UnsupportedOperationError: If it finds no landmarks, without which faces cannot be aligned.
        ProbeFusionError: As for `resolve_detector`, `YuNetDetector` and `ScrfdDetector`.
    """
    path, family = _resolve(model)
    settings: dict[str, Any] = {"score_threshold": score_threshold, "max_side": max_side}
    settings = {name: value for name, value in settings.items() if value is not None}
    if (family or _family_of(path)) == "yunet":
        return YuNetDetector(path, knows_stance=knows_stance, **settings)
    return ScrfdDetector(path, knows_stance=knows_stance, **settings)


def _resolve(model: str | Path) -> tuple[Path, str | None]:
    """The file, and its family where the manifest knows it."""
    path, sha256 = locate(model, kind="detector")
    entry = find_by_sha256(sha256)
    if entry is None:
        return path, None
    if entry.kind != "detector":
        raise ConfigError(
            f"model {str(path)!r}: expected a detector, got the {entry.kind} {entry.name!r}."
        )
    return path, entry.settings.get("family")


def _family_of(path: Path) -> str:
    """Which detector a file holds, told by its graph."""
    try:
        session = start_session(path, num_threads=1)
    except FileFormatError as error:
        raise FileFormatError(f"detector {str(path)!r}: expected {_EXPECTED} ({error})") from error
    if {output.name for output in session.get_outputs()} == _YUNET_OUTPUTS:
        return "yunet"
    try:
        ScrfdDetector(path, num_threads=1)
    except FileFormatError as error:
        raise FileFormatError(f"detector {str(path)!r}: expected {_EXPECTED}. {error}") from error
    return "scrfd"
