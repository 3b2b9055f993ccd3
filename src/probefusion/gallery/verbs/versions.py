"""Two embedders or fusers side by side: filling a new one while the old one serves, and going back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from probefusion.embedders import Embedder
from probefusion.errors import ConfigError, DtypeError, MismatchError, ShapeError
from probefusion.files.paths import brief
from probefusion.fusion import Fuser
from probefusion.gallery.changes.changing import Changing
from probefusion.gallery.changes.erasing import all_of
from probefusion.gallery.changes.ids import new_id
from probefusion.gallery.contributions.features import to_bytes
from probefusion.gallery.contributions.kept_parts import is_forgotten
from probefusion.gallery.contributions.material import read_material
from probefusion.gallery.contributions.models import FuserChoice, serving, source_of
from probefusion.gallery.core import embedder_fingerprint
from probefusion.gallery.stores.records import ContributionRow, ModelRow
from probefusion.gallery.stores.store import Reader
from probefusion.gallery.verbs.looking import Looking
from probefusion.gallery.verbs.named_rows import contribution_of, model_of
from probefusion.types import EmbeddingSet

__all__ = ["Versions"]

_AT_ONCE = 200
"""People whose templates one change works out, so that others can write in between."""


class Versions(Looking):
    """The part of `Gallery` that moves it to another embedder or fuser."""

    def add_model(
        self,
        *,
        fuser: FuserChoice,
        embedder: str | Embedder | None = None,
        dim: int | None = None,
    ) -> str:
        """Adds another embedder or fuser, which does not serve yet.

        Args:
            fuser: Name or folder of the fuser, or a fuser.
            embedder: Fingerprint, name or file of the embedder, or an embedder; None stays with that which serves.
            dim: D of its embeddings; None is that of the fuser, or of the model that serves.

        Returns:
            The id of the model. Fill it with `re_fuse`, and `re_embed` where the embedder is another; then `serve`.

        Raises:
            ConfigError: If the gallery is empty, or the model is there already.
            ShapeError: If D is not that of the fuser, or of other models of the embedder.
            ProbeFusionError: As for `load_fuser`; if the fuser cannot fuse what is kept, as without quality.
        """
        with self._changing("add model") as change:
            rows = change.writer.models()
            first = serving(rows)
            if first is None:
                raise ConfigError(
                    "add_model: nobody is enrolled yet: open the gallery with this fuser instead."
                )
            named = first.embedder if embedder is None else embedder_fingerprint(embedder)
            found = self._fusers.load(fuser, named)
            if any((row.embedder, row.fuser) == (named, found.fingerprint) for row in rows):
                raise ConfigError(
                    f"add_model: {found.fingerprint} of {named} is there already; see models()."
                )
            row = ModelRow(
                id=new_id("m"),
                embedder=named,
                fuser=found.fingerprint,
                fuser_source=source_of(found),
                dim=_dim_of(rows, first, named, found, dim),
                status="building",
                created=self._now(),
            )
            self._try(change.writer, row, found)
            change.writer.put_model(row)
            change.subjects[row.id] = None
        return row.id

    def re_fuse(
        self, model: str, *, progress: Callable[[int, int], None] | None = None
    ) -> tuple[str, ...]:
        """Works out everybody's template by a model, from what the contributions keep of its embedder.

        Can be stopped and called again; others may read and write meanwhile.

        Args:
            model: Its id.
            progress: Called with the number of people done and in all.

        Returns:
            Ids of contributions that it cannot use: they keep a state alone, or nothing of its embedder yet.

        Raises:
            UnknownNameError: If there is no such model.
        """
        with self._reading() as reader:
            row = model_of(reader.models(), model)
            people = [person.id for person in reader.people()]
        for start in range(0, len(people), _AT_ONCE):
            with self._changing("fuse anew") as change:
                change.renew_templates(row, people[start : start + _AT_ONCE], is_wanted=True)
                change.subjects[model] = None
            if progress is not None:
                progress(min(start + _AT_ONCE, len(people)), len(people))
        with self._reading() as reader:
            return self._missing(reader, model_of(reader.models(), model))

    def missing(self, model: str) -> tuple[str, ...]:
        """Ids of contributions of which a model has nothing to work with yet.

        Raises:
            UnknownNameError: If there is no such model.
        """
        with self._reading() as reader:
            return self._missing(reader, model_of(reader.models(), model))

    def re_embed(self, embeddings: Mapping[str, Any]) -> None:
        """Adds what contributions keep of another embedder: their images, embedded anew.

        Args:
            embeddings: For ids of contributions a set of another embedder, image by image in the order of the old one,
                images left out included. Of contributions that keep a state alone, the state of these is kept, by
                the fuser of the first model of that embedder.

        Raises:
            UnknownNameError: If there is no such contribution.
            MismatchError, ShapeError: If no model is of that embedder, or the images are not as many.
            ConfigError: If a contribution keeps something else of that embedder already.
        """
        if not isinstance(embeddings, Mapping):
            raise DtypeError(
                f"embeddings: expected a mapping of ids of contributions, got {brief(embeddings)}."
            )
        with self._changing("embed anew") as change:
            change.only_models = set()  # what others keep is as it was; their fuser may be gone
            for item, what in embeddings.items():
                self._embed_anew(change, contribution_of(change.writer, item), what)

    def serve(self, model: str) -> int:
        """Decides about searches by another model from now on; the one before is kept.

        Returns:
            The revision of the change; `undo` of it, or `rollback`, goes back.

        Raises:
            UnknownNameError: If there is no such model.
            ConfigError: If it serves already, or contributions are missing in it.
        """
        return self._serve("serve", model)

    def rollback(self) -> int:
        """Serves again by the model that served last before.

        Returns:
            The revision of the change.

        Raises:
            ConfigError: If there is none, or contributions were added since that it cannot use.
        """
        with self._reading() as reader:
            known = {row.id for row in reader.models() if row.status == "kept"}
            last = next(
                (
                    edit["id"]
                    for change in reader.changes(
                        newest_first=True, actions=("serve", "rollback", "undo")
                    )
                    for edit in change.edits
                    if edit["kind"] == "model" and edit["after"] == "kept" and edit["id"] in known
                ),
                None,
            )
        if last is None:
            raise ConfigError("rollback: no other model has served before.")
        return self._serve("rollback", last)

    def drop_model(self, model: str) -> int:
        """Takes a model and all templates by it away; returns the revision of the change.

        Raises:
            UnknownNameError: If there is no such model.
            ConfigError: If it serves; if contributions, those of removed people included, have nothing of another
                embedder yet, so that nobody could use them any more.
        """
        with self._changing("drop model") as change:
            row = model_of(change.writer.models(), model)
            if row.status == "serving":
                raise ConfigError(f"drop_model: {model} serves. Let another one serve first.")
            _check_none_is_stranded(change.writer, row)
            change.writer.drop_model(model)
            change.subjects[model] = None
            revision = change.revision
        with self._lock:
            self._indexes.pop(model, None)
        return revision

    def _serve(self, action: str, model: str) -> int:
        with self._changing(action) as change:
            rows = change.writer.models()
            row = model_of(change.writer.models(), model)
            first = serving(rows)
            if first is None or row.id == first.id:
                raise ConfigError(f"{action}: model {model} serves already.")
            change.check_may_serve(row)
            change.set_status(first.id, "kept")
            change.set_status(row.id, "serving")
            return change.revision

    def _try(self, reader: Reader, model: ModelRow, fuser: Fuser) -> None:
        """Encodes the first features that are kept of a model's embedder: what the fuser lacks shows now."""
        for person in reader.people():
            for row in reader.contributions(person.id):
                is_kept = row.keep == "features" and not is_forgotten(self._sealer, row.key_id)
                if is_kept and reader.payload(row.id, model.embedder) is not None:
                    self._parts.of_contribution(reader, row, model, fuser)
                    return

    def _embed_anew(self, change: Changing, row: ContributionRow, what: Any) -> None:
        material = read_material(what)
        kept = material.to_keep()
        wanted = [model for model in change.writer.models() if model.embedder == material.embedder]
        if not wanted:
            raise MismatchError(
                f"contribution {row.id}: no model is of {material.embedder}. Add one first: add_model(embedder=...)."
            )
        if material.dim != wanted[0].dim:
            raise ShapeError(
                f"contribution {row.id}: expected {wanted[0].dim} dimensions, got {material.dim}. Check the embedder."
            )
        if material.num_images != row.num_images:
            raise ShapeError(
                f"contribution {row.id}: expected its {row.num_images} images, got {material.num_images}. Embed each "
                f"image again, in order; leave images out later."
            )
        if row.keep == "features" and not isinstance(kept, EmbeddingSet):
            raise ConfigError(
                f"contribution {row.id}: expected embeddings, got a state. Give the embeddings."
            )
        if row.keep == "state" and isinstance(kept, EmbeddingSet):
            kept = self._fusers.of(wanted[0]).encode(kept)  # of its images nothing else is kept
        known = self._parts.plain(change.writer, row, material.embedder)
        if known is not None:
            if known == to_bytes(kept):
                return  # as when one goes on after an interruption
            raise ConfigError(
                f"contribution {row.id}: it keeps something else of {material.embedder} already, and contributions do "
                f"not change. See missing(model) for what is left to do."
            )
        change.add_payload(row, kept)
        change.subjects[row.id] = None
        if change.only_models is not None:
            change.only_models |= {model.id for model in wanted}
        if row.person_id is not None:
            change.touched[row.person_id] = None


