"""The 8-bit form of an embedder: faster on processors, and compared with the original before it is kept."""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from probefusion.degradations.degrade import CROP_SIZE, degrade
from probefusion.embedders.embedder import OnnxEmbedder
from probefusion.embedders.onnx_graph import (
    free_batch_axis,
    image_input,
    import_onnx,
    opset_version,
    read_model,
)
from probefusion.errors import (
    ConfigError,
    FileFormatError,
    IntegrityError,
    MissingExtraError,
)
from probefusion.faces.images import scale_square
from probefusion.files import check_output_file, replace_file, replace_together, sha256_of
from probefusion.zoo.embedders import FORM_OF, resolve_embedder

if TYPE_CHECKING:
    import onnx

__all__ = ["MIN_IMAGES", "Quantization", "check_targets", "quantize_embedder"]

MIN_IMAGES = 64
"""Fewest images to quantise by: half of them calibrate, the other half compare."""

MIN_MEDIAN_COSINE = 0.98
MIN_LOW_COSINE = 0.95
"""Median and first percentile of the cosine between both forms' embeddings, at least."""

MAX_LENGTH_SPREAD = 0.05
"""Standard deviation of the ratio of lengths, at most."""

MAX_STYLE_ERROR = 0.35
"""Error of a style statistic over its spread, at the 95th percentile of all statistics, at most."""

_MIN_OPSET = 13
"""First version of ONNX in which each channel of a weight can have its own scale."""

