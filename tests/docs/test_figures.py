"""No invented figures: what the pages of results say stands in the notebook or in a report."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = sorted((REPOSITORY / "docs" / "results").glob("*.md"))
MAX_FIGURES = 60
"""Figures on one page of results; the rest belongs into the notebook."""


def figures_of(text: str) -> list[str]:
    """Numbers with a decimal point, a thousands comma, an exponent, or at least three digits."""
    text = re.sub(r"```.*?```|`[^`]*`|https?://[^\s)]+", " ", text, flags=re.DOTALL)
    numbers = re.findall(r"(?<![\w.])\d[\d,]*\.?\d*(?:e-?\d+)?|(?<![\w.])\.\d+", text)
    numbers = [number.rstrip(".,") for number in numbers]
    return [n for n in numbers if re.search(r"[.,e]", n) or len(n) >= 3]


@pytest.fixture(scope="module")
def known() -> str:
    sources = [REPOSITORY / "research" / "notebook.md"]
    sources += [REPOSITORY / "src/probefusion/zoo/weights/README.md"]
    return "\n".join(path.read_text(encoding="utf-8") for path in sources)


@pytest.mark.parametrize("page", [REPOSITORY / "README.md", *RESULTS], ids=lambda path: path.name)
def test_figures_stand_in_the_notebook(page, known):
    names = {"112", "2022"}  # pixels of a crop, a year
    known_figures = set(figures_of(known))
    figures = [n for n in figures_of(page.read_text(encoding="utf-8")) if n not in names]
    assert [number for number in figures if number not in known_figures] == []


@pytest.mark.parametrize("page", RESULTS, ids=lambda path: path.name)
def test_few_figures_a_page(page):
    assert len(figures_of(page.read_text(encoding="utf-8"))) <= MAX_FIGURES


@pytest.mark.parametrize("page", RESULTS, ids=lambda path: path.name)
def test_tables_stand_beside_their_command(page):
    text = page.read_text(encoding="utf-8")
    if page.name != "index.md":
        assert "```sh" in text
