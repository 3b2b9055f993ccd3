"""What is wrong with a network itself: it runs as in training, or an image's embedding depends on others.

A network that was exported in training mode drops numbers at random, or brings its maps to mean 0 and variance 1
with the statistics of the very batch. So the same images are run twice, and once with others in their batch;
what the graph says is read too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from probefusion.embedders.inspection import EmbedderFacts
from probefusion.embedders.onnx_graph import constant_arrays, image_input, import_onnx, read_model
from probefusion.errors import FileFormatError
from probefusion.sessions import run_outputs, start_session

if TYPE_CHECKING:
    import onnx

__all__ = ["DIFFERENT", "NetworkCheck", "check_network", "normalises_itself", "training_nodes"]

DIFFERENT = 1e-3
"""Relative to the largest number of an embedding; rounding gives 1e-4 at most, also of 16-bit networks 5e-4."""

_RUNS = 3
_RANDOM = (
    "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
)  # fmt: skip
_ARITHMETIC = ("Add", "BatchNormalization", "Div", "Mul", "Sub")
_PASSES = ("Cast", "Identity", "Transpose")


@dataclass(frozen=True, kw_only=True)
class NetworkCheck:
    """What running the network showed.

    Args:
        repeats_differ: How far two runs of the same image are apart at most, relative to the largest number of
            the embeddings.
        neighbours_differ: How far an image's embeddings are apart that it gets alone and beside other
            images, the same way; None where the file takes one image at a time, or two runs differ already.
        training_nodes: Nodes of the graph that work as in training, as "Dropout 'name'".
        normalises_itself: Whether the graph begins with a subtraction or a factor of its own.
        unused_norm: Output that holds the length of the embedding and is not used, or None.
        norm_candidates: Outputs of one number an image that may be the length, or ().
    """

    repeats_differ: float
    neighbours_differ: float | None
    training_nodes: tuple[str, ...]
    normalises_itself: bool
    unused_norm: str | None
    norm_candidates: tuple[str, ...]

    @property
    def is_random(self) -> bool:
        """Whether the same image gives another embedding each time."""
        return self.repeats_differ > DIFFERENT

    @property
    def depends_on_batch(self) -> bool:
        """Whether an embedding changes with the other images of its batch."""
        return self.neighbours_differ is not None and self.neighbours_differ > DIFFERENT

    @property
    def uses_batch_statistics(self) -> bool:
        """Whether the graph normalises by the statistics of the batch, as in training."""
        return any(node.startswith("BatchNormalization") for node in self.training_nodes)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why its embeddings cannot be trusted, in words; () where nothing speaks against them."""
        found = []
        if self.is_random:
            found.append(
                f"the same image gives other embeddings each time ({self.repeats_differ:.1%} apart), as in "
                f"training mode"
            )
        if self.depends_on_batch:
            found.append(
                f"an embedding changes with the other images of its batch ({self.neighbours_differ:.1%})"
            )
        if self.uses_batch_statistics:
            found.append("it normalises by the statistics of the batch, as in training mode")
        return tuple(found)


def check_network(
    path: str | Path,
    facts: EmbedderFacts,
    fed: npt.NDArray[Any],
    *,
    norm_output: str | None = None,
) -> NetworkCheck:
    """Runs the network as its file has it.

    Args:
        path: The `.onnx` file.
        facts: What `inspect_embedder` says of it.
        fed: (N, 3, S, S) or (N, S, S, 3), what it is fed, as `OnnxEmbedder.prepare` gives it, of N >= 2 images
            that differ.
        norm_output: Output with the embedding's length that is used, or None.

    Raises:
        ProbeFusionError: As for `read_model` and `start_session`.
    """
    model, _ = read_model(path, sha256=facts.sha256)
    run = _Runner(model, Path(path).name)
    repeats = _repeats_differ(run, fed)
    return NetworkCheck(
        repeats_differ=repeats,
        neighbours_differ=None if repeats > DIFFERENT else _neighbours_differ(run, fed),
        training_nodes=training_nodes(model),
        normalises_itself=normalises_itself(model),
        unused_norm=None if norm_output is not None else facts.norm_output,
        norm_candidates=() if norm_output is not None else facts.norm_candidates,
    )


def training_nodes(model: onnx.ModelProto) -> tuple[str, ...]:
    """The nodes of a graph that work as in training: dropout, noise, and normalisation by the batch."""
    numpy_helper = import_onnx().numpy_helper
    constants = constant_arrays(model)
    found = []
    for node in model.graph.node:
        is_training = node.op_type in _RANDOM
        if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2] in constants:
            is_training = bool(numpy_helper.to_array(constants[node.input[2]]).any())
        if node.op_type == "BatchNormalization":
            modes = [entry.i for entry in node.attribute if entry.name == "training_mode"]
            is_training = any(modes) or sum(map(bool, node.output)) > 1
        if is_training:
            found.append(f"{node.op_type} {node.name or node.output[0]!r}")
    return tuple(found)


def normalises_itself(model: onnx.ModelProto) -> bool:
    """Whether the first thing that a graph does with an image is to shift or scale its pixels."""
    name = image_input(model).name
    for _ in range(len(_PASSES)):
        readers = [node for node in model.graph.node if name in node.input]
        if len(readers) != 1 or readers[0].op_type not in _PASSES:
            return bool(readers) and all(node.op_type in _ARITHMETIC for node in readers)
        name = readers[0].output[0]
    return False


class _Runner:
    """The network as its file has it, with its own batch size."""

    def __init__(self, model: onnx.ModelProto, name: str) -> None:
        facts = image_input(model)
        self.fixed = facts.fixed_batch
        self._input, self._where = facts.name, f" {name!r}"
        self._session = start_session(model, num_threads=1, where=self._where)
        self._names = [entry.name for entry in model.graph.output]

    def __call__(self, batch: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """(N, K) all numbers that it gives for each image."""
        outputs = run_outputs(self._session, self._names, {self._input: batch}, where=self._where)
        rows = [one.reshape(len(batch), -1) for one in outputs if one.shape[:1] == batch.shape[:1]]
        if not rows:
            raise FileFormatError(
                f"model{self._where}: expected an output with a row for each of {len(batch)} images, got the "
                f"shapes {[one.shape for one in outputs]}."
            )
        return np.concatenate(rows, axis=1).astype(np.float64)

    def alone(self, image: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """What it gives for an image beside nothing but itself."""
        found: npt.NDArray[np.float64] = self(np.repeat(image[None], self.fixed or 1, axis=0))[0]
        return found


def _repeats_differ(run: _Runner, fed: npt.NDArray[Any]) -> float:
    return max(
        _apart(run.alone(image), run.alone(image)) for image in fed[:2] for _ in range(_RUNS - 1)
    )


def _neighbours_differ(run: _Runner, fed: npt.NDArray[Any]) -> float | None:
    if run.fixed == 1:
        return None
    batch = fed[: run.fixed or 4]
    if run.fixed is not None:
        batch = np.resize(fed, (run.fixed, *fed.shape[1:]))
    try:
        together = run(batch)
    except FileFormatError:  # written for single images, whatever its input says
        return None
    return max(_apart(run.alone(image), row) for image, row in zip(batch, together, strict=True))


def _apart(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    with np.errstate(invalid="ignore"):
        largest = float(np.abs(other).max())
        return float(np.abs(one - other).max()) / largest if largest > 0 else 0.0
