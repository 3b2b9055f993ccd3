"""Does a face that was found stand upright? Doubtful ones are looked at again in four turns.

A detector that knows upright faces finds them in turned photos too, where there are none: eyes in the place of
the mouth. Its score says so, and only if the face is put upright by its landmarks first: a true one then scores
higher than the same place turned by 90, 180 or 270 degrees.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.errors import InvalidInputError
from probefusion.extras import import_cv2
from probefusion.faces.align import ARCFACE_LANDMARKS, similarity_transform
from probefusion.faces.face import Face, each_once
from probefusion.faces.stance import turns_of
from probefusion.types import FloatArray

__all__ = ["UNMEASURED", "LogOdds", "Search", "UprightLevels", "find_in_turns", "in_turned_photo"]

Image = npt.NDArray[np.uint8]

Search = Callable[[Image], Sequence[Face]]
"""Finds upright faces in an image, or what the detector takes for such; in the image's pixels."""

LogOdds = Callable[[Image, Sequence[Face]], FloatArray]
"""Says of K faces of an image how surely each stands upright by its landmarks, (K,) log-odds."""

_STANDS, _RATHER_STANDS = 4.0, 1.0
"""Log-odds from which on a face is taken to stand upright: by itself, and where more speaks for it."""

_WORTH_A_LOOK = 0.5
"""In a photo that shows a face that certainly stands, or was looked at and does, smaller ones than this part of its
area are kept as they were found: people in the background, and what is none."""

_LOOKED_AT = 8
"""So many doubtful faces of a photo are looked at again, the largest."""

_SIDE = 160
_ENLARGED = 0.75
"""A face is looked at in a square of so many pixels, its landmarks placed as in a crop of 112 times this."""
_PLACES = ARCFACE_LANDMARKS * _ENLARGED + (_SIDE - 112 * _ENLARGED) / 2
_WELL_PLACED = 5.0
"""Landmarks that are seen farther than this from where the first ones were, in pixels of 112, replace them: those
of faces that lean to the side."""
_REFINED = 2
"""So often at most."""
_UPRIGHT_ENOUGH = 20.0
"""Faces that lean by more, in degrees, are looked at again even if they stand upright by their landmarks: these may
be misplaced."""


@dataclass(frozen=True, kw_only=True)
class UprightLevels:
    """What the scores of one detector say about turns; they must be measured for it.

    Args:
        clear: Score from which on a face is upright without a second look.
        least_turned: A face in a turned photo must score this much where no face of the photo as it stands is seen
            again.
        likely: Score from which on a face is upright that also looks so (`LogOdds`). Infinity: never.
        seen_again: Score of a second look, the face put upright by its landmarks, from which on it is upright if it
            rather looks so. Infinity: never.
    """

    clear: float
    least_turned: float
    likely: float = math.inf
    seen_again: float = math.inf


UNMEASURED = UprightLevels(clear=math.inf, least_turned=0.0)
"""For a detector whose scores nobody measured: every face is looked at again, and is what scores best among the four
turns. That needs no level: only that an upright face scores higher than the same place turned."""


def find_in_turns(
    image: Image,
    search: Search,
    *,
    levels: UprightLevels = UNMEASURED,
    search_small: Search | None = None,
    log_odds: LogOdds | None = None,
) -> list[Face]:
    """The faces of an image, upright or turned by about 90, 180 or 270 degrees.

    The image is searched as it stands. Faces below the clear score are looked at again, each in a small
    square, in four turns, and are what scores best; but not those that lean little and certainly stand upright, nor
    those less than half as large as one that does. If the best is turned, the whole image is searched in that turn;
    if none is found or seen again, in all turns. A face that is not seen again is kept where nothing better is found.

    Args:
        image: (H, W, 3) uint8 RGB.
        search: Finds upright faces.
        levels: What the scores of this detector say; without any all faces are looked at again.
        search_small: The same for squares of 160 pixels; None for the same function.
        log_odds: How surely faces stand upright; None knows it of none.

    Returns:
        The faces in any order, landmarks and boxes in the image's pixels.
    """
    look = _Look(search=search, small=search_small or search, levels=levels, log_odds=log_odds)
    found = list(search(image))
    judged = _judged(image, found, look)
    seen_again = [face for face in judged if face is not None]
    best = max(seen_again, key=lambda face: face.score, default=None)
    if best is None:
        return _found_turned(image, look) or found
    is_clear = best.score >= levels.clear and any(face is best for face in found)
    if not is_clear and best.turned:
        turned = _judged(image, in_turned_photo(image, search, best.turned), look)
        return each_once([*(face for face in turned if face is not None), *seen_again])
    kept = [new or old for new, old in zip(judged, found, strict=True)]
    return kept if all(map(operator.is_, kept, found)) else each_once(kept)


