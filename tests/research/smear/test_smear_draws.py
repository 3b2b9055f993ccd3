"""Who is drawn, from which photos, and the commands on a folder of drawn people."""

from __future__ import annotations

import hashlib
import json
import runpy
import sys

import numpy as np
import pytest
from research.smear.degraded_photos import draw_images
from research.smear.media_photos import draw_media, embed_media_images
from research.smear.smear_sets import SmearSize

from probefusion.errors import EmptySetError
from probefusion.evaluation.drawn_people import draw_crop
from probefusion.protocols.degraded_folder import fold_of
from probefusion.protocols.media_images import read_media_images

cv2 = pytest.importorskip("cv2")


def test_an_image_is_what_its_hash_says() -> None:
    photos = [f"Ann/{i}.jpg" for i in range(5)]
    ordered = sorted(photos, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    drawn = draw_images(photos, "Ann", 2)
    digest = hashlib.sha256(b"smear-test/v1|2|apart|3|Ann").digest()
    words = np.frombuffer(digest, ">u8")
    image = drawn["apart"][3]
    assert image.source == ordered[3:][int(words[0]) % 2]
    share, spread = float(words[1]) / 2**64, float(words[2]) / 2**64
    expected = 1 - 0.4 * spread if share < 0.85 else 0.6 * spread
    assert image.severity == pytest.approx(expected)
    assert image.seed == int(words[3])


def test_probes_apart_share_no_photo_with_the_enrolment() -> None:
    photos = [f"Ann/{i}.jpg" for i in range(5)]
    seen = {"enrolled": set(), "apart": set(), "shared": set()}
    severities = []
    for draw in range(20):
        for part, images in draw_images(photos, "Ann", draw).items():
            assert len(images) == {"enrolled": 16, "apart": 8, "shared": 8}[part]
            seen[part] |= {image.source for image in images}
            severities += [image.severity for image in images]
    assert len(seen["enrolled"]) == 3
    assert seen["shared"] == seen["enrolled"]
    assert len(seen["apart"]) == 2
    assert not seen["apart"] & seen["enrolled"]
    bad = np.mean(np.array(severities) > 0.6)
    assert bad == pytest.approx(0.85, abs=0.06)  # 640 images: four standard deviations


def test_a_probe_is_one_film_and_the_enrolment_the_others() -> None:
    media = {"a": [f"a{i}" for i in range(5)], "b": [f"b{i}" for i in range(3)], "c": ["c0"]}
    largest = SmearSize(num_enrolled=4, num_probe=3)
    found = set()
    for seed in range(30):
        enrolled, probe = draw_media(media, largest, np.random.default_rng(seed))
        (film,) = {name[0] for name in probe}
        found.add(film)
        assert len(set(probe)) == 3
        assert len(set(enrolled)) == 4
        assert all(name[0] != film for name in enrolled)
    assert found == {"a", "b"}  # c has too few; with a as the probe exactly four are left


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Six drawn people of fold 3 with two clips of three crops; a seventh with one clip; one of another fold."""
    folder = tmp_path_factory.mktemp("clips")
    names = [name for i in range(200) if fold_of(name := f"Drawn_{i}") == 3][:7]
    other = next(name for i in range(200) if fold_of(name := f"Drawn_{i}") != 3)
    for person, name in enumerate([*names, other]):
        for number in range(3 if name == names[6] else 6):
            path = folder / name / f"{number // 3}_{number}.png"
            path.parent.mkdir(exist_ok=True)
            cv2.imwrite(str(path), draw_crop(person, number)[..., ::-1])
    return folder, names


def run(monkeypatch, *arguments) -> None:
    monkeypatch.setattr(sys, "argv", ["research.smear", *map(str, arguments)])
    runpy.run_module("research.smear", run_name="__main__")


def test_media_command_on_drawn_clips(clips, tmp_path, monkeypatch, capsys) -> None:
    folder, _ = clips
    run(
        monkeypatch,
        *("media", "--images", folder, "--media-from", "^(?P<medium>[0-9])", "--fold-3-only"),
        *("--sizes", "3/1", "3/2", "--work", tmp_path / "work", "-o", tmp_path / "out"),
    )
    (part,) = json.loads((tmp_path / "out" / "report.json").read_text())
    assert part["num_people"] == 6
    assert part["num_mated"] == 6 * 20
    assert {row["size"] for row in part["tpir"]} == {"3/1", "3/2"}
    assert [row["rule"] for row in part["tpir"]][::4] == [
        *("exact", "exact-fast", "universal", "norm-weighted", "mean", "trimmed mean"),
        *("trimmed mean, unit length", "maximum over samples"),
        "maximum over samples, mean over the probe",
    ]
    assert set(part["fusers"]) == {"exact", "exact-fast", "universal", "norm-weighted", "mean"}
    assert all(0 <= row["low"] <= row["tpir"] <= row["high"] <= 1 for row in part["tpir"])
    assert "TPIR at FPIR 0.01" in capsys.readouterr().out


def test_degraded_command_on_drawn_people(clips, tmp_path, monkeypatch) -> None:
    folder, names = clips
    run(
        monkeypatch,
        *("degraded", "--images", folder, "--work", tmp_path / "work", "-o", tmp_path / "out"),
    )
    apart, shared = json.loads((tmp_path / "out" / "report.json").read_text())
    assert apart["num_people"] == shared["num_people"] == len(names)
    assert (apart["num_draws"], apart["num_mated"]) == (6, 6 * len(names))
    assert apart["sets"].endswith("photos apart")
    assert shared["sets"].endswith("photos shared")
    rate = {(row["rule"], row["size"], row["fpir"]): row["tpir"] for row in shared["tpir"]}
    assert rate["mean", "8/1", 0.01] is None  # 42 non-mated searches do not resolve it
    assert rate["mean", "16/8", 0.1] > 0.5


def test_nobody_with_images_enough_is_refused(clips, tmp_path) -> None:
    folder, names = clips
    images = read_media_images(folder, media_from="^(?P<medium>[0-9])")
    with pytest.raises(EmptySetError, match="4 images of one medium and 9 of others"):
        embed_media_images(
            images,
            None,
            subjects=names,
            largest=SmearSize(num_enrolled=9, num_probe=4),
            num_draws=1,
            cache=tmp_path,
            source="clips",
        )
