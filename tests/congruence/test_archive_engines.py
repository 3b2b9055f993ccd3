"""One archive, every engine, any order of making its files, a driver that was killed: the same bytes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import small_archive

from probefusion.archives import fuse_archive, open_archive
from probefusion.archives.engines.choose import choose_engine
from probefusion.zoo import load_fuser

pytest.importorskip("pyarrow")

KINDS = ("mean", "norm-weighted", "exact-fast", "exact")

DRIVER = """
import sys, time
from probefusion.archives import fuse_archive, open_archive
from probefusion.archives.engines.choose import choose_engine
from probefusion.zoo import load_fuser

def tell(done, total):
    print(done, flush=True)
    if {stops} and done > {after} * total:
        time.sleep(600)

if __name__ == "__main__":
    archive, fuser, output, engine, workers = sys.argv[1:]
    with choose_engine(engine, num_workers=int(workers)) as engine:
        fuse_archive(open_archive(archive), load_fuser(fuser), output, engine=engine, progress=tell)
"""


@pytest.fixture(scope="module")
def archive(made_once) -> Path:
    """Eight files of 250 rows."""
    return made_once(
        "archive of engines",
        lambda folder: small_archive.write_folder(
            folder, small_archive.rows(num_images=2000, num_people=120), num_files=8
        ),
    )


@pytest.fixture(scope="module")
def alone(archive, fuser_folders, tmp_path_factory):
    """Templates by one process, by kind of fuser."""
    folder = tmp_path_factory.mktemp("alone")

    def fused(kind: str) -> bytes:
        output = folder / f"{kind}.npz"
        if not output.exists():
            fuser = load_fuser(fuser_folders.get(kind, kind))
            with choose_engine("local", num_workers=1) as engine:
                fuse_archive(open_archive(archive), fuser, output, engine=engine)
        return output.read_bytes()

    return fused


@pytest.mark.parametrize("kind", KINDS)
def test_every_engine_gives_the_same_bytes(
    tmp_path, archive, alone, fuser_folders, any_engine, kind
) -> None:
    fuser = load_fuser(fuser_folders.get(kind, kind))
    report = fuse_archive(
        open_archive(archive), fuser, tmp_path / "t.npz", engine=any_engine, memory=60_000
    )
    assert (report.engine, report.num_images) == (any_engine.name, 2000)
    assert (tmp_path / "t.npz").read_bytes() == alone(kind)


def test_the_order_in_which_files_were_made_is_no_matter(
    tmp_path, alone, fuser_folders, rng
) -> None:
    columns = small_archive.rows(num_images=2000, num_people=120)
    order = rng.permutation(8).tolist()
    folder = small_archive.write_folder(tmp_path / "archive", columns, num_files=8, order=order)
    fuser = load_fuser(fuser_folders["exact"])
    fuse_archive(open_archive(folder), fuser, tmp_path / "t.npz")
    assert (tmp_path / "t.npz").read_bytes() == alone("exact")


@pytest.mark.parametrize("after", [0.2, 0.6])
def test_a_killed_driver_changes_no_byte(tmp_path, archive, alone, fuser_folders, after) -> None:
    """Killed while it maps, and while it reduces."""
    script, output = tmp_path / "driver.py", tmp_path / "t.npz"
    script.write_text(DRIVER.format(stops=True, after=after))
    command = [sys.executable, str(script), str(archive), str(fuser_folders["exact"]), str(output)]
    with subprocess.Popen([*command, "local", "2"], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        done = 0
        while done <= after * 2000:
            done = int(driver.stdout.readline())
        time.sleep(0.1)
        driver.kill()
    assert not output.exists()
    report = fuse_archive(open_archive(archive), load_fuser(fuser_folders["exact"]), output)
    assert report.resumed_at >= min(2 * after, 1) * 2000 - 250
    assert output.read_bytes() == alone("exact")
    assert {path.name for path in tmp_path.iterdir()} == {"driver.py", "t.npz"}
