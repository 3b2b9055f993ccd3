"""The 8-bit form of an embedder: several times as fast on a processor, and compared before it is kept."""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from probefusion.checks import check_output
from probefusion.errors import ConfigError, FileFormatError, IntegrityError
from probefusion.faces.embed import OnnxEmbedder
from probefusion.faces.onnx_graph import free_batch_axis, image_input, import_onnx, read_model
from probefusion.faces.spec import EmbedderSpec
from probefusion.files import replace_file, sha256_of
from probefusion.models.embedders import resolve_embedder

if TYPE_CHECKING:
    import onnx

__all__ = ["MIN_IMAGES", "Quantization", "quantize_embedder"]

MIN_IMAGES = 64
"""Fewest images to quantise by: half of them calibrate, the other half compare."""

MIN_MEDIAN_COSINE = 0.98
MIN_LOW_COSINE = 0.95
"""Median and first percentile of the cosine between both forms' embeddings, at least."""

_TIMED_IMAGES = 64
_TIMED_ROUNDS = 5


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """What became of an embedder in 8 bits.

    Args:
        embedder: Fingerprint of the embedder, which its 8-bit form goes by too.
        num_calibrated: Images that the ranges of the maps were taken from.
        num_compared: Other images, on which both forms were compared.
        median_cosine: Between the two embeddings of an image.
        low_cosine: First percentile of the same.
        length_ratio: Mean of the 8-bit embedding's length over the other's.
        length_spread: Standard deviation of that ratio.
        style_deviation: Mean absolute difference of the style over its mean absolute value, or None
            without style.
        times_faster: Images a second, 8 bits over the original, both with the same threads, in turns.
        num_bytes: Size of the 8-bit file.
        num_bytes_before: Size of the original.
    """

    embedder: str
    num_calibrated: int
    num_compared: int
    median_cosine: float
    low_cosine: float
    length_ratio: float
    length_spread: float
    style_deviation: float | None
    times_faster: float
    num_bytes: int
    num_bytes_before: int


def quantize_embedder(
    model: str | Path,
    output: str | Path,
    crops: npt.NDArray[np.uint8],
    *,
    settings: Mapping[str, Any] | None = None,
    num_threads: int | None = None,
    force: bool = False,
) -> Quantization:
    """Writes the 8-bit form of an embedder and, beside it, its description.

    Maps get 8 bits, weights 7: products of full 8-bit numbers overflow on processors without VNNI
    instructions, so that their embeddings would differ from those of others. The description says that
    the file stands for the original, so its embeddings may be mixed with those, and go with the same
    fusers and thresholds.

    Args:
        model: As for `resolve_embedder`.
        output: The `.onnx` file to write; its description takes the suffix `.json`.
        crops: (N, S, S, 3) uint8 RGB aligned faces as the embedder will see them, good and bad, N >= 64.
            Every second one calibrates, the others compare.
        settings: As for `resolve_embedder`.
        num_threads: Threads for comparison and timing; None for one per core.
        force: Whether existing files may be replaced.

    Returns:
        How the two forms compare.

    Raises:
        ConfigError: If there are too few crops, `output` is no `.onnx` file, or the embedder stands for
            another one already.
        OutputExistsError: If a file exists and `force` is False.
        IntegrityError: If the embeddings of the 8-bit form are not those of the original: a median
            cosine below .98 or a first percentile below .95. Nothing is written then.
        FileFormatError: If ONNX Runtime cannot quantise the network.
        ProbeFusionError: As for `resolve_embedder` and `OnnxEmbedder`.

    Source: ONNX Runtime, static quantisation (QDQ), per channel.
    """
    target = check_output(output, force=force)
    card = target.with_suffix(".json")
    if target.suffix.lower() != ".onnx":
        raise ConfigError(f"output: expected a name that ends in .onnx, got {target.name!r}.")
    check_output(card, force=force)
    if len(crops) < MIN_IMAGES:
        raise ConfigError(
            f"crops: expected at least {MIN_IMAGES} images to calibrate and compare with, got {len(crops)}. "
            f"Give more."
        )
    path, spec = resolve_embedder(model, settings=settings)
    if spec.stands_for is not None:
        raise ConfigError(
            f"model {str(path)!r} stands for {spec.stands_for} already. Give the original."
        )
    original = OnnxEmbedder(path, spec, num_threads=num_threads)
    calibrating, comparing = crops[::2], crops[1::2]
    with tempfile.TemporaryDirectory() as folder:
        draft = _quantize(read_model(path)[0], spec, original, calibrating, Path(folder))
        described = replace(
            spec, name=f"{spec.name}-int8", sha256=sha256_of(draft), stands_for=spec.fingerprint
        )
        small = OnnxEmbedder(draft, described, num_threads=num_threads)
        found = _compare(original, small, comparing)
        result = Quantization(
            embedder=spec.fingerprint,
            num_calibrated=len(calibrating),
            num_compared=len(comparing),
            times_faster=_times_faster(original, small, comparing),
            num_bytes=draft.stat().st_size,
            num_bytes_before=path.stat().st_size,
            **found,
        )
        _refuse_other_embeddings(result, spec.name)
        with replace_file(target, force=force) as stream:
            stream.write(draft.read_bytes())
    with replace_file(card, force=force) as stream:
        stream.write((json.dumps(asdict(described), indent=2) + "\n").encode())
    return result


