"""Which embedder and fuser a collection works with, and what fits them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from probefusion.errors import (
    ConfigError,
    EmbedderMismatchError,
    FuserMismatchError,
    MissingFileError,
    ShapeError,
    UnknownNameError,
)
from probefusion.fusion import Fuser
from probefusion.gallery.contributions.features import Kept
from probefusion.gallery.contributions.material import Material
from probefusion.gallery.stores.records import ModelRow
from probefusion.types import EmbeddingSet, FusionState
from probefusion.types.revisions import remedy
from probefusion.zoo import load_fuser, suggest_fuser, trained_fusers

__all__ = [
    "FuserChoice",
    "Fusers",
    "check_fits_model",
    "choose_model",
    "embedder_name",
    "model_to_add_to",
    "serving",
]

FuserChoice: TypeAlias = str | os.PathLike[str] | Fuser
"""A name or folder of a fuser, a fuser, or "auto"."""


class Fusers:
    """The fusers of a gallery's models, each opened once.

    Args:
        given: The user's choice.
        num_threads: As for `load_fuser`.
    """

    def __init__(self, given: FuserChoice, *, num_threads: int | None = None) -> None:
        self.given = given
        self._num_threads = num_threads
        self._opened: dict[str, Fuser] = (
            {given.fingerprint: given} if isinstance(given, Fuser) else {}
        )
        self._is_agreed = given == "auto" if isinstance(given, str) else False

    def add(self, fuser: Fuser) -> None:
        """Knows a fuser from now on."""
        self._opened.setdefault(fuser.fingerprint, fuser)

    def load(self, fuser: FuserChoice, embedder: str | None) -> Fuser:
        """A fuser by name, folder or itself; raises as `load_fuser`."""
        found = load_fuser(fuser, embedder=embedder, num_threads=self._num_threads)
        return self._opened.setdefault(found.fingerprint, found)

    def of(self, row: ModelRow) -> Fuser:
        """The fuser of a model.

        Raises:
            FuserMismatchError: If it is not here any more, or another one is in its place.
        """
        found = self._opened.get(row.fuser)
        if found is not None:
            return found
        try:
            if not row.fuser_source:
                raise MissingFileError("it was given as an object")
            found = self.load(row.fuser_source, row.embedder)
        except (MissingFileError, UnknownNameError) as error:
            raise FuserMismatchError(
                f"fuser: the gallery's templates are by {row.fuser}, which is not here ({error}). Give it: "
                f"Gallery(..., fuser=...); or move the gallery to another fuser with add_model and re_fuse."
            ) from error
        if found.fingerprint != row.fuser:
            raise FuserMismatchError(
                f"fuser: the gallery's templates are by {row.fuser}, and {row.fuser_source!r} is {found.fingerprint} "
                f"now. Give the old one back: Gallery(..., fuser=FOLDER); or move to the new one: add_model, re_fuse."
            )
        return found

    def check_given(self, rows: Sequence[ModelRow]) -> None:
        """Refuses a choice of fuser that is not that of the model that serves, when one is first seen.

        Later models may serve by other fusers.

        Raises:
            FuserMismatchError: If it is another one.
        """
        row = serving(rows)
        if row is None or self._is_agreed:
            return
        given = self.load(self.given, row.embedder)
        if given.fingerprint != row.fuser:
            raise FuserMismatchError(
                f"fuser: the gallery's templates are by {row.fuser}, got {given.fingerprint}. Leave fuser= out; or "
                f"move the gallery to it: add_model(fuser=...), re_fuse, serve."
            )
        self._is_agreed = True

    def chosen_for(self, kept: Kept) -> Fuser:
        """The fuser for the first images of a collection.

        Raises:
            ProbeFusionError: As for `load_fuser`.
        """
        self._is_agreed = True
        if self.given != "auto":
            return self.load(self.given, kept.embedder)
        if isinstance(kept, EmbeddingSet):
            return self.load(suggest_fuser(kept), kept.embedder)
        try:
            found = self.load(kept.fuser.split("@")[0], kept.embedder)
        except (UnknownNameError, MissingFileError) as error:
            raise FuserMismatchError(
                f"what: the state was made by {kept.fuser}, which is not here. Give it: Gallery(..., fuser=FOLDER)."
            ) from error
        return found


def source_of(fuser: Fuser) -> str:
    """Name or folder to load a fuser from; "" where there is none."""
    folder = getattr(fuser, "folder", None)
    if isinstance(folder, Path):
        known = trained_fusers().get(folder.name)
        return folder.name if known is not None and known.absolute() == folder else str(folder)
    return fuser.name if fuser.name in ("mean", "norm-weighted", "universal") else ""


def serving(rows: Sequence[ModelRow]) -> ModelRow | None:
    """The model that decides about searches."""
    return next((row for row in rows if row.status == "serving"), None)


def choose_model(rows: Sequence[ModelRow], material: Material) -> ModelRow:
    """The model that material belongs to: the one that serves, or else another that fits.

    Raises:
        ConfigError: If there is no model yet.
        EmbedderMismatchError, FuserMismatchError, ShapeError: If none fits, as for `check_fits_model` and the one
            that serves.
    """
    first = serving(rows)
    if first is None:
        raise ConfigError("the gallery is empty: nobody was enrolled yet. Enroll somebody first.")
    for row in (first, *rows):
        if _mismatch(row, material) is None:
            return row
    check_fits_model(first, material)
    return first


def model_to_add_to(rows: Sequence[ModelRow], material: Material) -> ModelRow:
    """The model that serves, by which alone what is added can be found.

    Raises:
        ConfigError: If there is no model yet.
        EmbedderMismatchError, FuserMismatchError, ShapeError: If the material is not of it, as for
            `check_fits_model`.
    """
    first = serving(rows)
    if first is None:
        return choose_model(rows, material)
    other = choose_model(rows, material)
    if other.id != first.id and material.embedder == other.embedder != first.embedder:
        wanted = embedder_name(first.embedder)
        raise EmbedderMismatchError(
            f"what: expected embeddings of {wanted}, which serves, got {material.embedder}, whose model {other.id} "
            f"does not: nobody would find them. Add those of {wanted} and re_embed the contribution; or "
            f"serve({other.id!r}) first."
        )
    check_fits_model(first, material)
    return first


def check_fits_model(row: ModelRow, material: Material) -> None:
    """Refuses material of another embedder, fuser or dimension.

    Raises:
        EmbedderMismatchError, FuserMismatchError, ShapeError: If it is of another.
    """
    error = _mismatch(row, material)
    if error is not None:
        raise error


def embedder_name(embedder: str | None) -> str:
    """An embedder as messages name it."""
    return embedder or "an embedder that nobody named"


def _mismatch(row: ModelRow, material: Material) -> Exception | None:
    if material.embedder != row.embedder:
        if material.embedder is None:
            return EmbedderMismatchError(
                f"what: the gallery is of {row.embedder}, and of these embeddings nobody said what made them. If it "
                f"was the same, say so: --embedder, or Gallery(..., embedder={row.embedder!r})."
            )
        step = "Embed the images with the gallery's embedder; or move the gallery: add_model, re_embed, serve."
        also = remedy(row.embedder, material.embedder, "")
        return EmbedderMismatchError(
            f"what: the gallery is of {embedder_name(row.embedder)}, got embeddings of {material.embedder}. "
            f"{f'{also} To move the gallery: add_model, re_embed, re_fuse, serve.' if also else step}"
        )
    made_by = _maker(material)
    if made_by is not None and made_by != row.fuser:
        return FuserMismatchError(
            f"what: the gallery's templates are by {row.fuser}, got a state or template by {made_by}. Give the "
            f"embeddings, or encode them with the gallery's fuser."
        )
    if material.dim != row.dim:
        return ShapeError(
            f"what: the gallery's embeddings have {row.dim} dimensions, got {material.dim}. Embed the images with "
            f"{embedder_name(row.embedder)}."
        )
    return None


def _maker(material: Material) -> str | None:
    if material.template is not None:
        return material.template.fuser
    return material.kept.fuser if isinstance(material.kept, FusionState) else None
