"""Runs the code blocks of a page in a folder, as a reader would who pastes them in order."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import io
import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from page_blocks import Block

LANGUAGES = ("python", "sh", "toml", "json", "csv", "text")
"""`toml`, `json` and `csv` are written to the file that their first line names, where it names one."""


class PageRunner:
    """One page: a folder, and one namespace for its Python.

    Args:
        folder: Where the blocks run.
        names: What a word of the page stands for here, as the path of a model file.
    """

    def __init__(self, folder: Path, names: Mapping[str, str]) -> None:
        self.folder = folder
        self.names = names
        self.namespace: dict[str, Any] = {"__name__": "__page__"}
        self.printed = ""

    def run(self, block: Block) -> None:
        """Runs one block.

        Raises:
            AssertionError: If a command ends otherwise than the page says.
        """
        if block.is_output:
            shown, printed = (_without_digits(text) for text in (block.text, self.printed))
            assert shown == printed, f"{block.place}: shown is not what was printed: {self.printed}"
            return
        text = block.text
        for word, value in self.names.items():
            text = text.replace(word, value)
        with io.StringIO() as printed, contextlib.redirect_stdout(printed):
            self._run(block, text)
            self.printed = printed.getvalue()

    def _run(self, block: Block, text: str) -> None:
        if block.language == "python":
            code = compile(text, block.place, "exec")
            exec(code, self.namespace)  # noqa: S102 - the page of this repository
        elif block.language == "sh":
            commands = commands_of(text)
            for number, arguments in enumerate(commands, 1):
                expected = block.exit_code if number == len(commands) else 0
                self._run_command(arguments, expected, block)
        elif block.language != "text":
            self._keep(block)

    def _run_command(self, arguments: list[str], expected: int, block: Block) -> None:
        from probefusion.cli import main

        with pytest.MonkeyPatch.context() as patch:
            while "=" in arguments[0]:
                name, _, value = arguments[0].partition("=")
                patch.setenv(name, value)
                arguments = arguments[1:]
            assert arguments[0] == "probefusion", f"{block.place}: cannot run {arguments[0]!r}"
            given = main(arguments[1:])
        assert given == expected, f"{block.place}: {shlex.join(arguments)} ended with {given}"

    def _keep(self, block: Block) -> None:
        """Writes a file of settings or data, checked first."""
        first, _, rest = block.text.partition("\n")
        name = first.removeprefix("#").strip() if first.startswith("#") else ""
        if block.language == "toml":
            import tomllib

            tomllib.loads(block.text)
        if block.language == "json":
            json.loads(block.text)
        if name.endswith(f".{block.language}"):
            content = rest if block.language == "csv" else block.text
            Path(self.folder, name).write_text(content, encoding="utf-8")


def _without_digits(text: str) -> list[str]:
    """Words with all digits alike: machines may round differently."""
    return re.sub(r"\d", "0", text).split()


def commands_of(text: str) -> list[list[str]]:
    """The words of each command of a shell block."""
    lines = text.replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [arguments for arguments in words if arguments]


def check_unrun(block: Block) -> None:
    """What can be said of a block that is not run: commands, options, modules and names exist.

    Raises:
        AssertionError: If one does not.
    """
    if block.language == "python":
        _check_names(block)
    elif block.language == "sh":
        for arguments in commands_of(block.text):
            _check_command(arguments, block)


def _check_command(arguments: list[str], block: Block) -> None:
    from probefusion.cli.main import build_parser

    while "=" in arguments[0]:
        arguments = arguments[1:]
    if arguments[0] == "torchrun":
        arguments = arguments[arguments.index("-m") + 1 :]
    if arguments[0] == "probefusion":
        try:
            build_parser().parse_args(arguments[1:])
        except SystemExit as stop:
            raise AssertionError(f"{block.place}: {shlex.join(arguments)}: no such use") from stop
    elif arguments[:2] == ["python", "-m"] and arguments[2].split(".")[0] == "research":
        spec = importlib.util.find_spec(arguments[2])
        assert spec is not None, f"{block.place}: no module {arguments[2]}"
        script = Path(str(spec.origin))
        if spec.submodule_search_locations is not None:
            script = script.with_name("__main__.py")
        _check_flags(arguments[3:], script, block)
    elif arguments[0] == "python" and arguments[1].endswith(".py"):
        script = Path(block_root(), arguments[1])
        assert script.is_file(), f"{block.place}: no file {arguments[1]}"
        _check_flags(arguments[2:], script, block)
    elif arguments[0] == "make":
        targets = Path(block_root(), "Makefile").read_text(encoding="utf-8")
        for target in (word for word in arguments[1:] if "=" not in word):
            assert f"\n{target}:" in targets, f"{block.place}: no target {target}"


def _check_flags(arguments: list[str], script: Path, block: Block) -> None:
    source = script.read_text(encoding="utf-8")
    for flag in (word for word in arguments if word.startswith("-")):
        assert f'"{flag}"' in source, f"{block.place}: {script.name} has no {flag}"


def _check_names(block: Block) -> None:
    """All names that are imported from probefusion exist."""
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("probefusion"):
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                assert hasattr(module, alias.name), f"{block.place}: no {node.module}.{alias.name}"


def block_root() -> Path:
    """The root of the repository."""
    return Path(__file__).resolve().parents[2]
