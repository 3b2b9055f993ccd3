"""Pages of the reports."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["refit_page", "verdict"]

_CLEAR, _WORSE = 0.01, -0.005


def refit_page(facts: dict[str, Any]) -> list[str]:
    """The report of `refit`."""
    one, two = facts["people_of_halves"]
    lines = [
        "# The universal fuser refitted on films",
        "",
        f"Each half of the actors ({one} and {two}) is judged with the constants that the other one chose. TAR at FAR "
        "1e-3 and 1e-2 and rank 1, all people alike; the gallery is everybody's.",
        "",
        "## What was chosen",
        "",
        "| for | first half | second half | everybody |",
        "|---|---|---|---|",
    ]
    for name, rules in facts["chosen"].items():
        texts = " | ".join(rules[part]["text"] for part in ("first", "second", "all"))
        lines.append(f"| {name} | {texts} |")
    firm = facts["random_halves"]
    lines += [
        "",
        f"Power chosen by random halves: {firm['powers']}; gain of the other half {firm['gain_of_the_other_half']}.",
        "",
        "## Judged",
        "",
        "Mean gain over universal of N = 2 to 32 and films, both TARs and rank 1. First with each half alone in the "
        "gallery and a threshold of its own (first half, second half):",
        "",
        "| rule chosen for | " + " | ".join(facts["embedders"]) + " |",
        "|---|" + "---|" * len(facts["embedders"]),
    ]
    for name, found in facts["within_halves"].items():
        cells = " | ".join(
            f"{found[key][0]:+.4f}, {found[key][1]:+.4f}" for key in facts["embedders"]
        )
        lines.append(f"| {name} | {cells} |")
    lines += ["", "Then both halves together, with one threshold:", ""]
    names = [name for name in facts["tables"] if name not in ("mean", "universal")]
    for name in names:
        lines += [f"{name}: {verdict(facts, name)}", ""]
    for place, rate in enumerate(("TAR at FAR 1e-3", "TAR at FAR 1e-2", "rank 1")):
        lines += _tables(facts, place, rate)
    lines += _tests(facts)
    lines += _single(facts)
    lines += _bounds(facts)
    return lines


def gains(facts: dict[str, Any], name: str) -> dict[str, np.ndarray[Any, Any]]:
    """By embedder (columns of all faces, 3) over `universal`."""
    columns = [column for column in facts["columns"] if column.startswith("all")]
    base = facts["tables"]["universal"]
    found = facts["tables"].get(name) or facts["bounds"][name]
    return {
        key: np.array([np.subtract(table[c], base[key][c]) for c in columns])
        for key, table in found.items()
    }


def verdict(facts: dict[str, Any], name: str) -> str:
    """How often it is clearly better, how often worse, and the mean."""
    parts = []
    for key, gain in gains(facts, name).items():
        parts.append(
            f"{key} {gain.mean():+.4f}, {int((gain >= _CLEAR).sum())} of {gain.size} cells at +.01 or more, "
            f"{int((gain <= _WORSE).sum())} at -.005 or less (lowest {gain.min():+.3f})"
        )
    return "; ".join(parts) + "."


def _tables(facts: dict[str, Any], place: int, rate: str) -> list[str]:
    lines = [f"### {rate}", ""]
    lines.append("| embedder | rule | " + " | ".join(facts["columns"]) + " |")
    lines.append("|---|---|" + "---|" * len(facts["columns"]))
    for key in facts["embedders"]:
        for name, table in facts["tables"].items():
            cells = " | ".join(f"{table[key][column][place]:.3f}" for column in facts["columns"])
            lines.append(f"| {key} | {name} | {cells} |")
    return [*lines, ""]


def _tests(facts: dict[str, Any]) -> list[str]:
    lines = [
        "## Over universal, paired over people",
        "",
        f"95 % intervals, {facts['num_replicates']} replicates; *: certain (Holm over all {len(facts['tests'])}).",
        "",
        "| rule | embedder | faces, N | FAR | difference |",
        "|---|---|---|---|---|",
    ]
    for test in facts["tests"]:
        sign = " *" if test["adjusted_p_value"] <= 0.05 else ""
        lines.append(
            f"| {test['rule']} | {test['embedder']} | {test['column']} | {test['rate']:g} | "
            f"{test['difference']:+.3f} ({test['low']:+.3f}, {test['high']:+.3f}){sign} |"
        )
    return [*lines, ""]


def _single(facts: dict[str, Any]) -> list[str]:
    lines = [
        "## One constant at a time",
        "",
        "Everybody, so looked at: mean gain over N = 2 to 32 and films, both TARs and rank 1. The growth of a share is "
        "tried with a share of .2.",
        "",
        "| constant | value | " + " | ".join(facts["embedders"]) + " |",
        "|---|---|" + "---|" * len(facts["embedders"]),
    ]
    for constant, values in facts["one_by_one"].items():
        for value, found in values.items():
            cells = " | ".join(f"{found[key]:+.4f}" for key in facts["embedders"])
            lines.append(f"| {constant} | {value} | {cells} |")
    return [*lines, ""]


def _bounds(facts: dict[str, Any]) -> list[str]:
    lines = [
        "## What weights could reach that know more",
        "",
        "Mean gain over universal, over N = 2 to 32 and films, both TARs and rank 1; then TAR at FAR 1e-3 averaged "
        "over the embedders by column. Learned: a linear model of how similar an image is to the person's other films "
        "as the two other embedders see it, learned on the other half of the actors.",
        "",
    ]
    columns = [column for column in facts["columns"] if column.startswith("all")]
    head = [*facts["embedders"], *columns]
    lines += ["| weights | " + " | ".join(head) + " |", "|---|" + "---|" * len(head)]
    for name in facts["bounds"]:
        found = gains(facts, name)
        means = [f"{found[key].mean():+.4f}" for key in facts["embedders"]]
        strict = np.mean([found[key][:, 0] for key in facts["embedders"]], axis=0)
        lines.append(f"| {name} | " + " | ".join([*means, *(f"{x:+.3f}" for x in strict)]) + " |")
    return lines
