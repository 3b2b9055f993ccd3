"""What became of the images of an archive, added up over its chunks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from probefusion.archives.files.storage import Place, shown_place
from probefusion.archives.images import ChunkFacts, ImagePlan, Making
from probefusion.errors import EmptySetError
from probefusion.faces import SkippedImage
from probefusion.files.reading import in_one_line

__all__ = ["EmbeddedArchive", "Told"]

_SKIPPED_KEPT = 1000
"""Skipped images that a report lists by name; all are in the files."""
_REASONS_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class EmbeddedArchive:
    """What became of an archive's images.

    Args:
        num_rows: Images embedded.
        num_skipped: Images and files that were left out.
        skipped: The first thousand of them, with the reason; `probefusion.archives.images.skipped_images` gives all.
        num_chunks: Files written, by this run or before.
        num_chunks_before: Those that an earlier run had written.
        doubtful: Images embedded that are doubtful, by kind, as `probefusion.archives.images.ChunkFacts` says.
        examples: Names of some of them by kind.
        embedder: Fingerprint of the embedder.
        detector: Fingerprint of the face detector, "" for aligned crops.
    """

    num_rows: int
    num_skipped: int
    skipped: tuple[SkippedImage, ...]
    num_chunks: int
    num_chunks_before: int
    doubtful: dict[str, int] = field(default_factory=dict)
    examples: dict[str, tuple[str, ...]] = field(default_factory=dict)
    embedder: str
    detector: str


class Told:
    """Adds up what became of chunks.

    Args:
        plan: All chunks.
        progress: Called with (images done, images in all or None where that is not known).
    """

    def __init__(self, plan: ImagePlan, progress: Callable[[int, int | None], None] | None) -> None:
        self._progress = progress
        self._num_chunks = len(plan.chunks)
        self._listed = plan.skipped
        is_known = all(chunk.expected for chunk in plan.chunks)
        self._total = sum(chunk.expected for chunk in plan.chunks) if is_known else None
        self._facts: dict[int, ChunkFacts] = {}
        self._num_done = 0

    def take(self, facts: ChunkFacts) -> None:
        """Takes a chunk that is done."""
        self._facts[facts.number] = facts
        self._num_done += facts.num_rows + len(facts.skipped)
        if self._progress is not None:
            self._progress(self._num_done, self._total)

    def report(self, source: Place, making: Making, *, num_before: int) -> EmbeddedArchive:
        """The whole.

        Raises:
            EmptySetError: If no image could be used.
        """
        facts = [self._facts[number] for number in sorted(self._facts)]
        num_rows = sum(each.num_rows for each in facts)
        num_skipped = len(self._listed) + sum(len(each.skipped) for each in facts)
        skipped = tuple(islice(self._all_skipped(facts), _SKIPPED_KEPT))
        if not num_rows:
            reasons = "; ".join(str(image) for image in skipped[:_REASONS_SHOWN])
            raise EmptySetError(
                f"{in_one_line(shown_place(source))}: none of {num_skipped} images could be used: {reasons}."
            )
        return EmbeddedArchive(
            num_rows=num_rows,
            num_skipped=num_skipped,
            skipped=skipped,
            num_chunks=self._num_chunks,
            num_chunks_before=num_before,
            doubtful=_added(facts),
            examples=_examples(facts),
            embedder=making.rows.embedder,
            detector=making.detector,
        )

    def _all_skipped(self, facts: Sequence[ChunkFacts]) -> Iterator[SkippedImage]:
        yield from self._listed
        for each in facts:
            yield from each.skipped


def _added(facts: Sequence[ChunkFacts]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in facts:
        total.update(each.doubtful)
    return dict(sorted(total.items()))


def _examples(facts: Sequence[ChunkFacts]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for each in facts:
        for kind, names in each.examples.items():
            found.setdefault(kind, []).extend(names)
    return {kind: tuple(names[:_REASONS_SHOWN]) for kind, names in sorted(found.items())}
