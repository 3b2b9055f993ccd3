"""`probefusion models` and fusers: shown in the list, found, checked; the list fits the terminal."""

from __future__ import annotations

import json

import pytest
from bundled_models import COMPACT, bundled_fuser

from probefusion.cli.models import COLUMNS, table_rows
from probefusion.cli.terminal_tables import table_text
from probefusion.types.revisions import name_to_load


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PROBEFUSION_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PROBEFUSION_FUSERS")
    monkeypatch.setenv("PROBEFUSION_OFFLINE", "1")
    return tmp_path / "home" / "models"


NAME = "official.mobilefacenet_128d-lfw112.r2"
INSIDE = bundled_fuser("exact").name


def test_list_shows_fusers(command, home):
    code, out, _ = command("models", "list")
    assert code == 0
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()}
    assert rows["NAME"] == ["KIND", "D", "HERE", "USE", "NOTE"]
    assert rows[INSIDE] == ["fuser", "128", "package", "research", "for", name_to_load(COMPACT)]
    assert rows[NAME] == ["fuser", "128", "research", "for", "mobilefacenet_128d"]


def test_a_fuser_inside_the_package_is_found_and_checked(command, home):
    code, out, _ = command("models", "path", INSIDE)
    assert code == 0
    assert out.strip().endswith(f"weights/{INSIDE}")
    code, out, _ = command("models", "verify", INSIDE, "--json")
    assert (code, json.loads(out)[0]["state"]) == (0, "ok")
    code, out, _ = command("models", "pull", INSIDE)
    assert (code, out.endswith("(was here)\n")) == (0, True)


def test_one_that_is_not_here_says_how_to_get_it(command, home, repository, monkeypatch):
    code, _, err = command("models", "path", NAME)
    assert code == 1
    assert f"models pull {NAME}" in err
    code, _, err = command("models", "pull", NAME)
    assert code == 1
    assert "NOT FOR COMMERCIAL USE" in err
    assert "network is not to be used" in err
    monkeypatch.setenv("PROBEFUSION_FUSERS", str(repository / "weights"))
    code, out, _ = command("models", "path", NAME)
    assert (code, out) == (0, f"{repository / 'weights' / NAME}\n")


@pytest.mark.parametrize("width", [40, 60, 80, None])
def test_the_list_fits_the_terminal(command, home, width):
    rows = json.loads(command("models", "list", "--json")[1])
    text = table_text(COLUMNS, table_rows(rows), width=width)
    if width is not None:
        assert max(map(len, text.splitlines())) <= width
    else:
        assert len(text.splitlines()) == len(rows) + 1
        assert text + "\n" == command("models", "list")[1]
