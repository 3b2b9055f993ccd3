"""What must be known of an embedder's file to use it: preprocessing, dimension, style taps."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass

from probefusion.errors import ConfigError

__all__ = ["EmbedderSpec"]

_CHANNEL_ORDERS = ("RGB", "BGR")

MAX_TAPS = 4
"""Most maps that style can be taken from: one of each stage."""


@dataclass(frozen=True, kw_only=True)
class EmbedderSpec:
    """One embedder: which file it is and how images go in.

    Args:
        name: Short name, part of the fingerprint: letters, digits, `.`, `_`, `-`.
        sha256: SHA-256 of the ONNX file, 64 hexadecimal digits.
        dim: D, how many numbers an embedding has.
        input_size: Height and width of the crops in pixels.
        channel_order: Order of the channels that the network expects, `"RGB"` or `"BGR"`. Images in
            this package are always RGB; the embedder turns them round where needed.
        mean: Three numbers, in the network's channel order and in units of pixel / 255.
        std: Three numbers > 0, the same way. Network input = (pixel / 255 - mean) / std.
        style_taps: Names of the maps that style is taken from, earlier stages first (published:
            stage 2, then stage 3), or ().
        norm_output: Name of a second output that holds the length of an embedding which the network
            itself normalises (AdaFace exports), or None. Embeddings are then multiplied by it.
        norm_is_quality: Whether longer embeddings come from better images; None when unknown.
        licence: Licence of the weights as text, or None when unknown.
        stands_for: Fingerprint of the embedder that this is another form of (its 8-bit form, say), whose
            embeddings and style may be mixed with this one's; None for an embedder of its own.

    Raises:
        ConfigError: If a value is out of range; the message names it.

    Example:
        >>> spec = EmbedderSpec(name="my_net", sha256="0" * 64, dim=512)
        >>> spec.fingerprint
        'my_net@3900346931a7'
    """

    name: str
    sha256: str
    dim: int
    input_size: int = 112
    channel_order: str = "RGB"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    style_taps: tuple[str, ...] = ()
    norm_output: str | None = None
    norm_is_quality: bool | None = None
    licence: str | None = None
    stands_for: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch(r"[A-Za-z0-9._-]+", self.name):
            raise ConfigError(
                f"name: expected letters, digits, '.', '_' or '-', got {self.name!r}."
            )
        if not isinstance(self.sha256, str) or not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ConfigError(
                f"sha256 of {self.name}: expected 64 lower-case hexadecimal digits, "
                f"got {self.sha256!r}. `sha256sum FILE` gives them."
            )
        for label, value in (("dim", self.dim), ("input_size", self.input_size)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 2:
                raise ConfigError(
                    f"{label} of {self.name}: expected an integer of at least 2, got {value!r}."
                )
        if self.channel_order not in _CHANNEL_ORDERS:
            raise ConfigError(
                f"channel_order of {self.name}: expected 'RGB' or 'BGR', got {self.channel_order!r}."
            )
        for label in ("mean", "std"):
            object.__setattr__(self, label, self._three_numbers(label))
        if min(self.std) <= 0:
            raise ConfigError(f"std of {self.name}: expected numbers above 0, got {self.std}.")
        given: object = self.style_taps
        taps = tuple(given) if isinstance(given, tuple | list) else ()
        is_list = isinstance(given, tuple | list) and len(taps) <= MAX_TAPS
        if not is_list or not all(isinstance(tap, str) and tap for tap in taps):
            raise ConfigError(
                f"style_taps of {self.name}: expected up to {MAX_TAPS} names of maps (as published: "
                f"stage 2, then stage 3), got {given!r}."
            )
        object.__setattr__(self, "style_taps", taps)
        if self.norm_output is not None and not (
            isinstance(self.norm_output, str) and self.norm_output
        ):
            raise ConfigError(
                f"norm_output of {self.name}: expected the name of an output or None, "
                f"got {self.norm_output!r}."
            )
        if self.norm_is_quality not in (True, False, None):
            raise ConfigError(
                f"norm_is_quality of {self.name}: expected True, False or None, "
                f"got {self.norm_is_quality!r}."
            )

        if self.stands_for is not None and not (
            isinstance(self.stands_for, str)
            and re.fullmatch(r"[A-Za-z0-9._-]+@[0-9a-f]{12}", self.stands_for)
        ):
            raise ConfigError(
                f"stands_for of {self.name}: expected the fingerprint of an embedder, as "
                f"'my_net@3900346931a7', got {self.stands_for!r}."
            )

    def _three_numbers(self, label: str) -> tuple[float, float, float]:
        given = getattr(self, label)
        try:
            first, second, third = (float(value) for value in given)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"{label} of {self.name}: expected three numbers in units of pixel / 255, "
                f"got {given!r}."
            ) from error
        if not all(math.isfinite(value) for value in (first, second, third)):
            raise ConfigError(f"{label} of {self.name}: expected finite numbers, got {given!r}.")
        if max(abs(first), abs(second), abs(third)) > 10:
            raise ConfigError(
                f"{label} of {self.name}: expected units of pixel / 255 (0.5, not 127.5), "
                f"got {given!r}. Divide by 255."
            )
        return first, second, third

    @property
    def fingerprint(self) -> str:
        """Short text that two embedders share only if their embeddings and style may be mixed.

        That of the embedder this one stands for, or else its own.
        """
        return self.own_fingerprint if self.stands_for is None else self.stands_for

    @property
    def own_fingerprint(self) -> str:
        """Short text of this very file and how images go into it, whatever it stands for.

        The name, `@`, and 12 hexadecimal digits of a hash over the file's SHA-256, the
        preprocessing, the dimension and the taps. What is merely said about the network (licence,
        whether its norm tells quality) does not count.
        """
        parts: dict[str, object] = {
            "sha256": self.sha256,
            "dim": self.dim,
            "input_size": self.input_size,
            "channel_order": self.channel_order,
            "mean": self.mean,
            "std": self.std,
            "style_taps": self.style_taps,
        }
        for name in ("norm_output", "stands_for"):
            if getattr(self, name) is not None:
                parts[name] = getattr(self, name)
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        return f"{self.name}@{digest[:12]}"
