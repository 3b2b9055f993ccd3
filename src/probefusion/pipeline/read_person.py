"""All images of one person read, embedded and screened, without fusing them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probefusion.pipeline.chosen_models import Models
from probefusion.pipeline.common_face import common_face, photos_of_files
from probefusion.pipeline.face_notes import tell_notes
from probefusion.pipeline.gathered import Gathered, UnitProgress, gather
from probefusion.pipeline.inputs import Source
from probefusion.pipeline.person_sets import EmbeddedPerson, PersonSets
from probefusion.pipeline.strangers import check_strangers, screen_parts

if TYPE_CHECKING:
    from probefusion.faces import ImageSource
    from probefusion.screening import Screening

__all__ = ["embed_person", "read_sets"]


def embed_person(
    models: Models,
    paths: str | Path | ImageSource | Iterable[str | Path | ImageSource],
    *,
    strangers: str,
    progress: Callable[[int, int], None] | None,
) -> EmbeddedPerson:
    """Does what `Pipeline.embed` promises, with these models."""
    check_strangers(strangers)
    given: Any = paths if not isinstance(paths, Iterable) or isinstance(paths, str) else [*paths]
    report = models.embed(given, kept=True, progress=progress)
    gathered = Gathered()
    gathered.take_report(*common_face(models, photos_of_files(given), report))
    rows, screening = _screened(models, gathered, strangers)
    return EmbeddedPerson(
        embedding_set=gathered.sets[0],
        skipped=tuple(gathered.skipped),
        num_faces=gathered.num_faces[0],
        faces=tuple(gathered.faces[row] for row in rows) if gathered.faces else (),
        screening=screening,
        face_choice=gathered.face_choice,
        problems=tuple(gathered.problems),
    )


def read_sets(
    models: Models,
    inputs: Source | Iterable[Source],
    *,
    one_person: bool,
    strangers: str,
    progress: UnitProgress | None,
) -> PersonSets:
    """Does what `Pipeline.read_sets` promises, with these models."""
    check_strangers(strangers)
    gathered = gather(
        models,
        inputs,
        one_person=one_person,
        progress=progress,
        takes_states=False,
        takes_videos=False,
    )
    _, screening = _screened(models, gathered, strangers)
    return PersonSets(
        sets=tuple(gathered.sets),
        skipped=tuple(gathered.skipped),
        problems=tuple(gathered.problems),
        faces=tuple(gathered.faces),
        screening=screening,
        face_choice=gathered.face_choice,
    )


def _screened(models: Models, gathered: Gathered, strangers: str) -> tuple[list[int], Screening]:
    """Screens what was gathered; gives the images of the first set that are kept, and what was said."""
    tell_notes(gathered.faces)
    wanted = check_strangers(strangers)
    fuser = models.fuser_to_screen(gathered.sets)
    screened = screen_parts(fuser, gathered.sets, wanted)
    gathered.take_screened(screened)
    return screened.kept[0].tolist(), screened.screening
