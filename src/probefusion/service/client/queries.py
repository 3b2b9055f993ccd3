"""What clients send: images of one person as a request holds them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError
from probefusion.types import Template

__all__ = ["Json", "query_of"]

Json: TypeAlias = dict[str, Any]
"""An object of JSON."""


def query_of(
    *,
    images: Sequence[str | Path] | None = None,
    embeddings: npt.ArrayLike | None = None,
    embedder: str | None = None,
    style: npt.ArrayLike | None = None,
    sources: Sequence[str] | None = None,
    media_ids: Sequence[str] | None = None,
    state: bytes | None = None,
    template: Template | None = None,
    session: str | None = None,
) -> Json:
    """Images of one person as a request holds them; exactly one of images, embeddings, state, template and session.

    Args:
        images: Files.
        embeddings: (N, D) or (D,) numbers.
        embedder: Fingerprint of the network that made them.
        style: (N, C, 2) style statistics.
        sources: A name for each embedding.
        media_ids: Still or clip of each embedding.
        state: As `FusionState.to_bytes` gives it.
        template: A finished template, sent with what can be expected of it; it can be searched for and compared.
        session: Id of a session.

    Raises:
        ConfigError: If it is not exactly one, or what belongs to embeddings is given with another.
    """
    forms = {
        "images": images,
        "embeddings": embeddings,
        "state": state,
        "template": template,
        "session": session,
    }
    given = [name for name, value in forms.items() if value is not None]
    if len(given) != 1:
        raise ConfigError(
            f"query: expected one of {', '.join(forms)}, got {', '.join(given) or 'none'}."
        )
    details = {"embedder": embedder, "style": style, "sources": sources, "media_ids": media_ids}
    loose = [name for name, value in details.items() if value is not None]
    if embeddings is None and loose:
        raise ConfigError(f"{loose[0]}: expected with embeddings alone, got it with {given[0]}.")
    if images is not None:
        files = [Path(file) for file in images]
        return {
            "images": [{"name": file.name, "base64": _base64(file.read_bytes())} for file in files]
        }
    if state is not None:
        return {"state": _base64(state)}
    if session is not None:
        return {"session": session}
    if template is not None:
        if template.fuser is None:
            raise ConfigError("template: expected one that says which fuser made it.")
        usability = template.usability
        return {
            "template": {
                "base64": _base64(np.asarray(template.vector, "<f4").tobytes()),
                "num_images": template.num_images,
                "fuser": template.fuser,
                "embedder": template.embedder,
                "usability": None if usability is None else asdict(usability),
            }
        }
    if hasattr(embeddings, "embeddings"):
        raise ConfigError(
            "embeddings: expected an array, got an embedding set. Give its parts: "
            "embeddings=images.embeddings, style=images.style, embedder=images.embedder."
        )
    matrix = np.atleast_2d(np.asarray(embeddings, "<f4"))
    found: Json = {
        "base64": _base64(matrix.tobytes()),
        "dim": matrix.shape[1],
        "embedder": embedder,
    }
    if sources is not None:
        found["sources"] = list(sources)
    if media_ids is not None:
        found["media_ids"] = list(media_ids)
    if style is not None:
        found["style"] = _base64(np.asarray(style, "<f4").tobytes())
    return {"embeddings": found}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
