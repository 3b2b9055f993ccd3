"""How much an aligned crop should count, judged by a small network inside the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.checks import check_existing
from probefusion.errors import DtypeError, ShapeError
from probefusion.faces.opencv import import_cv2
from probefusion.files import sha256_of
from probefusion.types import FloatArray

__all__ = ["CropQuality"]

_FILE = "quality.lfw112.r1/quality.onnx"
_SIDE = 112
_BATCH = 64


class CropQuality:
    """Judges crops by a network of 60,000 parameters; the result serves any embedder.

    Args:
        model: ONNX file, crops (N, 112, 112, 3) uint8 RGB to log_weights (N,) float32. None takes the
            one inside the package.
        num_threads: Threads of one run; None leaves the choice to ONNX Runtime.

    Attributes:
        fingerprint: Name and hash of the network.

    Raises:
        MissingFileError: If there is no such file.
    """

    def __init__(self, model: str | Path | None = None, *, num_threads: int | None = None) -> None:
        import onnxruntime

        path = Path(str(files("probefusion"))) / "weights" / _FILE if model is None else Path(model)
        check_existing(path, name="quality network")
        self.fingerprint = f"{path.parent.name}@{sha256_of(path)[:12]}"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if num_threads is not None:
            options.intra_op_num_threads = num_threads
        self._session = onnxruntime.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )

    def judge(self, crops: npt.NDArray[np.uint8]) -> FloatArray:
        """The quality of aligned crops.

        Args:
            crops: (N, S, S, 3) uint8 RGB, aligned faces; other sizes than 112 are scaled. N = 0 gives
                an empty array.

        Returns:
            (N,) float32 logarithms of weights, within +-4: only differences mean something.

        Raises:
            DtypeError: If the crops are not uint8.
            ShapeError: If they are not (N, S, S, 3).
            MissingExtraError: If they must be scaled and OpenCV is not installed.
        """
        crops = np.asarray(crops)
        if crops.dtype != np.uint8:
            raise DtypeError(
                f"crops: expected uint8 pixels 0 to 255 in RGB order, got {crops.dtype}."
            )
        if crops.ndim != 4 or crops.shape[1] != crops.shape[2] or crops.shape[3] != 3:
            raise ShapeError(f"crops: expected (N, S, S, 3), square faces, got {crops.shape}.")
        found = [
            self._session.run(["log_weights"], {"crops": _scaled(crops[start : start + _BATCH])})[0]
            for start in range(0, len(crops), _BATCH)
        ]
        return np.concatenate(found) if found else np.zeros(0, np.float32)


def _scaled(crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    if crops.shape[1] == _SIDE:
        return crops
    cv2 = import_cv2("scaling crops")
    kind = cv2.INTER_AREA if crops.shape[1] > _SIDE else cv2.INTER_LINEAR
    return np.stack([cv2.resize(crop, (_SIDE, _SIDE), interpolation=kind) for crop in crops])
