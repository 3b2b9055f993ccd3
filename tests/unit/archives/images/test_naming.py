"""Whose image is it?"""

from __future__ import annotations

import pytest

from probefusion.archives.images import PersonRule
from probefusion.archives.images.naming import key_of, num_wrapping_folders, text_of
from probefusion.errors import ConfigError


@pytest.mark.parametrize("text", ["folder", "parent", "cls", "txt", "json:a.b", "column:label"])
def test_rules_are_read_as_they_are_written(text):
    assert str(PersonRule.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "folders", "json", "column", "json:", "cls:x", "parent:1", ":"]
)
def test_other_rules_are_refused(text):
    with pytest.raises(ConfigError, match=r"--person .*expected folder, parent"):
        PersonRule.parse(text)


def test_folder_is_the_outermost_one_and_parent_the_innermost():
    name = "train/anna/2020/1.jpg"
    assert PersonRule(kind="folder").of_name(name) == "train"
    assert PersonRule(kind="folder").of_name(name, wrapping=1) == "anna"
    assert PersonRule(kind="parent").of_name(name) == "2020"
    assert PersonRule(kind="folder").of_name("1.jpg") is None
    assert PersonRule(kind="parent").of_name("1.jpg") is None


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a/1.jpg", "b/1.jpg"], 0),
        (["x/y/a/1.jpg", "x/y/b/c/1.jpg"], 2),
        (["x/a/1.jpg", "x/1.jpg"], 0),
        (["a/1.jpg", "a/2.jpg"], 0),
        (["x/a/1.jpg", "x/a/b/2.jpg"], 1),
        (["1.jpg", "a/2.jpg"], 0),
        ([], 0),
    ],
)
def test_folders_around_everything_are_passed_through(names, expected):
    assert num_wrapping_folders(names) == expected
    assert num_wrapping_folders(reversed(names)) == expected


def test_side_files_name_people():
    files = {"cls": b"17\n", "txt": " Ann Ö\n".encode(), "json": b'{"id": 3, "n": null, "f": 1.5}'}
    assert PersonRule(kind="cls").of_files(files) == "17"
    assert PersonRule(kind="txt").of_files(files) == "Ann Ö"
    assert PersonRule(kind="json", field="id").of_files(files) == "3"
    for field in ("n", "f", "none"):
        assert PersonRule(kind="json", field=field).of_files(files) is None


@pytest.mark.parametrize("content", [b"", b"  ", b"\xff\xfe", b"[1]", b"{", b"[" * 100_000])
def test_side_files_that_say_nothing(content):
    assert PersonRule(kind="json", field="id").of_files({"json": content}) is None
    if content.strip() in (b"", b"\xff\xfe"):
        assert PersonRule(kind="cls").of_files({"cls": content}) is None


def test_numbers_and_texts_are_names_and_nothing_else_is():
    assert [text_of(value) for value in (7, "7", b"7", " a ")] == ["7", "7", "7", "a"]
    assert [text_of(value) for value in (True, None, 1.0, "", b"\xff", [1])] == [None] * 6


def test_key_ends_at_the_first_dot_of_the_last_part():
    assert key_of("a.b/c.left.JPG") == ("a.b/c", "left.jpg")
    assert key_of("plain") == ("plain", "")
