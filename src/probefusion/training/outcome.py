"""What a training is told of while it runs, and what it made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from probefusion.faces.images import SkippedImage
from probefusion.fusion.folder import FuserCard
from probefusion.training.loop import StepReport

__all__ = ["TrainedFuser", "TrainingProgress"]

Progress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class TrainedFuser:
    """What a training made.

    Args:
        folder: The fuser folder.
        report: Folder of the evaluation report, or None if there is none.
        work: Folder of the embedded variants and the checkpoint.
        card: The card of the fuser folder; None if the run was stopped before the end, and in all
            processes of `torchrun` but the first.
        step: Training steps done.
        is_finished: False if the run was stopped before the end.
        num_people: People trained on.
        num_held_out: People kept for calibration.
        skipped: Images that could not be used, and why.
    """

    folder: Path
    report: Path | None
    work: Path
    card: FuserCard | None
    step: int
    is_finished: bool
    num_people: int
    num_held_out: int
    skipped: tuple[SkippedImage, ...]


@dataclass(frozen=True, kw_only=True)
class TrainingProgress:
    """Functions that are told how far a training is; each may be None.

    Args:
        on_extract: Called with (images embedded with all variants by all processes, images in all).
        on_step: Called after every training step.
        on_decode: Called with (images of held-out people decoded, images in all).
        on_calibrate: Called with (images of held-out people embedded, images in all).
    """

    on_extract: Progress | None = None
    on_step: Callable[[StepReport], None] | None = None
    on_decode: Progress | None = None
    on_calibrate: Progress | None = None
