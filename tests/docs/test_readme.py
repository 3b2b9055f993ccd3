"""The README stays short, and its links work where only the README is shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = "https://github.com/probefusion/probefusion/"
RAW = "https://raw.githubusercontent.com/probefusion/probefusion/main/"
MAX_WORDS = 700
MAX_NUMBERS = 30


@pytest.fixture(scope="module")
def readme() -> str:
    return (REPOSITORY / "README.md").read_text(encoding="utf-8")


def visible(text: str) -> str:
    """Without comments and addresses."""
    return re.sub(r"<!--.*?-->|https?://[^\s)]+", "", text, flags=re.DOTALL)


def test_at_most_700_words(readme):
    """Code blocks count too; a word has a letter or a digit."""
    words = [word for word in visible(readme).split() if re.search(r"\w", word)]
    assert len(words) <= MAX_WORDS


def test_at_most_30_numbers(readme):
    """In the text and its tables; what a command or a name holds is no figure."""
    text = re.sub(r"```.*?```|`[^`]*`", "", visible(readme), flags=re.DOTALL)
    numbers = re.findall(r"(?<![\w.])[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e-?\d+)?", text)
    assert len(numbers) <= MAX_NUMBERS


def test_links_are_absolute_and_lead_to_files(readme):
    links = re.findall(r"\]\(([^)\s]+)\)", readme)
    assert links
    for link in links:
        assert link.startswith("https://"), link
        for start in (PROJECT + "blob/main/", PROJECT + "tree/main/", RAW):
            if link.startswith(start):
                assert (REPOSITORY / link.removeprefix(start)).exists(), link


def test_weights_licence_and_model_card_are_linked(readme):
    assert "LICENSE-WEIGHTS.md" in readme
    assert "src/probefusion/zoo/weights/README.md" in readme
