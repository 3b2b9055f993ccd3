"""Lists of faces of InsightFace, uniface, DeepFace and face_recognition to an `EmbeddingSet`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.checks import check_length, check_not_empty
from probefusion.embedders import Embedder
from probefusion.errors import (
    ConfigError,
    DtypeError,
    EmbedderMismatchError,
    FileFormatError,
    InvalidInputError,
    ShapeError,
)
from probefusion.faces import align_face
from probefusion.files.paths import as_list
from probefusion.io.detector_scores import detector_scores, read_entry, score_of, tell_low_scores
from probefusion.types import EmbeddingSet, FloatArray

__all__ = ["from_deepface", "from_face_recognition", "from_insightface", "from_uniface"]

MIN_AGREEMENT = 0.9
"""Cosine that a face's embedding and the one of the same crop must reach to be of one network.

Packages align by interpolations of their own, which costs a few hundredths on small faces; the
embeddings of different networks are unrelated, at cosines about zero.
"""

Image = npt.NDArray[np.uint8]
Images = Image | Sequence[Image]


def from_insightface(
    faces: Iterable[Any],
    *,
    images: Images | None = None,
    network: Embedder | None = None,
    embedder: str | None = None,
    sources: Sequence[str] | None = None,
    media_ids: Sequence[int] | Sequence[str] | None = None,
) -> EmbeddingSet:
    """The `Face` objects that InsightFace's `FaceAnalysis.get` gives, of one person.

    Their `embedding` is raw, its length kept; their `det_score` becomes `detector_scores`. For style
    statistics give the photos and the network,
    `load_embedder("buffalo_l")`: every face is aligned by its `kps` and embedded again, which also
    proves that the network is the one that made the embeddings.

    Args:
        faces: N >= 1 faces of one person, one from each photo; pick them before.
        images: The photo each face was found in, (H, W, 3) uint8 **BGR** as InsightFace takes them;
            or one for all. With `network` only.
        network: The recognition network, to add style; None leaves it out.
        embedder: Fingerprint of the network, where it is known and `network` is not given.
        sources: N names of the images, or None.
        media_ids: N labels of the still or video each face comes from, or None.

    Raises:
        DtypeError: If it is no list of faces.
        EmptySetError: For no faces.
        FileFormatError: If a face has no embedding or landmarks; names it.
        EmbedderMismatchError: If `network` is not the one that made the embeddings.
        ConfigError, ShapeError, DtypeError: If the arguments do not fit together.
    """
    return _collect(
        _listed(faces, "faces"),
        "kps",
        images,
        network,
        embedder,
        sources,
        media_ids,
        package="InsightFace",
        score="det_score",
    )


def from_uniface(
    faces: Iterable[Any],
    *,
    images: Images | None = None,
    network: Embedder | None = None,
    embedder: str | None = None,
    sources: Sequence[str] | None = None,
    media_ids: Sequence[int] | Sequence[str] | None = None,
) -> EmbeddingSet:
    """The `Face` objects of uniface, of one person, their `embedding` filled in.

    `FaceAnalyzer` gives unit vectors, whose lengths are lost; `get_embedding` raw ones, (1, D) each. Their
    `confidence` becomes `detector_scores`.
    With `images` (BGR) and `network` lengths and style are there again, see `from_insightface`.

    Args:
        faces: N >= 1 faces of one person.
        images: As for `from_insightface`.
        network: As for `from_insightface`.
        embedder: As for `from_insightface`.
        sources: N names of the images, or None.
        media_ids: N labels of the still or video each face comes from, or None.

    Raises:
        ProbeFusionError: As for `from_insightface`.
    """
    return _collect(
        _listed(faces, "faces"),
        "landmarks",
        images,
        network,
        embedder,
        sources,
        media_ids,
        package="uniface",
        score="confidence",
    )


def from_deepface(
    results: Iterable[Any],
    *,
    embedder: str | None = None,
    sources: Sequence[str] | None = None,
    media_ids: Sequence[int] | Sequence[str] | None = None,
    are_crops: bool = False,
) -> EmbeddingSet:
    """What `DeepFace.represent` returns, for images of one person.

    DeepFace aligns faces its own way, so no style is added; embed the images with this package if a
    fuser needs it. With `enforce_detection=False` it embeds the whole picture where it finds no face, and
    says so by `face_confidence` 0; such pictures of different people are alike, so they are refused. Other
    confidences become `detector_scores`.

    Args:
        results: The list of dictionaries of one call, or a list of such lists (one for each image,
            as for several images at once); every image must show one face.
        embedder: Fingerprint or name of the model, e.g. "deepface.ArcFace", or None.
        sources: N names of the images, or None.
        media_ids: N labels of the still or video each face comes from, or None.
        are_crops: Whether the images were face crops and no face was searched in them
            (`detector_backend="skip"`), for which DeepFace tells a confidence of 0 too.

    Raises:
        DtypeError: If it is no list of results.
        EmptySetError: For no results.
        FileFormatError: If a result has no embedding, or DeepFace found no face in an image, or several;
            names it.
    """
    flat = []
    for index, result in enumerate(_listed(results, "results")):
        if isinstance(result, Mapping):
            flat.append(result)
            continue
        inner = _listed(result, f"result {index} of DeepFace")
        if len(inner) != 1:
            raise FileFormatError(
                f"result {index} of DeepFace: expected one face, got {len(inner)}. Pick the person's "
                f"face by its facial_area."
            )
        flat.extend(inner)
    scores = None if are_crops else detector_scores(flat, "face_confidence", "DeepFace")
    if not are_crops:
        _refuse_faceless(flat)
    tell_low_scores(scores, "face_confidence", "DeepFace")
    return _assemble(
        _embeddings(flat, "DeepFace"),
        embedder,
        sources,
        media_ids,
        norms_known=None,
        scores=scores,
    )


def from_face_recognition(
    encodings: Iterable[npt.ArrayLike],
    *,
    embedder: str | None = None,
    sources: Sequence[str] | None = None,
    media_ids: Sequence[int] | Sequence[str] | None = None,
) -> EmbeddingSet:
    """The arrays that `face_recognition.face_encodings` returns, of one person.

    dlib's vectors are meant for Euclidean distance, and their length tells nothing about quality, so
    it is marked as unknown. Templates are compared by cosine here: the package's threshold of 0.6 on
    distances does not carry over.

    Args:
        encodings: N >= 1 arrays (128,), one from each photo.
        embedder: Fingerprint or name of the model, e.g. "dlib-resnet-v1", or None.
        sources: N names of the images, or None.
        media_ids: N labels of the still or video each face comes from, or None.

    Raises:
        EmptySetError: For no arrays.
        ShapeError, DtypeError, NonFiniteError, ZeroLengthError: If they are no embeddings.
    """
    arrays = [
        _vector(encoding, f"encoding {index} of face_recognition")
        for index, encoding in enumerate(_listed(encodings, "encodings"))
    ]
    return _assemble(arrays, embedder, sources, media_ids, norms_known=False, scores=None)


def _listed(faces: object, name: str) -> list[Any]:
    return as_list(
        faces,
        name,
        expected="a list with an entry for each face of one person",
        step="Give what the package returned, in a list.",
    )


def _collect(
    faces: list[Any],
    landmarks: str,
    images: Images | None,
    network: Embedder | None,
    embedder: str | None,
    sources: Sequence[str] | None,
    media_ids: Sequence[Any] | None,
    *,
    package: str,
    score: str,
) -> EmbeddingSet:
    arrays = _embeddings(faces, package)
    scores = detector_scores(faces, score, package)
    tell_low_scores(scores, score, package)
    if (images is None) != (network is None):
        raise ConfigError(
            "images, network: expected both (to add style) or neither, got one of them."
        )
    if images is None or network is None:
        return _assemble(arrays, embedder, sources, media_ids, norms_known=None, scores=scores)
    if embedder not in (None, network.fingerprint):
        raise EmbedderMismatchError(
            f"embedder: expected {network.fingerprint}, that of network, got {embedder}. Leave it out."
        )
    check_not_empty(len(faces), name="faces")
    photos = [images] * len(faces) if isinstance(images, np.ndarray) else list(images)
    check_length(photos, len(faces), name="images")
    size = network.spec.input_size
    crops = []
    for index, (face, photo) in enumerate(zip(faces, photos, strict=True)):
        what = f"face {index} of {package}"
        points = read_entry(face, landmarks)
        if points is None:
            raise FileFormatError(f"{what}: expected five landmarks ({landmarks}), got none.")
        _check_photo(photo, index)
        rgb = np.ascontiguousarray(photo[..., ::-1])
        crops.append(_aligned(rgb, points, size, what))
    made = network.embed_set(np.stack(crops), sources=sources, media_ids=media_ids)
    _check_same_network(arrays, made.embeddings, network, package)
    return replace(made, detector_scores=scores)


def _aligned(rgb: Image, points: Any, size: int, what: str) -> Image:
    try:
        return align_face(rgb, np.asarray(points, np.float32), size=size)
    except InvalidInputError as error:
        raise InvalidInputError(f"{what}: {error}") from error


def _refuse_faceless(results: Sequence[Any]) -> None:
    """Refuses results of DeepFace that are embeddings of whole pictures."""
    faceless = [index for index, result in enumerate(results) if _is_faceless(result)]
    if faceless:
        shown = ", ".join(map(str, faceless[:10])) + (", ..." if len(faceless) > 10 else "")
        raise FileFormatError(
            f"results {shown} ({len(faceless)} of {len(results)}): DeepFace found no face (face_confidence 0, or no "
            f"confidence and a box from the picture's corner on) and embedded the whole picture. Leave them out: "
            f"[r for r in results if r['face_confidence'] > 0]; of crops in which no face was searched "
            f"(detector_backend='skip') say so: are_crops=True."
        )


def _is_faceless(result: Any) -> bool:
    """Whether DeepFace found no face; older releases of it tell that by the box alone."""
    score = score_of(result, "face_confidence", "DeepFace")
    return _is_whole(result) if score is None else score <= 0


def _is_whole(result: Any) -> bool:
    """Whether the box of a result begins at the corner of its picture and no eyes were found in it."""
    area = read_entry(result, "facial_area") or read_entry(result, "region")
    if not area:
        return False
    has_eyes = any(read_entry(area, eye) is not None for eye in ("left_eye", "right_eye"))
    return read_entry(area, "x") == 0 and read_entry(area, "y") == 0 and not has_eyes


def _check_same_network(
    arrays: list[FloatArray], made: FloatArray, network: Embedder, package: str
) -> None:
    for index, (theirs, ours) in enumerate(zip(arrays, made, strict=True)):
        if theirs.shape != ours.shape:
            raise EmbedderMismatchError(
                f"face {index} of {package}: its embedding has {len(theirs)} dimensions, those of "
                f"{network.fingerprint} have {len(ours)}. Load the network that made it."
            )
        cosine = float(theirs @ ours / max(np.linalg.norm(theirs) * np.linalg.norm(ours), 1e-12))
        if not cosine >= MIN_AGREEMENT:
            raise EmbedderMismatchError(
                f"face {index} of {package}: its embedding and that of {network.fingerprint} for the "
                f"same face agree only to a cosine of {cosine:.3f} (expected {MIN_AGREEMENT}). Give "
                f"the network that made it, and photos in BGR, each with its own face."
            )


def _check_photo(photo: Any, index: int) -> None:
    if not isinstance(photo, np.ndarray) or photo.ndim != 3 or photo.shape[2] != 3:
        raise ShapeError(
            f"images {index}: expected (H, W, 3) BGR, got {getattr(photo, 'shape', type(photo))}."
        )
    if photo.dtype != np.uint8:
        raise DtypeError(f"images {index}: expected uint8, got {photo.dtype}.")


def _embeddings(faces: Sequence[Any], package: str) -> list[FloatArray]:
    arrays = []
    for index, face in enumerate(faces):
        value = read_entry(face, "embedding")
        if value is None:
            raise FileFormatError(
                f"face {index} of {package}: it has no embedding. Run the recognition model on it, or "
                f"leave it out."
            )
        arrays.append(_vector(value, f"embedding of face {index} of {package}"))
    return arrays


def _vector(value: npt.ArrayLike, what: str) -> FloatArray:
    array = np.asarray(value)
    if array.dtype.kind not in "fiu" or array.size == 0:
        raise DtypeError(f"{what}: expected numbers, got {array.dtype} of shape {array.shape}.")
    if array.ndim == 2 and len(array) == 1:
        array = array[0]
    if array.ndim != 1:
        raise ShapeError(f"{what}: expected (D,) or (1, D), got {array.shape}.")
    return array.astype(np.float32)


def _assemble(
    arrays: list[FloatArray],
    embedder: str | None,
    sources: Sequence[str] | None,
    media_ids: Sequence[Any] | None,
    *,
    norms_known: bool | None,
    scores: FloatArray | None,
) -> EmbeddingSet:
    check_not_empty(len(arrays), name="faces")
    lengths = sorted({len(array) for array in arrays})
    if len(lengths) > 1:
        raise ShapeError(
            f"faces: expected embeddings of one network, got {lengths} dimensions side by side."
        )
    return EmbeddingSet(
        embeddings=np.stack(arrays),
        detector_scores=scores,
        embedder=embedder,
        sources=None if sources is None else np.asarray(sources),
        media_ids=None if media_ids is None else np.asarray(media_ids),
        norms_known=norms_known,
    )
