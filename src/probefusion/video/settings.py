"""How a video is turned into people."""

from __future__ import annotations

from dataclasses import dataclass

from probefusion.errors import ConfigError

__all__ = ["VideoSettings"]


@dataclass(frozen=True, kw_only=True)
class VideoSettings:
    """How a video is turned into people.

    Args:
        max_faces: Faces taken from one frame at most, the largest ones.
        min_size: Least width and height of a face's box in pixels.
        min_images: Tracks of fewer images are left out (and counted).
        max_gap: Seconds for which an unseen face is still expected where it was going.
        chunk_size: Images encoded at a time; exact fusers do not depend on it.
        split_below: As for `IdentityThresholds`; None takes the fuser's calibration.
        reenter_from: As for `IdentityThresholds`; None takes the fuser's calibration.

    Raises:
        ConfigError: If a value is out of range.
    """

    max_faces: int = 20
    min_size: float = 0.0
    min_images: int = 3
    max_gap: float = 0.5
    chunk_size: int = 32
    split_below: float | None = None
    reenter_from: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_faces", "min_images", "chunk_size"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ConfigError(f"{name}: expected a whole number of at least 1, got {value!r}.")
        if not 0 <= self.min_size < float("inf"):
            raise ConfigError(f"min_size: expected pixels of at least 0, got {self.min_size}.")
        if not 0 < self.max_gap < 1e6:
            raise ConfigError(f"max_gap: expected seconds above 0, got {self.max_gap}.")
        for name in ("split_below", "reenter_from"):
            value = getattr(self, name)
            if value is not None and not -1 <= value <= 1:
                raise ConfigError(f"{name}: expected a similarity from -1 to 1, got {value}.")
