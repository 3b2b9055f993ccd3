"""`probefusion fuse-archive` with real arguments."""

from __future__ import annotations

import json

import numpy as np
import pytest


@pytest.fixture
def archive(tmp_path, make_set):
    images = make_set(30)
    folder = tmp_path / "archive"
    folder.mkdir()
    np.save(folder / "embeddings.npy", images.embeddings)
    np.save(folder / "style.npy", images.style)
    np.save(folder / "template_ids.npy", np.arange(30) % 4)
    return folder


def test_an_archive_becomes_a_file_of_templates(tmp_path, command, archive) -> None:
    output = tmp_path / "templates.npz"
    arguments = ("fuse-archive", archive, "--fuser", "mean", "-o", output)
    code, out, err = command(*arguments, "--json")
    assert code == 0
    facts = json.loads(out)
    assert (facts["num_images"], facts["num_templates"], facts["engine"]) == (30, 4, "local")
    assert "fusing: 30/30 images" in err
    with np.load(output) as arrays:
        assert arrays["embeddings"].shape == (4, 16)
    code, _, err = command(*arguments)
    assert code == 1
    assert "--force" in err
    code, out, _ = command(*arguments, "--force", "--threads", "2")
    assert code == 0
    assert "30 images fused into 4 templates" in out


def test_the_command_is_one_call_from_python(tmp_path, command, archive) -> None:
    from probefusion.pipeline.fuse_archive import fuse_archive
    from probefusion.types import TemplateSet

    report = fuse_archive(archive, tmp_path / "python.npz", fuser="mean")
    code, out, _ = command(
        "fuse-archive", archive, "--fuser", "mean", "-o", tmp_path / "command.npz", "--json"
    )
    assert code == 0
    assert json.loads(out)["fuser"] == report.fuser
    mine, its = (TemplateSet.load(tmp_path / f"{name}.npz") for name in ("python", "command"))
    assert list(mine.ids) == list(its.ids) == ["0", "1", "2", "3"]
    assert np.array_equal(mine.vectors, its.vectors)


def test_what_is_no_archive_is_told_in_one_line(tmp_path, command, archive) -> None:
    output = tmp_path / "templates.npz"
    code, _, err = command("fuse-archive", tmp_path / "none", "--fuser", "mean", "-o", output)
    assert (code, err.count("\n")) == (1, 1)
    code, _, err = command(
        "fuse-archive", archive, "--by", "person", "--fuser", "mean", "-o", output
    )
    assert code == 1
    assert "person" in err
    assert not output.exists()
