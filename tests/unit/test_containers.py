"""Keys of our `.npz` files that hold something else than they should."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.errors import FileFormatError
from probefusion.files import read_npz
from probefusion.files.containers import optional_text


def test_a_text_that_is_an_array_is_told_in_one_line() -> None:
    with pytest.raises(FileFormatError) as caught:
        optional_text({"embedder": np.ones((30, 40))}, "embedder")
    assert str(caught.value) == "embedder: expected one text, got float64 of shape (30, 40)."


def test_a_version_that_is_an_array_is_told_in_one_line(tmp_path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, format_version=np.zeros((30, 40)), values=np.ones(3))
    with pytest.raises(FileFormatError) as caught:
        read_npz(
            path, kind="thing", version=1, required=frozenset({"values"}), optional=frozenset()
        )
    assert len(str(caught.value).splitlines()) == 1
    assert "expected one whole number, got float64 of shape (30, 40)" in str(caught.value)
