"""States that are kept: more files are added without reading the old ones, and the result is the same bits."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import small_archive

from probefusion.archives import fuse_archive, manifest, open_archive
from probefusion.archives.fusing import planning
from probefusion.archives.partials.partials import open_partials
from probefusion.errors import (
    ConfigError,
    EmbedderMismatchError,
    FuserMismatchError,
    MismatchError,
    MissingFileError,
    OutputExistsError,
)
from probefusion.zoo import load_fuser

pytest.importorskip("pyarrow")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(planning, "_FEWEST_ROWS", 50)
    monkeypatch.setattr(planning, "_MOST_ROWS", 50)
    monkeypatch.setattr(manifest, "_CHUNKS_A_TASK", 2)


@pytest.fixture
def old_and_new(tmp_path):
    """One archive, and the same in two: its files, and one that comes behind them."""
    columns = small_archive.rows()
    whole = small_archive.write_folder(tmp_path / "whole", columns)
    for folder, names in (("old", range(4)), ("new", [4])):
        (tmp_path / folder).mkdir()
        for number in names:
            shutil.copy2(whole / f"part-{number:02d}.parquet", tmp_path / folder)
    return whole, tmp_path / "old", tmp_path / "new"


@pytest.mark.parametrize("kind", ["exact", "exact-fast", "mean", "norm-weighted"])
def test_adding_gives_what_one_run_gives(tmp_path, old_and_new, fuser_folders, kind) -> None:
    whole, old, new = old_and_new
    fuser = load_fuser(fuser_folders.get(kind, kind))
    fuse_archive(open_archive(whole), fuser, tmp_path / "whole.npz")
    states = tmp_path / "states"
    fuse_archive(open_archive(old), fuser, tmp_path / "added.npz", keep_states=states)
    report = fuse_archive(
        open_archive(new), fuser, tmp_path / "added.npz", add_to=states, force=True, memory=20_000
    )
    assert report.num_images == 400
    assert (tmp_path / "added.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert len([place for place in states.iterdir() if place.is_dir()]) == 2
    assert not list(tmp_path.glob("*.work"))


def test_old_files_are_not_read_again(tmp_path, old_and_new, fuser_folders) -> None:
    _, old, new = old_and_new
    fuser, states = load_fuser(fuser_folders["exact"]), tmp_path / "states"
    fuse_archive(open_archive(old), fuser, tmp_path / "t.npz", keep_states=states)
    archive = open_archive(new)
    shutil.rmtree(old)
    fuse_archive(archive, fuser, tmp_path / "t.npz", add_to=states, force=True)
    with pytest.raises(MismatchError, match=r"part-04\.parquet: was fused .* already"):
        fuse_archive(archive, fuser, tmp_path / "t.npz", add_to=states, force=True)


def test_what_does_not_fit_is_refused(tmp_path, old_and_new, fuser_folders) -> None:
    _, old, new = old_and_new
    fuser, states = load_fuser(fuser_folders["exact"]), tmp_path / "states"
    output = tmp_path / "t.npz"
    with pytest.raises(MissingFileError, match="--keep-states"):
        fuse_archive(open_archive(new), fuser, output, add_to=states)
    fuse_archive(open_archive(old), fuser, output, keep_states=states)
    with pytest.raises(OutputExistsError, match="--add-to"):
        fuse_archive(open_archive(old), fuser, tmp_path / "u.npz", keep_states=states)
    with pytest.raises(FuserMismatchError, match="mean"):
        fuse_archive(open_archive(new), load_fuser("mean"), output, add_to=states, force=True)
    with pytest.raises(MismatchError, match="screening"):
        fuse_archive(open_archive(new), fuser, output, add_to=states, force=True, screening=False)
    with pytest.raises(ConfigError, match="one of them"):
        fuse_archive(
            open_archive(new), fuser, output, add_to=states, keep_states=states, force=True
        )
    mean, plain = load_fuser("mean"), tmp_path / "plain"
    fuse_archive(open_archive(old), mean, output, keep_states=plain, force=True)
    ids = np.arange(3)
    np.save(tmp_path / "template_ids.npy", ids)
    np.save(tmp_path / "embeddings.npy", np.ones((3, small_archive.DIM), np.float16))
    other = open_archive(tmp_path, embedder="net@2")
    with pytest.raises(EmbedderMismatchError, match="net@2"):
        fuse_archive(other, mean, output, add_to=plain, force=True)


def test_states_that_were_changed_are_refused(tmp_path, old_and_new, fuser_folders) -> None:
    from probefusion.errors import IntegrityError

    _, old, new = old_and_new
    fuser, states = load_fuser(fuser_folders["exact"]), tmp_path / "states"
    output = tmp_path / "t.npz"
    fuse_archive(open_archive(old), fuser, output, keep_states=states)
    _flip_a_bit_of_the_state(states, 5)
    with pytest.raises(IntegrityError, match="checksum"):
        fuse_archive(open_archive(new), fuser, output, add_to=states, force=True)


def _flip_a_bit_of_the_state(states, person) -> None:
    """Changes one bit in the middle of what is stored of somebody."""
    for bucket in states.glob("*/*.arrow"):
        with open_partials(str(bucket)) as file:
            part = file.read(0)
            state = part.states[part.ids == person].tobytes()
        if state:
            data = bytearray(bucket.read_bytes())
            data[data.index(state) + len(state) // 2] ^= 1
            bucket.write_bytes(data)
