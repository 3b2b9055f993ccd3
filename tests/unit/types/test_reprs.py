"""Printing a value gives one line that says what it is."""

from __future__ import annotations

import numpy as np

from probefusion.fusion import MeanFuser
from probefusion.types import EmbeddingSet, Template, TemplateSet


def test_embedding_set(make_set) -> None:
    images = make_set(300, embedder="net@1", media_ids=np.arange(300))
    assert str(images) == (
        "<EmbeddingSet: 300 images, dim 16, style of 6 channels, media_ids, embedder net@1>"
    )
    plain = EmbeddingSet(embeddings=np.eye(2, 512))
    assert repr(plain) == "<EmbeddingSet: 2 images, dim 512, lengths unknown, embedder unknown>"


def test_state_and_templates(make_set) -> None:
    fuser, images = MeanFuser(), make_set(5, embedder="net@1")
    state = fuser.encode(images)
    assert repr(state) == (
        f"<FusionState: of 5 images, {len(state.mass)} clusters, dim 16, fuser mean@1, embedder net@1>"
    )
    template = fuser.fuse(images)
    assert repr(template) == (
        "<Template: of 5 images, dim 16, fuser mean@1, embedder net@1, with weights>"
    )
    bare = Template(vector=template.vector, num_images=5)
    assert repr(bare) == "<Template: of 5 images, dim 16, fuser unknown, embedder unknown>"
    people = TemplateSet.of({"a": fuser.finish(state)}, {"a": state})
    assert repr(people) == (
        "<TemplateSet: 1 templates of 5 images, dim 16, fuser mean@1, embedder net@1, with states>"
    )
