"""Saved trainings of a compact embedder: reading them, and blending two of one training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from probefusion.errors import ConfigError, FileFormatError, MismatchError
from probefusion.files import check_existing

__all__ = ["blend_states", "read_state"]

_STATE_KEYS = frozenset({"config", "network", "comparisons", "optimizer", "step", "stages"})


def read_state(path: str | Path) -> dict[str, Any]:
    """A state as `Distiller.save` writes it; read without running any code in it.

    Raises:
        MissingFileError: If there is no such file.
        FileFormatError: If it holds no such state.
    """
    found = torch.load(
        check_existing(path, name="training state"), map_location="cpu", weights_only=True
    )
    if not isinstance(found, dict) or not found.keys() >= _STATE_KEYS:
        raise FileFormatError(
            f"training state {str(path)!r}: expected {', '.join(sorted(_STATE_KEYS))} as "
            f"research/compact_embedder/distill.py saves them. Give another file, or remove it to start anew."
        )
    return found


def blend_states(earlier: str | Path, later: str | Path, *, share: float) -> dict[str, Any]:
    """The later state, its network a weighted mean of both networks, number by number.

    Two states of one training lie in the same valley, so the mean of their networks works too, often
    better than either (Izmailov et al., Averaging Weights Leads to Wider Optima and Better
    Generalization, UAI 2018), and it stands between them in what it learned: between a robust pupil and
    a faithful one, for example.

    Args:
        earlier: State of `Distiller.save`.
        later: Another one, of the same training.
        share: Weight of the later network, from 0 to 1.

    Returns:
        A state as `Distiller.save` writes it; its last stage says what was blended.

    Raises:
        ConfigError: If the share is not in [0, 1].
        MissingFileError, FileFormatError: As for `read_state`.
        MismatchError: If the networks differ in size, or `earlier` is not an earlier state.
    """
    if not 0 <= share <= 1:
        raise ConfigError(f"share: expected a number from 0 to 1, got {share}.")
    first, second = read_state(earlier), read_state(later)
    if first["config"] != second["config"]:
        raise MismatchError(
            f"later: expected a pupil of {first['config']}, as the earlier, got {second['config']}."
        )
    if first["step"] >= second["step"] or first["stages"][0] != second["stages"][0]:
        raise MismatchError(
            f"earlier: expected a state of the same training before step {second['step']:,}, got one "
            f"of step {first['step']:,}. Give the states in their order."
        )
    network = {
        key: torch.lerp(first["network"][key], part, share) if part.is_floating_point() else part
        for key, part in second["network"].items()
    }
    blended = {"step": int(first["step"]), "share": round(1 - share, 6)}
    stage = {**second["stages"][-1], "from_step": int(second["step"]), "blended_with": blended}
    return {**second, "network": network, "stages": [*second["stages"], stage]}
