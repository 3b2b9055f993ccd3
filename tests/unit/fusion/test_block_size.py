from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from probefusion.fusion.imagewise import BLOCK_IMAGES, block_size


@given(st.integers(1, 10**7))
@example(1)
@example(127)
@example(128)
@example(1024)
@example(1025)
def test_blocks_cover_the_set_and_stay_small(count) -> None:
    size = block_size(count)
    assert 1 <= size <= min(count, BLOCK_IMAGES + 16)
    if count < 128:
        assert size == count


@given(st.integers(128, 10**5))
def test_blocks_are_even_in_number(count) -> None:
    assert -(-count // block_size(count)) % 2 == 0


@pytest.mark.parametrize("count", [128, 1024, 1536, 5000])
def test_no_block_is_much_smaller_than_the_others(count) -> None:
    size = block_size(count)
    assert size - (count - 1) % size - 1 <= 32
