"""The example scripts run as they stand, on small data."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from page_blocks import Block
from page_runner import PageRunner

from probefusion.evaluation.drawn_people import write_crops

FOLDER = Path(__file__).resolve().parents[2] / "examples"

NEEDS = {
    "01_first_template.py": (),
    "02_folder_of_photos.py": ("detector", "photos"),
    "03_people.py": (),
    "04_add_and_remove.py": (),
    "05_photo_library.py": ("detector", "photos", "album"),
    "06_camera.py": ("detector", "clip", "album"),
    "07_evaluate_features.py": (),
    "08_train_own_fuser.py": (),
    "09_made_up_ijbc.py": (),
}
"""What each script says that it needs, beside what the test makes for it."""

NAMES = {
    "rtsp://door": "clip.mp4",
    '"staff"': '"album"',
    'Path("people")': 'Path("album")',
    "margin_weight=0.1": "margin_weight=0.1, steps=5, batch_size=2",
}
"""What stands here for a camera, for other people's folders, and for minutes of training."""


def test_every_script_is_run():
    assert sorted(NEEDS) == sorted(path.name for path in FOLDER.glob("*.py"))


@pytest.mark.parametrize("script", sorted(NEEDS))
def test_script_runs(script, tmp_path, monkeypatch, material, request):
    monkeypatch.chdir(tmp_path)
    if script[:2] in ("01", "03", "04"):
        write_crops(tmp_path / "people")
    if script[:2] == "07":
        _write_ijbc(tmp_path)
    if script[:2] == "08":
        pytest.importorskip("torch")
        request.getfixturevalue("few_faces")(tmp_path)
    names = dict(NAMES)
    if script[:2] == "07":
        names["mine.onnx"] = "compact_128d"  # whose fuser stands here for `mine`
    for name in NEEDS[script]:
        names.update(material(name, tmp_path))
    text = (FOLDER / script).read_text(encoding="utf-8")
    runner = PageRunner(tmp_path, names)
    runner.run(Block(page=script, line=1, language="python", text=text))
    assert runner.printed


def _write_ijbc(folder: Path) -> None:
    """A tiny made-up copy of IJB-C, as another script writes it, and a fuser for its features."""
    from probefusion.zoo import load_fuser

    fuser = load_fuser("exact-embedding")
    shutil.copytree(fuser.folder, folder / "mine")
    text = (FOLDER / "09_made_up_ijbc.py").read_text(encoding="utf-8")
    runner = PageRunner(folder, {"DIM = 512": f"DIM = {fuser.dim}"})
    runner.run(Block(page="09_made_up_ijbc.py", line=1, language="python", text=text))


@pytest.fixture
def few_faces(tiny_embedder):
    """`faces.zip` of drawn people, and `mine.onnx`."""

    def make(folder: Path) -> None:
        write_crops(folder / "drawn")
        shutil.make_archive(str(folder / "faces"), "zip", folder / "drawn")
        for suffix in (".onnx", ".json"):
            shutil.copy(tiny_embedder.with_suffix(suffix), folder / f"mine{suffix}")

    return make
