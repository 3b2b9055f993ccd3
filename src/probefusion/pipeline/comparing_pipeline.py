"""The part of a pipeline that compares: two people, one with many, many with each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from probefusion.pipeline.compare import compare_many, compare_two, search_people

if TYPE_CHECKING:
    from probefusion.fusion.decisions import Calibrated
    from probefusion.pipeline.chosen_models import Models
    from probefusion.pipeline.comparison import Comparison, Side
    from probefusion.pipeline.gathered import UnitProgress
    from probefusion.pipeline.strangers import Strangers
    from probefusion.types import TemplateSet

__all__ = ["ComparingPipeline"]


class ComparingPipeline:
    """What `probefusion.pipeline.Pipeline` compares; it is made as part of that."""

    _models: Models
    _calibration: Calibrated

    def compare(
        self,
        first: Side,
        second: Side,
        *,
        false_match_rate: float = 1e-3,
        progress: UnitProgress | None = None,
        strangers: Strangers = "tell",
    ) -> Comparison:
        """How alike two people are. What is no template yet is fused first, both sides by one fuser.

        Args:
            first: A `Template`, an `EmbeddingSet`, or anything else that `fuse` takes but videos; a file of
                templates, with `#` and an id where it holds several.
            second: Likewise.
            false_match_rate: Rate at which the fuser's calibrated threshold is taken, a fraction.
            progress: As for `fuse`, with "images of A" and "images of B".
            strangers: What to do about images of somebody else on either side, as for `fuse`; at a template nobody
                can look, which `Comparison.screening` says.

        Raises:
            SeveralPeopleError, NotUsableError: If that is to be refused.
            ConfigError: If a file holds several templates and no id is named, or the rate is none.
            MismatchError, ProbeFusionError: If the sides do not go together, or one cannot be read.
        """
        return compare_two(
            self._models, first, second, progress=progress, strangers=strangers,
            **self._deciding(false_match_rate),
        )  # fmt: skip

    def search(
        self,
        person: Side,
        among: TemplateSet,
        *,
        false_match_rate: float = 1e-3,
        false_positive_rate: float | None = None,
        progress: UnitProgress | None = None,
        strangers: Strangers = "tell",
    ) -> list[Comparison]:
        """Every template of a set beside one person, the most similar first. Arguments as for `compare`; counts images.

        With `false_positive_rate`, thresholds are those at which a search among so many errs at that rate (FPIR).

        Raises:
            ConfigError, MismatchError, ProbeFusionError: As for `compare`.
        """
        return search_people(
            self._models, person, among, false_positive_rate=false_positive_rate, progress=progress,
            strangers=strangers, **self._deciding(false_match_rate),
        )  # fmt: skip

    def compare_people(
        self,
        first: TemplateSet,
        second: TemplateSet | None = None,
        *,
        false_match_rate: float = 1e-3,
    ) -> list[Comparison]:
        """For each template of a set the most similar one of another set, or of the others of the same.

        Args:
            first: The templates to find.
            second: Those to find them among. None for `first` itself: who is in it twice?
            false_match_rate: As for `compare`.

        Returns:
            One comparison for each template of `first`, in its order, with both ids.

        Raises:
            ConfigError: If the rate is none.
            MismatchError, ShapeError, EmptySetError: As for `TemplateSet.nearest`.
        """
        return compare_many(self._models, first, second, **self._deciding(false_match_rate))

    def _deciding(self, false_match_rate: float) -> dict[str, Any]:
        return {"false_match_rate": false_match_rate, "calibration": self._calibration}
