"""Embeds a licensed benchmark, fuses its templates in stated ways, and scores them."""

from __future__ import annotations

import functools
import hashlib
import itertools
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.embedders.embedder import Embedder
from probefusion.embedders.quality import embedding_key
from probefusion.errors import EmptySetError, InvalidInputError
from probefusion.evaluation.attributes import AttributeMeter
from probefusion.fusion import Fuser
from probefusion.metrics import (
    Cmc,
    FoldAccuracy,
    RocCurve,
    TarAtFar,
    TpirAtFpir,
    accuracy_over_folds,
    cmc_of_searches,
    pair_similarities,
    roc,
    search_outcomes,
    tar_at_far,
    tpir_of_searches,
)
from probefusion.protocols import IdentificationTask, TemplateIndex
from probefusion.protocols.licensed import Benchmark
from probefusion.protocols.media import caface_chunk_offsets, media_mean_then_sum_ragged
from probefusion.protocols.template_people import template_people
from probefusion.types import EmbeddingSet, FloatArray

__all__ = ["BenchmarkResult", "EmbeddedRows", "SearchResult", "embed_rows", "evaluate_benchmark"]

MEDIA_MEAN = "media-mean-then-sum"
"""The template of the InsightFace helper: mean per medium, sum over media."""

MEDIA_MEAN_SCORED = "media-mean-then-sum, detector scores"
"""The same with each row weighted by its detector score."""

_CURVE_POINTS = 2000

_BLOCK = 512


