from __future__ import annotations

import pytest

from probefusion.fusion.imagewise import BLOCK_IMAGES, block_size


@pytest.mark.parametrize("count", [1, 2, 127, 128, 129, 255, 600, 1023, 1024, 1025, 10**6])
def test_blocks_cover_the_set_and_stay_small(count) -> None:
    size = block_size(count)
    assert 1 <= size <= min(count, BLOCK_IMAGES)
    blocks = -(-count // size)
    if count < 128:
        assert blocks == 1
    elif count <= 2 * BLOCK_IMAGES:
        assert blocks == 2
    else:
        assert size == BLOCK_IMAGES
