"""The example scripts run as they stand, on small data."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
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
    for name in NEEDS[script]:
        names.update(material(name, tmp_path))
    text = (FOLDER / script).read_text(encoding="utf-8")
    runner = PageRunner(tmp_path, names)
    runner.run(Block(page=script, line=1, language="python", text=text))
    assert runner.printed


def _write_ijbc(folder: Path) -> None:
    """A tiny made-up copy of IJB-C without images, features, and a fuser for them.

    Eight people with a gallery template of two images and a probe template of three each.
    """
    from probefusion.zoo import load_fuser

    fuser = load_fuser("exact-embedding")
    shutil.copytree(fuser.folder, folder / "mine")
    rng = np.random.default_rng(0)
    images, points, features = [], [], []
    for person in range(8):
        centre = rng.standard_normal(fuser.dim)
        for template in (10 + person, 10 + person, 50 + person, 50 + person, 50 + person):
            name = f"{len(images) + 1}.jpg"
            images.append(f"{name} {template} {template}")
            points.append(f"{name} 38 52 73 52 56 72 42 92 71 92 0.9")
            features.append(centre + 0.5 * rng.standard_normal(fuser.dim))
    header = "TEMPLATE_ID,SUBJECT_ID"
    meta = folder / "IJBC" / "meta"
    meta.mkdir(parents=True)
    (folder / "IJBC" / "loose_crop").mkdir()
    for name, lines in {
        "face_tid_mid.txt": images,
        "name_5pts_score.txt": points,
        "template_pair_label.txt": [
            f"{10 + a} {50 + b} {int(a == b)}" for a in range(8) for b in range(8)
        ],
        "1N_gallery_G1.csv": [header, *(f"{10 + person},{person}" for person in range(0, 8, 2))],
        "1N_gallery_G2.csv": [header, *(f"{10 + person},{person}" for person in range(1, 8, 2))],
        "1N_probe_mixed.csv": [header, *(f"{50 + person},{person}" for person in range(8))],
    }.items():
        (meta / f"ijbc_{name}").write_text("\n".join(lines) + "\n")
    np.save(folder / "ijbc_r100.npy", np.array(features, np.float32))


@pytest.fixture
def few_faces(tiny_embedder):
    """`faces.zip` of drawn people, and `mine.onnx`."""

    def make(folder: Path) -> None:
        write_crops(folder / "drawn")
        shutil.make_archive(str(folder / "faces"), "zip", folder / "drawn")
        for suffix in (".onnx", ".json"):
            shutil.copy(tiny_embedder.with_suffix(suffix), folder / f"mine{suffix}")

    return make
