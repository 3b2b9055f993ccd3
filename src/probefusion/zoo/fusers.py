"""Fusers by name: the baselines, the trained ones that are here or can be pulled, and folders."""

from __future__ import annotations

import os
from pathlib import Path

from probefusion.errors import MissingFileError, UnknownNameError
from probefusion.files.paths import as_path
from probefusion.fusion.folder import FuserCard, read_card
from probefusion.fusion.fuser import Fuser
from probefusion.fusion.learned import open_fuser
from probefusion.fusion.pooling import MeanFuser, NormWeightedFuser
from probefusion.fusion.universal import UniversalFuser
from probefusion.types import EmbeddingSet
from probefusion.zoo.fuser_folders import fuser_folders
from probefusion.zoo.manifest import KnownModel, known_models

__all__ = [
    "POOLING_NAMES",
    "absent_fusers",
    "find_fuser_folder",
    "has_fuser_for",
    "load_fuser",
    "suggest_fuser",
    "trained_fusers",
]

_POOLING: dict[str, type[MeanFuser] | type[NormWeightedFuser] | type[UniversalFuser]] = {
    "mean": MeanFuser,
    "norm-weighted": NormWeightedFuser,
    "universal": UniversalFuser,
}

POOLING_NAMES = tuple(_POOLING)
"""Fusers that are sums and have no folder."""

_EXPECTED = "a name (as 'mean' or 'exact'), the path of a fuser folder, or a fuser"

_BEST_FIRST = ("exact", "exact-embedding", "exact-unit")
"""Architectures that are suggested, the one that sees most first."""


def trained_fusers(embedder: str | None = None) -> dict[str, Path]:
    """Names and folders of the trained fusers that are here, see `fuser_roots`.

    Each stands under its full name. Its architecture alone ("exact", "official") means the fuser made
    for the embedder, or, where there is none or no embedder is known, the first that is found: one
    inside the package, then by name; of several revisions the newest.

    Args:
        embedder: Fingerprint of the embedder whose images are to be fused.

    Raises:
        MissingFileError: If PROBEFUSION_FUSERS names a folder that does not exist.
        FileFormatError: If a card cannot be read.
    """
    folders = fuser_folders()
    names = {folder.name: folder for folder in folders}
    fitting = [
        folder for folder in folders if embedder is not None and _made_for(folder) == embedder
    ]
    short: dict[str, Path] = {}
    for folder in (*fitting, *folders):
        short.setdefault(_architecture(folder.name), folder)
    return names | short


def has_fuser_for(embedder: str) -> bool:
    """Whether a trained fuser that `suggest_fuser` may give for an embedder is here.

    Args:
        embedder: Fingerprint of the embedder.
    """
    cards = (read_card(folder, verify=False) for folder in fuser_folders())
    return any(
        card.embedder == embedder and _architecture(card.name) in _BEST_FIRST for card in cards
    )


def absent_fusers(embedder: str | None = None) -> tuple[KnownModel, ...]:
    """Trained fusers that are known but not here; `probefusion models pull NAME` gets them.

    Args:
        embedder: Fingerprint of an embedder; only those made for it are given.
    """
    here = {folder.name for folder in fuser_folders()}
    return tuple(
        entry
        for entry in known_models().values()
        if entry.kind == "fuser"
        and entry.format == "folder"
        and entry.name not in here
        and embedder in (None, entry.settings.get("embedder"))
    )


def load_fuser(
    fuser: str | os.PathLike[str] | Fuser,
    *,
    num_threads: int | None = None,
    embedder: str | None = None,
    device: str = "cpu",
) -> Fuser:
    """Gives a fuser by name or folder.

    Args:
        fuser: "mean", "norm-weighted", "universal", the name of a trained fuser ("exact", "official", or
            a full name), the path of a fuser folder, or a fuser, which is given back.
        num_threads: Threads to compute with; None takes all cores.
        embedder: Fingerprint of the embedder whose images are to be fused; chooses among the trained
            fusers of one architecture, as `trained_fusers` says.
        device: Where a trained fuser runs: "cpu", or "cuda" for the first NVIDIA GPU (needs the package
            onnxruntime-gpu). The others are sums, which the processor forms.

    Raises:
        DtypeError: If it is none of these.
        UnknownNameError: If there is neither such a name nor such a folder.
        MissingFileError: If the fuser is known but not here; says how to get it.
        MissingFileError, FileFormatError, IntegrityError: If the folder is not a valid fuser.
        ConfigError: If there is no such device, or this installation cannot use it.
    """
    if isinstance(fuser, Fuser):
        return fuser
    if not isinstance(fuser, str):
        fuser = str(as_path(fuser, "fuser", expected=_EXPECTED))
    name = fuser
    if name in _POOLING:
        return _POOLING[name](num_threads=num_threads)
    folder = find_fuser_folder(name, embedder=embedder)
    return open_fuser(folder, num_threads=num_threads, device=device)


def find_fuser_folder(name: str, *, embedder: str | None = None) -> Path:
    """The folder of a trained fuser.

    Args:
        name: Its full name, its architecture ("exact", "official"), or the path of a fuser folder.
        embedder: As for `trained_fusers`.

    Raises:
        UnknownNameError: If there is neither such a name nor such a folder.
        MissingFileError: If the fuser is known but not here; says how to get it.
    """
    here = trained_fusers(embedder)
    folder = here.get(name)
    if folder is not None and (
        embedder is None or name == folder.name or _made_for(folder) == embedder
    ):
        return folder
    own = Path(name) if Path(name).is_dir() else None
    absent = _called(name, absent_fusers(embedder))
    if absent is None and folder is None and own is None:
        absent = _called(name, absent_fusers())
    if absent is not None:
        raise MissingFileError(
            f"fuser {name!r}: {absent.name} (made for {absent.settings.get('embedder')}; licence: "
            f"{absent.licence}) is known but not here. Get it with: probefusion models pull "
            f"{absent.name}"
        )
    if folder is not None:  # made for another embedder, which is told when images are fused
        return folder
    if own is None:
        known = (*_POOLING, *here, *(entry.name for entry in absent_fusers()), "a fuser folder")
        raise UnknownNameError("fuser", name, known)
    return own


def suggest_fuser(images: EmbeddingSet) -> str:
    """The name of the best fuser here that is known to fit.

    A trained fuser fits if it was made for the embedder whose fingerprint the set carries and the set
    has what it needs; of those that fit the one that sees most is taken: style, then norm, then the
    direction alone. Otherwise "universal" for a set with a quality, and the mean of the unit
    embeddings, which is right for any embedder, for all others. `absent_fusers` tells whether a
    better one could be pulled.
    """
    if images.embedder is not None:
        cards = [read_card(folder, verify=False) for folder in fuser_folders()]
        for architecture in _BEST_FIRST:
            for card in cards:
                if _architecture(card.name) == architecture and _fits(card, images):
                    return card.name
    return "mean" if images.quality is None else "universal"


def _made_for(folder: Path) -> str | None:
    return read_card(folder, verify=False).embedder


def _architecture(name: str) -> str:
    return name.split(".")[0]


def _called(name: str, entries: tuple[KnownModel, ...]) -> KnownModel | None:
    return next(
        (entry for entry in entries if name in (entry.name, _architecture(entry.name))), None
    )


def _fits(card: FuserCard, images: EmbeddingSet) -> bool:
    has_style = card.style_channels == 0 or (
        images.style is not None and images.style.shape[1] == card.style_channels
    )
    has_norms = bool(images.norms_known) or not card.needs_norms
    return card.embedder == images.embedder and has_style and has_norms
