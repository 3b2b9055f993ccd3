"""A network run over any number of images: all threads on one image, or a small batch in each thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from probefusion.faces.onnx_graph import start_session
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
        num_threads: Threads to use; None for one per core.
        device: "cpu", or "cuda" for the first NVIDIA GPU, which takes one batch at a time.
        where: " of model.onnx" or the like, for messages.

    Attributes:
        session: The ONNX Runtime session that uses all threads.

    Raises:
        ConfigError: If there is no such device, or this installation cannot use it.
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
        content = model if isinstance(model, bytes) else model.SerializeToString()
        self.session = start_session(content, num_threads=num_threads, device=device, where=where)
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
        """
        threads = self._threads
        if not self._is_split or len(images) < 2:
            threads, session = 1, self.session
        else:
            session = self._single_threaded()
            if may_shrink:
                batch_size = min(batch_size, _BATCH, -(-len(images) // threads))
        batches = (
            images[start : start + batch_size] for start in range(0, len(images), batch_size)
        )
        return list(map_in_order(lambda batch: run(session, batch), batches, threads))

    def _single_threaded(self) -> Any:
        with self._lock:
            if self._single is None:
                self._single = start_session(self._content, num_threads=1, where=self._where)
                self._content = b""
            return self._single
