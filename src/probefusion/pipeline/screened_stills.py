"""The people of a gallery of stills, each looked at as any other person's images are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from probefusion.files.reading import in_one_line
from probefusion.fusion import Fuser
from probefusion.pipeline.chosen_models import Models
from probefusion.pipeline.common_face import common_face, photos_of_files
from probefusion.pipeline.face_notes import tell_notes
from probefusion.pipeline.gathered import Gathered
from probefusion.pipeline.merge import fuse_parts
from probefusion.pipeline.strangers import Strangers, check_strangers, screen_parts
from probefusion.types import EmbeddingSet
from probefusion.zoo.usability import judge_usability

if TYPE_CHECKING:
    from probefusion.gallery import Stills

__all__ = ["screened_stills"]


def screened_stills(
    models: Models, paths: str | Path | Sequence[str | Path], strangers: str
) -> Stills:
    """Does what `Pipeline.read_gallery` promises, with these models."""
    from probefusion.gallery import read_stills

    fuser = models.fuser_of_new_images()
    reader = _PersonReader(models, fuser, check_strangers(strangers))
    stills = read_stills(
        paths,
        models.embedder,
        models.detector,
        fuser,
        quality=models.judge(kept=False),
        read_person=reader.read,
    )
    gathered = reader.gathered
    tell_notes(gathered.faces)
    return replace(
        stills,
        skipped=(*stills.skipped, *gathered.skipped),
        warnings=(*stills.warnings, *gathered.problems),
    )


class _PersonReader:
    """Reads person after person; what was left out and what is wrong stands in `gathered`."""

    def __init__(self, models: Models, fuser: Fuser, strangers: Strangers) -> None:
        self._models, self._fuser, self._strangers = models, fuser, strangers
        self.gathered = Gathered()

    def read(self, name: str, given: Path | EmbeddingSet) -> EmbeddingSet:
        """The images of a person that are fused.

        Args:
            name: The person's.
            given: Images to be read, or embeddings.

        Raises:
            EmptySetError: If none is left.
            SeveralPeopleError, NotUsableError: If that is to be refused.
        """
        person = Gathered()
        if isinstance(given, EmbeddingSet):
            person.sets.append(given)
            person.num_faces.append(None)
        else:
            report = self._models.embed(given, kept=False)
            person.take_report(*common_face(self._models, photos_of_files(given), report))
        label = in_one_line(name)
        person.take_screened(screen_parts(self._fuser, person.sets, self._strangers, name=label))
        merged = fuse_parts(self._fuser, sets=person.sets, chunk_size=self._models.chunk_size)
        usability = judge_usability(
            self._fuser, merged.state, calibration=self._models.calibration_file
        )
        if self._strangers == "refuse":
            usability.refuse(label)
        problems = [*person.problems, *([str(usability)] if usability.is_not_usable else [])]
        self.gathered.problems += [f"{label}: {problem}" for problem in problems]
        self.gathered.skipped += person.skipped
        self.gathered.faces += person.faces
        return person.sets[0]
