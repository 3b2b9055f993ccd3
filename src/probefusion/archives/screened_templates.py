"""Are the images of each template of an archive of one person? A few of each are kept until the template is whole.

Of a template of more than 16 images 16 are looked at, evenly spread over its rows. What is kept is bounded: where it
would be more, templates that are unfinished are let go and not screened, which is counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from probefusion.fusion import Fuser
from probefusion.screening import screen
from probefusion.screening.verdict import LEAST_DIM, LEAST_IMAGES
from probefusion.types import EmbeddingSet

__all__ = ["CANNOT_TELL", "NOT_LOOKED_AT", "ONE_PERSON", "SEVERAL_PEOPLE", "ScreenedTemplates"]

_MOST = 16

NOT_LOOKED_AT, ONE_PERSON, SEVERAL_PEOPLE, CANNOT_TELL = range(4)
"""What is known of a template, as it goes to a file."""

_CODES = {"one person": ONE_PERSON, "several people": SEVERAL_PEOPLE}


class ScreenedTemplates:
    """What was said of each template, and the images that are kept to say it of others.

    Args:
        num_images: (T,) images of each template.
        fuser: The fuser.
        memory: Bytes of images that are kept at the same time; 0 looks at nothing.

    Attributes:
        verdicts: (T,) int8, one of the codes of this module.
        lighter: (T,) float32, share of the weight of the lighter part where there are several people, else 0.
    """

    def __init__(self, num_images: npt.NDArray[np.int64], fuser: Fuser, memory: int) -> None:
        self.verdicts = np.zeros(len(num_images), np.int8)
        self.lighter = np.zeros(len(num_images), np.float32)
        self._num_images, self._fuser, self._memory = num_images, fuser, memory
        self._kept: dict[int, list[EmbeddingSet]] = {}
        self._lost: set[int] = set()
        self._bytes = 0

    @property
    def is_wanted(self) -> bool:
        """Whether anything is looked at."""
        return self._memory > 0

    def go_on(
        self,
        verdicts: npt.NDArray[np.int8],
        lighter: npt.NDArray[np.float32],
        remaining: npt.NDArray[np.int64],
    ) -> None:
        """Takes up what an interrupted run said; the images that it had kept are gone.

        Args:
            verdicts: (T,) as they were.
            lighter: (T,) as they were.
            remaining: (T,) images that are still to come.
        """
        self.verdicts, self.lighter = verdicts.copy(), lighter.copy()
        has_begun = (remaining > 0) & (remaining < self._num_images)
        self._lost.update(np.flatnonzero(has_begun).tolist())

    def add(
        self,
        images: EmbeddingSet,
        owners: npt.NDArray[np.int64],
        begins: Sequence[int],
        remaining: npt.NDArray[np.int64],
    ) -> None:
        """Takes the next images; templates of which the last has come are judged.

        Args:
            images: Images, those of one template together.
            owners: (b,) the templates.
            begins: b + 1 places: where the images of each begin, and their end.
            remaining: (T,) images that are still to come, these included.
        """
        if not self.is_wanted:
            return
        if images.dim < LEAST_DIM:
            self.verdicts[owners] = CANNOT_TELL
            return
        for owner, begin, end in zip(owners.tolist(), begins[:-1], begins[1:], strict=True):
            total, left = int(self._num_images[owner]), int(remaining[owner])
            if total < LEAST_IMAGES:
                self.verdicts[owner] = CANNOT_TELL
            elif owner not in self._lost:
                self._keep(owner, images, begin, _chosen(total, total - left, end - begin))
                if left == end - begin:
                    self._judge(owner)

    def _keep(
        self, owner: int, images: EmbeddingSet, begin: int, chosen: npt.NDArray[np.int64]
    ) -> None:
        if not len(chosen):
            return
        part = images[begin + chosen]
        self._bytes += _size(part)
        self._kept.setdefault(owner, []).append(part)
        while self._bytes > self._memory and self._kept:
            self._lost.add(given_up := next(iter(self._kept)))
            self._let_go(given_up)

    def _judge(self, owner: int) -> None:
        if owner not in self._kept:
            return
        screening = screen(EmbeddingSet.concatenate(self._let_go(owner)), self._fuser)
        self.verdicts[owner] = _CODES.get(screening.verdict, CANNOT_TELL)
        if screening.falls_apart:
            self.lighter[owner] = screening.parts[1].weight

    def _let_go(self, owner: int) -> list[EmbeddingSet]:
        parts = self._kept.pop(owner)
        self._bytes -= sum(map(_size, parts))
        return parts


def _chosen(total: int, done: int, count: int) -> npt.NDArray[np.int64]:
    """Which of the next `count` images, after `done` of `total`, are among the at most 16 that are looked at."""
    places = np.arange(done, done + count)
    if total > _MOST:
        is_chosen = (places * _MOST) // total != ((places - 1) * _MOST) // total
        places = places[is_chosen]
    return np.asarray(places - done, np.int64)


def _size(images: EmbeddingSet) -> int:
    return images.embeddings.nbytes + (0 if images.style is None else images.style.nbytes)
