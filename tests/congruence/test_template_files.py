"""What `fuse_archive` writes, `TemplateSet` reads: each template equal to that of its images alone."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.archives import fuse_archive, open_archive
from probefusion.types import EmbeddingSet, TemplateSet
from probefusion.zoo import load_fuser


@pytest.mark.parametrize("name", ["mean", "norm-weighted", "exact", "exact-fast"])
@pytest.mark.parametrize(("ending", "with_text"), [("npz", False), ("parquet", True)])
def test_archives_become_template_sets(
    tmp_path, rng, fuser_folders, name, ending, with_text
) -> None:
    fuser = load_fuser(fuser_folders.get(name, name))
    ids = rng.integers(0, 25, 200)
    ids = np.array([f"né {number}" for number in ids]) if with_text else ids
    embeddings = (20 * rng.standard_normal((200, 16))).astype(np.float32)
    style = rng.standard_normal((200, 6, 2)).astype(np.float32)
    folder = tmp_path / "archive"
    folder.mkdir()
    np.save(folder / "template_ids.npy", ids)
    np.save(folder / "embeddings.npy", embeddings)
    np.save(folder / "style.npy", style)
    (folder / "embedder.txt").write_text("net@1")
    output = tmp_path / f"templates.{ending}"
    fuse_archive(open_archive(folder), fuser, output)
    people = TemplateSet.load(output)
    assert list(people) == [str(name) for name in dict.fromkeys(ids.tolist())]
    assert (people.fuser, people.embedder) == (fuser.fingerprint, "net@1")
    for person in people:
        chosen = ids.astype(np.str_) == person
        alone = fuser.fuse(
            EmbeddingSet(embeddings=embeddings[chosen], style=style[chosen], embedder="net@1")
        )
        assert people[person].num_images == alone.num_images == chosen.sum()
        assert np.abs(people[person].vector - alone.vector).max() < 1e-6
        assert people[person].similarity(alone) > 1 - 1e-6
