"""Templates of a gallery for those who search often: one person's, and whether a query fits before there is one."""

from __future__ import annotations

from typing import Any

from probefusion.errors import FuserMismatchError
from probefusion.gallery.argument_checks import check_id
from probefusion.gallery.contributions.models import choose_model, serving
from probefusion.gallery.stores.records import ModelRow
from probefusion.gallery.stores.store import Reader
from probefusion.gallery.verbs.judging import Judging
from probefusion.gallery.verbs.named_rows import model_or_serving
from probefusion.types import FloatArray, Template, Usability

__all__ = ["Templates"]


class Templates(Judging):
    """The part of `Gallery` that gives templates out and readies a search."""

    def template(self, name: str, *, model: str | None = None) -> Template | None:
        """The template of a person.

        Args:
            name: Name or id of the person.
            model: Id of the model that it is by; None takes the one that serves.

        Returns:
            The template with what can be expected of it, or None if no image of the person counts.

        Raises:
            UnknownNameError: If there is nobody of that name, or no such model.
            ProbeFusionError: If the store cannot be read.
        """
        with self._reading() as reader:
            person = self._person(reader, name)
            rows = reader.models()
            row = model_or_serving(rows, model)
            stored = None if row is None else reader.vector(row.id, person.id)
            if row is None or stored is None or stored.vector is None:
                return None
            key = self._sealer.key(person.key_id)
            vector = self._sealer.open_vector(stored.vector, person.id, row.id, key)
            return Template(
                vector=vector,
                num_images=stored.num_images,
                fuser=row.fuser,
                embedder=row.embedder,
                usability=self._expected_of(reader, person.id, vector, stored.num_images, row),
            )

    def _expected_of(
        self, reader: Reader, person_id: str, vector: FloatArray, num_images: int, row: ModelRow
    ) -> Usability:
        try:
            fuser = self._fusers.of(row)
        except FuserMismatchError as error:  # its templates are readable all the same
            return Usability.unknown(str(error))
        return self._judge_person(reader, person_id, vector, num_images, row, fuser)

    def made_by(self, embedder: str | None) -> str | None:
        """Fingerprint of the fuser of the templates that images of an embedder are searched among.

        Args:
            embedder: Fingerprint of the embedder.

        Returns:
            That of the model that serves where it is of this embedder, else of another that is; None if none is.
            Before anybody was enrolled it is the fuser that this gallery was opened with, None for "auto".

        Raises:
            DtypeError: If it is no text and not None.
        """
        if embedder is not None:
            check_id(embedder, "embedder")
        with self._reading() as reader:
            rows = reader.models()
        if not rows and self._fusers.given != "auto":
            return self._fusers.load(self._fusers.given, embedder).fingerprint
        found = sorted(
            (row for row in rows if row.embedder == embedder),
            key=lambda row: row.status != "serving",
        )
        return found[0].fuser if found else None

    def check_fits(self, what: Any) -> None:
        """Refuses what a search would refuse, and readies the search: fuser and templates are in memory after it.

        Args:
            what: A query, as for `search`.

        Raises:
            EmbedderMismatchError, FuserMismatchError, ShapeError: If it is not of the gallery's models, or their fuser
                is not here. A gallery in which nobody was enrolled yet takes everything.
            ProbeFusionError: If the store cannot be read.
        """
        material = self._material(what)
        with self._reading() as reader:
            rows = reader.models()
        if serving(rows) is None:
            return
        row = choose_model(rows, material)
        self._fusers.of(row)
        self._index(row.id)
