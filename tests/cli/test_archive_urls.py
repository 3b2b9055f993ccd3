"""`probefusion fuse-archive s3://...` against a real server of S3 on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import small_archive
from s3_server import S3Server, s3_server

pytest.importorskip("pyarrow")
FUSER = ("--fuser", "norm-weighted", "--no-screening", "--json")


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    """Four files on this machine."""
    return small_archive.write_folder(
        tmp_path_factory.mktemp("faces") / "archive",
        small_archive.rows(num_images=400, num_people=30),
        num_files=4,
    )


@pytest.fixture
def s3() -> Iterator[S3Server]:
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server", exc_type=ImportError)
    with s3_server() as server:
        yield server


@pytest.fixture
def url(s3, archive) -> str:
    """The same files in a bucket."""
    bucket = s3.make_bucket("faces")
    for path in archive.iterdir():
        s3.client().upload_file(str(path), "faces", f"archive/{path.name}")
    return f"{bucket}/archive"


def test_an_archive_in_a_bucket_gives_the_same_bytes_as_on_disk(tmp_path, command, archive, url):
    outputs = [tmp_path / f"{name}.parquet" for name in ("disk", "bucket")]
    for source, output, workers in zip((archive, url), outputs, ("1", "2"), strict=True):
        code, out, err = command("fuse-archive", source, *FUSER, "--workers", workers, "-o", output)
        assert code == 0, err
        assert json.loads(out)["num_images"] == 400
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"disk.parquet", "bucket.parquet"}


def test_templates_and_all_that_is_kept_meanwhile_can_lie_in_the_bucket(
    tmp_path, command, archive, url, s3
):
    code, _, err = command("fuse-archive", archive, *FUSER, "-o", tmp_path / "disk.parquet")
    assert code == 0, err
    target = f"{url.removesuffix('/archive')}/out/templates.parquet"
    code, _, err = command("fuse-archive", url, *FUSER, "--workers", "1", "-o", target)
    assert code == 0, err
    assert [name for name in s3.names("faces") if "archive/" not in name] == [
        "out/templates.parquet"
    ]
    stored = s3.client().get_object(Bucket="faces", Key="out/templates.parquet")["Body"].read()
    assert stored == (tmp_path / "disk.parquet").read_bytes()
    code, _, err = command("fuse-archive", url, *FUSER, "--workers", "1", "-o", target)
    assert code == 1
    assert "--force" in err


def test_a_file_that_cannot_be_read_is_named_and_counted_and_the_rest_is_done(
    tmp_path, command, url, s3
):
    s3.client().put_object(Bucket="faces", Key="archive/zz.parquet", Body=b"no Parquet file")
    output = tmp_path / "templates.parquet"
    code, out, err = command("fuse-archive", url, *FUSER, "--workers", "1", "-o", output)
    assert code == 3
    facts = json.loads(out)
    assert [name for name, _ in facts["failed_files"]] == ["zz.parquet"]
    assert facts["num_images"] == 400
    assert "1 file could not be read" in err
    assert output.exists()


def test_no_rights_and_no_bucket_are_one_line_each(tmp_path, command, url, s3):
    output = tmp_path / "templates.parquet"
    code, out, err = command("fuse-archive", "s3://nowhere/faces", *FUSER, "-o", output)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "'s3://nowhere/faces' does not exist" in err
    s3.ask_for_rights()
    code, out, err = command("fuse-archive", url, *FUSER, "-o", output)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f"{url!r} may not be" in err
    assert "Ask for the right" in err
    assert list(tmp_path.iterdir()) == []
