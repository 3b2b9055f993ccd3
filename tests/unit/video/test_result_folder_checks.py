"""Where the results of a video can be written is known before the video is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from probefusion.errors import MissingFileError
from probefusion.video.result_files import check_folder


def test_a_file_system_that_takes_no_files_is_told_before_the_work() -> None:
    if not Path("/proc/self").exists():
        pytest.skip("this system has no /proc")
    with pytest.raises((OSError, MissingFileError), match=r"^output '/proc/vid' cannot be"):
        check_folder("/proc/vid")


def test_nothing_is_left_of_the_trial(tmp_path) -> None:
    assert check_folder(tmp_path / "vid") == []
    assert list(tmp_path.iterdir()) == []
