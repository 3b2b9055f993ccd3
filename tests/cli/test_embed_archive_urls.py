"""`embed-archive` of what an S3 store holds: what is broken or refused is named and counted, the rest is done."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from s3_server import KEY, SECRET, S3Server, s3_server
from shards import header_offset, write_shard

pytest.importorskip("onnx")
arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def s3() -> Iterator[S3Server]:
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server", exc_type=ImportError)
    with s3_server() as server:
        yield server


@pytest.fixture
def log_in(s3):
    """Logs in as somebody who may do all but what is named; asked for from now on."""

    def limited(*denied):
        rights = [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]
        rights += [
            {"Effect": "Deny", "Action": action, "Resource": f"arn:aws:s3:::{place}"}
            for action, place in denied
        ]
        people = s3.client("iam")
        people.create_user(UserName="anna")
        people.put_user_policy(
            UserName="anna",
            PolicyName="most",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": rights}),
        )
        key = people.create_access_key(UserName="anna")["AccessKey"]
        s3.ask_for_rights()
        s3.log_in(key["AccessKeyId"], key["SecretAccessKey"])

    yield limited
    s3.log_in(KEY, SECRET)


@pytest.fixture
def embed(command, tiny_embedder):
    """Embeds crops; gives code, what was told as JSON, and standard error."""

    def run(source, output, *options):
        given = ("--aligned", "--embedder", tiny_embedder, "--workers", "1", "--chunk", "20")
        code, out, err = command("embed-archive", source, "-o", output, "--json", *given, *options)
        return code, json.loads(out) if out else None, err

    return run


@pytest.fixture
def members(people_folder):
    names = sorted(
        path.relative_to(people_folder).as_posix() for path in people_folder.rglob("*.png")
    )
    return [(name, (people_folder / name).read_bytes()) for name in names[:30]]


def test_broken_and_refused_shards(tmp_path, s3, log_in, embed, members):
    url = s3.make_bucket("shards")
    bad = write_shard(tmp_path / "1.tar", members[10:20])
    content = bytearray(bad.read_bytes())
    begin = header_offset(bad, members[13][0])
    content[begin : begin + 300] = b"\xa7" * 300
    contents = {
        "0.tar": write_shard(tmp_path / "0.tar", members[:10]).read_bytes(),
        "1.tar": bytes(content),
        "2.tar": write_shard(tmp_path / "2.tar", members[20:30]).read_bytes(),
        "3.tar": write_shard(tmp_path / "3.tar", members[20:30]).read_bytes()[:9000],
        "4.tar": b"no shard" * 1000,
    }
    for name, data in contents.items():
        s3.client().put_object(Bucket="shards", Key=f"faces/{name}", Body=data)
    log_in(("s3:GetObject", "shards/faces/2.tar"))
    code, facts, err = embed(f"{url}/faces", f"{url}/rows")
    assert code == 3
    told = {image["source"]: image["reason"] for image in facts["skipped"]}
    assert sorted(told) == ["1.tar", "2.tar", "3.tar", "4.tar"]
    assert "may not be read" in told["2.tar"]
    assert "Ask for the right" in told["2.tar"]
    assert "are damaged: the files in them are lost" in told["1.tar"]
    assert "cut off inside of" in told["3.tar"]
    assert facts["num_skipped"] == 4
    assert facts["num_rows"] >= 10 + 9
    assert "skipped 4 images or files:" in err
    assert SECRET not in err
    again = embed(f"{url}/faces", f"{url}/rows")
    assert again[0] == 3
    assert again[1]["num_chunks_before"] == facts["num_chunks"]


def test_unreadable_and_refused_parquet_files(tmp_path, s3, log_in, embed, members):
    url = s3.make_bucket("tables")
    images = [data for _, data in members]
    images[3] = b"no image"
    for name, part in (("0", images[:10]), ("1", images[10:20]), ("2", images[20:])):
        table = arrow.table({"image": part, "who": [f"p{k % 4}" for k in range(len(part))]})
        parquet.write_table(table, tmp_path / name)
        data = (tmp_path / name).read_bytes()
        data = data[: len(data) // 2] if name == "1" else data
        s3.client().put_object(Bucket="tables", Key=f"{name}.parquet", Body=data)
    log_in(("s3:GetObject", "tables/2.parquet"))
    code, facts, _ = embed(url, tmp_path / "rows", "--person", "column:who")
    assert code == 3
    told = {image["source"]: image["reason"] for image in facts["skipped"]}
    assert sorted(told) == ["0.parquet#0.3", "1.parquet", "2.parquet"]
    assert "Parquet" in told["1.parquet"]
    assert "may not be read" in told["2.parquet"]
    assert (facts["num_rows"], facts["num_skipped"]) == (9, 3)


def test_what_may_not_be_listed_or_written(tmp_path, s3, log_in, embed, members):
    url = s3.make_bucket("faces")
    for name, data in members[:4]:
        s3.client().put_object(Bucket="faces", Key=f"in/{name}", Body=data)
    s3.make_bucket("closed")
    log_in(("s3:PutObject", "faces/*"), ("s3:ListBucket", "closed"))
    code, facts, err = embed(f"{url}/in", f"{url}/rows")
    assert (code, facts) == (1, None)
    assert "may not be written" in err
    code, facts, err = embed("s3://closed/faces", tmp_path / "rows")
    assert (code, facts) == (1, None)
    assert "may not be" in err
    assert err.strip().count("\n") <= 1
    assert not (tmp_path / "rows").exists()
