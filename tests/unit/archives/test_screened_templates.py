"""Templates of an archive whose images are of several people are named, in bounded memory."""

from __future__ import annotations

import json

import numpy as np
import pytest
from planted_people import planted

from probefusion.archives import fuse_archive, manifest, open_archive
from probefusion.archives.fusing import planning
from probefusion.archives.fusing.judging import judge
from probefusion.archives.partials.sampling import is_kept, taken
from probefusion.fusion import MeanFuser
from probefusion.screening import screen
from probefusion.types import EmbeddingSet
from probefusion.zoo import load_fuser

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


@pytest.mark.parametrize("name", ["mean", "norm-weighted"])
def test_the_verdicts_are_those_of_screen(name) -> None:
    sets = [
        planted(*counts, seed=seed)
        for seed, counts in enumerate([(16,), (9, 7), (3,), (12, 4), (5,), (4, 4), (16,), (10, 6)])
    ]
    images = EmbeddingSet.concatenate(sets)
    borders = np.cumsum([0, *map(len, sets)])
    codes, lighter = judge(images, borders, load_fuser(name))
    told = [screen(part, load_fuser(name)) for part in sets]
    words = ["not screened", "one person", "several people", "cannot tell"]
    assert [words[code] for code in codes] == [each.verdict for each in told]
    assert len(set(codes.tolist())) == 3
    for share, each in zip(lighter, told, strict=True):
        weight = each.parts[1].weight if each.falls_apart else 0
        # by the fuser that screens, where the other was not measured
        assert share == pytest.approx(weight, abs=1e-5 if name == "mean" else 0.15)


def test_nobody_looks_where_that_is_not_wanted(archive, run) -> None:
    report = run(archive(), screening=False)
    assert (report.num_screened, report.several_people) == (0, ())
    assert report.num_not_screened == 4


def test_memory_and_chunks_change_no_verdict(archive, run, rng, monkeypatch) -> None:
    folder = archive(rng.permutation(85))
    whole = run(folder)
    monkeypatch.setattr(planning, "_MOST_ROWS", 20)
    monkeypatch.setattr(planning, "_FEWEST_ROWS", 20)
    monkeypatch.setattr(manifest, "_CHUNKS_A_TASK", 2)
    report = run(folder, memory=2000)
    assert report.num_screened == whole.num_screened == 3
    assert [name for name, _ in report.several_people] == ["mixed"]


@pytest.mark.parametrize("total", [4, 16, 17, 40, 1000])
@pytest.mark.parametrize("chunk", [7, 100, 5000])
def test_the_images_that_are_looked_at_are_evenly_spread(total, chunk) -> None:
    rows = np.arange(total)
    parts = [rows[start : start + chunk] for start in range(0, total, chunk)]
    kept = [part[is_kept(np.arange(len(part)), np.full(len(part), len(part)))] for part in parts]
    owners, places, goals, borders = taken(
        np.zeros(len(parts), np.int64),
        np.array([len(part) for part in parts]),
        np.array([len(part) for part in kept]),
    )
    chosen = np.array([kept[owner][place] for owner, place in zip(owners, places, strict=True)])
    assert goals.tolist() == list(range(min(total, 16)))
    assert borders.tolist() == [0, len(chosen)]
    assert (np.diff(chosen) > 0).all()
    assert chosen[0] <= chunk / 2
    assert np.diff(chosen).max() <= total / 16 + chunk / 2 + 1
    assert chosen[-1] >= total - total / 16 - chunk / 2 - 1


def test_the_rows_of_several_people_stay_apart() -> None:
    people = np.array([0, 1, 1, 0, 2])
    counts = np.array([20, 2, 3, 30, 1])
    owners, places, goals, borders = taken(people, counts, np.minimum(counts, 16))
    assert borders.tolist() == [0, 16, 21, 22]
    assert sorted(goals.tolist()) == list(range(22))
    assert [owners.tolist().count(entry) for entry in range(5)] == [7, 2, 3, 9, 1]
    for entry in range(5):
        chosen = places[owners == entry]
        assert len(set(chosen.tolist())) == len(chosen)
        assert chosen.max() < min(counts[entry], 16)


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
