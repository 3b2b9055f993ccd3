"""Fusers of the package whose usability record says what a test wants: every set is usable, doubtful, or not usable."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from bundled_models import COMPACT, bundled_fuser
from hashed_files import small_calibration

from probefusion.fusion.calibration_files import write_calibration
from probefusion.screening.usability_record import (
    UsabilityRecord,
    read_usability,
    write_usability,
)
from probefusion.types import EmbeddingSet, FusionState

_CONSTANT = (0.0,) * 9


def judged_fuser(root: Path, verdict: str = "usable") -> Path:
    """A folder of the package's quick exact fuser that predicts .5, from .3 to .7, for every set.

    Args:
        root: Where the folder goes; one of each verdict.
        verdict: What is said of every set: "usable", "doubtful", "not usable" or "no face".
    """
    folder = root / verdict.replace(" ", "_")
    if not folder.exists():
        shutil.copytree(bundled_fuser("exact-fast"), folder)
        judge_as(folder, verdict)
    return folder


def judge_as(folder: Path, verdict: str) -> None:
    """Changes what a fuser's folder says of every set."""
    level = {"usable": 0.4, "doubtful": 0.6, "not usable": 0.8, "no face": 0.4}[verdict]
    path = folder / "usability.json"
    record = replace(
        read_usability(path),
        lower=(0.3, *_CONSTANT),
        median=(0.5, *_CONSTANT),
        upper=(0.7, *_CONSTANT),
        level=level,
        false_match_rate=0.001,
        least_likeness=1e6 if verdict == "no face" else -1e6,
    )
    write_usability(record, path, force=True)


def some_images(person: int, count: int = 4, embedder: str | None = COMPACT) -> EmbeddingSet:
    """Embeddings of somebody, alike within a person, with what the fuser needs."""
    rng = np.random.default_rng(person)
    rows = 20 * rng.standard_normal((1, 128)) + rng.standard_normal((count, 128))
    style = np.abs(rng.standard_normal((count, 160, 2))) + 0.1
    return EmbeddingSet(
        embeddings=rows.astype(np.float32), style=style.astype(np.float32), embedder=embedder
    )


def record_beside(calibration: Path, state: FusionState, level: float = 0.4) -> Path:
    """A calibration, and what calibrate would have measured with it: .5 is predicted, from .3 to .7, for every set.

    Args:
        calibration: File of the calibration, which is written too.
        state: A state of the fuser and embedder that it is of.
        level: From which a template is usable.
    """
    made_for = replace(small_calibration(), fuser=state.fuser, embedder=state.embedder or "")
    write_calibration(made_for, calibration, force=True)
    width = state.sums.shape[1] + state.style_sums.shape[1]
    path = calibration.with_name(f"{calibration.stem}.usability.json")
    record = UsabilityRecord(
        fuser=state.fuser,
        embedder=state.embedder or "",
        appearance=(0.0,) * width,
        appearance_offset=0.0,
        likeness=(0.0,) * width,
        likeness_offset=0.0,
        least_likeness=-1e6,
        lower=(0.3, *_CONSTANT),
        median=(0.5, *_CONSTANT),
        upper=(0.7, *_CONSTANT),
        level=level,
        false_match_rate=0.001,
        coverage=0.9,
    )
    write_usability(record, path, force=True)
    return path
