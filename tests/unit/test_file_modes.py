"""What we write has the permissions that the user's umask gives it, and nobody's umask is touched."""

from __future__ import annotations

import os
import sys

import pytest

from probefusion.files import replace_file

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no umask")


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_follow_the_umask(tmp_path, mask, monkeypatch) -> None:
    before = os.umask(mask)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(
                os, "umask", lambda _: pytest.fail("the umask belongs to the whole process")
            )
            with replace_file(tmp_path / "a.bin") as stream:
                stream.write(b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "a.bin").stat().st_mode & 0o777 == 0o666 & ~mask
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]
