"""Fusers on media-folder: real images of known media, embedded here or before."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from probefusion.errors import InvalidInputError
from probefusion.pipeline.chosen_embedder import stated_fingerprint
from probefusion.pipeline.evaluate_checks import MEDIA_PROTOCOL, check_embeddings
from probefusion.pipeline.evaluate_source import EvaluationSource
from probefusion.pipeline.evaluation import Evaluation
from probefusion.pipeline.folder_people import check_people_aligned

if TYPE_CHECKING:
    from probefusion.evaluation.licensed import EmbeddedRows
    from probefusion.evaluation.made_embeddings import MadeEmbeddings
    from probefusion.fusion import Fuser
    from probefusion.protocols.media_images import MediaImages
    from probefusion.protocols.media_protocol import MediaFolderProtocol

__all__ = ["evaluate_on_media"]

StrPath = str | Path


def evaluate_on_media(
    data: StrPath,
    source: EvaluationSource,
    *,
    embeddings: StrPath | None,
    flipped: bool,
    replicates: int,
    media_from: str | None,
    faces: StrPath | None,
    ignore: Sequence[str],
    **settings: Any,
) -> Evaluation:
    """What `probefusion.evaluate` does for "media-folder"; its arguments are explained there."""
    from probefusion.evaluation.attribute_limits import attribute_facts_of_table, attribute_limits
    from probefusion.evaluation.embed_media import embed_media, repeated_images
    from probefusion.evaluation.limits import media_limits, repeated_limits
    from probefusion.evaluation.media_folder import evaluate_media
    from probefusion.evaluation.media_results import MediaPlan
    from probefusion.protocols.media_images import read_media_images

    images = read_media_images(data, media_from=media_from)
    if faces is not None:
        images = _with_faces(images, faces, data, ignore)
    elif ignore:
        raise InvalidInputError("ignore: names columns of faces, and no faces are given.")
    plan = MediaPlan(num_replicates=replicates, seed=settings["seed"])
    everybody = dict(images.people.images)
    made: dict[str, Any]
    repeated: list[tuple[str, ...]] = []
    if embeddings is None:
        protocol = _protocol(images, **settings)
        meter = source.attributes.of_media(protocol, everybody, plan)
        embedder, fusers = source.open()
        check_people_aligned(protocol.images.people, embedder, is_trusted=source.trust_alignment)
        repeated = repeated_images(protocol)
        cache = None if source.cache is None else os.fspath(source.cache)
        rows = embed_media(protocol, embedder, cache=cache, progress=source.on_embed)
        made = {
            "repeated_images": [list(names) for names in repeated],
            "embedder": embedder.fingerprint,
            "embedder_form": embedder.own_fingerprint,
        }
        title = embedder.spec.name
    else:
        read = _read_embeddings(embeddings, source, flipped=flipped)
        fusers = source.load_fusers(read.images.embedder, norms_known=bool(read.images.norms_known))
        check_embeddings(fusers, read.images)
        images, positions = _embedded_images(images, read)
        protocol = _protocol(images, **settings)
        meter = source.attributes.of_media(protocol, everybody, plan)
        rows = _rows(protocol, read, positions)
        made = {
            "embedder": read.images.embedder,
            "embedder_form": read.images.embedder,
            "embeddings": Path(embeddings).name,
        }
        title = read.origin
    result = evaluate_media(protocol, rows, fusers, plan, meter=meter, progress=source.on_score)
    return Evaluation(
        protocol=MEDIA_PROTOCOL,
        title=f"{MEDIA_PROTOCOL}, {Path(data).name}, {title}",
        evaluated={**_evaluated(protocol, made, fusers), **attribute_facts_of_table(meter)},
        result=result,
        skipped=tuple(protocol.images.skipped),
        limits=(
            *source.left_out,
            *repeated_limits(repeated),
            *media_limits(result, protocol.split),
            *attribute_limits(meter),
        ),
        attributes=() if meter is None else tuple(meter.results),
    )


def _evaluated(
    protocol: MediaFolderProtocol, made: dict[str, Any], fusers: Sequence[Fuser]
) -> dict[str, Any]:
    definition = protocol.definition()
    return {
        "protocol": definition,
        "content": f"{definition['version']}@{protocol.content_hash[:12]}",
        "counts": protocol.counts,
        **protocol.images.facts,
        **made,
        "fusers": [fuser.fingerprint for fuser in fusers],
    }


def _with_faces(
    images: MediaImages, faces: StrPath, data: StrPath, ignore: Sequence[str]
) -> MediaImages:
    from probefusion.protocols.media_images import open_face_table

    return images.with_faces(open_face_table(faces, data, ignore=ignore))


def _protocol(
    images: MediaImages, *, face_px: Sequence[str], **settings: Any
) -> MediaFolderProtocol:
    """The protocol; settings that are None stay as the protocol has them."""
    from probefusion.errors import ConfigError
    from probefusion.protocols.media_protocol import MediaFolderProtocol
    from probefusion.protocols.size_classes import SizeClass

    if isinstance(face_px, str):
        raise ConfigError(f"face_px: expected a list of classes, got the text {face_px!r}.")
    classes = tuple(SizeClass.parse(text) for text in face_px)
    if any(entry.text != "all" for entry in classes) and not images.face_px:
        raise ConfigError(
            "face_px: classes by the width of the face need widths, and none are known. Give a table: "
            "--faces FILE.csv (faces=...)."
        )
    given = {name: value for name, value in settings.items() if value is not None}
    return MediaFolderProtocol(images=images, size_classes=classes, **given)


def _read_embeddings(
    embeddings: StrPath, source: EvaluationSource, *, flipped: bool
) -> MadeEmbeddings:
    from probefusion.evaluation.made_embeddings import read_made_embeddings

    stated = stated_fingerprint(source.embedder, **source.described)
    made = read_made_embeddings(os.fspath(embeddings), embedder=stated, flipped=flipped)
    if made.names is None:
        raise InvalidInputError(
            f"embeddings of {made.origin}: expected names of the images beside them (PERSON/...), got "
            f"none. Give an .npz with names, as EmbeddingSet.save writes it with sources."
        )
    return made


def _embedded_images(
    images: MediaImages, made: MadeEmbeddings
) -> tuple[MediaImages, dict[str, int]]:
    """The images that have an embedding, and its row; the others are listed as skipped."""
    from probefusion.evaluation.made_embeddings import find_names

    everything = [name for names in images.people.images.values() for name in names]
    found = find_names(made.names or (), everything, what=MEDIA_PROTOCOL, origin=made.origin)
    place = np.cumsum(made.has_face) - 1
    positions = {
        everything[row]: int(place[index])
        for index, row in enumerate(found.tolist())
        if made.has_face[index]
    }
    missing = [name for name in everything if name not in positions]
    if missing:
        images = images.without(missing, f"no embedding in {made.origin}")
    return images, positions


def _rows(
    protocol: MediaFolderProtocol, made: MadeEmbeddings, positions: dict[str, int]
) -> EmbeddedRows:
    from probefusion.evaluation.licensed import EmbeddedRows

    place = np.array([positions[name] for name in protocol.sources], dtype=np.int64)
    return EmbeddedRows(images=made.images, position=place)