def in_turned_photo(image: Image, search: Search, turned: int) -> list[Face]:
    """The faces of an image that is turned, as a search of it after turning it back gives them.

    Args:
        image: (H, W, 3) uint8 RGB.
        search: Finds upright faces.
        turned: By how many degrees the image is turned counter-clockwise: 0, 90, 180 or 270.

    Returns:
        The faces, landmarks and boxes in the pixels of the image as it was given.
    """
    quarters = turned // 90
    upright = np.ascontiguousarray(np.rot90(image, -quarters))
    height, width = upright.shape[:2]
    corner = {0: (0, 0), 1: (0, width), 2: (width, height), 3: (height, 0)}[quarters]
    return [_moved(face, _QUARTERS[quarters], np.array(corner)) for face in search(upright)]


_QUARTERS = {
    0: np.array([[1, 0], [0, 1]]),
    1: np.array([[0, 1], [-1, 0]]),
    2: np.array([[-1, 0], [0, -1]]),
    3: np.array([[0, -1], [1, 0]]),
}
"""From x and y of an image to those of the image turned counter-clockwise so many times."""


@dataclass(frozen=True, kw_only=True)
class _Look:
    """How an image is searched, as `find_in_turns` is told."""

    search: Search
    small: Search
    levels: UprightLevels
    log_odds: LogOdds | None

    def doubtful(self, image: Image, found: Sequence[Face]) -> tuple[list[Face], bool]:
        """The faces to be looked at again, the largest first, and whether another stands upright for certain."""
        below = [face for face in found if face.score < self.levels.clear]
        likely = [
            face for face, lean in zip(below, _leans(below), strict=True) if lean <= _UPRIGHT_ENOUGH
        ]
        odds = self.odds(image, likely)
        sure = {id(face) for face in likely if self.is_sure(face.score, odds[id(face)])}
        standing = [face for face in found if face.score >= self.levels.clear or id(face) in sure]
        rest = [face for face in below if id(face) not in sure]
        if standing:
            least = _WORTH_A_LOOK * max(face.area for face in standing)
            rest = [
                face
                for face in rest
                if face.area >= least and not odds.get(id(face), -math.inf) >= _RATHER_STANDS
            ]
        return sorted(rest, key=lambda face: -face.area)[:_LOOKED_AT], bool(standing)

    def odds(self, image: Image, faces: Sequence[Face]) -> dict[int, float]:
        """How surely faces stand upright, by `id`; minus infinity where nobody can say."""
        if self.log_odds is None or math.isinf(self.levels.likely) or not faces:
            return {id(face): -math.inf for face in faces}
        said = self.log_odds(image, faces)
        return {id(face): float(value) for face, value in zip(faces, said, strict=True)}

    def is_sure(self, score: float, odds: float) -> bool:
        """Whether a face stands upright, by its score and its look."""
        return score >= self.levels.likely and odds >= _STANDS


def _found_turned(image: Image, look: _Look) -> list[Face]:
    """The faces of an image that as it stands shows none that is seen again."""
    seen = []
    for turned in (90, 180, 270):
        found = in_turned_photo(image, look.search, turned)
        seen += [face for face in _judged(image, found, look) if face is not None]
    best = max(seen, key=lambda face: face.score, default=None)
    if best is None or best.score < look.levels.least_turned:
        return []
    return each_once([face for face in seen if face.turned == best.turned])