def _quantize(
    model: onnx.ModelProto,
    spec: EmbedderSpec,
    original: OnnxEmbedder,
    crops: npt.NDArray[np.uint8],
    folder: Path,
) -> Path:
    """The 8-bit network, with the maps that style is taken from under their old names."""
    import onnxruntime
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    onnx = import_onnx()
    model = free_batch_axis(model)
    outputs = {entry.name for entry in model.graph.output}
    for tap in spec.style_taps:  # an output keeps its name when nodes are put together
        if tap not in outputs:
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(tap))
    name = image_input(model).name

    class Crops(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._crops = iter(crops)

        def get_next(self) -> dict[str, npt.NDArray[Any]] | None:
            crop = next(self._crops, None)
            return None if crop is None else {name: original.prepare(crop[None])}

    simple, draft = folder / "simple.onnx", folder / "int8.onnx"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(simple)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    try:
        onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        with _quiet():
            quantize_static(
                simple,
                draft,
                Crops(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
    except Exception as error:  # the quantiser raises whatever its parts raise
        raise FileFormatError(
            f"model {spec.name!r}: ONNX Runtime cannot quantise it ({error}). Keep the original."
        ) from error
    small = onnx.load(draft)
    kept = [entry for entry in small.graph.output if entry.name in outputs]
    del small.graph.output[:]
    small.graph.output.extend(kept)
    onnx.save(small, draft)
    return draft


@contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser's advice on preparing a network is followed already."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _compare(
    original: OnnxEmbedder, small: OnnxEmbedder, crops: npt.NDArray[np.uint8]
) -> dict[str, Any]:
    (one, one_style), (other, other_style) = original.embed(crops), small.embed(crops)
    lengths = [np.linalg.norm(part.astype(np.float64), axis=1) for part in (one, other)]
    cosines = np.einsum("nd,nd->n", one, other, dtype=np.float64) / (lengths[0] * lengths[1])
    ratios = lengths[1] / lengths[0]
    deviation = None
    if one_style is not None and other_style is not None:
        deviation = float(np.abs(one_style - other_style).mean() / np.abs(one_style).mean())
    return {
        "median_cosine": float(np.median(cosines)),
        "low_cosine": float(np.percentile(cosines, 1)),
        "length_ratio": float(ratios.mean()),
        "length_spread": float(ratios.std()),
        "style_deviation": deviation,
    }


def _refuse_other_embeddings(found: Quantization, name: str) -> None:
    if found.median_cosine >= MIN_MEDIAN_COSINE and found.low_cosine >= MIN_LOW_COSINE:
        return
    raise IntegrityError(
        f"model {name!r}: its 8-bit form gives other embeddings, of median cosine {found.median_cosine:.3f} "
        f"to the original's and {found.low_cosine:.3f} at the first percentile (expected at least "
        f"{MIN_MEDIAN_COSINE} and {MIN_LOW_COSINE}), so nothing was written. Networks with layer "
        f"normalisation or attention seldom stand 8 bits: keep the original."
    )


def _times_faster(
    original: OnnxEmbedder, small: OnnxEmbedder, crops: npt.NDArray[np.uint8]
) -> float:
    crops = crops[:_TIMED_IMAGES]
    seconds: dict[OnnxEmbedder, list[float]] = {original: [], small: []}
    for _ in range(_TIMED_ROUNDS):
        for embedder, kept in seconds.items():
            started = time.perf_counter()
            embedder.embed(crops)
            kept.append(time.perf_counter() - started)
    return float(np.median(seconds[original]) / np.median(seconds[small]))
