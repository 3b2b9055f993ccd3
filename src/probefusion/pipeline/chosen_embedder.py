"""The embedder of a call: a name, a file, an object, or nothing for the one inside the package."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from probefusion.errors import ConfigError, UnknownNameError
from probefusion.pipeline.given_models import check_embedder
from probefusion.types.revisions import name_to_load

if TYPE_CHECKING:
    from probefusion.embedders import Embedder

__all__ = ["is_fingerprint", "open_embedder", "stated_fingerprint"]

_log = logging.getLogger("probefusion")


def open_embedder(
    embedder: str | os.PathLike[str] | Embedder | None,
    *,
    preprocessing: str | None = None,
    norm_output: str | None = None,
    num_threads: int | None = None,
    device: str = "cpu",
) -> Embedder:
    """Makes the embedder ready; that of the package is told in the log where none was named.

    Args:
        embedder: A known name, an ONNX file, an embedder (given back), or None.
        preprocessing: "arcface" for a file that nothing describes.
        norm_output: Output with the length of an embedding that the network normalises; "" for none.
        num_threads: Threads to use; None for one per core.
        device: "cpu" or "cuda".

    Raises:
        DtypeError: If it is of another type than these.
        ConfigError: If `preprocessing` or `norm_output` is given beside a ready embedder.
        ProbeFusionError: As for `probefusion.zoo.load_embedder`.
    """
    from probefusion.zoo import DEFAULT_EMBEDDER, find_entry, load_embedder

    check_embedder(embedder)
    if embedder is not None and not isinstance(embedder, str | os.PathLike):
        for name, given in (("preprocessing", preprocessing), ("norm_output", norm_output)):
            if given is not None:
                raise ConfigError(
                    f"{name}: expected None beside a ready embedder, which knows its own."
                )
        return embedder
    if embedder is None:
        embedder = DEFAULT_EMBEDDER
        _log.info(
            "embedder: %s of this package (%s); choose another with --embedder",
            embedder,
            find_entry(embedder).licence,
        )
    if is_fingerprint(os.fspath(embedder)):
        raise ConfigError(
            f"--embedder: {os.fspath(embedder)!r} is a fingerprint, which says what made embeddings but "
            f"cannot embed images. Give the model's name ({name_to_load(os.fspath(embedder))}) or its ONNX file."
        )
    return load_embedder(
        os.fspath(embedder),
        settings={"preprocessing": preprocessing, "norm_output": norm_output},
        num_threads=num_threads,
        device=device,
    )


def is_fingerprint(text: str) -> bool:
    """Whether a text is a fingerprint (`name@` and its digits) rather than a name or a file."""
    return "@" in text and not os.path.exists(text)  # noqa: PTH110


def stated_fingerprint(
    embedder: str | os.PathLike[str] | Embedder | None,
    *,
    preprocessing: str | None = None,
    norm_output: str | None = None,
) -> str | None:
    """The fingerprint of what made embeddings, as a user states it; nothing is run.

    Args:
        embedder: A fingerprint (`name@` and 12 hexadecimal digits), a known name, an ONNX file, an
            embedder, or None where it is not known.
        preprocessing: "arcface" for a file that nothing describes.
        norm_output: As for `open_embedder`.

    Raises:
        DtypeError: If it is of another type than these.
        ConfigError: If it is none of these.
        ProbeFusionError: As for `probefusion.zoo.resolve_embedder`.
    """
    from probefusion.zoo import resolve_embedder

    if embedder is None:
        return None
    check_embedder(embedder)
    if not isinstance(embedder, str | os.PathLike):
        return embedder.fingerprint
    name = os.fspath(embedder)
    if is_fingerprint(name):
        return name
    settings: dict[str, Any] = {"preprocessing": preprocessing, "norm_output": norm_output}
    try:
        return resolve_embedder(name, settings=settings)[1].fingerprint
    except UnknownNameError as error:
        raise ConfigError(
            f"embedder: expected what made the embeddings, as a known name, its ONNX file or its "
            f"fingerprint (name@12 hexadecimal digits), got {name!r}. Leave it out if you do not know; "
            f"{error}"
        ) from error
