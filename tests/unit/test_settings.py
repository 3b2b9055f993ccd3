"""Settings classes: what their fields say, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from probefusion.errors import ConfigError, FileFormatError, MissingFileError
from probefusion.settings import check_settings, list_settings, read_settings_file, setting


@dataclass(frozen=True, kw_only=True)
class Oven:
    heat: int = setting(180, help="in degrees")
    minutes: float | None = setting(None, help="how long")
    shelves: tuple[int, ...] = setting((1, 2), help="which")
    label: str | None = setting(None, help="what it says")
    fan: bool = setting(True, help="whether it blows")
    extra: dict[str, Any] = setting({}, help="more")  # noqa: RUF009


def test_the_fields_are_listed_with_type_default_and_help() -> None:
    listed = {entry.name: entry for entry in list_settings(Oven)}
    assert list(listed) == ["heat", "minutes", "shelves", "label", "fan", "extra"]
    assert (listed["heat"].type, listed["heat"].default, listed["heat"].help) == (
        int,
        180,
        "in degrees",
    )
    assert listed["minutes"].can_be_none
    assert listed["minutes"].value_type is float
    assert listed["extra"].default == {}
    assert Oven().extra is not Oven().extra


def test_values_come_out_with_the_types_of_the_fields() -> None:
    given = {"minutes": 3, "shelves": [4], "label": Path("a/b"), "fan": False, "extra": {"x": 1}}
    assert check_settings(given, Oven, source="here") == {
        "minutes": 3.0,
        "shelves": (4,),
        "label": "a/b",
        "fan": False,
        "extra": {"x": 1},
    }
    given = {"minutes": "none", "label": "none"}
    assert check_settings(given, Oven, source="here") == {"minutes": None, "label": "none"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("heat", "hot"),
        ("heat", 1.5),
        ("heat", True),
        ("heat", None),
        ("minutes", "long"),
        ("shelves", 3),
        ("shelves", [1.5]),
        ("fan", 1),
        ("label", 4),
        ("extra", "x=1"),
    ],
)
def test_another_type_is_refused_with_name_and_value(name, value) -> None:
    with pytest.raises(ConfigError, match=rf"^here: {name}: expected .*, got .*"):
        check_settings({name: value}, Oven, source="here")


def test_an_unknown_name_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="here: unknown setting 'heet'; did you mean 'heat'"):
        check_settings({"heet": 3}, Oven, source="here")


def test_a_file_gives_what_it_holds_and_no_more(tmp_path) -> None:
    path = tmp_path / "oven.toml"
    path.write_text("heat = 200\nshelves = [3]\n[extra]\ntray = 'deep'\n")
    assert read_settings_file(path, Oven) == {
        "heat": 200,
        "shelves": (3,),
        "extra": {"tray": "deep"},
    }
    path.write_text("heat = \n")
    with pytest.raises(FileFormatError, match=r"oven\.toml: expected TOML"):
        read_settings_file(path, Oven)
    with pytest.raises(MissingFileError):
        read_settings_file(tmp_path / "none.toml", Oven)
