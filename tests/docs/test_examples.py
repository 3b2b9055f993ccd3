"""The example scripts run as they stand, on small data."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "examples"

NEEDS = {
    "01_first_template.py": (),
    "02_folder_of_photos.py": ("detector", "photos"),
    "03_people.py": (),
    "04_add_and_remove.py": (),
    "05_photo_library.py": ("detector", "photos", "album"),
    "06_camera.py": ("detector", "clip", "album"),
    "07_evaluate_features.py": ("ijbc", "mine"),
    "08_train_own_fuser.py": ("faces",),
}
"""What each script says that it needs, beside the sample crops."""


def test_every_script_is_run():
    assert sorted(NEEDS) == sorted(path.name for path in FOLDER.glob("*.py"))
