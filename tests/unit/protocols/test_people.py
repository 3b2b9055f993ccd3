"""People of a folder or an archive: folds, readers, refusals."""

from __future__ import annotations

import hashlib
import pickle
import unicodedata
import zipfile
from pathlib import Path

import pytest
from made_up_people import ALL, make_people, pack, write_image

from probefusion.errors import (
    EmptySetError,
    FileFormatError,
    InvalidInputError,
    MissingFileError,
    UnsupportedOperationError,
)
from probefusion.protocols import people as reader
from probefusion.protocols.degraded_folder import (
    DegradedFolderProtocol,
    People,
    fold_of,
    read_people,
)


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
    (tree / "Bo" / "phone.cr2").write_bytes(b"x")
    for path in (tree, pack(tree, tmp_path / "faces.zip")):
        people = read_people(path)
        assert people.images["Bo"] == ("Bo/x.png",)
        assert sorted(Path(skip.source).name for skip in people.skipped) == [
            "frame.png",
            "loose.png",
            "phone.cr2",
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


def test_a_file_of_a_person_counts_once_whatever_its_links(tree: Path):
    right = read_people(tree)
    name, files = next((name, files) for name, files in right.images.items() if len(files) > 1)
    link = tree / name / f"zz{Path(files[0]).suffix}"
    link.symlink_to(tree / files[0])
    found = read_people(tree)
    assert found.images == right.images
    (told,) = found.skipped
    assert told.source == link.as_posix()
    assert told.reason.startswith(f"the same file as {Path(files[0]).name!r}, by a link")