def _judged(image: Image, found: Sequence[Face], look: _Look) -> list[Face | None]:
    """Each face as it stands, or None where it is not seen again; of doubtful ones the largest are looked at."""
    doubtful, among_others = look.doubtful(image, found)
    looked_at: dict[int, Face | None] = {}
    least = 0.0
    for face in doubtful:
        if face.area < least:
            break
        looked_at[id(face)] = _stood(image, face, look, among_others)
        if looked_at[id(face)] is face and not face.turned:
            least = max(least, _WORTH_A_LOOK * face.area)
    return [looked_at.get(id(face), face) for face in found]


def _stood(image: Image, face: Face, look: _Look, among_others: bool) -> Face | None:
    """The face itself if it is upright, the turned face in its place, or None if none is seen again.

    Among others that stand upright, looking so is enough to be taken for upright.
    """
    try:
        square, back = _square(image, face.landmarks)
    except InvalidInputError:
        return face  # landmarks in one place, which is told when it is aligned
    small = look.small
    own, better, way = _central(small(square)), face, back
    for _ in range(_REFINED):
        if own is not None and _offset(own) > _WELL_PLACED:
            better = _moved(own, way[:, :2], way[:, 2])
            own, way = _put_upright(image, better, small)
    best, score = (None, 0.0) if own is None else (better, own.score)
    if best is not None:
        (odds,) = look.odds(image, [best]).values()
        if (
            score >= look.levels.clear
            or look.is_sure(score, odds)
            or ((among_others or score >= look.levels.seen_again) and odds >= _RATHER_STANDS)
        ):
            return best
    for turned in (90, 180, 270):
        seen = _central(in_turned_photo(square, small, turned))
        if seen is None:
            continue
        confirmed, way = _put_upright(image, _moved(seen, back[:, :2], back[:, 2]), small)
        if confirmed is not None and confirmed.score > score:
            best, score = _moved(confirmed, way[:, :2], way[:, 2]), confirmed.score
    return best


def _put_upright(
    image: Image, face: Face, small: Search
) -> tuple[Face | None, npt.NDArray[np.float64]]:
    """The face as it is seen once it is put upright by its landmarks, and the way back to the image."""
    square, back = _square(image, face.landmarks)
    return _central(small(square)), back


def _square(image: Image, landmarks: npt.ArrayLike) -> tuple[Image, npt.NDArray[np.float64]]:
    """A small square in which a face stands upright by its landmarks, and the way back to the image."""
    cv2 = import_cv2("detecting faces")
    matrix = similarity_transform(landmarks, _PLACES)
    square: Image = cv2.warpAffine(
        image, matrix, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return square, np.asarray(cv2.invertAffineTransform(matrix), np.float64)


def _leans(faces: Sequence[Face]) -> FloatArray:
    """(K,) by how many degrees landmarks lean from the nearest quarter turn, 0 to 45; NaN where they span no face."""
    angles = np.degrees(np.angle(turns_of([face.landmarks for face in faces])))
    return np.asarray(np.abs((angles + 45) % 90 - 45), np.float32)


def _offset(face: Face) -> float:
    """How far the landmarks of a face in a small square are from where they were put, in pixels of 112."""
    return float(np.sqrt(((face.landmarks - _PLACES) ** 2).sum(axis=1).mean())) / _ENLARGED


def _central(faces: Sequence[Face]) -> Face | None:
    """The face in the middle of a small square with the best score."""
    near = [
        face
        for face in faces
        if np.abs(face.box[:2] + face.box[2:] / 2 - _SIDE / 2).max() < _SIDE / 4
    ]
    return max(near, key=lambda face: face.score, default=None)


def _moved(face: Face, linear: npt.NDArray[np.float64], shift: npt.NDArray[np.float64]) -> Face:
    """A face after a similarity transform of its image; the box stays parallel to the sides."""
    centre = linear @ (face.box[:2] + face.box[2:] / 2) + shift
    scale = float(np.sqrt(abs(np.linalg.det(linear))))
    size = face.box[2:] * scale
    if abs(linear[0, 1]) > abs(linear[0, 0]):
        size = size[::-1]
    return Face(
        box=np.concatenate([centre - size / 2, size]).astype(np.float32),
        landmarks=(face.landmarks @ linear.T + shift).astype(np.float32),
        score=face.score,
    )
