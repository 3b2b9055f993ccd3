from __future__ import annotations

import pytest

from probefusion.fusion.imagewise import BLOCK_IMAGES, block_size


@pytest.mark.parametrize("count", [1, 2, 127, 128, 129, 255, 600, 1023, 1024, 1025, 1536, 10**6])
def test_blocks_cover_the_set_stay_small_and_are_even_in_number(count) -> None:
    size = block_size(count)
    blocks = -(-count // size)
    assert 1 <= size <= min(count, BLOCK_IMAGES + 16)
    assert blocks == 1 if count < 128 else blocks % 2 == 0


@pytest.mark.parametrize("count", [128, 1024, 1536, 5000])
def test_no_block_is_much_smaller_than_the_others(count) -> None:
    size = block_size(count)
    assert size - (count - 1) % size - 1 <= 32
