"""Settings that the rivals share."""

from __future__ import annotations

from dataclasses import dataclass

from probefusion.errors import ConfigError

__all__ = ["RivalConfig"]


@dataclass(frozen=True, kw_only=True)
class RivalConfig:
    """Size of a rival network.

    Args:
        dim: D, length of an embedding.
        style_channels: C.
        hidden: Width of its hidden layers.
        num_proxies: Learned proxies; for sparse experts only.
        num_chosen: How many of them a set is fused with; for sparse experts only.

    Raises:
        ConfigError: If a value is out of range.
    """

    dim: int = 512
    style_channels: int = 384
    hidden: int = 128
    num_proxies: int = 8
    num_chosen: int = 2

    def __post_init__(self) -> None:
        for name in ("dim", "hidden", "num_proxies", "num_chosen"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"{name}: expected an integer of at least 1, got {value!r}.")
        if type(self.style_channels) is not int or self.style_channels < 0:
            raise ConfigError(
                f"style_channels: expected an integer of at least 0, got {self.style_channels!r}."
            )
        if self.num_chosen > self.num_proxies:
            raise ConfigError(
                f"num_chosen: expected at most num_proxies ({self.num_proxies}), got {self.num_chosen}."
            )
