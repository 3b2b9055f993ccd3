"""The pictures of the demonstration."""

from __future__ import annotations

from pathlib import Path

from probefusion.evaluation.demo import DemoResult
from probefusion.files import making_folders, replace_together
from probefusion.reports.plots import plot_person, plot_sweep

__all__ = ["draw_demo"]


def draw_demo(result: DemoResult, output: str | Path, *, force: bool = False) -> list[Path]:
    """Draws the two pictures of a demonstration.

    Args:
        result: What was measured.
        output: Folder for `sweep.png` and `person.png`; made if missing.
        force: Whether existing pictures may be replaced.

    Returns:
        The files.

    Raises:
        OutputExistsError: If a picture exists and `force` is False.
        MissingExtraError: If matplotlib is not installed.
    """
    output = Path(output)
    pictures = [output / "sweep.png", output / "person.png"]
    view = result.person
    with making_folders(output), replace_together():
        plot_sweep(
            result.points,
            pictures[0],
            title=result.title,
            force=force,
        )
        plot_person(
            view.similarities,
            view.weights,
            view.fused_similarity,
            view.mean_similarity,
            pictures[1],
            title=f"One person's {result.set_size} probe images, weighted by {result.fuser}",
            severities=view.severities,
            force=force,
        )
    return pictures
