"""What the client refuses before it asks the service."""

from __future__ import annotations

import pytest

from probefusion.errors import ConfigError
from probefusion.service.client.queries import query_of


def test_an_embedding_set_is_refused_with_its_parts_named(make_set) -> None:
    images = make_set(3, embedder="net@1")
    with pytest.raises(ConfigError, match=r"embeddings=images\.embeddings, style=images\.style"):
        query_of(embeddings=images)
    asked = query_of(embeddings=images.embeddings, style=images.style, embedder=images.embedder)
    assert (asked["embeddings"]["dim"], asked["embeddings"]["embedder"]) == (images.dim, "net@1")
