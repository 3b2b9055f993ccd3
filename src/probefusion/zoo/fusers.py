"""Fusers by name: the baselines, the trained ones inside the package, and folders."""

from __future__ import annotations

import os
from pathlib import Path

from probefusion.errors import UnknownNameError
from probefusion.files import bundled_folder
from probefusion.fusion.folder import CARD_NAME, FuserCard, read_card
from probefusion.fusion.fuser import Fuser
from probefusion.fusion.learned import open_fuser
from probefusion.fusion.pooling import MeanFuser, NormWeightedFuser
from probefusion.fusion.universal import UniversalFuser
from probefusion.types import EmbeddingSet

__all__ = ["bundled_fusers", "fuser_names", "has_bundled_fuser", "load_fuser", "suggest_fuser"]

_POOLING: dict[str, type[MeanFuser] | type[NormWeightedFuser] | type[UniversalFuser]] = {
    "mean": MeanFuser,
    "norm-weighted": NormWeightedFuser,
    "universal": UniversalFuser,
}

_BEST_FIRST = ("exact", "exact-embedding", "exact-unit")
"""Bundled architectures that are suggested, the one that sees most first."""


def bundled_fusers(embedder: str | None = None) -> dict[str, Path]:
    """Names and folders of the trained fusers inside the package.

    Each stands under its full name. Its architecture alone ("exact", "official") means the fuser
    made for the embedder, or, where there is none or no embedder is known, the first by name, which
    is that of the embedder inside the package; of several revisions the newest.

    Args:
        embedder: Fingerprint of the embedder whose images are to be fused.
    """
    names: dict[str, Path] = {}
    short: dict[str, Path] = {}
    for folder in _folders_newest_first()[::-1]:
        names[folder.name] = folder
        architecture = folder.name.split(".")[0]
        known = short.get(architecture)
        is_newer = known is not None and _without_revision(known) == _without_revision(folder)
        if known is None or is_newer or (embedder is not None and _made_for(folder) == embedder):
            short[architecture] = folder
    return names | short


def _made_for(folder: Path) -> str | None:
    return read_card(folder, verify=False).embedder


def _without_revision(folder: Path) -> str:
    return folder.name.rpartition(".")[0]


def has_bundled_fuser(embedder: str) -> bool:
    """Whether the package holds a fuser made for an embedder.

    Args:
        embedder: Fingerprint of the embedder.
    """
    return any(_made_for(folder) == embedder for folder in _folders_newest_first())


def fuser_names() -> tuple[str, ...]:
    """All names that `load_fuser` knows."""
    return (*_POOLING, *bundled_fusers())


def load_fuser(
    fuser: str | os.PathLike[str] | Fuser,
    *,
    num_threads: int | None = None,
    embedder: str | None = None,
) -> Fuser:
    """Gives a fuser by name or folder.

    Args:
        fuser: "mean", "norm-weighted", "universal", the name of a bundled fuser ("exact", "official", or a full
            name), the path of a fuser folder, or a fuser, which is given back.
        num_threads: Threads to compute with; None takes all cores.
        embedder: Fingerprint of the embedder whose images are to be fused; chooses among the bundled
            fusers of one architecture, as `bundled_fusers` says.

    Raises:
        UnknownNameError: If there is neither such a name nor such a folder.
        MissingFileError, FileFormatError, IntegrityError: If the folder is not a valid fuser.
    """
    if isinstance(fuser, Fuser):
        return fuser
    name = os.fspath(fuser)
    if name in _POOLING:
        return _POOLING[name](num_threads=num_threads)
    bundled = bundled_fusers(embedder)
    if name in bundled:
        return open_fuser(bundled[name], num_threads=num_threads)
    if Path(name).is_dir():
        return open_fuser(name, num_threads=num_threads)
    raise UnknownNameError("fuser", name, (*_POOLING, *bundled, "a fuser folder"))


def _folders_newest_first() -> list[Path]:
    root = bundled_folder()
    return sorted((path.parent for path in root.glob(f"*/{CARD_NAME}")), reverse=True)


def _fits(card: FuserCard, images: EmbeddingSet) -> bool:
    has_style = card.style_channels == 0 or (
        images.style is not None and images.style.shape[1] == card.style_channels
    )
    has_norms = bool(images.norms_known) or not card.needs_norms
    return card.embedder == images.embedder and has_style and has_norms


def suggest_fuser(images: EmbeddingSet) -> str:
    """The name of the best fuser that is known to fit.

    A bundled fuser fits if it was made for the embedder whose fingerprint the set carries and the set
    has what it needs; of those that fit the one that sees most is taken: style, then norm, then the
    direction alone. Otherwise "universal" for a set with a quality, and the mean of the unit
    embeddings, which is right for any embedder, for all others.
    """
    if images.embedder is not None:
        cards = [read_card(folder, verify=False) for folder in _folders_newest_first()]
        for architecture in _BEST_FIRST:
            for card in cards:
                if card.name.split(".")[0] == architecture and _fits(card, images):
                    return card.name
    return "mean" if images.quality is None else "universal"