def _checked_dim(dim: object) -> int:
    """D as it is kept.

    Raises:
        DtypeError: If it is no whole number.
        ConfigError: If it is below 1.
    """
    if isinstance(dim, bool) or not isinstance(dim, int | np.integer):
        raise DtypeError(f"dim: expected a whole number, got {brief(dim)}.")
    if dim < 1:
        raise ConfigError(f"dim: expected 1 or more, got {dim}.")
    return int(dim)


def _dim_of(
    rows: Sequence[ModelRow], first: ModelRow, embedder: str | None, fuser: Fuser, dim: object
) -> int:
    known = [row.dim for row in rows if row.embedder == embedder]
    known += [] if fuser.dim is None else [fuser.dim]
    wanted = (known or [first.dim])[0] if dim is None else _checked_dim(dim)
    if any(each != wanted for each in known):
        raise ShapeError(
            f"dim: expected {known[0]}, as other models of the embedder or the fuser have, got "
            f"{wanted if dim is not None else known[-1]}. Leave dim out, or take a fuser of that size."
        )
    return wanted


def _check_none_is_stranded(reader: Reader, model: ModelRow) -> None:
    """Refuses to drop the last model that can use what some contributions keep.

    Raises:
        ConfigError: If there are such contributions, naming the first.
    """
    others = {row.embedder for row in reader.models() if row.id != model.id}
    if model.embedder in others:
        return
    listed = [person.id for person in reader.people(shown_only=False)]
    stranded = [
        row.id
        for row in all_of(reader, listed)
        if all(reader.payload(row.id, embedder) is None for embedder in others)
    ]
    if stranded:
        raise ConfigError(
            f"drop_model: {len(stranded)} contributions, as of people who were removed (first: {stranded[0]}), "
            f"have nothing else than what they keep of {model.embedder}. Add it: re_embed; or forget them."
        )
