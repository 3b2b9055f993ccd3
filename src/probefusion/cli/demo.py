"""`probefusion demo`: what learned fusion gains, on real embeddings inside the package."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from probefusion.cli.options import add_output_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probefusion.evaluation.sweep import SweepPoint

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "demo",
        help="table and plots of all bundled fusers on bundled real embeddings",
        description="Fuses bundled embeddings of real, degraded face images of unseen people with "
        "every bundled fuser. Needs no network.",
    )
    parser.add_argument(
        "-o",
        "--output",
        default="demo-output",
        metavar="DIR",
        help="for the plots (default demo-output)",
    )
    parser.add_argument("--person", metavar="SUBJECT", help="whose probe to draw")
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prints the table and draws the plots."""
    from probefusion.evaluation.demo import run_demo
    from probefusion.reports.demo import draw_demo

    result = run_demo(options.person)
    pictures = draw_demo(result, options.output, force=options.force)
    points = result.points
    if options.json:
        print(json.dumps([_facts(point) for point in points], indent=2))
        return 0
    _print_table(points)
    print(f"plots: {', '.join(map(str, pictures))}")
    return 0


def _facts(point: SweepPoint) -> dict[str, Any]:
    return {
        "fuser": point.fuser,
        "num_images": point.num_images,
        "rank1": point.rank1,
        "num_probe_sets": point.num_probe_sets,
        "num_gallery": point.num_gallery,
        "tar_at_far": [
            {
                "far": v.target,
                "achieved_far": v.far if v.resolved else None,
                "tar": v.tar if v.resolved else None,
                "num_false_accepts": v.num_false_accepts,
                "num_non_mated": v.num_non_mated,
            }
            for v in point.verification
        ],
    }


def _print_table(points: Sequence[SweepPoint]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    sizes = list(dict.fromkeys(point.num_images for point in points))
    names = list(dict.fromkeys(point.fuser for point in points))
    at = {(point.fuser, point.num_images): point for point in points}
    console = Console(width=max(100, Console().width), highlight=False)
    rates = [(f"TAR at FAR {v.target:g}", index) for index, v in enumerate(points[0].verification)]
    for label, index in [*rates, ("rank 1", None)]:
        table = Table(title=label, box=box.SIMPLE, title_justify="left", title_style="bold")
        table.add_column("fuser")
        for size in sizes:
            table.add_column(f"N={size}", justify="right")
        for name in names:
            cells = [_cell(at[name, size], index) for size in sizes]
            table.add_row(name, *cells)
        console.print(table)
    comparisons = ", ".join(
        f"N={size}: {at[names[0], size].verification[0].num_non_mated:,}" for size in sizes
    )
    console.print(f"non-mated comparisons: {comparisons}")


def _cell(point: SweepPoint, index: int | None) -> str:
    if index is None:
        return f"{point.rank1:.3f}"
    found = point.verification[index]
    return f"{found.tar:.3f}" if found.resolved else "unresolved"