_TIMED_IMAGES = 64
_TIMED_ROUNDS = 5


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """What became of an embedder in 8 bits.

    Args:
        embedder: Fingerprint of the embedder, which its 8-bit form goes by too.
        num_calibrated: Images that the ranges of the maps were taken from, half of them degraded.
        num_compared: Other images, half of them degraded, on which both forms were compared.
        median_cosine: Between the two embeddings of an image.
        low_cosine: First percentile of the same.
        length_ratio: Mean of the 8-bit embedding's length over the other's.
        length_spread: Standard deviation of that ratio.
        style_error: Root mean square error of a style statistic over its standard deviation over the
            images, 95th percentile of all statistics; None without style.
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
    style_error: float | None
    times_faster: float
    num_bytes: int
    num_bytes_before: int


def quantize_embedder(
    model: str | Path,
    output: str | Path,
    crops: npt.NDArray[np.uint8],
    *,
    weight_bits: Literal[7, 8] = 7,
    settings: Mapping[str, Any] | None = None,
    num_threads: int | None = None,
    force: bool = False,
) -> Quantization:
    """Writes the 8-bit form of an embedder and, beside it, its description.

    The description says that the file stands for the original: its embeddings may be mixed with those and
    go with the same fusers. So both forms are compared first, on crops as given and degraded by random
    severities, in what fusers look at: direction, length and style.

    Args:
        model: As for `resolve_embedder`.
        output: The `.onnx` file to write; its description takes the suffix `.json`.
        crops: (N, S, S, 3) uint8 RGB aligned faces, N >= 64 without those that are there twice. Every
            second one calibrates, the others compare.
        weight_bits: 7, or 8 for processors with VNNI instructions only (most of Intel since 2019, AMD since
            2022): on others products of two full 8-bit numbers overflow, and embeddings are other ones.
        settings: As for `resolve_embedder`.
        num_threads: Threads for comparing and timing, None for one per core; calibrating takes all.
        force: Whether existing files may be replaced; never those of the original.

    Returns:
        How the two forms compare.

    Raises:
        DtypeError, ShapeError: If the crops are not as described.
        ConfigError: If there are too few crops, `output` is no `.onnx` file or that of the original, or the
            embedder stands for another one already.
        OutputExistsError: If a file exists and `force` is False.
        IntegrityError: If the 8-bit form gives other embeddings, lengths or style. Nothing is written then.
        FileFormatError: If ONNX Runtime cannot quantise the network.
        ProbeFusionError: As for `resolve_embedder` and `OnnxEmbedder`.

    Source: ONNX Runtime, static quantisation (QDQ), per channel.
    """
    if weight_bits not in (7, 8):
        raise ConfigError(f"weight_bits: expected 7 or 8, got {weight_bits!r}.")
    path, spec = resolve_embedder(model, settings=settings)
    target, card = check_targets(output, path, force=force)
    if spec.stands_for is not None:
        raise ConfigError(
            f"model {str(path)!r} stands for {spec.stands_for} already. Give the original."
        )
    original = OnnxEmbedder(path, spec, num_threads=num_threads)
    crops = _different(original.check_crops(crops))
    calibrating, comparing = (_with_degraded(part) for part in (crops[::2], crops[1::2]))
    with tempfile.TemporaryDirectory() as folder:
        draft = _quantize(read_model(path)[0], original, calibrating, weight_bits, Path(folder))
        described = replace(
            spec, name=f"{spec.name}-int8", sha256=sha256_of(draft), stands_for=spec.fingerprint
        )
        small = OnnxEmbedder(draft, described, num_threads=num_threads)
        result = Quantization(
            embedder=spec.fingerprint,
            num_calibrated=len(calibrating),
            num_compared=len(comparing),
            times_faster=_times_faster(original, small, comparing),
            num_bytes=draft.stat().st_size,
            num_bytes_before=path.stat().st_size,
            **_compare(original, small, comparing),
        )
        _refuse_another_embedder(original, small, result, weight_bits)
        content = {
            **asdict(described),
            "norm_output": described.norm_output or "",  # null would be looked for anew
            "own_fingerprint": described.own_fingerprint,
        }
        with replace_together():
            with replace_file(card, force=force) as page:
                page.write((json.dumps(content, indent=2) + "\n").encode())
            with replace_file(target, force=force) as stream:
                stream.write(draft.read_bytes())
    return result


def check_targets(output: str | Path, original: Path, *, force: bool) -> tuple[Path, Path]:
    """The two files to write, if they may be: the network and its description.

    Raises:
        ConfigError: If `output` is no `.onnx` file, or one of the two belongs to the original.
        OutputExistsError: If one exists and `force` is False, or is a folder.
        MissingFileError: If the folder does not exist.
    """
    target = Path(output)
    if target.suffix.lower() != ".onnx":
        raise ConfigError(f"output: expected a name that ends in .onnx, got {target.name!r}.")
    targets = target, target.with_suffix(".json")
    for path in targets:
        if path.resolve() in (original.resolve(), original.with_suffix(".json").resolve()):
            raise ConfigError(
                f"output: {str(path)!r} belongs to the original, which is kept. Choose another name."
            )
        check_output_file(path, force=force)
    return targets


def _different(crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The crops without those that are there already, so that none calibrates and compares."""
    first = {crop.tobytes(): place for place, crop in reversed(list(enumerate(crops)))}
    if len(first) < MIN_IMAGES:
        twice = "" if len(first) == len(crops) else f" different ones among {len(crops)}"
        raise ConfigError(
            f"crops: expected at least {MIN_IMAGES} images to calibrate and compare with, got {len(first)}"
            f"{twice}. Give more, or let more of them be taken."
        )
    return crops[sorted(first.values())]


