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
    "07_evaluate_features.py": ("mine",),
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
def test_script_runs(script, tmp_path, monkeypatch, material, request, capsys):
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
    PageRunner(tmp_path, names).run(Block(page=script, line=1, language="python", text=text))
    assert capsys.readouterr().out


def _write_ijbc(folder: Path) -> None:
    """A tiny made-up copy of IJB-C without images, and features of the embedder inside."""
    from probefusion.zoo import load_embedder

    rng = np.random.default_rng(0)
    meta = folder / "IJBC" / "meta"
    meta.mkdir(parents=True)
    (folder / "IJBC" / "loose_crop").mkdir()
    people, images = 6, 6
    names = [f"{number}.jpg" for number in range(1, people * images + 1)]
    templates = [1 + row // 3 for row in range(len(names))]
    rows = zip(names, templates, strict=True)
    (meta / "ijbc_face_tid_mid.txt").write_text(
        "".join(f"{name} {template} {row}\n" for row, (name, template) in enumerate(rows))
    )
    points = " ".join(["38 52 73 52 56 72 42 92 71 92"])
    (meta / "ijbc_name_5pts_score.txt").write_text(
        "".join(f"{name} {points} 0.9\n" for name in names)
    )
    last = max(templates)
    pairs = [(one, other) for one in range(1, last + 1) for other in range(one + 1, last + 1)]
    (meta / "ijbc_template_pair_label.txt").write_text(
        "".join(f"{a} {b} {int((a - 1) // 2 == (b - 1) // 2)}\n" for a, b in pairs)
    )
    dim = load_embedder().spec.dim
    centres = rng.standard_normal((people, dim)).repeat(images, axis=0)
    features = centres + 0.5 * rng.standard_normal(centres.shape)
    np.save(folder / "ijbc_r100.npy", features.astype(np.float32))


@pytest.fixture
def few_faces(tiny_embedder):
    """`faces.zip` of drawn people, and `mine.onnx`."""

    def make(folder: Path) -> None:

        write_crops(folder / "drawn")
        shutil.make_archive(str(folder / "faces"), "zip", folder / "drawn")
        for suffix in (".onnx", ".json"):
            shutil.copy(tiny_embedder.with_suffix(suffix), folder / f"mine{suffix}")

    return make
