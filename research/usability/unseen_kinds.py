"""Pictures of no face that no usability model was fitted with: drawn hands and animals, corners, scenes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["TEST_KINDS", "corners", "draw_test_kind", "scenes"]

Image = npt.NDArray[np.uint8]
_SIDE = 112


def draw_test_kind(kind: str, num_images: int, rng: np.random.Generator) -> Image:
    """(N, 112, 112, 3) uint8 of one of `TEST_KINDS`."""
    return np.stack([TEST_KINDS[kind](rng) for _ in range(num_images)])


def corners(crops: Sequence[Image], rng: np.random.Generator) -> Image:
    """A corner of each crop, where there is no face, scaled up: background, hair, clothes.

    Args:
        crops: N aligned crops, 112 x 112.
        rng: Which corner.
    """
    found = []
    for crop in crops:
        size = int(rng.integers(24, 34))
        y, x = (int(place) * (_SIDE - size) for place in rng.integers(0, 2, 2))
        found.append(cv2.resize(crop[y : y + size, x : x + size], (_SIDE, _SIDE)))
    return np.stack(found)


def scenes(
    frames: Sequence[Image],
    boxes: Sequence[Sequence[npt.NDArray[np.float32]]],
    num_images: int,
    rng: np.random.Generator,
) -> Image:
    """Squares of frames that touch no face.

    Args:
        frames: RGB pictures.
        boxes: Of each frame the faces in it, (F, 4) x, y, width, height.
        num_images: How many squares.
        rng: Which.
    """
    found: list[Image] = []
    while len(found) < num_images:
        which = int(rng.integers(len(frames)))
        frame = frames[which]
        size = int(rng.integers(40, min(frame.shape[:2]) // 2))
        y, x = (int(rng.integers(0, side - size)) for side in frame.shape[:2])
        if all(
            x + size < left or left + width < x or y + size < top or top + height < y
            for left, top, width, height in boxes[which]
        ):
            found.append(
                np.asarray(cv2.resize(frame[y : y + size, x : x + size], (_SIDE, _SIDE)), np.uint8)
            )
    return np.stack(found)


def _ground(rng: np.random.Generator) -> Image:
    small = rng.uniform(30, 220, (int(rng.integers(1, 5)), int(rng.integers(1, 5)), 3))
    return (
        cv2.resize(small, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
        .clip(0, 255)
        .astype(np.uint8)
    )


def _skin(rng: np.random.Generator) -> tuple[int, ...]:
    share = rng.uniform(0.3, 1.0)
    return tuple(int(share * value) for value in (235, 190, 160))


def _finish(picture: Image, rng: np.random.Generator) -> Image:
    blurred = cv2.GaussianBlur(picture, (0, 0), 0.4 + 1.5 * rng.random())
    noisy = blurred + rng.normal(0, 5 * rng.random(), picture.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def _hand(rng: np.random.Generator) -> Image:
    """A palm with five fingers in a colour of skin."""
    picture, skin = _ground(rng).copy(), _skin(rng)
    y, x = (int(value) for value in rng.uniform(50, 75, 2))
    palm = int(rng.uniform(16, 26))
    turn = rng.uniform(0, 2 * np.pi)
    cv2.circle(picture, (x, y), palm, skin, -1, cv2.LINE_AA)
    for finger in np.linspace(-0.9, 0.9, 5) + rng.normal(0, 0.08, 5):
        length = palm * rng.uniform(1.6, 2.4)
        end = (int(x + length * np.sin(turn + finger)), int(y - length * np.cos(turn + finger)))
        cv2.line(picture, (x, y), end, skin, int(palm * 0.4), cv2.LINE_AA)
    wrist = (int(x - 80 * np.sin(turn)), int(y + 80 * np.cos(turn)))
    cv2.line(picture, (x, y), wrist, skin, int(palm * 1.2), cv2.LINE_AA)
    return _finish(picture, rng)


def _animal(rng: np.random.Generator) -> Image:
    """The side view of a four-legged animal."""
    picture = _ground(rng).copy()
    fur = tuple(int(value) for value in rng.uniform(20, 220, 3))
    y, x = int(rng.uniform(45, 65)), int(rng.uniform(45, 60))
    length, height = int(rng.uniform(22, 34)), int(rng.uniform(10, 18))
    cv2.ellipse(picture, (x, y), (length, height), 0, 0, 360, fur, -1, cv2.LINE_AA)
    head = (x + length + 4, y - height - 2)
    cv2.circle(picture, head, int(height * 0.8), fur, -1, cv2.LINE_AA)
    for shift in (-0.5, 0.5):
        tip = (int(head[0] + shift * height), head[1] - int(height * 1.4))
        cv2.line(picture, head, tip, fur, 5, cv2.LINE_AA)
    for shift in (-0.7, -0.45, 0.45, 0.7):
        foot = (int(x + shift * length), y + height + int(rng.uniform(18, 28)))
        cv2.line(picture, (int(x + shift * length), y), foot, fur, 5, cv2.LINE_AA)
    cv2.line(picture, (x - length, y), (x - length - 16, y - int(rng.uniform(0, 25))), fur, 4)
    return _finish(picture, rng)


def _snout(rng: np.random.Generator) -> Image:
    """The head of an animal from the front: eyes, nose and pointed ears, the hardest kind."""
    picture = _ground(rng).copy()
    fur = tuple(int(value) for value in rng.uniform(20, 220, 3))
    dark = tuple(int(value) for value in rng.uniform(0, 40, 3))
    for x in (28, 84):
        ear = np.array([(x - 16, 45), (x + 16, 45), (x + int(rng.normal(0, 6)), 4)], np.int32)
        cv2.fillPoly(picture, [ear], fur, cv2.LINE_AA)
    axes = (int(rng.uniform(34, 44)), int(rng.uniform(36, 48)))
    cv2.ellipse(picture, (56, 62), axes, 0, 0, 360, fur, -1, cv2.LINE_AA)
    for x in (40, 72):
        cv2.circle(picture, (x, 52), int(rng.uniform(4, 8)), dark, -1, cv2.LINE_AA)
    cv2.ellipse(picture, (56, 76), (int(rng.uniform(5, 10)), 5), 0, 0, 360, dark, -1, cv2.LINE_AA)
    for side in (-1, 1):
        cv2.ellipse(picture, (56 + 7 * side, 84), (7, 6), 0, 0, 180, dark, 2, cv2.LINE_AA)
    return _finish(picture, rng)


def _writing(rng: np.random.Generator) -> Image:
    """Lines of letters."""
    picture = _ground(rng).copy()
    colour = tuple(int(value) for value in rng.uniform(0, 255, 3))
    for y in range(15, 120, int(rng.uniform(14, 30))):
        text = "".join(chr(int(letter)) for letter in rng.integers(65, 91, 9))
        cv2.putText(
            picture, text, (2, y), cv2.FONT_HERSHEY_SIMPLEX, rng.uniform(0.3, 0.9), colour, 2
        )
    return _finish(picture, rng)


def _blocks(rng: np.random.Generator) -> Image:
    """What a broken decoder shows: blocks of noise on black or grey."""
    picture = np.full((_SIDE, _SIDE, 3), int(rng.choice([0, 16, 128])), np.uint8)
    for _ in range(int(rng.integers(0, 30))):
        y, x = (int(place) * 8 for place in rng.integers(0, 14, 2))
        picture[y : y + 8, x : x + 8] = rng.integers(0, 256, (8, 8, 3))
    return picture


def _black(rng: np.random.Generator) -> Image:
    """Black, exactly."""
    return np.zeros((_SIDE, _SIDE, 3), np.uint8)


def _uniform(rng: np.random.Generator) -> Image:
    """Every pixel drawn from 0 to 255."""
    return rng.integers(0, 256, (_SIDE, _SIDE, 3)).astype(np.uint8)


TEST_KINDS: dict[str, Callable[[np.random.Generator], Image]] = {
    "black": _black,
    "uniform noise": _uniform,
    "broken blocks": _blocks,
    "writing": _writing,
    "drawn hand": _hand,
    "drawn animal": _animal,
    "drawn head of an animal": _snout,
}
"""What is drawn, by name."""
