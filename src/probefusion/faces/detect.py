"""Face detection with five landmarks: YuNet through OpenCV."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError, FileFormatError
from probefusion.extras import import_cv2, quiet_cv2
from probefusion.faces.face import Detector, Face, each_once, largest_face, overlap
from probefusion.faces.searched import checked_image, largest_first
from probefusion.faces.stance import WITHOUT_STANCE, StanceNetwork
from probefusion.faces.upright import UprightLevels, find_in_turns, in_turned_photo
from probefusion.files import check_file, sha256_of

__all__ = ["Detector", "Face", "YuNetDetector", "largest_face"]

_NMS_THRESHOLD = 0.3
_TOP_K = 5000

_SMALLEST_LEVEL = 320
"""Longest side of the smallest copy of an image that is searched, in pixels."""
_LEVELS = UprightLevels(clear=0.92, least_turned=0.8, likely=0.8, seen_again=0.9)
"""In 9,000 views of 600 real faces (250 of LFW, 250 in films, 100 of families), leaning by up to 30 degrees and turned
by 90, 180 or 270, one false face of YuNet reached the first. Of 1,600 false faces one in a hundred was seen
again with more than .893, one in a thousand with more than .907."""

_CLEAR_FACE = 96
"""Faces at least this large, in pixels of a smaller copy, are taken from there."""


class YuNetDetector:
    """YuNet, a small face detector, run by OpenCV on the CPU.

    The network knows faces of about 10 to 300 pixels; larger ones it misses, or sets their
    landmarks wrongly. So an image is searched in several copies, each half as large as the one
    before, down to 320 pixels, and a face is taken from the smallest copy that shows it clearly.

    It knows upright faces only, and finds faces in turned photos where there are none. So a face whose
    score leaves a doubt, and which a small network does not take for upright, is looked at again in four turns,
    and the whole image where that says that it is turned, or where no face is found as it stands.

    An instance holds OpenCV's network, which is set to the size of each image: use one per thread.

    Args:
        model_path: The YuNet `.onnx` file.
        score_threshold: Faces below this score are left out, 0 to 1.
        max_side: Longest side of the largest copy that is searched, in pixels; larger images are
            scaled down to it. Landmarks are those of the image as it was given.
        knows_stance: Whether a small network of the package, whose weights are for research only, says which doubtful
            faces stand upright. Without it all of them are looked at again: slower, as sure.

    Raises:
        MissingFileError: If there is no such file.
        FileFormatError: If it is no YuNet model.
        ConfigError: If a setting is out of range.
        MissingExtraError: If OpenCV is not installed.
    """

    def __init__(
        self,
        model_path: str | Path,
        *,
        score_threshold: float = 0.6,
        max_side: int = 1280,
        knows_stance: bool = True,
    ) -> None:
        if not 0 <= score_threshold <= 1:
            raise ConfigError(f"score_threshold: expected 0 to 1, got {score_threshold}.")
        if max_side < 32:
            raise ConfigError(f"max_side: expected at least 32 pixels, got {max_side}.")
        path = check_file(model_path, name="detector")
        self._opened = (path.absolute(), score_threshold, max_side, knows_stance)
        self._cv2 = import_cv2("detecting faces")
        self._max_side = max_side
        stance = StanceNetwork() if knows_stance else None
        self._log_odds = None if stance is None else stance.log_odds
        mark = WITHOUT_STANCE if stance is None else stance.mark
        self.fingerprint = f"yunet@{sha256_of(path)[:12]}/{score_threshold:g}/{max_side}{mark}"
        try:
            with quiet_cv2(self._cv2):
                self._network: Any = self._cv2.FaceDetectorYN.create(
                    str(path), "", (64, 64), score_threshold, _NMS_THRESHOLD, _TOP_K
                )
                self._network.detect(np.zeros((64, 64, 3), np.uint8))
        except self._cv2.error as error:
            raise FileFormatError(
                f"detector {str(path)!r}: expected a YuNet .onnx model, OpenCV "
                f"{self._cv2.__version__} cannot run it ({' '.join(str(error).split())})."
            ) from error

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, also in another process, is opened anew from the file."""
        return _open_copy, self._opened

    def detect(self, image: npt.NDArray[np.uint8]) -> tuple[Face, ...]:
        """Finds the faces of an image, also where it is turned by 90, 180 or 270 degrees.

        Args:
            image: (H, W, 3) uint8 RGB; not changed.

        Returns:
            The faces, largest box first, equal ones by falling score; () if there are none. Boxes and
            landmarks are those of the image as it was given; `Face.turned` tells how a face is turned.

        Raises:
            DtypeError: If the image is not uint8.
            ShapeError: If it is not (H, W, 3) or has no pixels.
        """
        image = checked_image(image)
        return largest_first(
            find_in_turns(
                image,
                self._search_all,
                levels=_LEVELS,
                search_small=self._search_small,
                log_odds=self._log_odds,
            )
        )

    def detect_turned(self, image: npt.NDArray[np.uint8], turned: int) -> tuple[Face, ...]:
        """Finds the faces of an image of which it is known how it is turned; they are not looked at again.

        Args:
            image: (H, W, 3) uint8 RGB; not changed.
            turned: By how many degrees it is turned counter-clockwise: 0, 90, 180 or 270.

        Returns:
            As `detect`.

        Raises:
            DtypeError, ShapeError: As `detect`.
        """
        return largest_first(in_turned_photo(checked_image(image), self._search_all, turned))

    def _search_all(self, image: npt.NDArray[np.uint8]) -> list[Face]:
        """The faces of an image that look upright, each from the smallest copy that shows it clearly."""
        side = min(self._max_side, max(image.shape[:2]))
        levels = [side]
        while levels[-1] // 2 >= _SMALLEST_LEVEL:
            levels.append(levels[-1] // 2)
        found: list[Face] = []
        for level in reversed(levels):
            smallest = 0.0 if level == side else _CLEAR_FACE * max(image.shape[:2]) / level
            found += [
                face
                for face in each_once(self._search(image, level))
                if max(face.box[2:]) >= smallest and not any(overlap(face, it) for it in found)
            ]
        return found

    def _search_small(self, image: npt.NDArray[np.uint8]) -> list[Face]:
        return self._search(image, max(image.shape[:2]))

    def _search(self, image: npt.NDArray[np.uint8], side: int) -> list[Face]:
        """The faces seen in a copy of the image with this longest side, in the image's pixels."""
        height, width = image.shape[:2]
        factor = side / max(height, width)
        if factor < 1:
            size = (max(1, round(width * factor)), max(1, round(height * factor)))
            image = self._cv2.resize(image, size, interpolation=self._cv2.INTER_AREA)
        seen_height, seen_width = image.shape[:2]
        self._network.setInputSize((seen_width, seen_height))
        with quiet_cv2(self._cv2):
            _, rows = self._network.detect(np.ascontiguousarray(image[..., ::-1]))
        if rows is None:
            return []
        scale = np.array([width / seen_width, height / seen_height], np.float32)
        return [
            Face(
                box=np.concatenate([row[0:2] * scale, row[2:4] * scale]),
                landmarks=row[4:14].reshape(5, 2) * scale,
                score=float(row[14]),
            )
            for row in rows.astype(np.float32)
            if np.isfinite(row).all()
        ]


def _open_copy(
    path: Path, score_threshold: float, max_side: int, knows_stance: bool
) -> YuNetDetector:
    return YuNetDetector(
        path, score_threshold=score_threshold, max_side=max_side, knows_stance=knows_stance
    )
