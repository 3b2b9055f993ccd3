"""A diagnosis of odd inputs, of stores, and of real faces with planted faults."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import onnx
import pytest
from research.setup_faults.planted_networks import NETWORK_FAULTS

from probefusion.errors import ConfigError, EmptySetError, FileFormatError, MissingFileError
from probefusion.evaluation.drawn_people import draw_crop
from probefusion.pipeline import diagnose
from probefusion.reports.findings import CHECKS
from probefusion.types import EmbeddingSet

cv2 = pytest.importorskip("cv2")


def write(folder, images, names=None):
    folder.mkdir(parents=True, exist_ok=True)
    names = names or [f"{place}.png" for place in range(len(images))]
    for name, image in zip(names, images, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), np.ascontiguousarray(image[..., ::-1]))
    return folder


@pytest.fixture
def noise(rng):
    return rng.integers(0, 256, (3, 112, 112, 3)).astype(np.uint8)


def status(found):
    return {finding.check: finding.status for finding in found.findings}


def of(found, check):
    return next(finding for finding in found.findings if finding.check == check)


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_images_tell_little_and_nothing_wrong(tiny_embedder, tmp_path, noise, count):
    found = diagnose(write(tmp_path / "in", noise[:count]), tiny_embedder)
    assert found.faults == ()
    assert status(found)["channel-order"] == "cannot be told"
    assert status(found)["training-mode"] == "fine"
    assert list(status(found)) == [check for check in CHECKS if check != "store"]
    assert str(found) == f"{count} images: no fault found"


def test_what_is_no_face_tells_nothing(tiny_embedder, tmp_path, rng):
    images = rng.integers(0, 256, (9, 112, 112, 3)).astype(np.uint8)
    found = diagnose(write(tmp_path / "in", images), tiny_embedder)
    assert [finding.check for finding in found.faults] == ["faces"]
    assert "hardly a face" in of(found, "faces").evidence
    assert {status(found)[check] for check in ("turned", "alignment", "scaling")} == {
        "cannot be told"
    }


def test_blank_images_are_named_and_the_others_judged(tiny_embedder, tmp_path):
    """Black, white, and grey as a JPEG has it; a dark face is none of them."""
    rng = np.random.default_rng(3)
    blank = [np.full((112, 112, 3), value, np.uint8) for value in (0, 255)]
    blank.append(np.clip(90 + rng.normal(0, 2, (112, 112, 3)), 0, 255).astype(np.uint8))
    faces = [draw_crop(person, 0) for person in range(8)]
    names = [f"blank{place}.png" for place in range(3)] + [f"face{place}.png" for place in range(8)]
    found = diagnose(write(tmp_path / "in", [*blank, *faces], names), tiny_embedder)
    told = of(found, "faces")
    assert told.status == "fault"
    assert told.evidence.startswith("3 of 11 images are blank, of one colour: ")
    assert all(f"blank{place}.png" in told.evidence for place in range(3))
    assert of(found, "turned").evidence == "0 of 8 are better when turned"
    assert found.num_images == 11
    alone = diagnose(write(tmp_path / "faces", [*faces, faces[0] // 6]), tiny_embedder)
    assert of(alone, "faces").status == "fine"


@pytest.mark.parametrize("count", [1, 2, 12])
def test_nothing_but_blank_images(tiny_embedder, tmp_path, count):
    images = np.zeros((count, 112, 112, 3), np.uint8)
    found = diagnose(write(tmp_path / "in", images), tiny_embedder)
    assert [finding.check for finding in found.faults] == ["faces"]
    assert status(found)["turned"] == "cannot be told"


def test_sizes_grey_and_files_that_cannot_be_read(tiny_embedder, tmp_path, rng):
    shapes = [(60, 60), (112, 112), (160, 160), (1500, 1500), (112, 96), (7, 300)]
    images = [rng.integers(0, 256, (*shape, 3)).astype(np.uint8) for shape in shapes]
    images.append(np.full((112, 112, 3), 90, np.uint8))
    folder = write(tmp_path / "in", images)
    (folder / "broken.jpg").write_bytes(b"no image")
    found = diagnose(folder, tiny_embedder)
    assert found.num_images == 7
    assert of(found, "reading").status == "fault"
    assert "broken.jpg" in of(found, "reading").evidence
    assert [item.source.rpartition("/")[2] for item in found.skipped] == ["broken.jpg"]


def test_most_images_are_no_squares(tiny_embedder, tmp_path, rng):
    images = rng.integers(0, 256, (9, 150, 112, 3)).astype(np.uint8)
    found = of(diagnose(write(tmp_path / "in", images), tiny_embedder), "alignment")
    assert found.status == "fault"
    assert "9 of 9 images are not square (112x150)" in found.evidence


def test_nothing_to_look_at(tiny_embedder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmptySetError, match="none of 0 can be used"):
        diagnose(tmp_path / "empty", tiny_embedder)
    with pytest.raises(MissingFileError):
        diagnose(tmp_path / "absent", tiny_embedder)
    (tmp_path / "empty" / "broken.png").write_bytes(b"")
    with pytest.raises(EmptySetError, match=r"none of 1 can be used: .*broken\.png"):
        diagnose(tmp_path / "empty", tiny_embedder)


def test_names_of_people_and_separation(tiny_embedder, tmp_path, noise):
    names = ["a/1.png", "a/2.png", "b/1.png"]
    found = diagnose(write(tmp_path / "in", noise, names), tiny_embedder)
    assert found.num_people == 2
    assert found.separation is not None
    one = diagnose(tmp_path / "in" / "a", tiny_embedder)
    assert (one.num_people, one.separation) == (None, None)


def test_a_faulty_network_leaves_its_settings_open(tiny_embedder, tmp_path, noise):
    model = onnx.load(str(tiny_embedder))
    NETWORK_FAULTS["dropout is on"][1](model)
    onnx.save(model, str(tmp_path / "net.onnx"))
    found = diagnose(write(tmp_path / "in", noise), tmp_path / "net.onnx", preprocessing="arcface")
    assert [finding.check for finding in found.faults] == ["training-mode"]
    assert "mend that first" in of(found, "scaling").evidence


@pytest.mark.parametrize("count", [1, 6])
def test_copies_of_one_blank_image_show_a_network_that_mixes_images(tiny_embedder, tmp_path, count):
    """Among nothing but its copies an image would be as it is alone."""
    model = onnx.load(str(tiny_embedder))
    NETWORK_FAULTS["images mix in a batch"][1](model)
    onnx.save(model, str(tmp_path / "net.onnx"))
    black = write(tmp_path / "in", np.zeros((count, 112, 112, 3), np.uint8))
    found = diagnose(black, tmp_path / "net.onnx", preprocessing="arcface")
    assert [finding.check for finding in found.faults] == ["faces", "batch"]


@pytest.fixture
def stored(tiny_embedder, tmp_path, noise):
    """Writes images and a store of what was made of them; diagnoses both."""
    from probefusion.zoo import load_embedder

    embedder = load_embedder(tiny_embedder)
    folder = write(tmp_path / "in", noise)

    def run(change=lambda crops: crops, sources=("0.png", "1.png", "2.png"), rows=None):
        crops = np.ascontiguousarray(change(noise))
        embeddings = embedder.embed(crops)[0] if rows is None else rows
        names = None if sources is None else np.array(sources)
        EmbeddingSet(embeddings=embeddings, sources=names, embedder="net@1").save(
            tmp_path / "store.npz", force=True
        )
        return diagnose(folder, tiny_embedder, store=tmp_path / "store.npz")

    return run


@pytest.mark.parametrize("sources", [("0.png", "1.png", "2.png"), None])
def test_a_store_of_these_images(stored, sources) -> None:
    found = stored(sources=sources)
    assert of(found, "store").status == "fine"
    assert of(found, "mirrored").status == "fine"


def test_a_store_of_mirror_images(stored) -> None:
    found = stored(lambda crops: crops[:, :, ::-1])
    assert of(found, "mirrored").status == "fault"
    assert "3 of 3" in of(found, "mirrored").evidence
    assert "mirrored" in of(found, "store").evidence


@pytest.mark.parametrize(("change", "words"), [
    (lambda crops: crops[..., ::-1], "red and blue exchanged"),
    (lambda crops: np.rot90(crops, -1, (1, 2)), "turned by 90"),
    (lambda crops: np.rot90(crops, 2, (1, 2)), "turned by 180"),
])  # fmt: skip
def test_what_was_done_to_the_images_of_a_store(stored, change, words) -> None:
    finding = of(stored(change), "store")
    assert finding.status == "fault"
    assert words in finding.evidence
    assert finding.fix


def test_a_store_of_another_embedder(stored, rng) -> None:
    found = of(stored(rows=rng.standard_normal((3, 8)).astype(np.float32)), "store")
    assert "rows of 8 dimensions, the embedder gives 16" in found.evidence
    assert "it is of net@1" in found.evidence
    assert "Another embedder" in found.fix


def test_a_store_that_belongs_to_nothing(stored, rng) -> None:
    with pytest.raises(ConfigError, match="none can be assigned"):
        stored(sources=("x.png", "y.png", "z.png"))
    with pytest.raises(ConfigError, match="it has none"):
        stored(sources=None, rows=rng.standard_normal((5, 16)).astype(np.float32))


def test_a_store_that_is_none(tiny_embedder, tmp_path, noise) -> None:
    folder = write(tmp_path / "in", noise)
    (tmp_path / "store.npz").write_bytes(b"no store")
    with pytest.raises(FileFormatError):
        diagnose(folder, tiny_embedder, store=tmp_path / "store.npz")


@pytest.fixture(scope="module")
def people(assets, tmp_path_factory):
    """24 real faces of as many people."""
    folder = tmp_path_factory.mktemp("people")
    with zipfile.ZipFile(assets / "data" / "lfw112.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][::370][:24]
        crops = [cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), 1) for name in names]
    return write(folder, [crop[..., ::-1] for crop in crops])


def test_real_faces_show_no_fault(people) -> None:
    found = diagnose(people)
    assert found.faults == ()
    fine = {"turned", "image-channels", "squashed", "scaling", "training-mode", "batch"}
    assert {status(found)[check] for check in fine} == {"fine"}


def test_real_faces_and_wrong_settings(people, tmp_path, capsys) -> None:
    from probefusion.cli.main import main
    from probefusion.zoo import resolve_embedder

    path, spec = resolve_embedder("compact_128d")
    (tmp_path / "net.onnx").write_bytes(path.read_bytes())
    described = {"name": "net", "channel_order": "RGB", "mean": [0, 0, 0], "style_taps": []}
    described |= {"std": [1 / 255] * 3, "dim": spec.dim}
    (tmp_path / "net.json").write_text(json.dumps(described))
    code = main(["doctor", str(people), "--embedder", str(tmp_path / "net.onnx"), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == 3
    faults = [entry for entry in found["findings"] if entry["status"] == "fault"]
    assert [entry["check"] for entry in faults] == ["scaling"]
    assert '"mean": [0.5, 0.5, 0.5]' in faults[0]["fix"]
    assert found["num_faults"] == 1


@pytest.mark.parametrize(("fault", "check"), [
    ("red and blue exchanged", "image-channels"),
    ("turned by 180", "turned"),
    ("loose, x 0.7", "alignment"),
    ("squashed down, x 0.75", "squashed"),
])  # fmt: skip
def test_real_faces_with_planted_faults(people, fault, check) -> None:
    from research.setup_faults.planted_images import IMAGE_FAULTS

    from probefusion.embedders import CropQuality
    from probefusion.pipeline.crops_to_examine import read_images_to_examine
    from probefusion.pipeline.doctor import image_findings
    from probefusion.screening.crop_faults import check_crops

    crops = read_images_to_examine(people, None).crops
    planted = write(people.parent / f"{people.name}-{check}", IMAGE_FAULTS[fault][1](crops))
    examined = read_images_to_examine(planted, None)
    found = image_findings(examined, check_crops(examined.crops, CropQuality()), None)
    assert [finding.check for finding in found if finding.status == "fault"] == [check]


def test_the_command_prints_a_table(tiny_embedder, tmp_path, noise, capsys) -> None:
    from probefusion.cli.main import main

    folder = write(tmp_path / "in", noise)
    (folder / "broken.png").write_bytes(b"")
    assert main(["doctor", str(folder), "--embedder", str(tiny_embedder)]) == 3
    captured = capsys.readouterr()
    assert "3 images, embedder tiny@" in captured.out
    assert "images can be read" in captured.out
    assert "to do (images can be read): " in captured.out
    assert "skipped 1 images" in captured.err
    (folder / "broken.png").unlink()
    assert main(["doctor", str(folder), "--embedder", str(tiny_embedder)]) == 0
    assert "no fault found" in capsys.readouterr().out


@pytest.mark.parametrize(("change", "doubt"), [
    (lambda crops: crops[..., ::-1], "24 of 24 faces have red and blue exchanged"),
    (lambda crops: np.repeat(crops[..., 1:2], 3, axis=-1), "no colours"),
])  # fmt: skip
def test_inspect_is_never_sure_of_faces_that_mislead(people, change, doubt) -> None:
    from probefusion.pipeline.crops_to_examine import read_images_to_examine
    from probefusion.zoo import resolve_embedder
    from probefusion.zoo.inspect import inspect_model

    crops = np.ascontiguousarray(change(read_images_to_examine(people, None).crops))
    guess = inspect_model(resolve_embedder("compact_128d")[0], crops=crops).guess
    assert guess is not None
    assert guess.confidence == "unsure"
    assert any(doubt in each for each in guess.doubts)
