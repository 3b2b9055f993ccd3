"""The images of an archive to rows of embeddings: any number of people, on any engine, and on from where it stopped."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from probefusion.archives.engines.choose import choose_engine
from probefusion.archives.files.locks import clean_drafts, locked
from probefusion.archives.files.storage import (
    Place,
    absolute_place,
    is_url,
    remove,
    shown_place,
)
from probefusion.archives.images import (
    SINGLE,
    ArchiveImage,
    Chunk,
    ImagePlan,
    ImageReader,
    Making,
    PersonRule,
    RowFormat,
    SourceSettings,
    plan_images,
    write_manifest,
)
from probefusion.errors import ConfigError
from probefusion.faces import SkippedImage
from probefusion.files.reading import in_one_line
from probefusion.pipeline.alignment_check import check_data_aligned, spread
from probefusion.pipeline.begun_archive import find_begun
from probefusion.pipeline.embed_chunk import ChunkModels, EmbedChunks, making_rows, open_models
from probefusion.pipeline.embedded_archive import EmbeddedArchive, Told
from probefusion.pipeline.folders import tell_alike_names
from probefusion.pipeline.given_models import check_models

if TYPE_CHECKING:
    from probefusion.archives.engines.engine import Engine
    from probefusion.embedders import Embedder
    from probefusion.faces import Detector

__all__ = ["EmbeddedArchive", "embed_archive"]

_log = logging.getLogger("probefusion")

_LOOKED_AT = 64
_LOOKED_AT_FOR_NAMES = 8
_DRAFT_SECONDS = 600.0
"""What a killed run left half written is removed when nothing was written to it for so long: another may write it."""
_DTYPES = ("float16", "float32")
_GET_DETECTOR = (
    "--detector: photos need a face detector. Get one with: probefusion models pull yunet_2023mar; then give "
    '--detector yunet_2023mar (detector="yunet_2023mar"); or give --aligned (aligned=True) if the images are '
    "aligned 112x112 face crops."
)


def embed_archive(
    source: Place,
    output: Place,
    *,
    engine: Engine | None = None,
    embedder: str | os.PathLike[str] | Embedder | None = None,
    detector: str | os.PathLike[str] | Detector | None = None,
    aligned: bool = False,
    trust_alignment: bool = False,
    preprocessing: str | None = None,
    norm_output: str | None = None,
    device: str = "cpu",
    quality: bool = False,
    person: str = "folder",
    image_column: str | None = None,
    every: int | None = None,
    chunk_size: int = 1000,
    dtype: str = "float16",
    force: bool = False,
    progress: Callable[[int, int | None], None] | None = None,
) -> EmbeddedArchive:
    """Embeds the images of many people into Parquet files with a row for each image, which `fuse_archive` takes.

    Chunks of images are done one by one, each by one thread of a worker, and a file appears when its chunk is done. A
    run that was stopped goes on when it is called again as it was. What comes out does not depend on the engine, on
    the number of workers, or on how often it was stopped.

    Of a photo the largest face is taken, put upright. Unlike in `Pipeline.embed`, the face that is common to all
    photos of a person is not looked for, as their photos may lie in several chunks; photos that show several faces of
    about one size are counted. Whether the images of a person are of one person is seen when they are fused.

    Args:
        source: A folder with a folder of images, or of clips, for each person; or with tar shards as WebDataset writes
            them, or Parquet files; one zip archive, shard or Parquet file; or the url of any of these.
        output: Folder or url of the files. What another run wrote there is gone on with.
        engine: Runs the work, see `probefusion.archives.engines`; None for processes of this machine, one per core.
        embedder: As for `Pipeline`.
        detector: As for `Pipeline`.
        aligned: As for `Pipeline`.
        trust_alignment: Whether aligned crops are taken for such without a look at some of them.
        preprocessing: As for `Pipeline`.
        norm_output: As for `Pipeline`.
        device: Where each worker runs the embedder, "cpu" or "cuda".
        quality: Whether crops are judged for the universal fuser, which costs as much as a small embedder.
        person: Where the person of an image is named: "folder" (the outermost folder, or the part of a shard's key
            before the first "/"), "parent" (the folder that it lies in), "cls", "txt" or "json:FIELD" (the file of the
            same key with this ending), or "column:NAME" for Parquet files. A clip in no person's folder is a person of
            its own, named as the file with its ending.
        image_column: Column of Parquet files with the bytes of images; None for "image".
        every: Of clips every k-th frame is taken; None for every tenth.
        chunk_size: Images of a chunk. Other sizes give the same embeddings up to the rounding of float32.
        dtype: "float16", or "float32" for readers that do not know half precision.
        force: Whether to begin anew where another run wrote before.
        progress: Called with (images done, images in all or None where that is not known).

    Returns:
        What was embedded and what was not.

    Raises:
        ConfigError: If settings are out of range or contradict each other or those of the run that is gone on with,
            if the source has changed since, if images that are said to be aligned are not, or if it is not said
            where persons are named.
        OutputExistsError: If the output holds other Parquet files.
        EmptySetError: If no image could be used.
        MismatchError: If another run writes to the same folder of this machine.
        StorageError, WorkerError: If a store or the workers cannot be reached.
        ProbeFusionError: As for `load_embedder` and `load_detector`.
    """
    settings = _settings(person, image_column, every, chunk_size, dtype)
    if trust_alignment and not aligned:
        raise ConfigError(
            "--trust-alignment (trust_alignment=): has no effect on photos, aligned by their faces: it is for "
            "crops (--aligned). Leave it out."
        )
    _check_apart(source, output)
    models = _models(embedder, detector, aligned, quality, preprocessing, norm_output, device)
    opened = open_models(models)
    facts = making_rows(models, opened)
    rows = RowFormat(**facts.pop("rows"), dtype=dtype)
    making = Making(**facts, rows=rows, source=settings)
    whole = plan_images(source, settings)
    _check_used(whole, image_column, every)
    tell_alike_names(_people_in_names(whole, settings))
    begun = find_begun(output, making, whole, force=force)
    plan, done = begun.plan, begun.done
    new = plan.chunks if not done else plan.chunks[begun.num_planned :]
    if new:
        _look_first(
            new,
            settings,
            is_trusted=trust_alignment or not aligned,
            input_size=opened[0].spec.input_size,
        )
    del opened
    with ExitStack() as stack:
        if not is_url(absolute_place(output)):  # a store keeps no lock of who was killed
            stack.enter_context(locked(output, _taken(output)))
            clean_drafts(output, unchanged_for=_DRAFT_SECONDS)
        for place in begun.stale:
            remove(place)
        write_manifest(output, begun.making, plan.chunks)
        told = Told(plan, progress)
        for before in done.values():
            told.take(before)
        left = [task for task in enumerate(plan.chunks) if task[0] not in done]
        if left and done and begun.making != making:
            _tell_stance(output, begun.making.detector)
        work = EmbedChunks(models=models, making=making, output=os.fspath(output))
        running = stack.enter_context(choose_engine()) if engine is None else engine
        for _, after in running.run(work, left):
            told.take(after)
    return told.report(source, begun.making, num_before=len(done))


def _tell_stance(output: Place, detector: str) -> None:
    """Says that images which come now may be cropped otherwise than those of before."""
    _log.warning(
        "output %s: was begun with detector %s, by a former release, which did not say how it looked at turned faces. "
        "It is gone on with; images that come now may be cropped otherwise where a face is turned or doubtful. To have "
        "all alike, begin anew with --force (force=True)",
        in_one_line(shown_place(output)),
        detector,
    )


def _taken(output: Place) -> str:
    return (
        f"output {in_one_line(shown_place(output))}: another embed-archive writes there. Give the command again when "
        f"it has ended."
    )


def _settings(
    person: str, image_column: str | None, every: int | None, chunk_size: int, dtype: str
) -> SourceSettings:
    for name, value in (("every", every), ("chunk_size", chunk_size)):
        if value is not None and value < 1:
            raise ConfigError(f"{name}: expected at least 1, got {value}.")
    if dtype not in _DTYPES:
        raise ConfigError(f"dtype: expected 'float16' or 'float32', got {dtype!r}.")
    given = {"image_column": image_column, "every": every}
    return SourceSettings(
        person=PersonRule.parse(person),
        chunk_size=chunk_size,
        **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
    )


def _check_used(plan: ImagePlan, image_column: str | None, every: int | None) -> None:
    """Refuses settings of which nothing in the source makes use.

    Raises:
        ConfigError: If there is one.
    """
    kinds = {chunk.kind for chunk in plan.chunks}
    for option, value, kind, what in (
        ("--every (every=)", every, "videos", "clips"),
        ("--image-column (image_column=)", image_column, "parquet", "Parquet files"),
    ):
        if value is not None and kind not in kinds:
            raise ConfigError(
                f"{option}: has no effect on a source without {what}, got {value!r}: it is for {what}. Leave it out."
            )


def _models(
    embedder: str | os.PathLike[str] | Embedder | None,
    detector: str | os.PathLike[str] | Detector | None,
    aligned: bool,
    quality: bool,
    preprocessing: str | None,
    norm_output: str | None,
    device: str,
) -> ChunkModels:
    """The models as they travel to workers.

    Raises:
        ConfigError: If it is not said whether images are photos or crops, or both are.
        DtypeError: As for `check_models`.
    """
    from probefusion.zoo import DEFAULT_EMBEDDER, find_entry

    check_models(embedder, detector, "auto")
    if aligned and detector is not None:
        raise ConfigError(
            "--aligned, --detector: expected one of the two, got both. Aligned crops are not searched for faces: "
            "leave --detector out, or --aligned if these are photos."
        )
    if not aligned and detector is None:
        raise ConfigError(_GET_DETECTOR)
    if embedder is None:
        embedder = DEFAULT_EMBEDDER
        _log.info(
            "embedder: %s of this package (%s); choose another with --embedder",
            embedder,
            find_entry(embedder).licence,
        )
    return ChunkModels(
        embedder=os.fspath(embedder) if isinstance(embedder, os.PathLike) else embedder,
        detector=os.fspath(detector) if isinstance(detector, os.PathLike) else detector,
        judges=quality,
        preprocessing=preprocessing,
        norm_output=norm_output,
        device=device,
    )


def _check_apart(source: Place, output: Place) -> None:
    """Refuses an output inside of the source, whose files would be taken for images of it.

    Raises:
        ConfigError: If it is there.
    """
    inside, around = (
        str(place).rstrip("/") if is_url(place) else os.path.realpath(place)
        for place in (output, source)
    )
    if inside == around or inside.startswith(f"{around}/"):
        raise ConfigError(
            f"output {in_one_line(shown_place(output))}: expected a folder outside of the source "
            f"{in_one_line(shown_place(source))}. Name another."
        )


def _people_in_names(plan: ImagePlan, settings: SourceSettings) -> set[str]:
    """The people that names of images and clips tell."""
    if settings.person.kind not in ("folder", "parent"):
        return set()
    names = (each.file.name for each in plan.listing.files if each.kind in SINGLE)
    folders = {name.rpartition("/")[0] for name in names}
    wrapping = plan.listing.wrapping
    found = (settings.person.of_name(f"{folder}/1", wrapping=wrapping) for folder in folders)
    return {name for name in found if name is not None}


def _look_first(
    chunks: Sequence[Chunk], settings: SourceSettings, *, is_trusted: bool, input_size: int
) -> None:
    """Looks at a few images before all are embedded: is it known whose they are, and are crops aligned?

    Raises:
        ConfigError: If none of them has a person, or they are said to be aligned and are not.
    """
    count = _LOOKED_AT_FOR_NAMES if is_trusted else _LOOKED_AT
    first = [chunk for chunk in chunks if not chunk.first_row]  # others are read from there on
    chosen = spread(first or chunks, count)
    each = -(-count // len(chosen))
    images: list[ArchiveImage] = []
    refused: list[SkippedImage] = []
    with closing(ImageReader(settings)) as reader:
        for chunk in chosen:
            for image in islice(reader.read(_some(chunk, each)), each):
                (refused if isinstance(image, SkippedImage) else images).append(image)  # type: ignore[arg-type]
    nobody = [image for image in refused if image.reason.startswith("whose is it?")]
    if nobody and not images:
        raise ConfigError(
            f"--person {settings.person} (person=): expected to name the person of each image, named none of "
            f"{len(nobody)} that were looked at: {nobody[0]}."
        )
    check_data_aligned(
        images,
        lambda image: image.data,
        name="--aligned",
        input_size=input_size,
        is_trusted=is_trusted,
    )


def _some(chunk: Chunk, count: int) -> Chunk:
    """A chunk of files with so many of them, spread evenly; others as they are."""
    if chunk.kind not in ("files", "zip") or len(chunk.names) <= count:
        return chunk
    places = np.linspace(0, len(chunk.names) - 1, count).round().astype(int)
    return Chunk(
        kind=chunk.kind,
        names=tuple(chunk.names[place] for place in places),
        places=tuple(chunk.places[place] for place in places)
        if chunk.kind == "files"
        else chunk.places,
        wrapping=chunk.wrapping,
    )
