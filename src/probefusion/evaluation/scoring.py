"""The one scorer: fused templates in, mated and non-mated similarities, ranks and TAR out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.errors import (
    EmbedderMismatchError,
    EmptySetError,
    InvalidInputError,
    MissingNormsError,
)
from probefusion.evaluation.probe_data import ProbeData
from probefusion.fusion import Fuser
from probefusion.metrics import ComparisonScores, TarAtFar, tar_at_far
from probefusion.types import FloatArray
from probefusion.types.revisions import name_to_load

__all__ = [
    "ProbeScores",
    "check_fusers",
    "gallery_templates",
    "pool_scores",
    "pool_searches",
    "probe_templates",
    "score_probes",
    "score_templates",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class ProbeScores:
    """Similarities of probe sets to a gallery that holds each of their people once.

    Args:
        mated: (P,) similarity of each probe set to its own gallery entry.
        non_mated: (P, G - 1) similarities to all others; -inf to those left out.
        subjects: (P,) subject of each probe set.
        left_out: (P, G - 1) whether an entry is no non-mate either, being of a relative: no comparison,
            no rival in a search. None: all are non-mates.
    """

    mated: npt.NDArray[np.float32]
    non_mated: npt.NDArray[np.float32]
    subjects: npt.NDArray[np.str_]
    left_out: npt.NDArray[np.bool_] | None = None

    @property
    def compared(self) -> npt.NDArray[np.float32]:
        """(m,) similarities to all non-mates, probe set by probe set."""
        return self.non_mated.ravel() if self.left_out is None else self.non_mated[~self.left_out]

    @property
    def num_compared(self) -> npt.NDArray[np.int64]:
        """(P,) int64, non-mates of each probe set."""
        if self.left_out is None:
            return np.full(len(self.mated), self.non_mated.shape[1], dtype=np.int64)
        counts: npt.NDArray[np.int64] = (~self.left_out).sum(axis=1)
        return counts

    @property
    def ranks(self) -> npt.NDArray[np.int64]:
        """(P,) int64, rank of the own entry, from 1; an equally similar other one stands before it."""
        ranks: npt.NDArray[np.int64] = 1 + (self.non_mated >= self.mated[:, None]).sum(axis=1)
        return ranks

    @property
    def is_first(self) -> npt.NDArray[np.bool_]:
        """(P,) whether the own entry is the most similar; a tie is a miss."""
        first: npt.NDArray[np.bool_] = self.ranks == 1
        return first

    @property
    def rank1(self) -> float:
        """Share of probe sets whose own entry is the most similar."""
        return float(self.is_first.mean())

    def tar_at_far(self, false_accept_rates: Sequence[float]) -> tuple[TarAtFar, ...]:
        """TAR at each false accept rate, by the budget rule.

        Raises:
            EmptySetError: If the gallery holds one person only.
        """
        return tar_at_far(self.mated, self.compared, false_accept_rates)


def score_templates(
    templates: FloatArray,
    gallery: FloatArray,
    subjects: npt.NDArray[np.str_],
    gallery_subjects: npt.NDArray[np.str_],
    *,
    relatives: npt.NDArray[np.bool_] | None = None,
) -> ProbeScores:
    """Compares every probe template with every gallery template.

    Args:
        templates: (P, D) unit templates.
        gallery: (G, D) unit templates.
        subjects: (P,) subject of each probe template; each stands in the gallery.
        gallery_subjects: (G,) subject of each gallery template, all different.
        relatives: (P, G) which gallery entries are of the probe's family, and so not compared; the own
            person's entry always is. None: nobody is related.
    """
    similarities = templates @ gallery.T
    own = subjects[:, None] == gallery_subjects
    non_mated = similarities[~own].reshape(len(subjects), -1)
    left_out = None
    if relatives is not None:
        left_out = relatives[~own].reshape(len(subjects), -1)
        non_mated[left_out] = -np.inf
    return ProbeScores(
        mated=similarities[own], non_mated=non_mated, subjects=subjects, left_out=left_out
    )


def gallery_templates(data: ProbeData, fuser: Fuser) -> FloatArray:
    """(G, D) unit templates of the gallery images, each fused on its own."""
    return fuser.fuse_many(data.gallery, np.arange(data.gallery.num_images + 1))


def probe_templates(
    data: ProbeData,
    fuser: Fuser,
    size: int,
    *,
    max_blocks: int = 1,
    chunk_size: int | None = None,
) -> tuple[FloatArray, npt.NDArray[np.str_]]:
    """Unit templates of the probe sets of one size, and whom each shows.

    Args:
        data: Embedded gallery and probes.
        fuser: The fuser.
        size: Images in a probe set.
        max_blocks: As for `ProbeData.probe_sets`.
        chunk_size: Feed probes in chunks of this many images; None all at once.

    Returns:
        (P, D) templates and (P,) subjects.

    Raises:
        InvalidInputError: If `size` is larger than the stored sets.
    """
    images, subjects = data.probe_sets(size, max_blocks=max_blocks)
    offsets = np.arange(0, images.num_images + 1, size)
    return fuser.fuse_many(images, offsets, chunk_size=chunk_size), subjects


def score_probes(
    data: ProbeData,
    fuser: Fuser,
    set_sizes: Sequence[int],
    *,
    max_blocks: int = 1,
    chunk_size: int | None = None,
) -> dict[int, ProbeScores]:
    """Fuses gallery and probes with one fuser and scores them, size by size.

    Args:
        data: Embedded gallery and probes.
        fuser: The fuser; both sides go through it.
        set_sizes: Images in a probe set.
        max_blocks: As for `ProbeData.probe_sets`.
        chunk_size: Feed probes in chunks of this many images; None all at once.

    Returns:
        Scores by set size.

    Raises:
        InvalidInputError: If a size is larger than the stored sets.
    """
    gallery = gallery_templates(data, fuser)
    scores = {}
    for size in set_sizes:
        templates, subjects = probe_templates(
            data, fuser, size, max_blocks=max_blocks, chunk_size=chunk_size
        )
        scores[size] = score_templates(templates, gallery, subjects, data.gallery_subjects)
    return scores


def pool_scores(parts: Sequence[ProbeScores]) -> ComparisonScores:
    """The comparisons of several galleries, each with its own people, under one threshold.

    People are numbered: numbers are resampled several times faster than names.

    Raises:
        EmptySetError: If there are none.
    """
    if not parts:
        raise EmptySetError("parts: expected the scores of at least one gallery, got none.")
    people = np.unique(np.concatenate([part.subjects for part in parts]), return_inverse=True)[1]
    repeats = np.concatenate([part.num_compared for part in parts])
    return ComparisonScores.from_subjects(
        np.concatenate([part.mated for part in parts]),
        np.concatenate([part.compared for part in parts]),
        mated_subjects=people,
        non_mated_subjects=np.repeat(people, repeats),
    )


def pool_searches(parts: Sequence[ProbeScores]) -> ComparisonScores:
    """The searches of several galleries under one threshold, for TPIR at FPIR.

    A mated search has the own entry's similarity if that is the most similar, else -inf. A non-mated
    one is the probe set against the gallery without its own person.

    Raises:
        EmptySetError: If there are none.
    """
    if not parts:
        raise EmptySetError("parts: expected the searches of at least one gallery, got none.")
    people = np.unique(np.concatenate([part.subjects for part in parts]), return_inverse=True)[1]
    return ComparisonScores.from_subjects(
        np.concatenate([np.where(part.is_first, part.mated, -np.inf) for part in parts]),
        np.concatenate([part.non_mated.max(axis=1) for part in parts]),
        mated_subjects=people,
        non_mated_subjects=people,
    )


def check_fusers(
    fusers: Sequence[Fuser], embedder: str | None, *, norms_known: bool = True
) -> list[str]:
    """The names of the fusers; to be called before anything is embedded.

    Args:
        fusers: The fusers.
        embedder: Fingerprint of the embedder, or None when unknown.
        norms_known: Whether its embeddings come with their own lengths.

    Raises:
        InvalidInputError: If there is none, or two have one name.
        EmbedderMismatchError: If one was made for another embedder.
        MissingNormsError: If one needs lengths and there are none.
    """
    names = [fuser.name for fuser in fusers]
    if not names or len(set(names)) < len(names):
        raise InvalidInputError(f"fusers: expected one or more, each once, got {names}.")
    for fuser in fusers:
        if None not in (fuser.embedder, embedder) and fuser.embedder != embedder:
            raise EmbedderMismatchError(
                f"fuser {fuser.name!r} was trained for the embedder {fuser.embedder}, got {embedder}. "
                f"Leave it out, or evaluate with that embedder: --embedder "
                f"{name_to_load(str(fuser.embedder))} (its name or its file)"
            )
        if fuser.needs_norms and not norms_known:
            raise MissingNormsError(
                f"fuser {fuser.name!r} judges images by the length of their embeddings, and those of "
                f"{embedder or 'this embedder'} are all of length 1. Leave it out (mean needs no lengths), or "
                f"give embeddings as the network made them, before they were brought to length 1."
            )
    return names
