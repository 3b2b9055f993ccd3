"""What users hand to a gallery: images' embeddings, a state, or, to search with, a finished template."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from probefusion.errors import ConfigError, DtypeError, EmbedderMismatchError, EmptySetError
from probefusion.gallery.contributions.features import Kept
from probefusion.types import EmbeddingSet, FusionState, Template
from probefusion.types.revisions import remedy_for_pair

__all__ = ["Material", "read_material"]

_EXPECTED = "embeddings (N, D), an EmbeddingSet or FusionState, a found face, a result of Pipeline.fuse, or a list"


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """What was handed over.

    Args:
        kept: Images or a state, or None.
        template: A finished template, or None; one of the two is given.
        skipped: Images that could not be used, in words.
    """

    kept: Kept | None = None
    template: Template | None = None
    skipped: tuple[str, ...] = ()

    @property
    def embedder(self) -> str | None:
        """Fingerprint of the embedder, or None when unknown."""
        return self._given.embedder

    @property
    def dim(self) -> int:
        """D."""
        given = self._given
        return given.sums.shape[1] if isinstance(given, FusionState) else given.dim

    @property
    def num_images(self) -> int:
        """How many images it is of."""
        return self._given.num_images

    @property
    def _given(self) -> EmbeddingSet | FusionState | Template:
        given = self.kept if self.kept is not None else self.template
        if given is None:
            raise ConfigError("material: expected images, a state or a template, got none.")
        return given

    def to_keep(self) -> Kept:
        """The images or state.

        Raises:
            ConfigError: If it is a finished template, to which nothing can be added.
        """
        if self.kept is None:
            raise ConfigError(
                "what: expected images, embeddings or a state, got a finished template, which cannot be added to. "
                "Give the embeddings, or the state, that it was made of."
            )
        return self.kept


def read_material(what: Any, *, embedder: str | None = None) -> Material:
    """Sorts what was handed over.

    Args:
        what: (N, D) or (D,) floating-point embeddings, an `EmbeddingSet`, a `FusionState`, a `Template`; anything
            that has one of them as `images`, `embedding_set`, `state` or `template`, in this order; a list of
            embeddings, sets and such things, all of one person.
        embedder: Fingerprint of the embedder by the user's word: what does not say its own is of it.

    Raises:
        DtypeError: If it is something else.
        EmptySetError: If a list is empty.
        EmbedderMismatchError: If it says that it is of another embedder than `embedder`.
        ConfigError: If a list mixes states and images.
    """
    found = _sorted(what)
    if embedder is None or found.embedder == embedder:
        return found
    if found.embedder is not None:
        step = f"Embed the images with {embedder}, or open the gallery without embedder=."
        raise EmbedderMismatchError(
            f"what: the gallery was opened for embeddings of {embedder}, got some of {found.embedder}. "
            f"{remedy_for_pair(embedder, found.embedder, step)}"
        )
    if found.kept is not None:
        return replace(found, kept=replace(found.kept, embedder=embedder))
    return found  # of a template that does not say it the model decides


def _sorted(what: Any) -> Material:
    if isinstance(what, EmbeddingSet | FusionState):
        return Material(kept=what)
    if isinstance(what, Template):
        return Material(template=what)
    if isinstance(what, np.ndarray):
        rows = what[None] if what.ndim == 1 else what
        return Material(kept=EmbeddingSet(embeddings=rows))
    if isinstance(what, list | tuple):
        return _joined(what)
    for name in ("images", "embedding_set", "state", "template"):
        part = getattr(what, name, None)
        if isinstance(part, EmbeddingSet | FusionState | Template):
            skipped = tuple(str(item) for item in getattr(what, "skipped", ()))
            return replace(_sorted(part), skipped=skipped)
    if isinstance(what, str | os.PathLike):
        raise DtypeError(
            f"what: expected {_EXPECTED}, got a path. Read it first: probefusion.read_embeddings(path), or "
            f"probefusion.Pipeline(...).fuse(path) for images."
        )
    raise DtypeError(f"what: expected {_EXPECTED}; got {type(what).__name__}.")


def _joined(items: Sequence[Any]) -> Material:
    if not items:
        raise EmptySetError("what: expected at least one image, got an empty list.")
    if all(isinstance(item, int | float) for item in items):
        raise DtypeError("what: expected embeddings as an array of floats, got a list of numbers.")
    parts = [_sorted(item) for item in items]
    if len(parts) == 1:
        return parts[0]
    kept = [part.to_keep() for part in parts]
    skipped = tuple(item for part in parts for item in part.skipped)
    if any(isinstance(part, FusionState) for part in kept):
        total = kept[0]
        for part in kept[1:]:
            if not (isinstance(total, FusionState) and isinstance(part, FusionState)):
                raise ConfigError(
                    "what: expected images alone or states alone, got both. Add them one after the other."
                )
            total = total + part
        return Material(kept=total, skipped=skipped)
    sets = [part for part in kept if isinstance(part, EmbeddingSet)]
    return Material(kept=EmbeddingSet.concatenate(sets), skipped=skipped)
