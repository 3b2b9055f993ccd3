"""Nothing in a folder or archive vanishes without a word."""

import os
import shutil
import zipfile

import cv2
import numpy as np
import pytest

from probefusion.faces import list_images, read_images


@pytest.fixture
def data():
    return cv2.imencode(".jpg", np.full((20, 20, 3), 90, np.uint8))[1].tobytes()


def fill(folder, data):
    for name in ("a.jpg", "b.jfif", "c.jpe", "d", "e.JPEG", "f.tga", "g.weird", "h.heic"):
        (folder / name).write_bytes(data)
    for name in ("notes.txt", "boxes.csv", "Thumbs.db", "LICENSE", ".DS_Store", "g.json"):
        (folder / name).write_bytes(b"beside")
    (folder / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    (folder / "set.npz").write_bytes(b"PK")
    (folder / "raw.cr2").write_bytes(b"II*\0")
    (folder / "unknown").write_bytes(b"text")
    (folder / "real.tga").write_bytes(bytes(40))


def check(found, skipped):
    names = [source.name.rsplit("/", 1)[1] for source in found]
    assert names == ["a.jpg", "b.jfif", "c.jpe", "d", "e.JPEG", "f.tga", "g.weird", "h.heic"]
    reasons = {item.source.rsplit("/", 1)[1]: item.reason for item in skipped}
    assert reasons.keys() == {"clip.mp4", "set.npz", "raw.cr2", "unknown", "real.tga"}
    assert reasons["clip.mp4"] == "a video: give its own path"
    assert "array or a model" in reasons["set.npz"]
    assert "raw file" in reasons["raw.cr2"]
    assert reasons["unknown"] == reasons["real.tga"]
    assert "no image" in reasons["unknown"]
    for source, image in read_images(found):
        assert np.abs(np.asarray(image).astype(int) - 90).max() < 3, source.name


def test_images_are_known_by_content_and_the_rest_is_listed(tmp_path, data):
    fill(tmp_path, data)
    check(*list_images(tmp_path))


def test_archives_as_folders(tmp_path, data):
    folder = tmp_path / "in"
    folder.mkdir()
    fill(folder, data)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    check(*list_images(tmp_path / "all.zip"))


def test_a_name_that_an_archive_holds_twice_is_told(tmp_path, data):
    path = tmp_path / "dup.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("2.jpg", data)
        archive.writestr("1.jpg", data)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("1.jpg", data)
    found, skipped = list_images(path)
    assert [source.member for source in found] == ["2.jpg"]
    ((name, reason),) = [(item.source, item.reason) for item in skipped]
    assert name == f"{path.as_posix()}/1.jpg"
    assert "holds 2 files of this name" in reason


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_without_ending_is_not_waited_for(tmp_path, data):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a.jpg").write_bytes(data)
    found, skipped = list_images(tmp_path)
    assert len(found) == 1
    assert ["pipe" in item.reason for item in skipped] == [True]


@pytest.mark.assets
def test_the_endings_of_the_cases_are_all_read(assets):
    folder = assets / "cases" / "hostile" / "suff"
    found, skipped = list_images(folder)
    assert len(found) == len(list(folder.iterdir()))
    assert skipped == []
    images = [image for _, image in read_images(found)]
    for image in images:
        np.testing.assert_array_equal(image, images[0])
    found, skipped = list_images(assets / "cases" / "hostile" / "dup.zip")
    assert (len(found), len(skipped)) == (0, 1)


def test_a_file_with_several_names_counts_once_where_asked(tmp_path, data):
    folder = tmp_path / "ann"
    (folder / "more").mkdir(parents=True)
    for name in ("b.jpg", "c.jpg", "more/d.jpg"):
        (folder / name).write_bytes(data)
    (folder / "a.jpg").symlink_to(folder / "b.jpg")  # comes first, and is no file of its own
    os.link(folder / "c.jpg", folder / "hard.jpg")
    (folder / "same").symlink_to(folder / "more", target_is_directory=True)
    shutil.copy(folder / "b.jpg", folder / "copy.jpg")
    (folder / "gone.jpg").symlink_to(tmp_path / "nothing")
    found, skipped = list_images(folder)
    assert (len(found), skipped) == (8, [])
    found, skipped = list_images(folder, each_once=True)
    names = [source.path.relative_to(folder).as_posix() for source in found]
    assert names == ["b.jpg", "c.jpg", "copy.jpg", "gone.jpg", "more/d.jpg"]
    assert [str(item).removeprefix(f"{folder}/") for item in skipped] == [
        "a.jpg: the same file as 'b.jpg', by a link: its picture counts once",
        "hard.jpg: the same file as 'c.jpg', by a link: its picture counts once",
        "same/d.jpg: the same file as 'd.jpg', by a link: its picture counts once",
    ]
    twice, skipped = list_images([folder / "a.jpg", folder / "b.jpg", folder], each_once=True)
    assert (len(twice), len(skipped)) == (7, 3)  # a path that is given counts as given


def test_files_that_share_a_number_and_no_link_all_count(tmp_path, data, monkeypatch):
    for name in "ab":
        (tmp_path / f"{name}.jpg").write_bytes(data)
    monkeypatch.setattr("probefusion.faces.linked_files._identity", lambda path: (1, 1))
    found, skipped = list_images(tmp_path, each_once=True)
    assert (len(found), skipped) == (2, [])


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path, data):
    folder, elsewhere = tmp_path / "ann", tmp_path / "elsewhere"
    for place, names in ((folder, "ab"), (elsewhere, "cd")):
        place.mkdir()
        for name in names:
            (place / f"{name}.jpg").write_bytes(data)
    (folder / "more").symlink_to(elsewhere, target_is_directory=True)
    (folder / "round").symlink_to(folder, target_is_directory=True)
    (elsewhere / "back").symlink_to(folder, target_is_directory=True)
    (folder / "self").symlink_to("self")
    (folder / "gone.jpg").symlink_to(tmp_path / "nothing")
    found, skipped = list_images(folder)
    names = [source.path.relative_to(folder).as_posix() for source in found]
    assert names == ["a.jpg", "b.jpg", "gone.jpg", "more/c.jpg", "more/d.jpg"]
    assert [item.source.rsplit("/", 1)[1] for item in skipped] == ["self"]
    reasons = [image.reason for _, image in read_images(found) if not isinstance(image, np.ndarray)]
    assert len(reasons) == 1
    assert "No such file" in reasons[0]


def test_names_of_members_that_tell_no_folder_are_told(tmp_path, data):
    path = tmp_path / "odd.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("ann\\1.jpg", "../ben/1.jpg", "cem/../1.jpg", "/dan/1.jpg", "./eve/1.jpg"):
            archive.writestr(name, data)
        archive.writestr("..\\notes.txt", b"beside")
        archive.writestr(".hidden/1.jpg", data)
    found, skipped = list_images(path)
    assert [source.member for source in found] == ["/dan/1.jpg", "./eve/1.jpg"]
    reasons = {item.source.removeprefix(f"{path.as_posix()}/"): item.reason for item in skipped}
    assert reasons.keys() == {"ann\\1.jpg", "../ben/1.jpg", "cem/../1.jpg"}
    assert "backslash" in reasons["ann\\1.jpg"]
    assert "leads out of the archive" in reasons["../ben/1.jpg"]
