"""A calibration is read once while its file is the same, and anew when it was changed."""

from __future__ import annotations

import os
import shutil

import pytest
from bundled_models import COMPACT

from probefusion.errors import FileFormatError, MissingFileError
from probefusion.fusion import decisions
from probefusion.fusion.decisions import find_calibration
from probefusion.zoo import load_fuser


def test_it_is_read_once(tmp_path, monkeypatch) -> None:
    fuser = load_fuser("exact", embedder=COMPACT)
    path = tmp_path / "calibration.json"
    shutil.copy2(fuser.folder / "calibration.json", path)
    read = []
    plain = decisions.read_calibration
    monkeypatch.setattr(
        decisions, "read_calibration", lambda given: read.append(given) or plain(given)
    )
    asked = (str(path), fuser, fuser.fingerprint, COMPACT)
    first = find_calibration(*asked)
    assert find_calibration(*asked) is first
    assert read == [path]
    before = path.stat().st_mtime_ns
    os.utime(path, ns=(before, before + 1))
    assert find_calibration(*asked) == first
    assert read == [path, path]
    path.write_text("{}")
    for _ in range(2):  # what is damaged is told each time
        with pytest.raises(FileFormatError, match=r"calibration\.json"):
            find_calibration(*asked)
    path.unlink()
    with pytest.raises(MissingFileError):
        find_calibration(*asked)
