"""Images of many people, encoded once, and sets of one of them with some of another's among them."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.evaluation.probe_data import ProbeData
from probefusion.fusion import Fuser
from probefusion.fusion.contributions import Sums
from probefusion.screening.stacks import FloatRows, Stack
from probefusion.screening.views import View
from probefusion.types import EmbeddingSet
from research.screening.elements import Elements

__all__ = ["FOLDS", "Planted", "Pool", "fold_of", "read_pool"]

FOLDS = 5
_AT_ONCE = 4096
_REFERENCE = 8

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True, eq=False)
class Planted:
    """A set, and which of its images are another's.

    Args:
        rows: (N,) places in the pool.
        is_strange: (N,) which are the stranger's.
        person: Whose the others are.
    """

    rows: Rows
    is_strange: npt.NDArray[np.bool_]
    person: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool:
    """All images of some people.

    Args:
        name: What they are.
        fuser: The fuser.
        sums: One state an image.
        alone: (N, D) float64, templates of each image alone.
        directions: (N, D) float64, what the view sees of each image.
        masses: (N,) float64, and how much it weighs.
        people: Names and places of their images.
        references: (D,) template of each person, of images that are in no set: the gallery image of probe data, or
            every eighth image.
    """

    name: str
    fuser: Fuser
    sums: Sums
    alone: FloatRows
    directions: FloatRows
    masses: FloatRows
    people: dict[str, Rows]
    references: dict[str, FloatRows]

    @cached_property
    def reference_rows(self) -> tuple[list[str], FloatRows]:
        """Names and templates of the references, a row each."""
        return list(self.references), np.stack(list(self.references.values()))

    def elements(self, rows: Rows) -> Elements:
        """The images of a set."""
        return Elements.from_sums(
            self.fuser, Sums(*(array[rows] for array in self.sums)), self.alone[rows]
        )

    def stack(self, rows: Rows) -> Stack:
        """Sets of equally many images, (P, N), as they are judged."""
        return Stack(directions=self.directions[rows], masses=self.masses[rows])

    def in_fold(self, fold: int) -> list[str]:
        """Names of the people of a fold."""
        return [name for name in sorted(self.people) if fold_of(name) == fold]

    def sizes(self, people: Sequence[str], sizes: Sequence[int]) -> list[int]:
        """The sizes of sets that at least half of some people have images for, or the smallest."""
        counts = np.array([len(self.people[name]) for name in people])
        return [size for size in sizes if np.mean(counts >= size) >= 0.5] or [min(sizes)]

    def plant(
        self,
        rng: np.random.Generator,
        people: Sequence[str],
        num_images: int,
        num_strange: int,
        related_by: str = "",
    ) -> Planted:
        """A set of one of some people, some of its images another's of them; who has as many images is drawn.

        Args:
            rng: Draws.
            people: Their names.
            num_images: Images of the set.
            num_strange: How many of them are another's.
            related_by: If given, that other is a relative: their names are the same up to it.
        """
        names = list(people)
        own_count = num_images - num_strange
        while True:
            person, stranger = rng.choice(len(names), 2, replace=False)
            if related_by:
                family = [
                    place
                    for place, name in enumerate(names)
                    if name.partition(related_by)[0] == names[person].partition(related_by)[0]
                    and place != person
                ]
                if not family:
                    continue
                stranger = rng.choice(family)
            own, other = self.people[names[person]], self.people[names[stranger]]
            if len(own) >= own_count and len(other) >= num_strange:
                break
        own = rng.choice(own, own_count, replace=False)
        rows = np.concatenate([own, rng.choice(other, num_strange, replace=False)])
        return Planted(
            rows=rows,
            is_strange=np.arange(num_images) >= own_count,
            person=names[person],
        )


def fold_of(name: str) -> int:
    """0 to 4: people of four folds set what people of the fifth are judged by."""
    return int(hashlib.sha256(f"screening|{name}".encode()).hexdigest(), 16) % FOLDS


def read_pool(
    path: Path, fuser: Fuser, view: View, *, without: frozenset[str] = frozenset()
) -> Pool:
    """Reads probe data (all its probe images) or embeddings whose sources are PERSON/FILE.

    Args:
        path: `.npz` of `ProbeData` or of an `EmbeddingSet`.
        fuser: Encodes them.
        view: Looks at them.
        without: Sources that are left out.
    """
    with zipfile.ZipFile(path) as archive:
        is_probes = "probe_subjects.npy" in archive.namelist()
    if is_probes:
        data = ProbeData.load(path)
        images = data.probes
        owners = np.repeat(data.probe_subjects, data.set_size)
    else:
        images = EmbeddingSet.load(path)
        if images.sources is None:
            raise SystemExit(f"{path}: expected sources PERSON/FILE, got none.")
        names = images.sources.tolist()
        kept = [row for row, name in enumerate(names) if name not in without]
        images = images[kept]
        owners = np.array([Path(names[row]).parent.name for row in kept])
    parts = [
        fuser.encode_many(batch, np.arange(len(batch) + 1)) for batch in images.chunks(_AT_ONCE)
    ]
    sums = Sums(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    alone = np.concatenate([fuser.finish_many(part) for part in parts]).astype(np.float64)
    seen = [view.look(batch) for batch in images.chunks(_AT_ONCE)]
    people = {str(name): np.flatnonzero(owners == name) for name in np.unique(owners)}
    if is_probes:
        gallery = fuser.fuse_many(data.gallery, np.arange(len(data.gallery) + 1))
        subjects = [str(name) for name in data.gallery_subjects]
        references = dict(zip(subjects, gallery.astype(np.float64), strict=True))
    else:
        references = {
            name: _fused(fuser, sums, rows[::_REFERENCE]) for name, rows in people.items()
        }
        people = {
            name: np.delete(rows, slice(None, None, _REFERENCE)) for name, rows in people.items()
        }
    return Pool(
        name=path.stem,
        fuser=fuser,
        sums=sums,
        alone=alone,
        directions=np.concatenate([directions for directions, _ in seen]),
        masses=np.concatenate([masses for _, masses in seen]),
        people=people,
        references=references,
    )


def _fused(fuser: Fuser, sums: Sums, rows: Rows) -> FloatRows:
    whole = Sums(*(array[rows].sum(axis=0, keepdims=True) for array in sums))
    template: FloatRows = fuser.finish_many(whole)[0].astype(np.float64)
    return template
