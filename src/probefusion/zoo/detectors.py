"""From a name or a path to a ready face detector."""

from __future__ import annotations

from pathlib import Path

from probefusion.errors import ConfigError, UnsupportedOperationError
from probefusion.faces.detect import YuNetDetector
from probefusion.zoo.cache import locate
from probefusion.zoo.manifest import find_by_sha256

__all__ = ["load_detector", "resolve_detector"]


def resolve_detector(model: str | Path) -> Path:
    """Finds a face detector's file.

    Args:
        model: Path of a YuNet `.onnx` file, or a name of the manifest, which is looked for in
            `models_folder()`.

    Raises:
        UnknownNameError: If `model` is neither a file nor a known name.
        MissingFileError: If the file is not there.
        FileFormatError: If it is a folder.
        IntegrityError: If a known name's file has another hash.
        ConfigError: If it is a model of another kind.
        UnsupportedOperationError: If it is a known detector that is not run here (SCRFD).
    """
    path, sha256 = locate(model, kind="detector")
    entry = find_by_sha256(sha256)
    if entry is not None and entry.kind != "detector":
        raise ConfigError(
            f"model {str(path)!r}: expected a detector, got the {entry.kind} {entry.name!r}."
        )
    if entry is not None and entry.settings.get("family") != "yunet":
        raise UnsupportedOperationError(
            f"detector {entry.name!r} is known but not run here: only YuNet is. Detect with "
            f"--detector yunet_2023mar, or with InsightFace and hand its faces over "
            f"(probefusion.io.from_insightface)."
        )
    return path


def load_detector(
    model: str | Path, *, score_threshold: float = 0.6, max_side: int = 1280
) -> YuNetDetector:
    """Finds a face detector by name or path and makes it ready to run.

    Args:
        model: As for `resolve_detector`.
        score_threshold: As for `YuNetDetector`.
        max_side: As for `YuNetDetector`.

    Raises:
        ProbeFusionError: As for `resolve_detector` and `YuNetDetector`.
    """
    path = resolve_detector(model)
    return YuNetDetector(path, score_threshold=score_threshold, max_side=max_side)