def _with_degraded(crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The crops and a degraded copy of each, severities uniform in [0, 1)."""
    rng = np.random.default_rng(0)
    size = crops.shape[1]
    poor = []
    for crop in crops:
        scaled = scale_square(crop, CROP_SIZE)
        poor.append(scale_square(degrade(scaled, float(rng.random()), rng), size))
    return np.concatenate([crops, np.stack(poor)])


def _quantize(
    model: onnx.ModelProto,
    original: OnnxEmbedder,
    crops: npt.NDArray[np.uint8],
    weight_bits: int,
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
    spec = original.spec
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
        model = free_batch_axis(model)
        if opset_version(model) < _MIN_OPSET:
            model = onnx.version_converter.convert_version(model, _MIN_OPSET)
        outputs = {entry.name for entry in model.graph.output}
        for tap in spec.style_taps:  # an output keeps its name when nodes are put together
            if tap not in outputs:
                model.graph.output.append(onnx.helper.make_empty_tensor_value_info(tap))
        onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        with _without_advice():
            quantize_static(
                simple,
                draft,
                Crops(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=weight_bits == 7,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
    except (OSError, MemoryError, MissingExtraError):
        raise
    except Exception as error:  # the quantiser and the converter raise whatever their parts raise
        raise FileFormatError(
            f"model {spec.name!r}: cannot be quantised by ONNX Runtime {onnxruntime.__version__} "
            f"({type(error).__name__}: {error}). Keep the original."
        ) from error
    small = onnx.load(draft)
    kept = [entry for entry in small.graph.output if entry.name in outputs]
    del small.graph.output[:]
    small.graph.output.extend(kept)
    small.metadata_props.add(key=FORM_OF, value=spec.fingerprint)
    onnx.save(small, draft)
    return draft


@contextmanager
def _without_advice() -> Iterator[None]:
    """Drops what the quantiser tells the root logger; its advice is followed already."""

    def is_from_another(record: logging.LogRecord) -> bool:
        return "onnxruntime" not in record.pathname

    root = logging.getLogger()
    handlers = list(root.handlers)
    root.addFilter(is_from_another)
    try:
        yield
    finally:
        root.removeFilter(is_from_another)
        for handler in [one for one in root.handlers if one not in handlers]:
            root.removeHandler(handler)  # `logging.warning` without a handler adds one


def _compare(
    original: OnnxEmbedder, small: OnnxEmbedder, crops: npt.NDArray[np.uint8]
) -> dict[str, Any]:
    (one, one_style), (other, other_style) = original.embed(crops), small.embed(crops)
    lengths = [np.linalg.norm(part.astype(np.float64), axis=1) for part in (one, other)]
    if not min(part.min() for part in lengths) > 0:
        raise IntegrityError(
            f"model {original.spec.name!r}: an embedding has no length in one of the two forms, so nothing "
            f"was written. Keep the original."
        )
    cosines = np.einsum("nd,nd->n", one, other, dtype=np.float64) / (lengths[0] * lengths[1])
    ratios = lengths[1] / lengths[0]
    error = None
    if one_style is not None and other_style is not None:
        errors = np.sqrt(((other_style - one_style) ** 2).mean(axis=0))
        spreads = one_style.std(axis=0)
        moving = spreads > 0
        error = float(np.percentile(errors[moving] / spreads[moving], 95)) if moving.any() else 0.0
    return {
        "median_cosine": float(np.median(cosines)),
        "low_cosine": float(np.percentile(cosines, 1)),
        "length_ratio": float(ratios.mean()),
        "length_spread": float(ratios.std()),
        "style_error": error,
    }


def _refuse_another_embedder(
    original: OnnxEmbedder, small: OnnxEmbedder, found: Quantization, weight_bits: int
) -> None:
    faults = [
        f"{label} {value:.3f} (expected {'at least' if is_least else 'at most'} {limit})"
        for label, value, limit, is_least in (
            ("a median cosine to the original of", found.median_cosine, MIN_MEDIAN_COSINE, True),
            ("a cosine at the first percentile of", found.low_cosine, MIN_LOW_COSINE, True),
            ("a spread of lengths of", found.length_spread, MAX_LENGTH_SPREAD, False),
            ("an error of style of", found.style_error, MAX_STYLE_ERROR, False),
        )
        if value is not None and not (value >= limit if is_least else value <= limit)
    ]
    if small.norms_known != original.norms_known:
        faults.append("lengths that are mere rounding, where the original gives all the same")
    if not faults:
        return
    more = "weight_bits=8 (--weight-bits 8) is closer, for processors with VNNI; or keep"
    raise IntegrityError(
        f"model {original.spec.name!r}: its 8-bit form gives other embeddings, with {'; '.join(faults)}, so "
        f"nothing was written. {more if weight_bits == 7 else 'Keep'} the original: networks with attention "
        f"or layer normalisation seldom stand 8 bits."
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
