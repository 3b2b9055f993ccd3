"""What is given for a model: a name, a path, or the model itself; anything else is refused at once."""

from __future__ import annotations

import os
from pathlib import Path

from probefusion.errors import DtypeError, MissingFileError
from probefusion.files.paths import brief
from probefusion.files.reading import in_one_line
from probefusion.fusion import Fuser

__all__ = ["check_calibration", "check_embedder", "check_models"]


def check_calibration(calibration: object) -> None:
    """Refuses the path of a calibration that is not there, before anything is read.

    Raises:
        MissingFileError: If it is a path and there is no such file.
    """
    if isinstance(calibration, str | os.PathLike) and not Path(calibration).is_file():
        raise MissingFileError(
            f"calibration: {in_one_line(calibration)} is no file. Name one that probefusion calibrate -o wrote."
        )


def check_models(embedder: object, detector: object, fuser: object) -> None:
    """Refuses what can be no model, before anything is loaded.

    Raises:
        DtypeError: If one is neither a name or path nor a model; an embedder and a detector may be None.
    """
    check_embedder(embedder)
    if not _is_name(detector) and detector is not None and not hasattr(detector, "detect"):
        raise DtypeError(
            f"detector: expected a name, the path of an .onnx file, a detector or None, got {brief(detector)}. "
            f"Give one of these, as 'yunet_2023mar'."
        )
    if not _is_name(fuser) and not isinstance(fuser, Fuser):
        raise DtypeError(
            f"fuser: expected a name, the path of a fuser folder or a fuser, got {brief(fuser)}. Give one of "
            f"these, or 'auto' for one that fits."
        )


def check_embedder(embedder: object) -> None:
    """Refuses what can be no embedder.

    Raises:
        DtypeError: If it is neither a name or path, nor an embedder, nor None.
    """
    if _is_name(embedder) or embedder is None or hasattr(embedder, "fingerprint"):
        return
    raise DtypeError(
        f"embedder: expected a name, the path of an .onnx file, an embedder or None, got {brief(embedder)}. "
        f"Give one of these."
    )


def _is_name(model: object) -> bool:
    return isinstance(model, str | os.PathLike)
