"""The code blocks of a Markdown page, with the comments that say how they are to be run."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt

MARKER = re.compile(r"<!--\s*(needs|exit|not run|output)(?::\s*(.*?))?\s*-->")


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block.

    Args:
        page: Path of the page from the root of the repository.
        line: Where its text begins.
        language: What stands behind the fence.
        text: Its content.
        needs: Names of material that a user has and a test must find.
        exit_code: What its last command ends with.
        not_run: Why it is not run; None if it is.
        is_output: Whether it shows what the block before it prints.
    """

    page: str
    line: int
    language: str
    text: str
    needs: tuple[str, ...] = ()
    exit_code: int = 0
    not_run: str | None = None
    is_output: bool = False

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(kw_only=True)
class _Markers:
    needs: tuple[str, ...] = ()
    exit_code: int = 0
    not_run: str | None = None
    is_output: bool = False
    found: list[str] = field(default_factory=list)


def pages_of(repository: Path) -> list[str]:
    """README, CONTRIBUTING and all pages of the site."""
    site = sorted((repository / "docs").rglob("*.md"))
    names = [path.relative_to(repository).as_posix() for path in site]
    return ["README.md", "CONTRIBUTING.md", *(name for name in names if "/_" not in name)]


def blocks_of(page: str, repository: Path) -> list[Block]:
    """The fenced blocks of a page in order; directives (```{name}) are left out.

    A comment on its own directly before a block says how it is run:
    `<!-- needs: clip, detector -->`, `<!-- exit: 3 -->`, `<!-- not run: reason -->`; or that it shows
    what the block before it prints: `<!-- output -->`.

    Raises:
        ValueError: If a comment belongs to no block, or code is indented in place of fenced.
    """
    blocks: list[Block] = []
    waiting = _Markers()
    text = (repository / page).read_text(encoding="utf-8")
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        start = (token.map or [0])[0] + 1
        if token.type == "code_block":
            raise ValueError(f"{page}:{start}: indented code; use a fenced block")
        if token.type == "html_block":
            for kind, value in MARKER.findall(token.content):
                waiting.found.append(f"{page}:{start}")
                if kind == "needs":
                    waiting.needs = tuple(value.replace(",", " ").split())
                elif kind == "exit":
                    waiting.exit_code = int(value)
                elif kind == "output":
                    waiting.is_output = True
                else:
                    waiting.not_run = value
            continue
        if token.type == "fence":
            language = token.info.strip()
            if language.startswith("{"):
                continue
            blocks.append(
                Block(
                    page=page,
                    line=start + 1,
                    language=language,
                    text=token.content,
                    needs=waiting.needs,
                    exit_code=waiting.exit_code,
                    not_run=waiting.not_run,
                    is_output=waiting.is_output,
                )
            )
            waiting = _Markers()
        elif waiting.found and token.type not in ("fence",):
            raise ValueError(f"{waiting.found[0]}: a comment that stands before no block")
    if waiting.found:
        raise ValueError(f"{waiting.found[0]}: a comment that stands before no block")
    return blocks
