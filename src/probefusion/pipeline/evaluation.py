"""What `evaluate` gives: figures to ask for, facts to keep, a report to write."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from probefusion.errors import ConfigError, UnknownNameError
from probefusion.evaluation.degraded_folder import FolderEvaluation
from probefusion.evaluation.licensed import BenchmarkResult, SearchResult
from probefusion.evaluation.media_results import MEDIUM, MediaEvaluation, MediaPoint, ProbeSize

if TYPE_CHECKING:
    from probefusion.evaluation.attributes import AttributeResult
    from probefusion.faces import SkippedImage
    from probefusion.reports.pages import Table

__all__ = ["Evaluation"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """Everything that was measured of fusers on a protocol.

    Args:
        protocol: Its name.
        title: Headline of the report.
        evaluated: What was evaluated: definition of the protocol, embedder, fusers.
        result: The measurements: of degraded-folder, of media-folder, or one per way of making
            templates of a benchmark.
        skipped: Images that were left out, and why.
        limits: What could not be measured, and why, in words.
        attributes: Errors by the values of attributes, of every fuser and number of images; () where none were
            asked for.
    """

    protocol: str
    title: str
    evaluated: dict[str, Any]
    result: FolderEvaluation | MediaEvaluation | tuple[BenchmarkResult, ...]
    skipped: tuple[SkippedImage, ...]
    limits: tuple[str, ...]
    attributes: tuple[AttributeResult, ...] = ()

    @overload
    def tar(
        self,
        far: float = ...,
        fuser: None = ...,
        num_images: ProbeSize | None = ...,
        chunk: int | None = ...,
        size_class: str | None = ...,
    ) -> dict[str, float]: ...

    @overload
    def tar(
        self,
        far: float,
        fuser: str,
        num_images: ProbeSize | None = ...,
        chunk: int | None = ...,
        size_class: str | None = ...,
    ) -> float: ...

    def tar(
        self,
        far: float = 1e-4,
        fuser: str | None = None,
        num_images: ProbeSize | None = None,
        chunk: int | None = None,
        size_class: str | None = None,
    ) -> float | dict[str, float]:
        """True accept rate at a false accept rate.

        Args:
            far: One of the rates that were measured.
            fuser: Its name, or the part before the first dot ("exact"); None gives all.
            num_images: Folder protocols: images in a probe set; None is the largest size that was
                measured. Media-folder: or "medium", all images of one medium.
            chunk: Benchmarks: images fused at a time; None is all at once, and where `fuser` is None
                every way.
            size_class: Media-folder: which size class, as "..60"; None is "all".

        Returns:
            The rate of one fuser, or the rates by name; NaN where the comparisons are too few for the
            false accept rate (`limits` says how many there are).

        Raises:
            ConfigError: If `far`, `num_images`, `chunk` or `size_class` was not measured.
            UnknownNameError: If there is no such fuser.
        """
        rates = {
            label: _at_rate(verification, far)
            for label, verification in self._verification(num_images, chunk, fuser, size_class)
        }
        return rates if fuser is None else self._one(rates, fuser)

    @overload
    def rank1(
        self,
        fuser: None = ...,
        num_images: ProbeSize | None = ...,
        chunk: int | None = ...,
        search: str | None = ...,
        size_class: str | None = ...,
    ) -> dict[str, float]: ...

    @overload
    def rank1(
        self,
        fuser: str,
        num_images: ProbeSize | None = ...,
        chunk: int | None = ...,
        search: str | None = ...,
        size_class: str | None = ...,
    ) -> float: ...

    def rank1(
        self,
        fuser: str | None = None,
        num_images: ProbeSize | None = None,
        chunk: int | None = None,
        search: str | None = None,
        size_class: str | None = None,
    ) -> float | dict[str, float]:
        """Share of searches whose own gallery entry is the most similar; a tie is a miss.

        Args:
            fuser: As for `tar`.
            num_images: As for `tar`.
            chunk: As for `tar`.
            search: Benchmarks with several searches: which. Of galleries that are searched apart the
                mean is given; where they are also searched as one, that rate.
            size_class: As for `tar`.

        Returns:
            As for `tar`.

        Raises:
            ConfigError: If a size was not measured, or the benchmark has no searches or several and
                `search` is None.
            UnknownNameError: If there is no such fuser or search.
        """
        if isinstance(self.result, MediaEvaluation):
            points = _media_points(self.result, num_images, size_class)
            rates = {point.fuser: point.rank1.estimate for point in points}
        elif isinstance(self.result, FolderEvaluation):
            size = self._size(num_images, size_class)
            rates = {
                point.fuser: point.rank1.estimate
                for point in self.result.points
                if point.num_images == size
            }
        else:
            rates = {
                way.label: _rank1(way.searches, search, self.protocol)
                for way in self._ways(num_images, chunk, fuser, size_class)
            }
        return rates if fuser is None else self._one(rates, fuser)

    @property
    def facts(self) -> dict[str, Any]:
        """The content of `report.json`: every figure with its counts; unresolved ones are None."""
        from probefusion.reports.attributes import attribute_facts
        from probefusion.reports.degraded_folder import report_facts
        from probefusion.reports.licensed import benchmark_report_facts
        from probefusion.reports.media_folder import media_report_facts

        if isinstance(self.result, FolderEvaluation):
            content = report_facts(self.result, self.evaluated)
        elif isinstance(self.result, MediaEvaluation):
            content = media_report_facts(self.result, self.evaluated)
        else:
            content = benchmark_report_facts(self.result, self.evaluated)
        skipped = [{"source": image.source, "reason": image.reason} for image in self.skipped]
        if self.attributes:
            content = {**content, "attributes": attribute_facts(self.attributes)}
        return {**content, "limits": list(self.limits), "skipped": skipped}

    def summary(self) -> list[Table]:
        """The main figures as small tables: title, header and rows of texts."""
        from probefusion.reports.attributes import attribute_summary
        from probefusion.reports.summary import (
            summary_of_benchmark,
            summary_of_folder,
            summary_of_media,
        )

        if isinstance(self.result, FolderEvaluation):
            tables = summary_of_folder(self.result)
        elif isinstance(self.result, MediaEvaluation):
            tables = summary_of_media(self.result)
        else:
            tables = summary_of_benchmark(self.result)
        return [*tables, *attribute_summary(self.attributes)]

    def save(self, folder: str | os.PathLike[str], *, force: bool = False) -> None:
        """Writes report.json, report.md and report.html with their figures.

        Args:
            folder: Folder to make or to write into.
            force: Whether an existing report may be replaced.

        Raises:
            OutputExistsError: If a report stands there and `force` is False.
            MissingExtraError: If matplotlib or Jinja2 is not installed.
        """
        from probefusion.reports.attributes import ATTRIBUTE_NOTE, attribute_tables
        from probefusion.reports.degraded_folder import write_report
        from probefusion.reports.licensed import write_benchmark_report
        from probefusion.reports.media_folder import write_media_report

        settings: dict[str, Any] = {
            "title": self.title,
            "facts": self.evaluated,
            "limits": self.limits,
            "content": self.facts,
            "force": force,
            "more_notes": (ATTRIBUTE_NOTE,) if self.attributes else (),
            "more_tables": attribute_tables(self.attributes),
        }
        if isinstance(self.result, FolderEvaluation):
            write_report(self.result, os.fspath(folder), **settings)
        elif isinstance(self.result, MediaEvaluation):
            write_media_report(self.result, os.fspath(folder), **settings)
        else:
            write_benchmark_report(self.result, os.fspath(folder), **settings)

    def _verification(
        self,
        num_images: ProbeSize | None,
        chunk: int | None,
        fuser: str | None,
        size_class: str | None,
    ) -> Iterator[tuple[str, dict[float, float]]]:
        """The label and the TAR by false accept rate of each fuser, or way of a benchmark."""
        if not isinstance(self.result, tuple) and chunk is not None:
            raise ConfigError("chunk: belongs to the benchmarks. Leave it out.")
        if isinstance(self.result, MediaEvaluation):
            for media_point in _media_points(self.result, num_images, size_class):
                intervals = media_point.verification_intervals
                rates = self.result.plan.false_accept_rates
                yield (
                    media_point.fuser,
                    {rate: entry.estimate for rate, entry in zip(rates, intervals, strict=True)},
                )
        elif isinstance(self.result, FolderEvaluation):
            size = self._size(num_images, size_class)
            for point in self.result.points:
                if point.num_images == size:
                    yield point.fuser, {rate.target: rate.tar for rate in point.verification}
        else:
            for way in self._ways(num_images, chunk, fuser, size_class):
                if not way.verification:
                    raise ConfigError(
                        f"{self.protocol} has no one-to-one comparisons, so no TAR. Ask for rank1."
                    )
                yield way.label, {rate.target: rate.tar for rate in way.verification}

    def _ways(
        self,
        num_images: ProbeSize | None,
        chunk: int | None,
        fuser: str | None,
        size_class: str | None,
    ) -> list[BenchmarkResult]:
        if not isinstance(self.result, tuple):
            return []
        if num_images is not None:
            raise ConfigError("num_images: benchmarks have templates of all sizes. Leave it out.")
        if size_class is not None:
            raise ConfigError("size_class: belongs to media-folder. Leave it out.")
        if chunk is None and fuser is None:
            return list(self.result)
        found = [way for way in self.result if way.chunk == chunk]
        if not found:
            sizes = sorted({way.chunk for way in self.result if way.chunk is not None})
            raise ConfigError(f"chunk: expected one of {sizes} or None, got {chunk}.")
        return found

    def _size(self, num_images: ProbeSize | None, size_class: str | None) -> ProbeSize:
        sizes = self.result.plan.set_sizes if isinstance(self.result, FolderEvaluation) else ()
        if size_class is not None:
            raise ConfigError("size_class: belongs to media-folder. Leave it out.")
        if num_images is not None and num_images not in sizes:
            raise ConfigError(f"num_images: expected one of {sizes}, got {num_images}.")
        return max(sizes) if num_images is None else num_images

    @staticmethod
    def _one(rates: dict[str, float], fuser: str) -> float:
        for name, rate in rates.items():
            if fuser in (name, name.partition(",")[0]):
                return rate
        short = [name for name in rates if name.partition(".")[0] == fuser]
        if len(short) != 1:
            raise UnknownNameError("fuser", fuser, rates)
        return rates[short[0]]


def _at_rate(rates: dict[float, float], far: float) -> float:
    for target, rate in rates.items():
        if math.isclose(target, far, rel_tol=1e-9):
            return float(rate)
    known = ", ".join(f"{target:g}" for target in rates)
    raise ConfigError(f"far: expected one of {known}, which were measured, got {far!r}.")


def _media_points(
    result: MediaEvaluation, num_images: ProbeSize | None, size_class: str | None
) -> list[MediaPoint]:
    """All fusers at one size class and number of images."""
    classes = list(dict.fromkeys(column.size_class for column in result.columns))
    wanted = classes[0] if size_class is None else size_class
    if wanted not in classes:
        raise ConfigError(f"size_class: expected one of {', '.join(classes)}, got {size_class!r}.")
    sizes = [
        column.num_images
        for column in result.columns
        if column.size_class == wanted and column.is_measured
    ]
    numbers = [size for size in sizes if size != MEDIUM]
    if num_images is None and numbers:
        num_images = numbers[-1]
    if num_images not in sizes:
        raise ConfigError(
            f"num_images: {', '.join(map(str, sizes)) or 'none'} was measured of the faces {wanted}, got "
            f"{num_images!r}. The report says how many people have so many images."
        )
    return [
        point
        for point in result.points
        if (point.size_class, point.num_images) == (wanted, num_images)
    ]


def _rank1(searches: Sequence[SearchResult], name: str | None, protocol: str) -> float:
    names = list(dict.fromkeys(entry.search for entry in searches))
    if not names:
        raise ConfigError(f"{protocol} has no searches, so no rank 1. Ask for tar.")
    if name is None and len(names) > 1:
        raise ConfigError(f"search: {protocol} has several, give one of {', '.join(names)}.")
    name = names[0] if name is None else name
    mine = [entry for entry in searches if entry.search == name]
    if not mine:
        raise UnknownNameError("search", name, names)
    mine = [entry for entry in mine if entry.gallery == "joined"] or mine
    rates = [float(entry.cmc.rates[list(entry.cmc.ranks).index(1)]) for entry in mine]
    return sum(rates) / len(rates)
