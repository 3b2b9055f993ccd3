"""Reference pages made from the code: rooms, commands, errors."""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
import sys
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

from probefusion import errors
from probefusion.cli.main import build_parser


class Room(SphinxDirective):
    """Everything in the `__all__` of one or several modules, from their docstrings."""

    required_arguments = 1
    final_argument_whitespace = True
    option_spec = {"only": directives.unchanged}  # noqa: RUF012 - docutils' own habit

    def run(self) -> list[nodes.Node]:
        """The entries of all public names, in the order of `__all__`."""
        only = self.options.get("only", "").split()
        lines: list[str] = []
        for name in self.arguments[0].split():
            module = importlib.import_module(name)
            for entry in only or module.__all__:
                lines += _entry(name, entry, getattr(module, entry))
        text = "\n".join(["```{eval-rst}", *lines, "```"])
        return list(self.parse_text_to_nodes(text))


def _entry(module: str, name: str, value: Any) -> list[str]:
    path = f"{module}.{name}"
    if inspect.isclass(value):
        shown = []
        if _is_made_of_parts(value):
            shown = ["   :inherited-members:"]
        elif value.__bases__ != (object,):
            shown = ["   :show-inheritance:"]
        return [f".. autoclass:: {path}", "   :members:", *shown, ""]
    if inspect.isroutine(value):
        return [f".. autofunction:: {path}", ""]
    return [f".. py:data:: {path}", "", f"   {_comment(module, name)}", ""]


def _is_made_of_parts(value: type) -> bool:
    """Whether its bases are several parts of the class in modules beside it, whose names are not public."""
    room = value.__module__.rpartition(".")[0]
    public = getattr(importlib.import_module(room), "__all__", ())
    return len(value.__bases__) > 1 and all(
        base.__module__.rpartition(".")[0] == room and base.__name__ not in public
        for base in value.__bases__
    )


def _comment(module: str, name: str) -> str:
    """The string below the assignment of a constant, wherever in the room it is made."""
    for place in [entry for entry in sorted(sys.modules) if f"{entry}.".startswith(f"{module}.")]:
        found = ModuleAnalyzer.for_module(place).find_attr_docs().get(("", name))
        if found:
            return " ".join(found).strip()
    return ""


class Commands(SphinxDirective):
    """A section for each command, from the parser itself."""

    def run(self) -> list[nodes.Node]:
        """The sections of all commands, those inside `models` too."""
        sections: list[nodes.Node] = []
        for name, parser in _commands(build_parser()):
            section = nodes.section(ids=[f"command-{name.replace(' ', '-')}"])
            section += nodes.title(text=f"probefusion {name}")
            if parser.description:
                section += nodes.paragraph(text=parser.description % {"prog": parser.prog})
            usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
            section += nodes.literal_block(text=_folded(usage), language="text")
            for group in parser._action_groups:
                section += _group(group, parser)
            sections.append(section)
        return sections


def _commands(parser: argparse.ArgumentParser, name: str = "") -> list[Any]:
    """(name, parser) of every command below `parser`."""
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, child in action.choices.items():
                path = f"{name} {word}".strip()
                found += [(path, child), *_commands(child, path)]
    return found


def _folded(usage: str, width: int = 76) -> str:
    """The usage in lines, broken before an option."""
    lines, line = [], ""
    for word in usage.replace(" [", "\n[").replace(" -", "\x00-").split("\n"):
        piece = word.replace("\x00", " ")
        if line and len(line) + 1 + len(piece) > width:
            lines.append(line)
            line = "    " + piece
        else:
            line = f"{line} {piece}".strip() if not line.startswith(" ") else f"{line} {piece}"
    return "\n".join([*lines, line])


def _group(group: Any, parser: argparse.ArgumentParser) -> list[nodes.Node]:
    actions = [
        action
        for action in group._group_actions
        if action.help != argparse.SUPPRESS
        and not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
    ]
    if not actions:
        return []
    entries = nodes.definition_list()
    formatter = parser.formatter_class(prog=parser.prog, width=10_000)
    for action in actions:
        term = nodes.term()
        term += nodes.literal(text=formatter._format_action_invocation(action))
        help_text = formatter._expand_help(action) if action.help else ""
        if action.required and action.option_strings:
            help_text = f"{help_text} (needed)".strip()
        item = nodes.definition_list_item("", term)
        item += nodes.definition("", nodes.paragraph(text=help_text))
        entries += item
    return [nodes.rubric(text=str(group.title).capitalize()), entries]


class ErrorTree(SphinxDirective):
    """A list of all errors: name, what else it is, when it is raised."""

    def run(self) -> list[nodes.Node]:
        """The list, children below their parents."""
        lines = []
        for depth, error in _tree(errors.ProbeFusionError):
            builtin = [base.__name__ for base in error.__bases__ if base.__module__ == "builtins"]
            first = inspect.cleandoc(error.__doc__ or "").split("\n\n")[0].replace("\n", " ")
            also = ", ".join(f"`{base}`" for base in builtin if base != "Exception")
            name = f"{{py:obj}}`~probefusion.errors.{error.__name__}`"
            lines.append(f"{'  ' * depth}- {name}{f' ({also})' if also else ''}: {first}")
        return list(self.parse_text_to_nodes("\n".join(lines)))


def _tree(error: type[Exception], depth: int = 0) -> list[tuple[int, type[Exception]]]:
    children = [child for child in error.__subclasses__() if child.__module__ == errors.__name__]
    return [(depth, error), *(found for child in children for found in _tree(child, depth + 1))]


_ARRAY = re.compile(
    r"~?numpy\.ndarray\[tuple\[~?typing\.Any, \.\.\.\], ~?numpy\.dtype\[((?:[^\[\]]|\[[^\[\]]*\])+)\]\]"
)


def _shorten_arrays(
    app: Sphinx, what: str, name: str, value: object, options: object, signature: str, result: str
) -> tuple[str, str] | None:
    """Writes array types as they stand in the code."""
    if signature is None:
        return None
    short = [
        None if text is None else _ARRAY.sub(r"~numpy.typing.NDArray[\1]", text)
        for text in (signature, result)
    ]
    return short[0], short[1]


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers the directives."""
    app.connect("autodoc-process-signature", _shorten_arrays)
    app.add_lexer("csv", TextLexer)
    app.add_directive("room", Room)
    app.add_directive("commands", Commands)
    app.add_directive("error-tree", ErrorTree)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
