"""What a copy of IJB-B or IJB-C looks like and how much it holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from probefusion.errors import FileFormatError, UnknownNameError

__all__ = [
    "IJB_GALLERIES",
    "PUBLISHED_COUNTS",
    "IjbDataset",
    "PublishedCounts",
    "ijb_layout",
    "refuse_count",
    "unchecked_counts",
]

IjbDataset = Literal["ijbb", "ijbc"]

IJB_GALLERIES = {"ijbb": ("S1", "S2"), "ijbc": ("G1", "G2")}
"""The names of the two galleries of one-to-many search."""

_TITLES = {"ijbb": "IJB-B", "ijbc": "IJB-C"}


@dataclass(frozen=True, kw_only=True)
class PublishedCounts:
    """How much a complete copy holds; None where the number is not confirmed."""

    num_images: int | None
    num_templates: int | None
    num_pairs: int | None
    num_mated: int | None


PUBLISHED_COUNTS: dict[str, PublishedCounts] = {
    "ijbb": PublishedCounts(
        num_images=227_630, num_templates=12_115, num_pairs=8_010_270, num_mated=10_270
    ),
    "ijbc": PublishedCounts(num_images=None, num_templates=None, num_pairs=None, num_mated=None),
}
"""Per data set. Numbers that are recalled only are told and not checked, see `unchecked_counts`."""

_RECALLED = {"ijbc": "469,375, 23,124, 15,658,489 and 19,557"}


def refuse_count(got: int, expected: int | None, what: str, dataset: str, path: Path) -> None:
    """Refuses a file that does not hold the published number of something; None is not checked.

    Raises:
        FileFormatError: If `got` is not `expected`.
    """
    if expected is not None and got != expected:
        raise FileFormatError(
            f"{path.name}: expected {expected} {what}, the published number of {_TITLES[dataset]}, "
            f"got {got}. The copy is not complete; download it again, or pass --any-counts "
            f"(check_counts=False) to use it as it is."
        )


def unchecked_counts(
    dataset: str, *, num_images: int, num_templates: int, num_pairs: int, num_mated: int
) -> str | None:
    """Says which numbers of a copy could not be checked, since the published ones are not confirmed.

    Args:
        dataset: Name of a benchmark; others than "ijbb" and "ijbc" are checked elsewhere.
        num_images: Images of the copy.
        num_templates: Its templates.
        num_pairs: Its pairs to compare.
        num_mated: Those of one person.

    Returns:
        The sentence; None where all is checked.
    """
    counts = PUBLISHED_COUNTS.get(dataset)
    if counts is None or counts.num_images is not None:
        return None
    return (
        f"Whether this copy is whole: the published numbers of {_TITLES[dataset]} are not confirmed here, so "
        f"nothing was checked. It holds {num_images:,} images, {num_templates:,} templates and "
        f"{num_pairs:,} pairs, {num_mated:,} of them mated; recalled are {_RECALLED[dataset]}."
    )


def ijb_layout(dataset: str) -> str:
    """The expected folder as text; also where the data set's name is checked."""
    if dataset not in IJB_GALLERIES:
        raise UnknownNameError("data set", str(dataset), IJB_GALLERIES)
    one, two = IJB_GALLERIES[dataset]
    return (
        f"  {dataset.upper()}/  (InsightFace helper, {_TITLES[dataset]})\n"
        f"    loose_crop/1.jpg, 2.jpg, ...\n"
        f"    meta/{dataset}_face_tid_mid.txt        image, template id, media id\n"
        f"    meta/{dataset}_name_5pts_score.txt     image, five points, detector score\n"
        f"    meta/{dataset}_template_pair_label.txt template 1, template 2, mated (1:1 only)\n"
        f"    meta/{dataset}_1N_gallery_{one}.csv, {dataset}_1N_gallery_{two}.csv, "
        f"{dataset}_1N_probe_mixed.csv (1:N only)"
    )
