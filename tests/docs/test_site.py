"""The site builds offline, without a warning, and its reference is complete."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "src" / "probefusion"
ROOMS = sorted(
    path.parent.name for path in SOURCE.glob("*/__init__.py") if path.parent.name != "cli"
)

pytest.importorskip("sphinx")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The built pages; any warning is an error, and nothing may ask the network."""
    target = tmp_path_factory.mktemp("site")
    code = (
        "import socket, sys; from sphinx.cmd.build import main\n"
        "def refuse(*arguments): raise OSError('the site must be built without network')\n"
        "socket.socket.connect = refuse\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    arguments = [
        "-q",
        "-W",
        "--keep-going",
        "-n",
        "-b",
        "html",
        str(REPOSITORY / "docs"),
        str(target),
    ]
    built = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=900
    )
    assert built.returncode == 0, built.stderr
    return target


@pytest.fixture(scope="module")
def objects(site) -> set[str]:
    """All names that have an entry."""
    from sphinx.util.inventory import InventoryFile

    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="")
    return {
        name for domain, entries in inventory.data.items() if domain[:2] == "py" for name in entries
    }


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_of_a_room_has_an_entry(objects, room):
    module = importlib.import_module(f"probefusion.{room}")
    missing = [
        name
        for name in getattr(module, "__all__", ())
        if f"probefusion.{room}.{name}" not in objects
    ]
    assert missing == []


def test_every_error_has_an_entry(objects):
    errors = importlib.import_module("probefusion.errors")
    assert [name for name in errors.__all__ if f"probefusion.errors.{name}" not in objects] == []


def test_every_name_of_the_root_is_on_its_page(site):
    import probefusion

    page = (site / "reference" / "python" / "root.html").read_text(encoding="utf-8")
    names = [name for name in probefusion.__all__ if name != "__version__"]
    missing = [name for name in names if not re.search(rf">{name}\b|\.{name}\b", page)]
    errors = importlib.import_module("probefusion.errors")
    assert [name for name in missing if name not in errors.__all__] == []


def test_every_command_has_a_section(site):
    from probefusion.cli.main import build_parser

    page = (site / "reference" / "cli.html").read_text(encoding="utf-8")
    commands = build_parser()._subparsers._group_actions[0].choices
    assert [name for name in commands if f'id="command-{name}"' not in page] == []


def test_every_environment_variable_is_listed():
    page = (REPOSITORY / "docs/reference/environment.md").read_text(encoding="utf-8")
    sources = [path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py")]
    asked = r"environ(?:\.get\(|\[)\s*\"([A-Z_]+)\""
    used = {name for text in sources for name in re.findall(asked, text)}
    assert "PROBEFUSION_HOME" in used
    assert [name for name in sorted(used) if f"`{name}`" not in page] == []


def test_pages_load_nothing_from_elsewhere(site):
    """No web fonts, no scripts of others."""
    loading = re.compile(
        r"<(?:script|img|iframe)[^>]+src=\"(https?:)?//|<link[^>]+rel=\"stylesheet\"[^>]+href=\"(https?:)?//"
    )
    pages = [
        path for path in site.rglob("*.html") if loading.search(path.read_text(encoding="utf-8"))
    ]
    assert pages == []
    styles = [
        path for path in site.rglob("*.css") if "url(http" in path.read_text(encoding="utf-8")
    ]
    assert styles == []


def test_links_between_pages_of_the_repository():
    """Addresses of the project name files that are there."""
    start = "https://github.com/probefusion/probefusion/"
    pages = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]
    dead = []
    for page in pages:
        for kind, path in re.findall(
            rf"{start}(blob|tree)/main/([^)#\s]+)", page.read_text(encoding="utf-8")
        ):
            if not (REPOSITORY / path).exists():
                dead.append(f"{page.name}: {kind}/{path}")
    assert dead == []


def test_indexes_are_in_git_only_as_sources():
    assert (
        not (REPOSITORY / "docs" / "_build").exists()
        or "_build" in (REPOSITORY / ".gitignore").read_text()
    )
    assert os.access(REPOSITORY / "docs" / "conf.py", os.R_OK)
