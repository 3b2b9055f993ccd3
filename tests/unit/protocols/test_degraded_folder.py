"""The open protocol: known splits and draws, independence, readers, refusals."""

from __future__ import annotations

import hashlib
import json
import math
import pickle
import unicodedata
import zipfile
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest

from probefusion.errors import (
    ConfigError,
    EmptySetError,
    FileFormatError,
    InvalidInputError,
    MissingFileError,
    UnknownNameError,
    UnsupportedOperationError,
)
from probefusion.faces import decode_image
from probefusion.faces.degrade import degrade
from probefusion.protocols import people as reader
from probefusion.protocols.degraded_folder import (
    DegradedFolderProtocol,
    GalleryEntry,
    People,
    ProbeImage,
    fold_of,
    read_people,
    render,
)

ALL = (0, 1, 2, 3)


def make_people(num_people: int = 12, *, start: int = 0) -> People:
    """Person i has 1 + i % 6 images."""
    return People(
        images={
            f"Person_{i:03}": tuple(f"Person_{i:03}/{j}.png" for j in range(1 + i % 6))
            for i in range(start, start + num_people)
        }
    )


def write_image(path: Path, level: int) -> None:
    cv2 = pytest.importorskip("cv2", reason="images need OpenCV")
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((112, 112, 3), level, np.uint8)
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def pack(folder: Path, archive: Path, *, prefix: str = "") -> Path:
    with zipfile.ZipFile(archive, "w") as target:
        for path in sorted(folder.rglob("*"), reverse=True):
            target.write(path, prefix + path.relative_to(folder).as_posix())
    return archive


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Three people with 3, 1 and 2 images, and files that are no images."""
    root = tmp_path / "faces"
    for level, name in enumerate(
        ("Ann_Lee/b.png", "Ann_Lee/a.PNG", "Ann_Lee/c.jpg", "Bo/x.png", "Cy/2.png", "Cy/10.png")
    ):
        write_image(root / name, 10 * level)
    (root / "Bo" / "notes.txt").write_text("seen twice")
    (root / "README.txt").write_text("faces")
    (root / ".cache" / "thumb.png").parent.mkdir()
    write_image(root / ".cache" / "thumb.png", 9)
    return root


# ---- people and folds


def test_folds_are_known():
    assert [fold_of(name) for name in ("Aaron_Peirsol", "AJ_Cook", "Ann_Lee", "", "李小龍")] == [
        2,
        0,
        1,
        1,
        2,
    ]


def test_fold_is_the_hash_of_the_name():
    for name in ("Ann Lee", "ann_lee", "Zoë"):
        assert fold_of(name) == int(hashlib.sha256(name.encode()).hexdigest()[-1], 16) % 4


def test_fold_is_the_same_for_both_spellings_of_an_accent():
    names = [f"Zoë_{i}" for i in range(20)]
    decomposed = [unicodedata.normalize("NFD", name) for name in names]
    assert decomposed != names
    assert [fold_of(name) for name in names] == [fold_of(name) for name in decomposed]


def test_folder_and_archive_give_the_same(tree: Path, tmp_path: Path):
    folder, archive = read_people(tree), read_people(pack(tree, tmp_path / "faces.zip"))
    assert dict(folder.images) == {
        "Ann_Lee": ("Ann_Lee/a.PNG", "Ann_Lee/b.png", "Ann_Lee/c.jpg"),
        "Bo": ("Bo/x.png",),
        "Cy": ("Cy/10.png", "Cy/2.png"),
    }
    assert list(folder.images) == ["Ann_Lee", "Bo", "Cy"]
    assert folder.images == archive.images
    assert list(folder.images) == list(archive.images)
    assert folder.num_images == archive.num_images == 6
    assert folder.skipped == archive.skipped == ()
    for names in folder.images.values():
        assert [folder.read(name) for name in names] == [archive.read(name) for name in names]
    first, second = (
        DegradedFolderProtocol(people=people, folds=ALL) for people in (folder, archive)
    )
    assert first.content_hash == second.content_hash
    assert list(first.probe_sets(64)) == list(second.probe_sets(64))


def test_archive_reads_after_pickling(tree: Path, tmp_path: Path):
    people = read_people(pack(tree, tmp_path / "faces.zip"))
    data = people.read("Bo/x.png")
    again = pickle.loads(pickle.dumps(people))
    assert again.read("Bo/x.png") == data
    assert again.images == people.images


def test_images_elsewhere_are_listed(tree: Path, tmp_path: Path):
    write_image(tree / "loose.png", 1)
    write_image(tree / "Bo" / "video" / "frame.png", 1)
    (tree / "Bo" / "phone.heic").write_bytes(b"x")
    for path in (tree, pack(tree, tmp_path / "faces.zip")):
        people = read_people(path)
        assert people.images["Bo"] == ("Bo/x.png",)
        assert sorted(Path(skip.source).name for skip in people.skipped) == [
            "frame.png",
            "loose.png",
            "phone.heic",
        ]
        assert all(skip.reason for skip in people.skipped)


def test_person_without_images(tree: Path, tmp_path: Path):
    (tree / "Dee").mkdir()
    (tree / "Eve").mkdir()
    (tree / "Eve" / "notes.txt").write_text("none yet")
    for path in (tree, pack(tree, tmp_path / "faces.zip")):
        with pytest.raises(
            FileFormatError, match="2 person folders without images, the first 'Dee'"
        ):
            read_people(path)


def test_archive_of_the_folder_itself_is_refused_with_a_reason(tree: Path, tmp_path: Path):
    path = pack(tree, tmp_path / "faces.zip", prefix="faces/")
    with pytest.raises(
        FileFormatError, match=r"without images, the first 'faces'.* 6 images lie elsewhere"
    ):
        read_people(path)


def test_empty_places(tmp_path: Path):
    (tmp_path / "nobody").mkdir()
    for path in (tmp_path / "nobody", pack(tmp_path / "nobody", tmp_path / "nobody.zip")):
        with pytest.raises(FileFormatError, match="no person folders"):
            read_people(path)
    with pytest.raises(MissingFileError, match=r"image folder .* does not exist"):
        read_people(tmp_path / "nowhere")


def test_broken_archives(tree: Path, tmp_path: Path):
    whole = pack(tree, tmp_path / "faces.zip").read_bytes()
    for content in (b"", b"no archive", whole[: len(whole) // 2]):
        (tmp_path / "broken.zip").write_bytes(content)
        with pytest.raises(
            FileFormatError, match=r"broken.zip.*expected a folder or a zip archive"
        ):
            read_people(tmp_path / "broken.zip")
    (tmp_path / "faces.tar").write_bytes(whole)
    with pytest.raises(FileFormatError, match=r"expected a folder or a \.zip archive"):
        read_people(tmp_path / "faces.tar")


def test_damaged_member_is_named(tree: Path, tmp_path: Path):
    path = pack(tree, tmp_path / "faces.zip")
    data = bytearray(path.read_bytes())
    start = data.index((tree / "Bo" / "x.png").read_bytes())
    data[start + 40] ^= 255
    path.write_bytes(data)
    people = read_people(path)
    with pytest.raises(FileFormatError, match=r"Bo/x.png of .*faces.zip.* could not be read"):
        people.read("Bo/x.png")
    assert people.read("Cy/2.png") == (tree / "Cy" / "2.png").read_bytes()


def test_member_listed_twice_is_refused(tree: Path, tmp_path: Path):
    path = pack(tree, tmp_path / "faces.zip")
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("Bo/x.png", b"another")
    with pytest.raises(FileFormatError, match="a member more than once"):
        read_people(path)


def test_reading_what_is_not_there(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder, archive = read_people(tree), read_people(pack(tree, tmp_path / "faces.zip"))
    with pytest.raises(MissingFileError, match=r"Bo.y\.png"):
        folder.read("Bo/y.png")
    with pytest.raises(FileFormatError, match=r"no member 'Bo/y\.png'"):
        archive.read("Bo/y.png")
    with pytest.raises(UnsupportedOperationError, match="given by name only"):
        make_people().read("Person_000/0.png")
    monkeypatch.setattr(reader, "MAX_FILE_BYTES", 10)
    for people in (folder, archive):
        with pytest.raises(FileFormatError, match="expected at most 10 bytes, got"):
            people.read("Bo/x.png")


def test_people_by_name_are_checked_and_sorted():
    people = People(images={"b": ("b/2", "b/1"), "a": ("a/1",)})
    assert list(people.images.items()) == [("a", ("a/1",)), ("b", ("b/1", "b/2"))]
    with pytest.raises(TypeError):
        people.images["c"] = ("c/1",)  # type: ignore[index]
    with pytest.raises(EmptySetError, match="expected at least one person"):
        People(images={})
    with pytest.raises(EmptySetError, match="'b' has no images"):
        People(images={"a": ("a/1",), "b": ()})
    with pytest.raises(InvalidInputError, match="'a' has the same image more than once"):
        People(images={"a": ("a/1", "a/1")})
    with pytest.raises(InvalidInputError, match="person names in Unicode"):
        People(images={"Zo\udceb": ("1",)})  # a Latin-1 folder name as Linux gives it


# ---- gallery


def test_gallery_holds_the_first_image_of_everybody_in_the_folds():
    people = make_people(48)
    for folds in ((3,), (0, 2), ALL):
        protocol = DegradedFolderProtocol(people=people, folds=folds)
        expected = tuple(
            GalleryEntry(subject_id=name, source=images[0], is_distractor=len(images) < 3)
            for name, images in people.images.items()
            if fold_of(name) in folds
        )
        assert protocol.gallery == expected
        assert protocol.probe_subjects == tuple(
            entry.subject_id for entry in expected if not entry.is_distractor
        )
    assert {len(people.images[entry.subject_id]) for entry in expected if entry.is_distractor} == {
        1,
        2,
    }


def test_gallery_images_are_never_in_a_probe():
    protocol = DegradedFolderProtocol(people=make_people(48), folds=ALL)
    gallery = {entry.source for entry in protocol.gallery}
    sets = list(protocol.probe_sets(64))
    assert len(sets) == 4 * len(protocol.probe_subjects)
    for probe in sets:
        sources = {image.source for image in probe.images}
        assert sources <= set(protocol.people.images[probe.subject_id])
        assert not sources & gallery
    # 64 draws of at most five others leave none out, save with a chance of about 1e-5 a set.
    used = {image.source for probe in sets for image in probe.images}
    assert len(used) == sum(
        len(images) - 1 for images in protocol.people.images.values() if len(images) > 2
    )


def test_excluded_names_leave_the_distractors_only():
    people = People(
        images={"Ann_Lee": ("1",), "Zoë": ("2",), "Bo": ("3",), "Cy_Poe": ("4", "5", "6")}
    )
    names = ["ann lee", unicodedata.normalize("NFD", "ZOË"), "CY POE", "Nobody"]
    protocol = DegradedFolderProtocol(people=people, folds=ALL, exclude=names)
    assert protocol.excluded == ("Ann_Lee", "Zoë")
    assert [entry.subject_id for entry in protocol.gallery] == ["Bo", "Cy_Poe"]
    plain = DegradedFolderProtocol(people=people, folds=ALL)
    assert plain.excluded == ()
    assert plain.content_hash != protocol.content_hash
    assert list(plain.probe_sets(8)) == list(protocol.probe_sets(8))


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Ann_Lee", "ann_lee"),
        ("Ann_Lee", "Ann Lee"),
        ("Zoë", unicodedata.normalize("NFD", "ZOË")),
        ("Jo_Straße", "jo strasse"),
    ],
)
def test_namesakes_are_refused(name: str, other: str):
    people = People(images={name: ("1", "2", "3"), other: ("4",)})
    with pytest.raises(InvalidInputError, match="are one name, taken for one person"):
        DegradedFolderProtocol(people=people, folds=ALL)


# ---- draws


def test_draws_are_known():
    """Numbers worked out apart from the code: the same on every machine and in every release."""
    protocol = DegradedFolderProtocol(people=make_people(), folds=ALL)
    probe = protocol.probe_set("Person_005", 1, 3)
    assert probe.images == tuple(
        ProbeImage(source=f"Person_005/{number}.png", severity=severity, seed=seed)
        for number, severity, seed in (
            (2, 0.7050468052414574, 2010263478335340133),
            (4, 0.6240693143646323, 16332113918249329702),
            (5, 0.7063194400151744, 10364629593744536837),
        )
    )


@pytest.mark.parametrize("mix", ["hard", "mixed", "clean"])
def test_draws_follow_the_written_definition(mix):
    people = make_people(30)
    protocol = DegradedFolderProtocol(people=people, folds=ALL, mix=mix, seed=11)
    for subject in protocol.probe_subjects[:5]:
        others = people.images[subject][1:]
        for position, image in enumerate(protocol.probe_set(subject, 2, 64).images):
            text = f"degraded-folder/v1|11|{mix}|2|{position}|{subject}"
            digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
            words = [int(digest[start : start + 16], 16) for start in (0, 16, 32, 48)]
            t1, t2 = (math.floor(word / 2**11) / 2**53 for word in words[1:3])
            severity = {
                "hard": 1 - 0.4 * t2 if t1 < 0.85 else 0.6 * t2,
                "mixed": t2,
                "clean": 0.0,
            }[mix]
            assert image.source == others[words[0] % len(others)]
            assert image.severity == pytest.approx(severity, abs=1e-12)
            assert image.seed == words[3]


def test_draws_do_not_depend_on_anything_else():
    few, many = make_people(12), make_people(60)
    small = DegradedFolderProtocol(people=few, folds=ALL, set_sizes=(1, 8), num_sets=2)
    large = DegradedFolderProtocol(
        people=many, folds=tuple({fold_of(name) for name in few.images}), set_sizes=(64, 100)
    )
    for subject in small.probe_subjects:
        for index in range(2):
            whole = large.probe_set(subject, index, 100).images
            assert small.probe_set(subject, index, 8).images == whole[:8]
            assert large.probe_set(subject, index, 3).images == whole[:3]


def test_everything_that_should_changes_the_draws():
    people = make_people()
    base = DegradedFolderProtocol(people=people, folds=ALL)
    seeds = {image.seed for image in base.probe_set("Person_005", 0, 64).images}
    others = [
        base.probe_set("Person_005", 1, 64),
        base.probe_set("Person_011", 0, 64),
        replace(base, seed=1).probe_set("Person_005", 0, 64),
        replace(base, mix="mixed").probe_set("Person_005", 0, 64),
    ]
    assert len(seeds) == 64
    for other in others:
        assert not seeds & {image.seed for image in other.images}


@pytest.mark.parametrize(("mix", "share_bad", "mean"), [("hard", 0.85, 0.725), ("mixed", 0.4, 0.5)])
def test_severities_have_their_shares(mix, share_bad, mean):
    protocol = DegradedFolderProtocol(people=make_people(60), folds=ALL, mix=mix)
    severities = np.array([i.severity for probe in protocol.probe_sets(64) for i in probe.images])
    assert len(severities) > 10_000 - 1_000
    spread = 4 * math.sqrt(0.25 / len(severities))
    assert abs((severities > 0.6).mean() - share_bad) < spread
    assert abs(severities.mean() - mean) < spread
    for low, high in ((0.0, 0.6), (0.6, 1.0)):  # uniform on either side
        part = severities[(severities > low) & (severities <= high)]
        assert abs(part.mean() - (low + high) / 2) < 4 * (high - low) / math.sqrt(12 * len(part))
    assert severities.min() >= 0
    assert severities.max() <= 1


def test_images_are_drawn_evenly():
    protocol = DegradedFolderProtocol(people=make_people(60), folds=ALL)
    counts = np.zeros(5)
    for probe in protocol.probe_sets(64):
        others = protocol.people.images[probe.subject_id][1:]
        if len(others) == 5:
            counts += [sum(image.source == name for image in probe.images) for name in others]
    expected = counts.sum() / 5
    assert expected > 400
    assert (np.abs(counts - expected) < 4 * math.sqrt(expected)).all()


def test_clean_mix_is_clean():
    protocol = DegradedFolderProtocol(people=make_people(), folds=ALL, mix="clean")
    assert {i.severity for probe in protocol.probe_sets(64) for i in probe.images} == {0.0}


# ---- rendering


def test_render_degrades_with_its_own_seed(rng: np.random.Generator):
    pytest.importorskip("cv2", reason="degradation needs OpenCV")
    pixels = rng.integers(0, 256, (112, 112, 3)).astype(np.uint8)
    image = ProbeImage(source="Bo/x.png", severity=0.7, seed=2**64 - 1)
    asked = []
    crop = render(image, lambda name: asked.append(name) or pixels)
    assert asked == ["Bo/x.png"]
    expected = degrade(pixels, 0.7, np.random.Generator(np.random.PCG64(2**64 - 1)))
    assert np.array_equal(crop, expected)
    assert not np.array_equal(render(replace(image, seed=5), lambda _: pixels), crop)
    assert np.array_equal(render(replace(image, severity=0.0), lambda _: pixels), pixels)


def test_from_folder_to_crops(tree: Path):
    people = read_people(tree)
    protocol = DegradedFolderProtocol(people=people, folds=ALL)
    (probe,) = [p for p in protocol.probe_sets(4) if p.set_index == 3]
    crops = [render(image, lambda name: decode_image(people.read(name))) for image in probe.images]
    assert {crop.shape for crop in crops} == {(112, 112, 3)}


# ---- definition


def test_definition_and_hash_say_what_was_measured():
    base = DegradedFolderProtocol(people=make_people(), folds=(3, 0, 1, 2))
    definition = base.definition()
    assert json.loads(json.dumps(definition)) == definition
    assert definition["folds"] == [0, 1, 2, 3]
    assert definition["version"] == "degraded-folder/v1"
    assert definition["degradation"]["version"] == "face-degradation/v1"
    assert DegradedFolderProtocol(people=make_people(), folds=ALL).content_hash == base.content_hash
    renamed = {
        name: tuple(image.replace(".png", ".jpg") for image in images)
        for name, images in make_people().images.items()
    }
    changed = [
        replace(base, mix="clean"),
        replace(base, seed=1),
        replace(base, num_sets=3),
        replace(base, set_sizes=(1, 64)),
        replace(base, folds=(1, 2, 3)),
        replace(base, people=make_people(13)),
        replace(base, people=People(images=renamed)),
    ]
    hashes = {protocol.content_hash for protocol in changed}
    assert len(hashes | {base.content_hash}) == len(changed) + 1


def test_values_are_frozen():
    protocol = DegradedFolderProtocol(people=make_people(), folds=ALL)
    for value, name in (
        (protocol, "seed"),
        (protocol.gallery[0], "source"),
        (protocol.probe_set("Person_005", 0, 1), "images"),
        (protocol.probe_set("Person_005", 0, 1).images[0], "severity"),
        (protocol.people, "path"),
    ):
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, 1)


def test_numpy_numbers_are_taken():
    plain = DegradedFolderProtocol(people=make_people(), folds=(1, 3), set_sizes=(2, 4), seed=3)
    numbers = DegradedFolderProtocol(
        people=make_people(),
        folds=tuple(np.array([1, 3])),
        set_sizes=tuple(np.array([2, 4])),
        num_sets=np.int64(4),
        seed=np.int64(3),
    )
    assert numbers.content_hash == plain.content_hash


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"folds": ()}, ConfigError, "folds: expected different ones of 0 to 3"),
        ({"folds": (4,)}, ConfigError, "folds"),
        ({"folds": (1, 1)}, ConfigError, "folds"),
        ({"folds": (0.5,)}, ConfigError, "folds: expected whole numbers, got 0.5"),
        ({"mix": "Hard"}, UnknownNameError, "did you mean 'hard'"),
        ({"set_sizes": ()}, ConfigError, "set_sizes: expected ascending numbers"),
        ({"set_sizes": (0, 1)}, ConfigError, "set_sizes"),
        ({"set_sizes": (2, 2)}, ConfigError, "set_sizes"),
        ({"num_sets": 0}, ConfigError, "num_sets: expected at least 1, got 0"),
        ({"seed": -1}, ConfigError, "seed: expected 0 or more, got -1"),
        ({"exclude": "Bo"}, ConfigError, "exclude: expected a list of names"),
        ({"people": People(images={"a": ("1", "2")})}, EmptySetError, "3 or more images"),
    ],
)
def test_wrong_settings(settings, error, message):
    with pytest.raises(error, match=message):
        DegradedFolderProtocol(**{"people": make_people(), "folds": ALL, **settings})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("Person_000", 0, 1), InvalidInputError, "probe people, got 'Person_000'"),
        (("Nobody", 0, 1), InvalidInputError, "subject_id: expected one of the"),
        (("Person_005", 4, 1), ConfigError, "set_index: expected 0 to 3, got 4"),
        (("Person_005", -1, 1), ConfigError, "set_index"),
        (("Person_005", 0, 0), ConfigError, "num_images: expected 1 to 64, got 0"),
        (("Person_005", 0, 65), ConfigError, "num_images"),
    ],
)
def test_wrong_probe_sets(arguments, error, message):
    protocol = DegradedFolderProtocol(people=make_people(), folds=ALL)
    with pytest.raises(error, match=message):
        protocol.probe_set(*arguments)


# ---- real data


@pytest.mark.assets
def test_lfw(assets: Path):
    people = read_people(assets / "data" / "lfw112.zip")
    assert (len(people.images), people.num_images, people.skipped) == (4479, 9083, ())
    dev = DegradedFolderProtocol(people=people, folds=(3,))
    assert len(dev.probe_subjects) == 166
    assert len(dev.gallery) == 1132
    assert (
        sum(len(DegradedFolderProtocol(people=people, folds=(f,)).probe_subjects) for f in ALL)
        == 641
    )
    image = dev.probe_set(dev.probe_subjects[0], 0, 1).images[0]
    crop = render(image, lambda name: decode_image(people.read(name), source=name))
    assert crop.shape == (112, 112, 3)
