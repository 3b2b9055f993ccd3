"""Templates of an archive whose images are of several people are named, in bounded memory."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from planted_people import planted

from probefusion.archives import fuse_archive, open_archive
from probefusion.archives.screened_templates import _chosen
from probefusion.fusion import MeanFuser

COUNTS = {"one": (30,), "mixed": (24, 16), "few": (2, 1), "other": (12,)}


@pytest.fixture
def rows():
    """Embeddings and names of four templates, one after the other."""
    sets = [planted(*counts, seed=seed) for seed, counts in enumerate(COUNTS.values())]
    names = np.repeat(list(COUNTS), [sum(counts) for counts in COUNTS.values()])
    return names, np.concatenate([images.embeddings for images in sets]).astype(np.float32)


@pytest.fixture
def archive(tmp_path, rows):
    """Writes the rows in an order; gives the folder."""

    def write(order=None):
        names, embeddings = rows
        order = np.arange(len(names)) if order is None else order
        folder = tmp_path / f"archive{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        np.save(folder / "embeddings.npy", embeddings[order])
        np.save(folder / "template_ids.npy", names[order])
        return folder

    return write


@pytest.fixture
def run(tmp_path):
    def fuse(folder, **options):
        output = folder.with_suffix(".npz")
        return fuse_archive(open_archive(folder), MeanFuser(), output, force=True, **options)

    return fuse


@pytest.mark.parametrize("is_sorted", [True, False])
def test_templates_that_fall_apart_are_named(archive, run, rng, is_sorted) -> None:
    report = run(archive(None if is_sorted else rng.permutation(85)))
    assert report.num_templates == 4
    assert (report.num_screened, report.num_not_screened) == (3, 0)
    ((name, share),) = report.several_people
    assert name == "mixed"
    assert share == pytest.approx(0.4, abs=0.2)  # of the 16 images that were looked at


def test_nobody_looks_where_that_is_not_wanted(archive, run) -> None:
    report = run(archive(), screening=False)
    assert (report.num_screened, report.several_people) == (0, ())
    assert report.num_not_screened == 4


def test_what_does_not_fit_the_memory_is_counted(archive, run, rng) -> None:
    """In mixed order all four are open at once; 5 images of 512 bytes, and one state, fit."""
    order = rng.permutation(85)
    report = run(archive(order), memory=5 * 512)
    assert report.num_screened + report.num_not_screened == 3
    assert report.num_not_screened > 0
    assert report.num_templates == 4


class Stop(Exception):
    pass


def test_an_interrupted_run_keeps_what_was_said(archive, run, monkeypatch) -> None:
    module = sys.modules[fuse_archive.__module__]
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 5)
    monkeypatch.setattr(module, "_SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    order = np.concatenate([np.arange(30, 70), np.arange(30), np.arange(70, 85)])
    folder = archive(order)

    def stop(done: int, total: int) -> None:
        if done >= 50:  # all of "mixed", ten images of "one"
            raise Stop

    with pytest.raises(Stop):
        run(folder, progress=stop)
    report = run(folder)
    assert report.resumed_at >= 45
    assert [name for name, _ in report.several_people] == ["mixed"]
    assert report.num_not_screened == 1  # "one", of which the first images are gone
    assert report.num_screened == 2


@pytest.mark.parametrize("total", [4, 16, 17, 40, 1000])
def test_the_images_that_are_looked_at_are_evenly_spread(total) -> None:
    parts = [_chosen(total, done, min(7, total - done)) + done for done in range(0, total, 7)]
    chosen = np.concatenate(parts)
    assert len(chosen) == min(total, 16)
    assert chosen[0] == 0
    steps = np.diff(chosen)
    assert steps.max() - steps.min() <= 1
    assert chosen[-1] >= total - total / 16 - 1


def test_the_command_names_them(archive, command, tmp_path) -> None:
    folder = archive()
    output = tmp_path / "t.npz"
    code, out, err = command("fuse-archive", folder, "-o", output, "--fuser", "mean")
    assert code == 3
    assert "screened: 3 of 4 templates" in out
    assert (
        "1 template falls apart, as if of several people; the lighter part of each: mixed (" in err
    )
    assert output.exists()
    arguments = ("fuse-archive", folder, "-o", output, "--fuser", "mean", "--force")
    code, out, err = command(*arguments, "--no-screening")
    assert code == 0
    assert "not screened: not wanted (--no-screening)" in out
    code, out, _ = command(*arguments, "--json")
    assert [name for name, _ in json.loads(out)["several_people"]] == ["mixed"]


@pytest.fixture
def command(capsys):
    from probefusion.cli import main

    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return call
