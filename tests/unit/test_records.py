"""JSON files become typed records; what is wrong with one is said by file and key."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, TypedDict

import pytest

from probefusion.errors import ConfigError, FileFormatError
from probefusion.files.records import decode_record, read_record, record_of


@dataclass(frozen=True, kw_only=True)
class Part:
    size: int
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Whole:
    name: str
    share: float = 0.5
    parts: tuple[Part, ...] = ()
    settings: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.share > 1:
            raise ConfigError(f"share: expected a fraction, got {self.share}.")


class Loose(TypedDict, total=False):
    name: str
    parts: list[Part]


def decode(content: Any, kind: Any = Whole, **settings) -> Any:
    return decode_record(json.dumps(content).encode(), kind, where="a.json", **settings)


def test_records_are_typed() -> None:
    found = decode({"name": "n", "share": 1, "parts": [{"size": 2}], "settings": {"any": [1]}})
    assert found == Whole(name="n", share=1.0, parts=(Part(size=2),), settings={"any": [1]})
    assert decode({"name": "n"}, Loose) == {"name": "n"}
    assert decode({"a": "b"}, dict[str, str]) == {"a": "b"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "expected a JSON object, got a list."),
        ({"name": 5}, "name: expected a text, got a whole number."),
        ({"name": "n", "parts": [{"size": "2"}]}, "parts[0].size: expected a whole number, got a text."),
        ({"name": "n", "parts": [{}]}, "parts[0].size: expected this key, it is missing."),
        ({}, "name: expected this key, it is missing."),
        ({"name": "n", "share": 2.0}, "share: expected a fraction, got 2.0."),
        ({"nam": "n"}, "unknown key 'nam'; did you mean 'name'? Known: name, parts, settings, share."),
        ({"name": "n", "parts": [{"sise": 2}]}, "unknown key 'sise'; did you mean 'size'? Known: label, size."),
        ({"name": "n", "settings": 5}, "settings: expected an object or null, got a whole number."),
    ],
)  # fmt: skip
def test_wrong_records_are_refused(content, message) -> None:
    with pytest.raises(FileFormatError) as caught:
        decode(content, step="Write it again.")
    assert str(caught.value) == f"a.json: {message} Write it again."


def test_keys_are_checked_at_any_depth_of_a_loose_record() -> None:
    with pytest.raises(FileFormatError, match="did you mean 'size'"):
        decode({"parts": [{"sise": 2}]}, Loose)
    with pytest.raises(FileFormatError, match="did you mean 'name'"):
        decode({"nam": 1}, Loose)
    with pytest.raises(FileFormatError, match="did you mean 'label'"):
        record_of({"a": {"size": 1, "lable": "x"}}, dict[str, Part], where="b")


@pytest.mark.parametrize(
    ("version", "words"),
    [(3, "at most 2, got 3. Upgrade"), (None, "at most 2, got None"), ("2", "got '2'"), (True, "got True")],
)  # fmt: skip
def test_newer_formats_are_refused_before_all_else(version, words) -> None:
    with pytest.raises(FileFormatError, match=words):
        decode({"format_version": version, "unknown": 1}, newest=2)


def test_files_are_named_and_missing_ones_are_missing(tmp_path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(FileNotFoundError):
        read_record(path, Whole)
    for content in (b"{", b"", b"\xff\xfe\x00"):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"a\.json: expected JSON"):
            read_record(path, Whole)
    with pytest.raises(FileFormatError, match="got a folder"):
        read_record(tmp_path, Whole)


def test_a_rate_that_an_older_release_could_not_measure_is_read(tmp_path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"name": "n", "settings": {"rate": NaN}}')
    assert math.isnan(read_record(path, Whole).settings["rate"])
