"""Which contributions and images carried a match."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probefusion.gallery.verbs.explanation import MatchExplanation

__all__ = ["explanation_facts", "tell_explanation"]

_IMAGES = 5
"""Images listed of each side; all are in the result of --json."""


def explanation_facts(explanation: MatchExplanation | None) -> dict[str, Any] | None:
    """An explanation for `--json`."""
    return None if explanation is None else asdict(explanation)


def tell_explanation(explanation: MatchExplanation) -> None:
    """Prints it, with the heaviest images of each side."""
    from probefusion.cli.terminal_tables import print_table

    print(explanation)
    own = [image for part in explanation.contributions for image in part.images]
    for whose, images in (
        (f"images of {explanation.name}", own),
        ("images searched for", explanation.query),
    ):
        heaviest = sorted(images, key=lambda image: -image.weight)[:_IMAGES]
        if heaviest:
            print(f"{whose}, the heaviest {len(heaviest)} of {len(images)}:")
            print_table(
                ("WEIGHT", "SIMILARITY", "IMAGE"),
                [
                    (
                        f"{100 * image.weight:.1f} %",
                        f"{image.similarity:.3f}",
                        image.source or image.id,
                    )
                    for image in heaviest
                ],
                right=("WEIGHT", "SIMILARITY"),
            )
