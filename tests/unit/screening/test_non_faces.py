"""Drawn pictures: of the right kind of array, each another one, the same from the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.errors import UnknownNameError
from probefusion.screening.non_faces import KINDS, draw_non_faces


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(kind) -> None:
    drawn = draw_non_faces(kind, 4, np.random.default_rng(1))
    assert (drawn.shape, drawn.dtype) == ((4, 112, 112, 3), np.dtype(np.uint8))
    assert (drawn == draw_non_faces(kind, 4, np.random.default_rng(1))).all()
    assert len({image.tobytes() for image in drawn}) == 4
    assert draw_non_faces(kind, 0, np.random.default_rng(1)).shape == (0, 112, 112, 3)


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="noise"):
        draw_non_faces("noize", 1, np.random.default_rng(0))
