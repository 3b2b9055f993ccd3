"""Face detection with five landmarks: the SCRFD networks of the InsightFace packs, run by ONNX Runtime."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import (
    ConfigError,
    FileFormatError,
    UnsupportedOperationError,
)
from probefusion.extras import import_cv2
from probefusion.faces.face import Face
from probefusion.faces.scrfd_maps import (
    COARSEST,
    EXPECTED_OUTPUTS,
    Candidates,
    by_stride,
    decode_stride,
    without_overlaps,
)
from probefusion.faces.searched import checked_image, largest_first
from probefusion.faces.stance import WITHOUT_STANCE, StanceNetwork
from probefusion.faces.upright import UprightLevels, find_in_turns, in_turned_photo
from probefusion.files import check_file, sha256_of
from probefusion.sessions import run_outputs, start_session

__all__ = ["ScrfdDetector"]

_NMS_THRESHOLD = 0.4
_LEVELS = UprightLevels(clear=math.inf, least_turned=0.0, likely=0.0)
"""No score is clear by itself: upside-down faces reach .75 where upright ones begin at .5. Those that look upright are
not looked at again. Measured on SCRFD-2.5GF only, but neither says anything of a score."""
_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class ScrfdDetector:
    """SCRFD, a face detector of several sizes, run by ONNX Runtime on the CPU.

    An image is scaled down until its longest side has `max_side` pixels, never up, set into the upper left
    corner of a black canvas whose sides are multiples of 32, and shown to the network as RGB,
    (pixel - 127.5) / 128. A network whose file states a size is shown a canvas of that size.

    Args:
        model_path: The SCRFD `.onnx` file, as InsightFace exports it.
        score_threshold: Faces below this score are left out, 0 to 1.
        max_side: Longest side of the copy that is searched, in pixels. Landmarks are those of the image as it
            was given.
        num_threads: Threads of one run; None leaves the choice to ONNX Runtime.
        knows_stance: As for `YuNetDetector`.

    Raises:
        MissingFileError: If there is no such file.
        FileFormatError: If it is no SCRFD model.
        UnsupportedOperationError: If it is one that finds no landmarks: faces cannot be aligned without.
        ConfigError: If a setting is out of range.
    """

    def __init__(
        self,
        model_path: str | Path,
        *,
        score_threshold: float = 0.5,
        max_side: int = 640,
        num_threads: int | None = None,
        knows_stance: bool = True,
    ) -> None:
        if not 0 <= score_threshold <= 1:
            raise ConfigError(f"score_threshold: expected 0 to 1, got {score_threshold}.")
        if max_side < COARSEST:
            raise ConfigError(f"max_side: expected at least {COARSEST} pixels, got {max_side}.")
        path = check_file(model_path, name="detector")
        self._opened = (path.absolute(), score_threshold, max_side, num_threads, knows_stance)
        self._where = f"detector {str(path)!r}"
        self._score_threshold, self._max_side = score_threshold, max_side
        stance = StanceNetwork() if knows_stance else None
        self._log_odds = None if stance is None else stance.log_odds
        mark = WITHOUT_STANCE if stance is None else stance.mark
        self.fingerprint = (
            f"scrfd@{sha256_of(path)[:12]}/{score_threshold:g}/{max_side}/turns{mark}"
        )
        try:
            self._session = start_session(path, num_threads=num_threads)
        except FileFormatError as error:
            raise FileFormatError(
                f"{self._where}: expected an SCRFD .onnx model ({error})"
            ) from error
        self._read_input()
        self._outputs = [output.name for output in self._session.get_outputs()]
        height, width = self._size or (2 * COARSEST, 2 * COARSEST)
        self._maps(np.zeros((height, width, 3), np.uint8))

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, also in another process, is opened anew from the file."""
        return _open_copy, self._opened

    def detect(self, image: npt.NDArray[np.uint8]) -> tuple[Face, ...]:
        """Finds the faces of an image, also where it is turned by 90, 180 or 270 degrees.

        No score of SCRFD leaves no doubt: upside-down faces reach .75, upright ones begin at .5. So the faces that do
        not look upright (`probefusion.faces.stance`) are looked at again in four turns, the 8 largest of them. Each
        look costs a small square, or a whole canvas where the file states a size.

        Args:
            image: (H, W, 3) uint8 RGB; not changed.

        Returns:
            The faces, largest box first, equal ones by falling score; () if there are none.

        Raises:
            DtypeError: If the image is not uint8.
            ShapeError: If it is not (H, W, 3) or has no pixels.
        """
        return largest_first(
            find_in_turns(
                checked_image(image), self._search, levels=_LEVELS, log_odds=self._log_odds
            )
        )

    def detect_turned(self, image: npt.NDArray[np.uint8], turned: int) -> tuple[Face, ...]:
        """As `probefusion.faces.YuNetDetector.detect_turned`: the faces are not looked at again."""
        return largest_first(in_turned_photo(checked_image(image), self._search, turned))

    def _search(self, image: npt.NDArray[np.uint8]) -> list[Face]:
        """The faces of an image that look upright."""
        canvas, scale = self._letterbox(image)
        found = Candidates.joined(
            decode_stride(stride, canvas.shape[1] // stride, maps, threshold=self._score_threshold)
            for stride, maps in self._maps(canvas).items()
        )
        found = without_overlaps(found, threshold=_NMS_THRESHOLD)
        return [
            Face(
                box=np.concatenate([box[:2], box[2:] - box[:2]]).astype(np.float32),
                landmarks=landmarks.astype(np.float32),
                score=float(score),
            )
            for box, landmarks, score in zip(
                found.boxes * np.tile(scale, 2),
                found.landmarks * scale,
                found.scores,
                strict=True,
            )
        ]

    def _read_input(self) -> None:
        """Name, type and size of the one input."""
        inputs = self._session.get_inputs()
        shape: list[Any] = inputs[0].shape if len(inputs) == 1 else []
        dtype = _DTYPES.get(inputs[0].type) if len(inputs) == 1 else None
        sides = [side if isinstance(side, int) else None for side in shape[2:]]
        is_image = len(shape) == 4 and not (isinstance(shape[1], int) and shape[1] != 3)
        is_one = is_image and (not isinstance(shape[0], int) or shape[0] == 1)
        if dtype is None or not is_one or any(side and side % COARSEST for side in sides):
            told = ", ".join(f"{entry.name} {entry.shape} {entry.type}" for entry in inputs)
            raise FileFormatError(
                f"{self._where}: expected an SCRFD model with one image input (1, 3, H, W) of floats, H and W "
                f"free or multiples of {COARSEST}, got {told or 'no input'}."
            )
        if (sides[0] is None) != (sides[1] is None):
            raise FileFormatError(
                f"{self._where}: expected an SCRFD model whose height and width are both free or both fixed, "
                f"got {list(shape)}."
            )
        self._input, self._dtype = inputs[0].name, dtype
        self._size = None if sides[0] is None or sides[1] is None else (sides[0], sides[1])

    def _letterbox(
        self, image: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
        """The canvas to search, and how many of the image's pixels one of its pixels is, (2,) along x and y."""
        height, width = image.shape[:2]
        factor = min(1.0, self._max_side / max(height, width))
        if self._size is not None:
            factor = min(factor, self._size[0] / height, self._size[1] / width)
        seen_height, seen_width = max(1, round(height * factor)), max(1, round(width * factor))
        if factor < 1:
            cv2 = import_cv2("detecting faces")
            image = cv2.resize(image, (seen_width, seen_height), interpolation=cv2.INTER_AREA)
        rows, columns = self._size or (_rounded_up(seen_height), _rounded_up(seen_width))
        canvas = np.zeros((rows, columns, 3), np.uint8)
        canvas[:seen_height, :seen_width] = image
        return canvas, np.array([width / seen_width, height / seen_height])

    def _maps(self, canvas: npt.NDArray[np.uint8]) -> Mapping[int, Mapping[int, Any]]:
        """What the network says of a canvas: by stride, arrays of rows by their number of columns."""
        pixels = ((canvas.astype(np.float32) - 127.5) / 128).transpose(2, 0, 1)[None]
        feed = {self._input: np.ascontiguousarray(pixels, self._dtype)}
        arrays = run_outputs(self._session, self._outputs, feed, where=f" of {self._where}")
        shapes = dict(zip(self._outputs, map(np.shape, arrays), strict=True))
        maps = by_stride(arrays, height=canvas.shape[0], width=canvas.shape[1])
        if isinstance(maps, str):
            told = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            if maps == "no landmarks":
                raise UnsupportedOperationError(
                    f"{self._where}: an SCRFD model without landmarks, and faces cannot be aligned without. "
                    f"Give one that finds them, as det_10g.onnx, det_2.5g.onnx and det_500m.onnx of the "
                    f"InsightFace packs do; this one gives {told}."
                )
            raise FileFormatError(
                f"{self._where}: expected an SCRFD model, which gives {EXPECTED_OUTPUTS}; {maps}, got, for "
                f"{canvas.shape[1]}x{canvas.shape[0]} pixels, {told}."
            )
        return maps


def _open_copy(
    path: Path, score_threshold: float, max_side: int, num_threads: int | None, knows_stance: bool
) -> ScrfdDetector:
    return ScrfdDetector(
        path,
        score_threshold=score_threshold,
        max_side=max_side,
        num_threads=num_threads,
        knows_stance=knows_stance,
    )


def _rounded_up(side: int) -> int:
    return -(-side // COARSEST) * COARSEST
