"""What commands tell of images that were added to a gallery."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from probefusion.cli.gallery_inputs import fused_facts
from probefusion.cli.gallery_options import change_facts, tell_change

if TYPE_CHECKING:
    from probefusion.gallery.results import Added
    from probefusion.pipeline import Fused

__all__ = ["added_facts", "tell_added"]


def added_facts(
    options: argparse.Namespace, action: str, added: Added, fused: Fused | None = None
) -> dict[str, Any]:
    """For `--json`: the change, what was added, and what was read."""
    facts = {**change_facts(options, action, added.revision), **asdict(added)}
    return facts if fused is None else {**facts, **fused_facts(fused)}


def tell_added(options: argparse.Namespace, added: Added) -> None:
    """A line for what was added, one on how it is undone, doubts on standard error."""
    if added.is_held:
        print(f"{added.name}: {added.num_images} images held back as {added.contribution_id}")
    else:
        print(
            f"{added.name}: {added.num_images} images added as {added.contribution_id}, "
            f"{added.total_images} in all"
        )
    for doubt in added.doubts:
        print(f"warning: {added.name}: {doubt}", file=sys.stderr)
    if added.is_held:
        print(
            f"warning: {added.name}: look at them, then: probefusion gallery accept|reject GALLERY "
            f"{added.contribution_id}",
            file=sys.stderr,
        )
    tell_change(options, added.revision)
