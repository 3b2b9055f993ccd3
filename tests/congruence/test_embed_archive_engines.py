"""The images of an archive become the same files, bit for bit, on every engine and after kills."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from killing_embedder import KillingEmbedder
from people_images import people_folder
from s3_server import S3Server, s3_server
from shards import write_shard

from probefusion.archives.engines.choose import choose_engine
from probefusion.archives.files import storage
from probefusion.errors import StorageError
from probefusion.files import DRAFT_PREFIX
from probefusion.pipeline.embed_archive import embed_archive

pytest.importorskip("onnx")
pytest.importorskip("pyarrow")

CHUNK = 5
NUM_CHUNKS = 15

people = people_folder


def _files(folder: Path) -> dict[str, bytes]:
    """Content by name, without the drafts that killed writers leave."""
    files = [path for path in sorted(folder.iterdir()) if not path.name.startswith(DRAFT_PREFIX)]
    return {path.name: path.read_bytes() for path in files}


@pytest.fixture
def run(people, tiny_embedder, tmp_path):
    """Embeds 73 crops into tmp_path / name."""

    def embed(name, engine, **options):
        settings = {"embedder": tiny_embedder, "aligned": True, "chunk_size": CHUNK, **options}
        report = embed_archive(people, tmp_path / name, engine=engine, **settings)
        assert (report.num_rows, report.num_chunks) == (73, NUM_CHUNKS)
        return _files(tmp_path / name)

    return embed


@pytest.fixture
def expected(run):
    with choose_engine("local", num_workers=1) as engine:
        return run("expected", engine)


def test_every_engine_writes_the_same_files(any_engine, run, expected):
    assert run("found", any_engine) == expected


def test_a_worker_that_dies_in_a_chunk_changes_nothing(
    any_engine, run, expected, tiny_embedder, tmp_path
):
    marker = tmp_path / "died"
    assert run("found", any_engine, embedder=KillingEmbedder(tiny_embedder, marker)) == expected
    assert marker.exists()


def test_a_driver_that_is_killed_changes_nothing(run, expected, people, tiny_embedder, tmp_path):
    output = tmp_path / "found"
    command = [
        *(
            sys.executable,
            "-m",
            "probefusion",
            "embed-archive",
            people,
            "-o",
            output,
            "--aligned",
        ),
        *("--embedder", tiny_embedder, "--chunk", CHUNK, "--workers", 2),
    ]
    driver = subprocess.Popen([*map(str, command)], stderr=subprocess.DEVNULL)
    while driver.poll() is None and not list(output.glob("chunk-*")):
        time.sleep(0.001)
    driver.kill()
    driver.wait()
    before = {path.name: path.stat().st_mtime_ns for path in output.glob("chunk-*")}
    assert before
    with choose_engine("local", num_workers=1) as engine:
        assert run("found", engine) == expected
    after = {path.name: path.stat().st_mtime_ns for path in output.glob("chunk-*")}
    assert before.items() <= after.items()  # what was finished is not done again


@pytest.fixture
def s3() -> Iterator[S3Server]:
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server", exc_type=ImportError)
    with s3_server() as server:
        yield server


def test_source_and_output_behind_a_url(s3, people, tiny_embedder, tmp_path):
    url = s3.make_bucket("faces")
    few = tmp_path / "few"
    for path in sorted(people.rglob("*.png"))[:12]:
        name = path.relative_to(people).as_posix()
        for place in (storage.join(few, name), f"{url}/people/{name}"):
            storage.write_bytes(place, path.read_bytes())
    options = {"embedder": tiny_embedder, "aligned": True, "chunk_size": CHUNK}
    with choose_engine("local", num_workers=1) as engine:
        report = embed_archive(f"{url}/people", f"{url}/rows", engine=engine, **options)
        assert (report.num_rows, report.num_chunks) == (12, 3)
        again = embed_archive(f"{url}/people", f"{url}/rows", engine=engine, **options)
        assert again.num_chunks_before == 3
        embed_archive(few, tmp_path / "expected", engine=engine, **options)
    parquet = pytest.importorskip("pyarrow.parquet")
    for file in storage.list_files(f"{url}/rows", suffixes=(".parquet",)):
        storage.write_bytes(tmp_path / "s3" / file.name, storage.read_bytes(file.place))
    # as tables: the files also hold the times of what they are made of
    assert parquet.read_table(tmp_path / "s3").equals(parquet.read_table(tmp_path / "expected"))


def test_shards_behind_a_url_and_one_that_is_refused(
    s3,
    people,
    tiny_embedder,
    tmp_path,
    monkeypatch,
):
    url = s3.make_bucket("shards")
    names = sorted(path.relative_to(people).as_posix() for path in people.rglob("*.png"))
    members = [(name, (people / name).read_bytes()) for name in names]
    for number in range(3):
        shard = write_shard(tmp_path / f"{number}.tar", members[number * 10 : number * 10 + 10])
        storage.write_bytes(f"{url}/{number}.tar", shard.read_bytes())
    opened = storage.remote_files.open_file

    def refusing(place):
        if place.endswith("1.tar"):
            raise StorageError(f"{place!r} may not be read (Forbidden). Ask for the right.")
        return opened(place)

    monkeypatch.setattr(storage.remote_files, "open_file", refusing)
    with choose_engine("local", num_workers=1) as engine:
        report = embed_archive(
            url, tmp_path / "rows", engine=engine, embedder=tiny_embedder, aligned=True
        )
    assert report.num_rows == 20
    assert [image.source for image in report.skipped] == ["1.tar"]
    assert "Forbidden" in report.skipped[0].reason
