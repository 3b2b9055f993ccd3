"""What may be written where is known before the work, not after it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from probefusion.errors import MissingFileError, OutputExistsError
from probefusion.files import check_output


def test_a_file_that_may_be_written(tmp_path) -> None:
    assert check_output(str(tmp_path / "new.npz"), force=False) == tmp_path / "new.npz"
    (tmp_path / "old.npz").touch()
    assert check_output(tmp_path / "old.npz", force=True) == tmp_path / "old.npz"


def test_what_exists_is_replaced_on_request_only(tmp_path) -> None:
    (tmp_path / "old.npz").touch()
    (tmp_path / "link.npz").symlink_to(tmp_path / "old.npz")
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(OutputExistsError, match="--force"):
        check_output(tmp_path / "old.npz", force=False)
    with pytest.raises(OutputExistsError, match="link"):
        check_output(tmp_path / "link.npz", force=True)
    with pytest.raises(OutputExistsError, match="pipe"):
        check_output(tmp_path / "pipe.npz", force=True)


def test_folders_that_are_not_there(tmp_path) -> None:
    (tmp_path / "file").touch()
    for path in ("none/new.npz", "file/new.npz"):
        with pytest.raises(MissingFileError, match="no folder"):
            check_output(tmp_path / path, force=False)
    with pytest.raises(MissingFileError, match="Name a file"):
        check_output(f"{tmp_path}/none/", force=False)


def test_a_folder_that_may_not_be_written_to() -> None:
    """Asked without privileges, because nothing is closed to the superuser."""
    script = (
        "import os, sys\n"
        "from probefusion.files import check_output\n"
        "try: os.geteuid() == 0 and os.setuid(65534)\n"
        "except OSError: sys.exit(77)  # a container that knows no other user\n"
        "try: check_output(sys.argv[1], force=False)\n"
        "except PermissionError as error: print(error)\n"
    )
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        said = {}
        for name, mode in (("open", 0o777), ("closed", 0o555)):
            folder = Path(place, name)
            folder.mkdir()
            folder.chmod(mode)
            command = [sys.executable, "-c", script, str(folder / "new.npz")]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 77:
                pytest.skip("cannot drop the privileges of root here")
            assert done.returncode == 0, done.stderr
            said[name] = done.stdout
        assert said["open"] == ""
        assert "may not be written to" in said["closed"]
        assert str(folder) in said["closed"]


@pytest.mark.parametrize("name", ["x.npz", "folder"])
def test_a_file_system_that_takes_no_files_is_told_before_the_work(name) -> None:
    """/proc takes no files from anybody, whatever its permissions say."""
    if not Path("/proc/self").exists():
        pytest.skip("this system has no /proc")
    with pytest.raises(OSError, match=rf"^output '/proc/{name}' |^output '{name}'.*'/proc'"):
        check_output(f"/proc/{name}", force=False)


def test_nothing_is_left_of_the_trial(tmp_path) -> None:
    check_output(tmp_path / "new.npz", force=False)
    assert list(tmp_path.iterdir()) == []
