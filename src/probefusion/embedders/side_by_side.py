"""A network run over any number of images: all threads on one image, or a small batch in each thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from probefusion.checks import check_threads
from probefusion.sessions import start_session
from probefusion.workers import available_threads, map_in_order

if TYPE_CHECKING:
    import onnx

__all__ = ["SideBySide"]

_BATCH = 8
"""Images of a batch that one thread runs alone: small enough to stay in its cache."""

_MAX_BYTES = 64 * 1024 * 1024
"""Larger networks are not kept twice, and their matrices keep several threads busy by themselves."""

Part = TypeVar("Part")


class SideBySide:
    """Sessions of one network.

    The threads of a session wait for each other after every operator, which costs small networks up
    to a third of their speed. So batches are run side by side, each by one thread, in a second
    session that is started when it is first needed.

    Args:
        model: The network, or the bytes of its file.
        num_threads: Threads to use; None for one per core. Each holds a batch at a time.
        device: "cpu", or "cuda" for the first NVIDIA GPU, which takes one batch at a time.
        where: " of model.onnx" or the like, for messages.

    Attributes:
        session: The ONNX Runtime session that uses all threads.

    Raises:
        ConfigError: If there is no such device, or this installation cannot use it, or a number is
            out of range.
        FileFormatError: If ONNX Runtime refuses the model.
    """

    def __init__(
        self,
        model: onnx.ModelProto | bytes,
        *,
        num_threads: int | None,
        device: str = "cpu",
        where: str = "",
    ) -> None:
        num_threads = check_threads(num_threads)
        content = model if isinstance(model, bytes) else model.SerializeToString()
        self._unpacks = not isinstance(model, bytes) and _packs_weights_alone(model)
        self.session = start_session(
            content,
            num_threads=num_threads,
            device=device,
            unpacks_weights=self._unpacks,
            where=where,
        )
        self._threads = num_threads or available_threads()
        self._is_split = device == "cpu" and self._threads > 1 and len(content) <= _MAX_BYTES
        self._content = content if self._is_split else b""
        self._where = where
        self._lock = threading.Lock()
        self._single: Any = None

    def map(
        self,
        run: Callable[[Any, npt.NDArray[np.uint8]], Part],
        images: npt.NDArray[np.uint8],
        *,
        batch_size: int,
        may_shrink: bool = True,
    ) -> list[Part]:
        """Runs all images.

        Args:
            run: Takes a session and a batch; may run in several threads at the same time.
            images: (N, ...) images.
            batch_size: Images of a batch at most.
            may_shrink: Whether batches may be smaller than that though there are images left.

        Returns:
            What `run` gave for each batch, in the images' order.

        Raises:
            FileFormatError: If `run` raises it.
        """
        threads, session, size = 1, self.session, batch_size
        if self._is_split:
            if may_shrink:
                limit = min(batch_size, _BATCH)
                size = _equal_size(max(1, len(images)), self._threads, limit)
            # With most threads idle they had better work together.
            if 2 * len(range(0, len(images), size)) > self._threads:
                threads, session = self._threads, self._single_threaded()
            else:
                size = batch_size
        starts = range(0, len(images), size)
        batches = (images[start : start + size] for start in starts)
        return list(map_in_order(lambda batch: run(session, batch), batches, threads))

    def _single_threaded(self) -> Any:
        with self._lock:
            if self._single is None:
                self._single = start_session(
                    self._content,
                    num_threads=1,
                    unpacks_weights=self._unpacks,
                    where=self._where,
                )
                self._content = b""
            return self._single


def _packs_weights_alone(model: onnx.ModelProto) -> bool:
    """Whether weights are kept in few bits and all else is computed in floats."""
    operations = {node.op_type for node in model.graph.node}
    return "DequantizeLinear" in operations and "QuantizeLinear" not in operations


def _equal_size(count: int, num_threads: int, limit: int) -> int:
    """The size of batches, at most `limit`, that gives every thread about as many images."""
    rounds = -(-count // (num_threads * limit))
    return -(-count // (num_threads * rounds))
