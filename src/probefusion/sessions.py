"""The one way to open ONNX Runtime: threads, device, quiet logs, and errors of our own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from probefusion.checks import check_threads
from probefusion.errors import ConfigError, FileFormatError

if TYPE_CHECKING:
    import onnx

__all__ = ["run_outputs", "start_session"]

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_FATAL_ONLY = 4
"""Other errors are raised; ONNX Runtime would print them too, in colours."""


def start_session(
    model: onnx.ModelProto | bytes | Path,
    *,
    num_threads: int | None,
    device: str = "cpu",
    unpacks_weights: bool = False,
    where: str = "",
) -> Any:
    """Starts ONNX Runtime on a model.

    Args:
        model: The network, the bytes of its file, or its file.
        num_threads: Threads of one run; None leaves the choice to ONNX Runtime.
        device: "cpu", or "cuda" for the first NVIDIA GPU.
        unpacks_weights: Whether weights that are kept in few bits become floats when the network is
            loaded, and not in every run anew. Not for networks that compute in 8 bits.
        where: " of model.onnx" or the like, for messages; a file's own path by default.

    Returns:
        The `onnxruntime.InferenceSession`.

    Raises:
        ConfigError: If there is no such device, this installation cannot use it, or there are too many
            threads.
        FileFormatError: If ONNX Runtime refuses the model.
    """
    num_threads = check_threads(num_threads)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    if unpacks_weights:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    if num_threads is not None:
        options.intra_op_num_threads = num_threads
        options.inter_op_num_threads = 1
    providers = _providers(device, onnxruntime.get_available_providers())
    content: bytes | str
    if isinstance(model, Path):
        content, where = str(model), where or f" {str(model)!r}"
    else:
        content = model if isinstance(model, bytes) else model.SerializeToString()
    try:
        session = onnxruntime.InferenceSession(content, options, providers=providers)
    except _runtime_errors() as error:
        raise FileFormatError(
            f"model{where}: ONNX Runtime {onnxruntime.__version__} refuses it ({_one_line(error)})."
        ) from error
    if session.get_providers()[0] != providers[0]:
        raise ConfigError(
            f"device: {device!r} could not be started by ONNX Runtime {onnxruntime.__version__}. Check "
            f"the GPU driver and CUDA libraries (nvidia-smi), or use the device 'cpu'."
        )
    return session


def run_outputs(
    session: Any, names: Sequence[str], feed: Mapping[str, npt.NDArray[Any]], *, where: str = ""
) -> list[npt.NDArray[Any]]:
    """Runs a session and gives the named outputs.

    Args:
        session: What `start_session` gave.
        names: Names of outputs.
        feed: Arrays by name of input.
        where: " of model.onnx" or the like, for messages.

    Raises:
        FileFormatError: If the graph fails on this input.
    """
    try:
        outputs: list[npt.NDArray[Any]] = session.run(list(names), dict(feed))
    except _runtime_errors() as error:
        shapes = [np.shape(array) for array in feed.values()]
        raise FileFormatError(
            f"model{where}: cannot be run on an input of shape {shapes} ({_one_line(error)})."
        ) from error
    return outputs


def _one_line(error: Exception) -> str:
    """What ONNX Runtime says, without colours and line breaks."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())


def _providers(device: str, available: Sequence[str]) -> list[str]:
    wanted = _PROVIDERS.get(device)
    if wanted is None:
        raise ConfigError(f"device: expected 'cpu' or 'cuda', got {device!r}.")
    if wanted not in available:
        raise ConfigError(
            f"device: {device!r} needs another build of ONNX Runtime, this one has "
            f"{', '.join(available)}. Install it with: pip uninstall onnxruntime && pip install onnxruntime-gpu"
        )
    return list(dict.fromkeys([wanted, "CPUExecutionProvider"]))


def _runtime_errors() -> tuple[type[Exception], ...]:
    # ONNX Runtime's exceptions share no base but Exception; these are all that it raises.
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = (
        "EPFail", "EngineError", "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf",
        "ModelLoaded", "NoModel", "NoSuchFile", "NotImplemented", "RuntimeException",
    )  # fmt: skip
    return tuple(getattr(state, name) for name in names if hasattr(state, name))
