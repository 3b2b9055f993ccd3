"""A fuser to go on training from: its own weights, architecture and network settings."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from probefusion.errors import (
    ConfigError,
    EmbedderMismatchError,
    FileFormatError,
    IntegrityError,
    MissingFileError,
    UnknownNameError,
)
from probefusion.files import sha256_of
from probefusion.files.reading import in_one_line
from probefusion.fusion.folder import FuserCard, read_card
from probefusion.nn.architectures import ARCHITECTURES, Network, build_network
from probefusion.types.revisions import name_to_load

__all__ = ["WEIGHTS_NAME", "StartingPoint", "read_starting_point"]

WEIGHTS_NAME = "weights.safetensors"
"""File of a fuser folder with the weights under their training names."""

_FROM_THE_STORE = ("dim", "style_channels")
_BEFORE = {"correction_share": 1.0}
"""What settings were before cards named them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StartingPoint:
    """What a training goes on from.

    Args:
        card: The card of the fuser.
        weights: Its parameters and buffers by training name, float32; matrices as stored, that is
            rounded to half precision.
        weights_hash: SHA-256 of the file of weights.
    """

    card: FuserCard
    weights: dict[str, Tensor]
    weights_hash: str

    @property
    def without(self) -> tuple[str, ...]:
        """What its network does not look at, as `RunSettings.without` says it."""
        blind = ("style",) if self.card.style_channels == 0 else ()
        return (*blind, "norm") if self.card.config.get("sees_norm") is False else blind

    @property
    def network_settings(self) -> dict[str, Any]:
        """Settings of its architecture, without those that the data decide."""
        return {k: v for k, v in self._config.items() if k not in _FROM_THE_STORE}

    @property
    def _config(self) -> dict[str, Any]:
        """Settings of its network, with those that older cards leave out because they had no choice."""
        known = {entry.name for entry in fields(ARCHITECTURES[self.card.architecture].config)}
        return {**{k: v for k, v in _BEFORE.items() if k in known}, **self.card.config}

    @property
    def facts(self) -> dict[str, str]:
        """Name, fingerprint and hash, for the card of what is trained from it."""
        return {
            "name": self.card.name,
            "fingerprint": self.card.fingerprint,
            "weights_sha256": self.weights_hash,
        }

    def load_into(self, network: Network) -> None:
        """Puts the weights into a network built with the card's settings.

        Constant tables that an older file holds in half precision are taken from the network itself.

        Raises:
            FileFormatError: If names or shapes are not those of the network.
        """
        weights = dict(self.weights)
        for name, table in network.named_buffers():
            if table.ndim >= 2 and torch.equal(weights.get(name, table), table.half().float()):
                weights[name] = table
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise FileFormatError(
                f"{WEIGHTS_NAME} of {self.card.name!r}: not the weights of the network in its card "
                f"({reason}). Copy the fuser folder again."
            ) from error

    def network(self) -> Network:
        """The fuser's network as it is, in evaluation mode."""
        network = build_network(self.card.architecture, self._config)
        self.load_into(network)
        return network.eval()

    def check_embedder(self, fingerprint: str) -> None:
        """Refuses another embedder than the one the fuser was made for.

        Raises:
            EmbedderMismatchError: If it is another.
        """
        if self.card.embedder is not None and self.card.embedder != fingerprint:
            raise EmbedderMismatchError(
                f"start_from: {self.card.name!r} was made for embeddings of {self.card.embedder}, got the "
                f"embedder {fingerprint}. Give that embedder (--embedder {name_to_load(self.card.embedder)}), or "
                f"train a fuser of its own for this one."
            )


def read_starting_point(folder: str | Path) -> StartingPoint:
    """Reads the weights of a fuser folder, checked against its card.

    Args:
        folder: The fuser folder.

    Raises:
        MissingFileError: If folder, card or weights are missing.
        FileFormatError: If card or weights are not valid.
        IntegrityError: If a file is not the one the card was written for.
        UnknownNameError: If its architecture is not known here.
    """
    folder = Path(folder)
    card = read_card(folder)
    path = folder / WEIGHTS_NAME
    if not path.exists():
        raise MissingFileError(
            f"{in_one_line(path)}: expected the weights to go on training from, got a fuser folder without them. "
            f"Give a fuser that has {WEIGHTS_NAME} (one you trained yourself has), or train from nothing "
            f"without --from (start_from)."
        )
    found = sha256_of(path)
    if found != card.files.get(WEIGHTS_NAME):
        raise IntegrityError(
            f"{in_one_line(path)}: its SHA-256 is not the one in the card. The file was changed or damaged; copy "
            f"the fuser folder again."
        )
    try:
        weights = {
            name: value.float() if value.is_floating_point() else value
            for name, value in load_file(path).items()
        }
    except SafetensorError as error:
        raise FileFormatError(f"{in_one_line(path)}: no safetensors file ({error}).") from error
    if card.architecture not in ARCHITECTURES:
        problem = UnknownNameError("architecture", card.architecture, ARCHITECTURES)
        raise ConfigError(
            f"{in_one_line(folder)}: {problem} If a plugin registers it, name that plugin (--plugin MODULE)."
        )
    return StartingPoint(card=card, weights=weights, weights_hash=found)
