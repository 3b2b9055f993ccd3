"""`probefusion demo`: what learned fusion gains, on real embeddings inside the package."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from probefusion.cli.options import add_output_options
from probefusion.cli.terminal_tables import print_result_table, short_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probefusion.evaluation.sweep import SweepPoint

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "demo",
        help="table and plots of bundled fusers on bundled real embeddings; or a few drawn crops",
        description="Fuses bundled embeddings of real, degraded face images of unseen people, made by the "
        "embedder inside the package, with the mean and the fusers that belong to it. Needs no network. "
        "With --crops it writes a few drawn face crops to try commands on instead.",
    )
    parser.add_argument(
        "-o",
        "--output",
        default="demo-output",
        metavar="DIR",
        help="for the plots (default demo-output)",
    )
    parser.add_argument("--person", metavar="SUBJECT", help="whose probe to draw")
    parser.add_argument(
        "--crops",
        metavar="DIR",
        help="write 3 drawn people with 6 crops each (drawings, not photos; the last one is poor), and "
        "do nothing else",
    )
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prints the table and draws the plots, or writes drawn crops."""
    if options.crops is not None:
        return _write_crops(options)
    from probefusion.evaluation.demo import run_demo
    from probefusion.reports.demo import draw_demo

    result = run_demo(options.person)
    pictures = draw_demo(result, options.output, force=options.force)
    if options.json:
        print(json.dumps([_facts(point) for point in result.points], indent=2))
        return 0
    print(result.title)
    print(
        f"embedder: {result.embedder}; tables of other embedders, as that of MobileFaceNet, differ"
    )
    _print_tables(result.points)
    print(f"plots: {', '.join(map(str, pictures))}")
    return 0


def _write_crops(options: argparse.Namespace) -> int:
    from probefusion.evaluation.drawn_people import write_crops

    paths = write_crops(options.crops, force=options.force)
    if options.json:
        print(json.dumps([str(path) for path in paths], indent=2))
        return 0
    folders = list(dict.fromkeys(str(path.parent) for path in paths))
    print(f"{len(paths)} drawn crops (no photos of anybody) in {', '.join(folders)}")
    print(f"fuse one of them: probefusion fuse {folders[0]} --aligned -o template.npz")
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


def _print_tables(points: Sequence[SweepPoint]) -> None:
    sizes = list(dict.fromkeys(point.num_images for point in points))
    names = list(dict.fromkeys(point.fuser for point in points))
    at = {(point.fuser, point.num_images): point for point in points}
    header = ["fuser", *(f"N={size}" for size in sizes)]
    rates = [(f"TAR at FAR {v.target:g}", index) for index, v in enumerate(points[0].verification)]
    for title, index in [*rates, ("rank 1", None)]:
        rows = [
            [short_name(name), *(_cell(at[name, size], index) for size in sizes)] for name in names
        ]
        print_result_table(title, header, rows)
    counts = [f"{at[names[0], size].verification[0].num_non_mated:,}" for size in sizes]
    told = ", ".join(f"N={size}: {count}" for size, count in zip(sizes, counts, strict=True))
    print(f"comparisons of different people: {told}")


def _cell(point: SweepPoint, index: int | None) -> str:
    if index is None:
        return f"{point.rank1:.3f}"
    found = point.verification[index]
    return f"{found.tar:.3f}" if found.resolved else "unresolved"
