"""Pictures of an evaluation, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from probefusion.evaluation.sweep import SweepPoint
from probefusion.extras import import_extra
from probefusion.files import replace_file
from probefusion.types import FloatArray

__all__ = ["LINE_STYLES", "plot_person", "plot_sweep", "subplots"]

LINE_STYLES = (
    {"color": "#8a8a8a", "marker": "o", "linestyle": "--"},
    {"color": "#c07a1d", "marker": "s", "linestyle": "--"},
    {"color": "#3b6fb5", "marker": "^", "linestyle": "-"},
    {"color": "#b02a4c", "marker": "D", "linestyle": "-"},
    {"color": "#3c8f5a", "marker": "v", "linestyle": "-"},
)


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
    for name, style in zip(names, LINE_STYLES * len(names), strict=False):
        mine = [point for point in points if point.fuser == name]
        sizes = [point.num_images for point in mine]
        left.plot(sizes, [point.verification[rate].tar for point in mine], label=name, **style)
        right.plot(sizes, [point.rank1 for point in mine], label=name, **style)
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
    from matplotlib.colors import PowerNorm  # a power scale, or all but the heaviest look alike

    dots = axes.scatter(
        positions,
        similarities[order],
        c=weights[order],
        cmap="viridis",
        s=46,
        zorder=3,
        norm=PowerNorm(0.4, vmin=0),
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
    figure.colorbar(dots, ax=axes, label="weight in the fused result")
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
