"""Pictures of an evaluation, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from probefusion.evaluation.sweep import SweepPoint
from probefusion.extras import import_extra
from probefusion.files import replace_file
from probefusion.reports.weight_colours import weight_limits
from probefusion.types import FloatArray

__all__ = ["line_style", "plot_person", "plot_sweep", "subplots"]

_COLOURS = (
    "#8a8a8a",
    "#c07a1d",
    "#3b6fb5",
    "#b02a4c",
    "#3c8f5a",
    "#7a4fa3",
    "#159aa8",
    "#8b5a2b",
    "#d46a9f",
    "#4a5568",
)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "h")
_LINES = ("-", "--", ":", "-.")


def line_style(index: int) -> dict[str, str]:
    """Colour, marker and line of the curve at a position; the first 440 are all different.

    Colours and markers go on together, at lengths that have no common factor; the kind of line
    changes when the colours are used up. The first, as a rule the mean, is grey.
    """
    return {
        "color": _COLOURS[index % len(_COLOURS)],
        "marker": _MARKERS[index % len(_MARKERS)],
        "linestyle": _LINES[index // len(_COLOURS) % len(_LINES)],
    }


def plot_sweep(
    points: Sequence[SweepPoint], path: str | Path, *, title: str, force: bool = False
) -> None:
    """Draws TAR at the strictest resolved rate, and rank 1, against the number of images.

    Args:
        points: What `sweep` gave.
        path: PNG or SVG file to write.
        title: Headline.
        force: Whether an existing file may be replaced.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    figure, (left, right) = subplots(1, 2, figsize=(10.5, 4.4))
    names = list(dict.fromkeys(point.fuser for point in points))
    resolved = [
        index
        for index in range(len(points[0].verification))
        if all(point.verification[index].resolved for point in points)
    ]
    rate = min(resolved, key=lambda index: points[0].verification[index].target)
    target = points[0].verification[rate].target
    for index, name in enumerate(names):
        style = line_style(index)
        mine = [point for point in points if point.fuser == name]
        sizes = [point.num_images for point in mine]
        left.plot(
            sizes, [point.verification[rate].tar for point in mine], label=_short(name), **style
        )
        right.plot(sizes, [point.rank1 for point in mine], label=_short(name), **style)
    for axes, label in ((left, f"TAR at FAR {target:g}"), (right, "rank-1 identification rate")):
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.set_xlabel("images in the probe")
        axes.set_ylabel(label)
        axes.set_ylim(top=1.01)
        axes.grid(visible=True, alpha=0.3)
    left.legend(loc="lower right", frameon=False)
    figure.suptitle(title, fontsize=11)
    _save(figure, path, force=force)


def plot_person(
    similarities: FloatArray,
    weights: FloatArray,
    fused_similarity: float,
    mean_similarity: float,
    path: str | Path,
    *,
    title: str,
    severities: FloatArray | None = None,
    force: bool = False,
) -> None:
    """Draws one probe: similarity of each image to the gallery, coloured by its weight.

    Args:
        similarities: (N,) cosine of each image with the gallery template.
        weights: (N,) shares in the fused result.
        fused_similarity: Cosine of the fused template, drawn as a star.
        mean_similarity: Cosine of the mean, drawn as a dashed line.
        path: PNG or SVG file to write.
        title: Headline.
        severities: (N,) known degradation; orders the images from mild to severe if given.
        force: Whether an existing file may be replaced.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    figure, (axes,) = subplots(1, 1, figsize=(9, 4.4))
    order = np.arange(len(weights)) if severities is None else np.argsort(severities)
    positions = np.arange(1, len(weights) + 1)
    from matplotlib.colors import (
        LogNorm,
    )  # weights differ by factors: equal steps are equal factors

    dots = axes.scatter(
        positions,
        similarities[order],
        c=weights[order],
        cmap="viridis",
        s=46,
        zorder=3,
        norm=LogNorm(*weight_limits(weights)),
    )
    axes.axhline(
        mean_similarity,
        color="#8a8a8a",
        linestyle="--",
        label=f"mean of all images ({mean_similarity:.2f})",
    )
    axes.plot(
        len(weights) + 2,
        fused_similarity,
        marker="*",
        markersize=18,
        color="#b02a4c",
        linestyle="none",
        label=f"fused ({fused_similarity:.2f})",
        zorder=4,
    )
    axes.set_xlabel(
        "probe images, from mildly to severely degraded"
        if severities is not None
        else "probe images"
    )
    axes.set_ylabel("cosine similarity to the gallery")
    axes.grid(visible=True, alpha=0.3)
    axes.margins(y=0.18)
    axes.legend(loc="upper right", frameon=False, ncols=2)
    bar = figure.colorbar(dots, ax=axes, label="weight in the fused result")
    bar.ax.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.2g} %")
    bar.ax.yaxis.set_minor_formatter(lambda *_: "")
    axes.set_title(title, fontsize=11)
    _save(figure, path, force=force)


def subplots(rows: int, columns: int, **settings: Any) -> tuple[Any, tuple[Any, ...]]:
    """A figure that needs no display, and its axes."""
    import_extra("matplotlib", extra="plot", purpose="drawing plots")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained", **settings)
    FigureCanvasAgg(figure)
    axes = np.atleast_1d(figure.subplots(rows, columns))
    return figure, tuple(axes)


def _save(figure: Any, path: str | Path, *, force: bool) -> None:
    with replace_file(path, force=force) as stream:
        figure.savefig(stream, format=Path(path).suffix.lstrip(".") or "png", dpi=150)


def _short(fuser: str) -> str:
    return fuser.partition(".")[0]
