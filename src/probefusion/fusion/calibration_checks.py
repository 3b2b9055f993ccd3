"""Refuses calibration files that say what cannot be: a decision must not rest on a number that nobody measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from probefusion.errors import FileFormatError
from probefusion.fusion.calibration import CalibrationRecord, MeasuredRate, ModelRecord

__all__ = ["check_calibration"]

_LARGEST = 1e6
"""Larger numbers of a model are none that was fitted."""

_LARGEST_SHAPE = 1.0
_LARGEST_CORRECTION = 50.0
"""Of a logarithm of a rate."""


def check_calibration(
    record: CalibrationRecord, looks: Sequence[str], *, where: str, step: str
) -> None:
    """Refuses a record whose numbers do not belong together.

    Args:
        record: What a file holds.
        looks: What a template may look like.
        where: The file, for messages.
        step: What to do about it, as a sentence.

    Raises:
        FileFormatError: If a rate is none, an interval is turned round, a number is not finite or absurdly large, a
            count is negative or of more than the people allow, or sizes are none.
    """
    for name, expected, got in _faults(record, looks):
        raise FileFormatError(f"{where}: {name}: expected {expected}, got {got}. {step}")


def _faults(record: CalibrationRecord, looks: Sequence[str]) -> Iterable[tuple[str, str, object]]:
    """What is wrong, in order: where, what was expected, and what stands there."""
    if record.format_version < 1:
        yield "format_version", "at least 1", record.format_version
    if not record.sizes or record.sizes[0] < 1 or list(record.sizes) != sorted(set(record.sizes)):
        yield "sizes", "numbers of images, ascending from at least 1", list(record.sizes)
    for place, source in enumerate(record.sources):
        if min(source.num_people, source.num_sets) < 0:
            counts = (source.num_people, source.num_sets)
            yield f"sources[{place}]", "counts of at least 0", min(counts)
    yield from _faults_of_model(record.model)
    most = (len(record.sizes) * sum(source.num_sets for source in record.sources)) ** 2
    for place, stratum in enumerate(record.strata):
        name = f"strata[{place}]"
        if any(look not in looks for look in stratum.looks):
            yield f"{name}.looks", f"two of {', '.join(looks)}", list(stratum.looks)
        if any(size not in record.sizes for size in stratum.num_images):
            yield f"{name}.num_images", "two of sizes", list(stratum.num_images)
        if min(stratum.num_people, stratum.num_comparisons) < 0:
            counts = (stratum.num_people, stratum.num_comparisons)
            yield name, "counts of at least 0", min(counts)
        if record.sources and stratum.num_comparisons > most:
            yield (
                f"{name}.num_comparisons",
                f"at most {most}, of so many sets",
                stratum.num_comparisons,
            )
        yield from _faults_of_rates(stratum.rates, name)
    galleries = [searches.gallery_size for searches in record.searches]
    if galleries and (galleries[0] < 1 or galleries != sorted(set(galleries))):
        yield "searches", "sizes of galleries, ascending from at least 1", galleries
    for place, searches in enumerate(record.searches):
        if min(searches.num_people, searches.num_searches) < 0:
            counts = (searches.num_people, searches.num_searches)
            yield f"searches[{place}]", "counts of at least 0", min(counts)
        yield from _faults_of_rates(searches.rates, f"searches[{place}]")
    correction = record.search_correction
    if correction is not None:
        for name, value in (("offset", correction.offset), ("slope", correction.slope)):
            if not abs(value) <= _LARGEST_CORRECTION:
                yield f"search_correction.{name}", f"at most {_LARGEST_CORRECTION:g}", value


def _faults_of_rates(rates: Sequence[MeasuredRate], name: str) -> Iterable[tuple[str, str, object]]:
    for place, rate in enumerate(rates):
        if not 0 < rate.stated < 1:
            yield f"{name}.rates[{place}].stated", "a fraction", rate.stated
        if not 0 <= rate.low <= rate.achieved <= rate.high <= 1:
            found = (rate.low, rate.achieved, rate.high)
            yield f"{name}.rates[{place}]", "0 <= low <= achieved <= high <= 1", found
        if rate.elsewhere is not None and not 0 < rate.elsewhere <= 1:
            yield f"{name}.rates[{place}].elsewhere", "a fraction or null", rate.elsewhere


def _faults_of_model(model: ModelRecord) -> Iterable[tuple[str, str, object]]:
    fitted = model.model()
    for name in (
        "directions",
        "lowest",
        "highest",
        "location",
        "log_variance",
        "log_rate",
        "log_excess",
    ):
        if not (np.abs(getattr(fitted, name)) <= _LARGEST).all():
            yield f"model.{name}", f"finite numbers of at most {_LARGEST:g}", "others"
    for name in ("level", "border"):
        if not abs(getattr(model, name)) <= _LARGEST:
            yield f"model.{name}", f"a number of at most {_LARGEST:g}", getattr(model, name)
    if not abs(model.shape) <= _LARGEST_SHAPE:
        yield "model.shape", f"-{_LARGEST_SHAPE:g} to {_LARGEST_SHAPE:g}", model.shape
    if model.most_images < 1:
        yield "model.most_images", "at least 1", model.most_images
    if len(model.are_poor) != len(model.directions) or len(set(model.are_poor)) != 2:
        yield (
            "model.are_poor",
            "true and false, one for each of the directions",
            list(model.are_poor),
        )
    if (fitted.lowest > fitted.highest).any():
        yield "model.lowest", "none above model.highest", "larger ones"
