"""Fusers on a protocol: embeddings, scores, a report."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probefusion.errors import UnknownNameError
from probefusion.pipeline.chosen_embedder import stated_fingerprint
from probefusion.pipeline.evaluate_attributes import AttributesAsked
from probefusion.pipeline.evaluate_checks import (
    FOLDER_PROTOCOL,
    MEDIA_PROTOCOL,
    check_crops,
    check_embeddings,
    check_report,
    check_settings,
)
from probefusion.pipeline.evaluate_media import evaluate_on_media
from probefusion.pipeline.evaluate_source import EvaluationSource
from probefusion.pipeline.evaluation import Evaluation
from probefusion.pipeline.folder_people import (
    check_measurable,
    check_people_aligned,
    embed_folder,
)

if TYPE_CHECKING:
    from probefusion.embedders import Embedder
    from probefusion.evaluation.licensed import EmbeddedRows
    from probefusion.faces import Detector
    from probefusion.fusion import Fuser
    from probefusion.protocols.degraded_folder import Mix
    from probefusion.protocols.licensed import Benchmark

__all__ = ["FOLDER_PROTOCOL", "MEDIA_PROTOCOL", "evaluate"]

StrPath = str | Path
Progress = Callable[[int, int], None]

_FOLDER_SIZES = (1, 2, 4, 8, 16, 32, 64)


def evaluate(
    protocol: str,
    data: StrPath,
    *,
    fusers: Sequence[StrPath | Fuser] | None = None,
    embedder: StrPath | Embedder | None = None,
    embeddings: StrPath | None = None,
    flipped: bool = False,
    chunks: Sequence[int] = (),
    images: StrPath | None = None,
    detector: StrPath | Detector | None = None,
    check_counts: bool = True,
    mix: Mix = "hard",
    folds: Sequence[int] | None = None,
    set_sizes: Sequence[int] | None = None,
    num_sets: int | None = None,
    seed: int = 0,
    num_replicates: int = 1000,
    media_from: str | None = None,
    faces: StrPath | None = None,
    face_px: Sequence[str] = (),
    relatives: str | None = None,
    leave_out: Sequence[str] = (),
    ignore: Sequence[str] = (),
    attributes: StrPath | None = None,
    attribute_columns: Sequence[str] = (),
    output: StrPath | None = None,
    force: bool = False,
    cache: StrPath | None = None,
    preprocessing: str | None = None,
    norm_output: str | None = None,
    device: str = "cpu",
    num_threads: int | None = None,
    trust_alignment: bool = False,
    on_embed: Progress | None = None,
    on_score: Progress | None = None,
) -> Evaluation:
    """Embeds a protocol's images once, or takes embeddings made before, and scores every fuser on them.

    Args:
        protocol: "degraded-folder", which works on any folder of people; "media-folder", where it is known
            which film, camera or day each image is from; or a benchmark of which you have a copy under
            licence: "ijbb", "ijbc", "ijbs", "tinyface", "ytf".
        data: Folder (or zip) of aligned 112x112 crops, one folder per person; or the benchmark's folder.
        fusers: Names, fuser folders or fusers, each once. None takes "mean" and "norm-weighted", or, where
            the embeddings are all of length 1, "mean" alone, which `limits` then says. In the two folder
            protocols the first is the one that the others are compared with.
        embedder: A known name, an ONNX file or an embedder; None takes the one inside the package. Beside
            `embeddings` it only states what made them (a fingerprint will do too); None: not known.
        embeddings: `.npy` or `.npz` with the embedding of every image of a benchmark, in the order that
            `probefusion.protocols.licensed.open_benchmark` states, or named; see
            `probefusion.evaluation.made_embeddings.read_made_embeddings`. "media-folder": `.npz` with
            names. No image is then read.
        flipped: Whether the rows of `embeddings` hold image and mirror image, (R, 2 D), to be added.
        chunks: Benchmarks: how many images at a time each template is fused from, beside all at once.
        images: "ijbs": folder of aligned face crops.
        detector: "tinyface", "ytf": what finds the face; None if the images are aligned crops.
        check_counts: Benchmarks: whether the copy must have the published numbers.
        mix: "degraded-folder": how many images are bad.
        folds: Folder protocols, as all that follow to `num_replicates`: whom to test on, of folds 0 to 3;
            None is fold 3 for "degraded-folder", all for "media-folder".
        set_sizes: Images in a probe set; None is 1, 2, 4, ... 64, for "media-folder" to 32.
        num_sets: Probe sets per person, 4 if None; for "media-folder" replicates of gallery and
            probes, 16 if None.
        seed: Of the degradations, the draws and the bootstrap.
        num_replicates: Of the bootstrap over people.
        media_from: "media-folder", as all that follow to `ignore`: regular expression whose group `medium` is
            searched in the files' names; None where each medium is a folder, `PERSON/MEDIUM/IMAGE`.
        faces: Table of the widths of faces, see `probefusion.io.face_table`: a file, or the name of one
            in the data.
        face_px: Size classes beside all images: "..60", "60..", "20..60" (pixels, the upper one excluded).
        relatives: Regular expression whose group `family` is searched in people's names: people of one
            family are never each other's non-mates.
        leave_out: People who are not used, by name.
        ignore: Columns of `faces` that are passed over.
        attributes: Table of groups or conditions by person, image (media-folder) or template (ijbb, ijbc,
            ytf), see `probefusion.io.attribute_table`: errors are told by value, too.
        attribute_columns: The attributes that are taken of it; () for all.
        output: Folder for report.json, report.md and report.html; None writes nothing
            (`Evaluation.save` does it later).
        force: Whether an existing report may be replaced.
        cache: Folder that keeps embeddings, so that an interrupted run goes on; None is `output` with
            ".work" behind it, or none.
        preprocessing: How images go into an embedder that is not known ("arcface").
        norm_output: Output of it that holds the length of an embedding that it normalises; "" for none.
        device: "cpu" or "cuda".
        num_threads: Threads to use; None for one per core.
        trust_alignment: Whether images that must be aligned crops are taken without a look at them.
        on_embed: Called with (images embedded, in all).
        on_score: Called with (steps scored, in all).

    Returns:
        Everything measured; what could not be measured stands in `limits`, with counts.

    Raises:
        UnknownNameError: If there is no such protocol or fuser.
        ConfigError: If a setting does not belong to the protocol or is out of range, or images that must be
            aligned crops are not.
        EmptySetError: If the data leave nothing to measure.
        EmbedderMismatchError: If a fuser was made for another embedder.
        MissingNormsError: If a fuser that was named needs lengths and the embeddings are of length 1.
        MissingStyleError: If a fuser needs style and the embeddings come without.
        ShapeError: If embeddings are not of the benchmark's number.
        OutputExistsError: If a report stands in `output` and `force` is False.
        MissingExtraError: If a package for the images or the report is not installed.
    """
    from probefusion.protocols.licensed import BENCHMARKS

    known = (FOLDER_PROTOCOL, MEDIA_PROTOCOL, *BENCHMARKS)
    if protocol not in known:
        raise UnknownNameError("protocol", protocol, known)
    check_settings(
        protocol,
        inspect.signature(evaluate),
        embeddings=embeddings,
        flipped=flipped,
        chunks=chunks,
        images=images,
        detector=detector,
        mix=mix,
        folds=folds,
        set_sizes=set_sizes,
        num_sets=num_sets,
        seed=seed,
        num_replicates=num_replicates,
        media_from=media_from,
        faces=faces,
        face_px=face_px,
        relatives=relatives,
        leave_out=leave_out,
        ignore=ignore,
    )
    if output is not None:
        check_report(output, force=force)
        cache = cache or f"{os.fspath(output)}.work"
    source = EvaluationSource(
        fusers=fusers,
        embedder=embedder,
        preprocessing=preprocessing,
        norm_output=norm_output,
        device=device,
        num_threads=num_threads,
        cache=cache,
        trust_alignment=trust_alignment,
        on_embed=on_embed,
        on_score=on_score,
        attributes=AttributesAsked(attributes, attribute_columns),
    )
    if protocol == FOLDER_PROTOCOL:
        found = _on_folder(
            data,
            source,
            mix=mix,
            folds=(3,) if folds is None else tuple(folds),
            set_sizes=_FOLDER_SIZES if set_sizes is None else tuple(set_sizes),
            num_sets=4 if num_sets is None else num_sets,
            seed=seed,
            replicates=num_replicates,
        )
    elif protocol == MEDIA_PROTOCOL:
        found = evaluate_on_media(
            data,
            source,
            embeddings=embeddings,
            flipped=flipped,
            folds=folds,
            set_sizes=set_sizes,
            num_sets=num_sets,
            seed=seed,
            replicates=num_replicates,
            media_from=media_from,
            faces=faces,
            face_px=face_px,
            relatives=relatives,
            leave_out=leave_out,
            ignore=ignore,
        )
    else:
        found = _on_benchmark(
            protocol,
            data,
            source,
            embeddings=embeddings,
            flipped=flipped,
            chunks=chunks,
            images=images,
            detector=detector,
            check_counts=check_counts,
        )
    if output is not None:
        found.save(output, force=force)
    return found


def _on_folder(
    data: StrPath,
    source: EvaluationSource,
    *,
    mix: Mix,
    folds: tuple[int, ...],
    set_sizes: tuple[int, ...],
    num_sets: int,
    seed: int,
    replicates: int,
) -> Evaluation:
    from probefusion.evaluation.attribute_limits import attribute_facts_of_table, attribute_limits
    from probefusion.evaluation.degraded_folder import FolderPlan, evaluate_folder
    from probefusion.evaluation.limits import folder_limits
    from probefusion.protocols import DegradedFolderProtocol, read_people

    people = read_people(data)
    protocol = DegradedFolderProtocol(
        people=people, folds=folds, mix=mix, set_sizes=set_sizes, num_sets=num_sets, seed=seed
    )
    check_measurable(protocol)
    plan = FolderPlan(set_sizes=set_sizes, num_replicates=replicates, seed=seed)
    meter = source.attributes.of_folder(protocol, plan)
    embedder, fusers = source.open()
    check_people_aligned(people, embedder, is_trusted=source.trust_alignment)
    embedded = embed_folder(protocol, embedder, max(set_sizes), source.cache, source.on_embed)
    result = evaluate_folder(embedded, fusers, plan, meter=meter, progress=source.on_score)
    return Evaluation(
        protocol=FOLDER_PROTOCOL,
        title=f"{FOLDER_PROTOCOL}, mix {mix!r}, {embedder.spec.name}",
        evaluated={
            "protocol": protocol.definition(),
            "content": embedded.protocol,
            "embedder": embedder.fingerprint,
            "embedder_form": embedder.own_fingerprint,
            "fusers": [fuser.fingerprint for fuser in fusers],
            **attribute_facts_of_table(meter),
        },
        result=result,
        skipped=tuple(people.skipped),
        limits=(*source.left_out, *folder_limits(result), *attribute_limits(meter)),
        attributes=() if meter is None else tuple(meter.results),
    )


def _on_benchmark(
    name: str,
    data: StrPath,
    source: EvaluationSource,
    *,
    embeddings: StrPath | None,
    flipped: bool,
    chunks: Sequence[int],
    images: StrPath | None,
    detector: StrPath | Detector | None,
    check_counts: bool,
) -> Evaluation:
    from probefusion.evaluation.attribute_limits import attribute_facts_of_table, attribute_limits
    from probefusion.evaluation.licensed import embed_rows, evaluate_benchmark
    from probefusion.evaluation.limits import benchmark_limits
    from probefusion.evaluation.made_embeddings import read_made_embeddings, rows_of_benchmark
    from probefusion.faces import SkippedImage
    from probefusion.protocols.licensed import open_benchmark

    common: dict[str, Any] = {"images": images, "check_counts": check_counts}
    rows: EmbeddedRows
    made_by: str | None
    if embeddings is None:
        embedder, fusers = source.open()
        benchmark = open_benchmark(
            name, os.fspath(data), detector=_open_detector(detector), **common
        )
        meter = source.attributes.of_benchmark(benchmark)
        check_crops(benchmark, embedder, images=images, is_trusted=source.trust_alignment)
        rows = embed_rows(
            benchmark,
            embedder,
            cache=None if source.cache is None else os.fspath(source.cache),
            progress=source.on_embed,
        )
        made_by = embedder.own_fingerprint
        reason, title = "no face found", embedder.spec.name
    else:
        stated = stated_fingerprint(source.embedder, **source.described)
        made = read_made_embeddings(os.fspath(embeddings), embedder=stated, flipped=flipped)
        fusers = source.load_fusers(made.images.embedder, norms_known=bool(made.images.norms_known))
        check_embeddings(fusers, made.images)
        names = made.names if name == "ijbs" else None
        benchmark = open_benchmark(
            name, os.fspath(data), check_images=False, row_names=names, **common
        )
        meter = source.attributes.of_benchmark(benchmark)
        rows = rows_of_benchmark(benchmark, made)
        made_by = made.images.embedder
        reason, title = f"no embedding in {made.origin}", made.origin
    results = evaluate_benchmark(
        benchmark, rows, fusers, chunks=(None, *chunks), meter=meter, progress=source.on_score
    )
    faceless = _faceless(benchmark, rows)
    unchecked = _unchecked(benchmark) if check_counts else None
    return Evaluation(
        protocol=name,
        title=f"{name}, {title}",
        evaluated={
            "protocol": name,
            **benchmark.facts,
            "images_without_a_face": len(faceless),
            "embedder": rows.images.embedder,
            "embedder_form": made_by,
            "embeddings": None if embeddings is None else Path(embeddings).name,
            "fusers": [fuser.fingerprint for fuser in fusers],
            **attribute_facts_of_table(meter),
        },
        result=results,
        skipped=tuple(SkippedImage(source=entry, reason=reason) for entry in faceless),
        limits=(
            *source.left_out,
            *(() if unchecked is None else (unchecked,)),
            *benchmark_limits(results),
            *attribute_limits(meter),
        ),
        attributes=() if meter is None else tuple(meter.results),
    )


def _unchecked(benchmark: Benchmark) -> str | None:
    """What is not known of the size of the user's copy."""
    from probefusion.protocols.ijb_layout import unchecked_counts

    if benchmark.pairs is None:
        return None
    return unchecked_counts(
        benchmark.name,
        num_images=len(benchmark.row_names),
        num_templates=len(benchmark.templates),
        num_pairs=benchmark.pairs.num_pairs,
        num_mated=benchmark.pairs.num_mated,
    )


def _faceless(benchmark: Benchmark, rows: EmbeddedRows) -> list[str]:
    return [
        entry for entry, place in zip(benchmark.row_names, rows.position, strict=True) if place < 0
    ]


def _open_detector(detector: StrPath | Detector | None) -> Detector | None:
    from probefusion.zoo import load_detector

    return load_detector(detector) if isinstance(detector, str | os.PathLike) else detector
