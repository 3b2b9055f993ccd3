"""`probefusion calibrate` of fusers without a folder, and `compare` by what it wrote."""

from __future__ import annotations

import json

import numpy as np
import pytest

from probefusion.evaluation.drawn_people import draw_crop
from probefusion.fusion import MeanFuser
from probefusion.fusion.calibration_files import read_calibration
from probefusion.types import EmbeddingSet, TemplateSet

cv2 = pytest.importorskip("cv2")


@pytest.fixture(scope="module")
def pile(tmp_path_factory):
    """Faces of 60 drawn people, a file each."""
    folder = tmp_path_factory.mktemp("pile")
    for person in range(60):
        cv2.imwrite(str(folder / f"face{person}.png"), draw_crop(person, 0)[..., ::-1])
    return folder


def test_the_mean_is_calibrated_from_a_pile_and_compare_takes_it(
    tmp_path, command, pile, tiny_embedder
) -> None:
    file = tmp_path / "calibration.json"
    given = ["calibrate", "mean", "--data", pile, "--embedder", tiny_embedder, "--threads", "1"]
    code, out, err = command(*given, "--poor-people", "8", "-o", file)
    assert code == 0, err
    assert f"written to {file}" in out
    assert "searches: too few people to state a rate for a gallery of any size" in out
    assert "1 of 3 kinds of people that it takes to say how far a rate may be off" in out
    record = read_calibration(file)
    assert record.fuser == "mean@1"
    assert [source.num_people for source in record.sources] == [60]
    assert record.sizes == (1, 4, 16)
    code, _, err = command(*given, "-o", file)
    assert code == 1
    assert "--force" in err
    code, _, err = command(*given, "--related", "face1", "-o", file)
    assert code != 0
    assert "expected two names as A,B, got 'face1'" in err

    rows = np.random.default_rng(0).standard_normal((3, len(record.model.directions[0])))
    fuser = MeanFuser()
    templates = [
        fuser.fuse(EmbeddingSet(embeddings=row[None], embedder=record.embedder)) for row in rows
    ]
    TemplateSet.of({"a": templates[0]}).save(tmp_path / "a.npz")
    TemplateSet.of({"b": templates[1], "c": templates[2]}).save(tmp_path / "b.npz")
    compare = ["compare", tmp_path / "a.npz", f"{tmp_path / 'b.npz'}#b", "--calibration", file]
    code, out, err = command(*compare)
    assert code == 0, err
    assert "no decision: " in out  # so few people support no rate
    facts = json.loads(command(*compare, "--json")[1])
    assert facts["threshold"] is facts["is_match"] is None
    assert facts["why_no_decision"]
    code, out, _ = command(
        "compare", tmp_path / "a.npz", tmp_path / "b.npz", *compare[3:], "--fpir", "0.1"
    )
    assert code == 0
    assert "too few people to measure searches" in out
    code, _, err = command(*compare, "--fpir", "0.1")
    assert code == 1
    assert "one person beside a file" in err

    stranger = EmbeddingSet(embeddings=rows[:1], embedder="net@1")
    TemplateSet.of({"d": fuser.fuse(stranger)}).save(tmp_path / "d.npz")
    code, _, err = command("compare", tmp_path / "d.npz", tmp_path / "d.npz", "--calibration", file)
    assert code == 1
    assert "made for embeddings of" in err


def test_too_few_people_and_damaged_files(tmp_path, command, pile, tiny_embedder) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for number in range(3):
        (few / f"{number}.png").write_bytes((pile / f"face{number}.png").read_bytes())
    given = ["calibrate", "mean", "--embedder", tiny_embedder, "-o", tmp_path / "c.json"]
    code, _, err = command(*given, "--data", few)
    assert code == 1
    assert "3 people who are not related; a calibration needs at least 50" in err
    assert not (tmp_path / "c.json").exists()
    (few / "0.jpg").write_bytes((few / "0.png").read_bytes())
    code, _, err = command(*given, "--data", few)
    assert code == 1
    assert "have one name but for its ending" in err
