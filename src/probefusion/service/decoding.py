"""Images of clients are decoded in a process of their own, with bounded memory and time: a bomb ends that alone."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from multiprocessing import get_context
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import FileFormatError
from probefusion.extras import import_extra
from probefusion.service.settings import Limits

__all__ = ["ImageDecoder"]

Image = npt.NDArray[np.uint8]


class ImageDecoder:
    """Decodes images that clients sent. For several threads.

    Args:
        limits: Time, memory and pixels of an image.
        num_workers: Processes.

    Raises:
        MissingExtraError: If pebble is not installed.
    """

    def __init__(self, limits: Limits, *, num_workers: int = 1) -> None:
        self._pebble: Any = import_extra(
            "pebble", extra="serve", purpose="decoding images of clients"
        )
        self._limits, self._num_workers = limits, num_workers
        self._lock = threading.Lock()
        self._pool: Any = None

    def decode(self, name: str, content: bytes) -> Image:
        """(H, W, 3) uint8 RGB of an image file, turned as its EXIF entry says.

        Raises:
            FileFormatError: If it is no image that can be read, or takes more time, memory or pixels than allowed.
        """
        try:
            shape, data = self._result(content)
        except BrokenExecutor:  # the process was ended while it waited: another one, once
            shape, data = self._again(name, content)
        except FutureTimeout:
            limit = f"{self._limits.decode_seconds:g} s"
            raise _refused(name, f"took longer than {limit} to decode") from None
        except (MemoryError, OSError, self._pebble.ProcessExpired):
            raise _refused(name, "took more memory to decode than is allowed") from None
        except FileFormatError as error:
            raise _refused(name, str(error)) from None
        return np.frombuffer(data, np.uint8).reshape(shape)

    def _result(self, content: bytes) -> tuple[Sequence[int], bytes]:
        with self._lock:
            future = self._begun().schedule(
                _decoded,
                args=(content, self._limits.max_pixels),
                timeout=self._limits.decode_seconds,
            )
        found: tuple[Sequence[int], bytes] = future.result()
        return found

    def _again(self, name: str, content: bytes) -> tuple[Sequence[int], bytes]:
        self.close()
        try:
            return self._result(content)
        except BrokenExecutor:
            raise _refused(name, "ended the process that decodes") from None

    def close(self) -> None:
        """Ends the processes."""
        with self._lock:
            if self._pool is not None:
                self._pool.stop()
                self._pool.join()
                self._pool = None

    def _begun(self) -> Any:
        """The processes; begun with the first image, and anew should all of them have ended."""
        if self._pool is None or not self._pool.active:
            self._pool = self._pebble.ProcessPool(
                max_workers=self._num_workers,
                initializer=_bound,
                initargs=(self._limits.decode_memory,),
                context=get_context("spawn"),
            )
        return self._pool


def _refused(name: str, reason: str) -> FileFormatError:
    return FileFormatError(f"image {name!r}: {reason}. Send a JPEG, PNG, WebP, BMP or TIFF image.")


def _bound(memory: int) -> None:
    """Once in each process: libraries first, then the limit on what comes on top.

    What decoders say of clients' files goes nowhere: it would fill the service's own log. What is wrong is answered.
    """
    from probefusion.extras import import_cv2
    from probefusion.faces import images  # noqa: F401

    import_cv2("decoding images of clients").setNumThreads(1)
    used = _used_address_space()
    resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _used_address_space() -> int:
    with open("/proc/self/statm") as stream:  # noqa: PTH123 - no path of a user
        return int(stream.read().split()[0]) * resource.getpagesize()


def _decoded(content: bytes, max_pixels: int) -> tuple[Sequence[int], bytes]:
    from probefusion.faces.decoding import decode_or_reason
    from probefusion.faces.image_header import pixel_size

    width, height = pixel_size(content) or (0, 0)
    if width * height > max_pixels:
        raise FileFormatError(f"{width}x{height} pixels, expected at most {max_pixels:,} in all")
    image = decode_or_reason(content)
    if isinstance(image, str):
        raise FileFormatError(image)
    if image.shape[0] * image.shape[1] > max_pixels:  # of kinds whose header is not read before
        raise FileFormatError(
            f"{image.shape[1]}x{image.shape[0]} pixels, expected at most {max_pixels:,} in all"
        )
    return image.shape, image.tobytes()
