"""Every script of the research room runs as a module, and every command that a page names exists."""

from __future__ import annotations

import importlib.util
import re
import runpy
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
    for path in (REPOSITORY / "research").rglob("*.py")
    if 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")
)


def test_there_are_scripts() -> None:
    assert "research.comparison.compare_fusers" in SCRIPTS
    assert len(SCRIPTS) >= 10


@pytest.mark.parametrize("module", SCRIPTS)
def test_help(module, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(SystemExit) as stop:
        runpy.run_module(module, run_name="__main__")
    assert stop.value.code == 0
    assert "usage:" in capsys.readouterr().out


@pytest.mark.parametrize(
    "path",
    [
        path
        for pattern in ("*.md", "*/*.py", "*.py")
        for path in sorted((REPOSITORY / "research").glob(pattern))
    ],
    ids=lambda path: str(path.relative_to(REPOSITORY)),
)
def test_commands_and_paths_named_exist(path) -> None:
    text = path.read_text(encoding="utf-8")
    for module in re.findall(r"python -m (research[\w.]*\w)", text):
        assert importlib.util.find_spec(module) is not None, module
    for name in re.findall(r"(?<![\w/])(?:(?:tests/)?research|benchmarks)/[\w/]+\.py\b", text):
        assert (REPOSITORY / name).is_file(), name
    for name in re.findall(r"python (benchmarks/\S+\.py|research/\S+\.py)", text):
        assert name.startswith("benchmarks/"), f"{name}: run research as a module"


def test_links_of_the_notebook_exist() -> None:
    for page in (REPOSITORY / "research").glob("*.md"):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