@dataclass(frozen=True, kw_only=True, eq=False)
class EmbeddedRows:
    """Embeddings of the rows in which a face was found.

    Args:
        images: Those rows.
        position: (R,) int64, place of each row in `images`, -1 where no face was found.
    """

    images: EmbeddingSet
    position: npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchResult:
    """One search in one gallery.

    Args:
        search: Name of the search.
        gallery: Name of the gallery, "joined" for all together.
        cmc: Closed-set rates.
        tpir: Open-set rates; empty where every probe is enrolled.
        upstream_tpir: The same by the published rule, which gives a template without a face the zero
            vector, so similarity 0, and takes the floor(n x FPIR)-th largest score for threshold.
    """

    search: str
    gallery: str
    cmc: Cmc
    tpir: tuple[TpirAtFpir, ...]
    upstream_tpir: tuple[TpirAtFpir, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class BenchmarkResult:
    """One way of making templates.

    Args:
        fuser: Name of the fuser, or `MEDIA_MEAN`.
        chunk: Images at a time, None for all.
        verification: TAR at each FAR by the budget rule; empty without pairs.
        upstream: TAR by the helper's nearest-point rule, for comparison with published numbers.
        curve: The ROC, thinned; None without pairs or where a template has no face.
        fold_accuracy: Accuracy over the folds of the pairs, where they have folds.
        searches: One per search and gallery.
        num_failures: Templates without any face, never accepted and never found.
    """

    fuser: str
    chunk: int | None
    verification: tuple[TarAtFar, ...]
    upstream: tuple[TarAtFar, ...]
    curve: RocCurve | None
    fold_accuracy: FoldAccuracy | None
    searches: tuple[SearchResult, ...]
    num_failures: int

    @property
    def label(self) -> str:
        """The fuser and how many images it was given at a time, in words."""
        return self.fuser if self.chunk is None else f"{self.fuser}, {self.chunk} at a time"


def embed_rows(
    protocol: Benchmark,
    embedder: Embedder,
    *,
    cache: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EmbeddedRows:
    """Embeds all rows once, block by block.

    Args:
        protocol: The benchmark.
        embedder: The embedder.
        cache: Folder to keep blocks in; they are found by the rows' names, the files' sizes and times of
            change, what finds the faces, and the embedder's fingerprint.
        progress: Called with (rows done, rows in all).

    Raises:
        EmptySetError: If no face was found at all.
        FileFormatError: If an image cannot be read.
    """
    total = len(protocol.row_names)
    folder: Path | None = None
    if cache is not None:
        digest = _files_digest(protocol)
        model = embedding_key(embedder)
        folder = Path(cache) / f"{protocol.name}-{digest[:16]}-{model}"
        folder.mkdir(parents=True, exist_ok=True)
    position = np.full(total, -1, dtype=np.int64)
    blocks: list[EmbeddingSet] = []
    count = 0
    for start in range(0, total, _BLOCK):
        rows = range(start, min(start + _BLOCK, total))
        block = _embed_block(protocol, embedder, rows, folder)
        if block is not None and block.media_ids is not None:
            position[block.media_ids] = count + np.arange(len(block))
            count += len(block)
            blocks.append(block)
        if progress is not None:
            progress(rows.stop, total)
    if not blocks:
        raise EmptySetError(f"{protocol.name}: no face was found in any of {total} images.")
    return EmbeddedRows(images=EmbeddingSet.concatenate(blocks), position=position)


def _files_digest(protocol: Benchmark) -> str:
    digest = hashlib.sha256(protocol.found_by.encode())
    for name, path in zip(protocol.row_names, protocol.row_paths, strict=True):
        facts = path.stat()
        line = f"{name}\0{facts.st_size}\0{facts.st_mtime_ns}\n"
        digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()


def _embed_block(
    protocol: Benchmark, embedder: Embedder, rows: range, folder: Path | None
) -> EmbeddingSet | None:
    """The faces of a block, with their rows as media ids; None where there are none."""
    kept = None if folder is None else folder / f"{rows.start:08d}.npz"
    empty = None if folder is None else folder / f"{rows.start:08d}.empty"
    if kept is not None and kept.exists():
        return EmbeddingSet.load(kept)
    if empty is not None and empty.exists():
        return None
    crops = [(row, protocol.read_row(row)) for row in rows]
    found = [(row, crop) for row, crop in crops if crop is not None]
    if not found:
        if empty is not None:
            empty.touch()
        return None
    block = embedder.embed_set(
        np.stack([crop for _, crop in found]), media_ids=[row for row, _ in found]
    )
    if kept is not None:
        block.save(kept, force=True)
    return block


def evaluate_benchmark(
    protocol: Benchmark,
    rows: EmbeddedRows,
    fusers: Sequence[Fuser],
    *,
    chunks: Sequence[int | None] = (None,),
    false_accept_rates: Sequence[float] = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
    false_positive_rates: Sequence[float] = (0.01, 0.1),
    ranks: Sequence[int] = (1, 5, 10, 20),
    meter: AttributeMeter | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[BenchmarkResult, ...]:
    """Scores every fuser jointly and in chunks, and the helper's media mean beside them.

    Templates without a face are failures to acquire: their comparisons are never accepted, their
    searches never find anybody.

    Args:
        protocol: The benchmark.
        rows: Its embedded rows.
        fusers: The fusers.
        chunks: Images at a time, as the official evaluation cuts them; None for all at once.
        false_accept_rates: Targets of the one-to-one comparisons.
        false_positive_rates: Targets of the open-set searches.
        ranks: Ranks of the closed-set searches.
        meter: Measures errors by attributes of the templates, too.
        progress: Called with (ways done, in all).
    """
    templates = _acquired(protocol.templates, rows.position)
    ways: list[tuple[Fuser | str, int | None]] = [(MEDIA_MEAN, None)]
    if protocol.detector_scores is not None:
        ways.append((MEDIA_MEAN_SCORED, None))
    ways += [(fuser, chunk) for fuser in fusers for chunk in chunks]
    results = []
    for fuser, chunk in ways:
        if isinstance(fuser, str):
            vectors = _media_means(protocol, rows, templates, weighted=fuser == MEDIA_MEAN_SCORED)
        else:
            vectors = _fuse(fuser, rows.images, templates, chunk)
        failed = templates.sizes == 0
        vectors[failed] = 1 / np.sqrt(vectors.shape[1])  # stands in; its scores are set to -inf
        tell = None if meter is None else _teller(protocol, meter, fuser, chunk)
        verified = _verify(protocol, vectors, failed, false_accept_rates, tell)
        results.append(
            BenchmarkResult(
                fuser=fuser if isinstance(fuser, str) else fuser.name,
                chunk=chunk,
                **verified,
                searches=tuple(
                    result
                    for task in protocol.searches
                    for result in _search(
                        task, protocol, vectors, failed, ranks, false_positive_rates
                    )
                ),
                num_failures=int(failed.sum()),
            )
        )
        if progress is not None:
            progress(len(results), len(ways))
    return tuple(results)


def _acquired(index: TemplateIndex, position: npt.NDArray[np.int64]) -> TemplateIndex:
    """The templates over the embedded rows only."""
    kept = position[index.rows] >= 0
    offsets = np.concatenate([[0], np.cumsum(kept)])[index.offsets]
    return TemplateIndex(
        template_ids=index.template_ids,
        offsets=offsets,
        rows=position[index.rows[kept]].astype(np.int32),
        media_ids=index.media_ids[kept],
    )


def _fuse(
    fuser: Fuser, images: EmbeddingSet, templates: TemplateIndex, chunk: int | None
) -> FloatArray:
    """(T, D) unit templates; zero where a template is empty."""
    filled = np.flatnonzero(templates.sizes)
    fused = np.zeros((len(templates), images.dim), dtype=np.float32)
    if chunk is None or fuser.is_exact:
        borders = np.concatenate([[0], np.cumsum(templates.sizes[filled])])
        fused[filled] = fuser.fuse_many(images[templates.rows], borders)
        return fused
    for template in filled:
        members = images[templates.rows_of(int(template))]
        cuts = caface_chunk_offsets(len(members), chunk)
        states = [fuser.encode(members[start:stop]) for start, stop in itertools.pairwise(cuts)]
        state = functools.reduce(operator.add, states)
        fused[template] = fuser.finish(state).vector
    return fused


def _media_means(
    protocol: Benchmark, rows: EmbeddedRows, templates: TemplateIndex, *, weighted: bool
) -> FloatArray:
    """Templates of the InsightFace helper, each row weighted by its detector score or not."""
    scores = None
    if weighted and protocol.detector_scores is not None:
        scores = np.zeros(len(rows.images), np.float32)
        found = rows.position >= 0
        scores[rows.position[found]] = protocol.detector_scores[found]
    return media_mean_then_sum_ragged(
        rows.images.embeddings, templates, detector_scores=scores, empty="zero"
    )


def _verify(
    protocol: Benchmark,
    vectors: FloatArray,
    failed: npt.NDArray[np.bool_],
    rates: Sequence[float],
    tell: Callable[[FloatArray], None] | None,
) -> dict[str, Any]:
    """The fields of a result that come from one-to-one comparisons."""
    pairs = protocol.pairs
    if pairs is None:
        return {"verification": (), "upstream": (), "curve": None, "fold_accuracy": None}
    if pairs.num_mated == 0 or pairs.num_non_mated == 0:
        raise InvalidInputError(f"{protocol.name}: expected mated and non-mated pairs.")
    similarities = pair_similarities(vectors, pairs.first, pairs.second)
    missed = failed[pairs.first] | failed[pairs.second]
    # The published rule gives a template without a face the zero vector, so similarity 0.
    published = np.where(missed, np.float32(0), similarities)
    similarities = np.where(missed, np.float32(-np.inf), similarities)
    if tell is not None:
        tell(similarities)
    mated, non_mated = published[pairs.mated], published[~pairs.mated]
    return {
        "verification": tar_at_far(similarities[pairs.mated], similarities[~pairs.mated], rates),
        "upstream": tar_at_far(mated, non_mated, rates, rule="upstream_compat"),
        "curve": None if missed.any() else roc(mated, non_mated, max_points=_CURVE_POINTS),
        "fold_accuracy": None
        if pairs.folds is None
        else accuracy_over_folds(published, pairs.mated, pairs.folds),
    }


def _teller(
    protocol: Benchmark, meter: AttributeMeter, fuser: Fuser | str, chunk: int | None
) -> Callable[[FloatArray], None]:
    """Has the similarities of the pairs measured by attribute; the second template is the probe."""

    def tell(similarities: FloatArray) -> None:
        pairs = protocol.pairs
        if pairs is not None:
            meter.add_pairs(
                fuser if isinstance(fuser, str) else fuser.name,
                similarities,
                pairs.mated,
                references=pairs.first,
                probes=pairs.second,
                people=template_people(protocol),
                chunk=chunk,
            )

    return tell


def _search(
    task: IdentificationTask,
    protocol: Benchmark,
    vectors: FloatArray,
    failed: npt.NDArray[np.bool_],
    ranks: Sequence[int],
    rates: Sequence[float],
) -> list[SearchResult]:
    galleries = [(entry.name, entry.templates, entry.subjects) for entry in task.galleries]
    among = protocol.ranks_among
    if protocol.joins_galleries and len(galleries) > 1:
        templates = np.concatenate([entry[1] for entry in galleries])
        subjects = np.concatenate([entry[2] for entry in galleries])
        galleries.append(("joined", templates, subjects))
    results = []
    for name, templates, subjects in galleries:
        probes = task.probes
        similarities = vectors[probes.templates] @ vectors[templates].T
        missed = failed[probes.templates][:, None] | failed[templates]
        published = np.where(missed, np.float32(0), similarities)
        similarities = np.where(missed, np.float32(-np.inf), similarities)
        found = search_outcomes(similarities, probes.subjects, subjects, ranks_among=among)
        is_open = not found.is_mated.all()
        results.append(
            SearchResult(
                search=task.name,
                gallery=name,
                cmc=cmc_of_searches(found, ranks),
                tpir=tpir_of_searches(found, rates) if is_open else (),
                upstream_tpir=tpir_of_searches(
                    search_outcomes(published, probes.subjects, subjects, ranks_among=among),
                    rates,
                    rule="upstream_compat",
                )
                if is_open
                else (),
            )
        )
    return results
