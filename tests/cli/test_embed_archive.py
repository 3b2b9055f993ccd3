"""`probefusion embed-archive` with real arguments."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from shards import write_shard

from probefusion.types import TemplateSet

pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def embed(command, tiny_embedder, tmp_path):
    """Embeds into tmp_path / "rows" in this process; gives exit code, standard output and standard error."""

    def run(source, *arguments):
        given = ("--aligned", "--embedder", tiny_embedder, "--workers", "1", "--chunk", "20")
        return command("embed-archive", source, "-o", tmp_path / "rows", *given, *arguments)

    return run


def test_images_become_rows_and_rows_templates(
    tmp_path, embed, command, people_folder, tiny_embedder
) -> None:
    code, out, err = embed(people_folder, "--json")
    assert code == 0
    facts = json.loads(out)
    assert (facts["num_rows"], facts["num_skipped"], facts["num_chunks"]) == (73, 0, 4)
    assert facts["detector"] == ""
    assert "embedding: 73/73 images" in err
    output = tmp_path / "templates.npz"
    assert command("fuse-archive", tmp_path / "rows", "--fuser", "mean", "-o", output)[0] == 0
    direct = tmp_path / "direct.npz"
    arguments = (
        "--people",
        "--aligned",
        "--fuser",
        "mean",
        "--embedder",
        tiny_embedder,
        "-o",
        direct,
    )
    assert command("fuse", people_folder, *arguments)[0] in (0, 3)
    found, expected = TemplateSet.load(output), TemplateSet.load(direct)
    assert list(found) == list(expected)
    for name in expected:
        np.testing.assert_allclose(found[name].vector, expected[name].vector, atol=2e-3)


def test_given_again_it_goes_on(tmp_path, embed, people_folder) -> None:
    assert embed(people_folder)[0] == 0
    (tmp_path / "rows" / "chunk-0000002.parquet").unlink()
    code, out, _ = embed(people_folder)
    assert code == 0
    assert "73 images embedded by tiny@" in out
    assert "in 4 files, 3 of them before" in out
    code, _, err = embed(people_folder, "--float32")
    assert code == 1
    assert "dtype 'float16', got 'float32'" in err
    assert "--force" in err
    assert embed(people_folder, "--float32", "--force")[0] == 0
    kind = parquet.read_schema(tmp_path / "rows" / "chunk-0000000.parquet").field("embedding").type
    assert str(kind.value_type) == "float"


def test_what_cannot_be_used_is_listed(tmp_path, embed, people_folder) -> None:
    names = sorted(path for path in people_folder.rglob("*.png"))[:6]
    members = [(f"{k}.png", path.read_bytes()) for k, path in enumerate(names)]
    members[2] = ("2.png", b"broken")
    sides = [(f"{k}.cls", b"%d" % (k % 2)) for k in range(6)]
    shards = tmp_path / "shards"
    shards.mkdir()
    pairs = [entry for pair in zip(members, sides, strict=True) for entry in pair]
    write_shard(shards / "0.tar", pairs)
    (shards / "1.tar.gz").write_bytes(b"packed")
    code, out, err = embed(shards, "--person", "cls", "--json")
    assert code == 3
    facts = json.loads(out)
    assert (facts["num_rows"], facts["num_skipped"]) == (5, 2)
    assert [image["source"] for image in facts["skipped"]] == ["1.tar.gz", "0.tar/2.png"]
    assert "skipped 2 images or files:" in err
    assert "unpack it to a .tar file" in err


def test_wrong_use_is_told_before_anything_is_done(tmp_path, embed, command, people_folder) -> None:
    code, _, err = command("embed-archive", people_folder, "-o", tmp_path / "rows")
    assert code == 1
    assert "photos need a face detector" in err
    code, _, err = embed(tmp_path / "none")
    assert code == 1
    assert "does not exist" in err
    flat = tmp_path / "flat"
    flat.mkdir()
    shutil.copy(people_folder / "person_00" / "0.png", flat)
    code, _, err = embed(flat)
    assert code == 1
    assert "--person" in err
    assert embed(people_folder, "--workers", "0")[0] == 2


def test_images_are_fused_in_one_command(
    tmp_path, embed, command, people_folder, tiny_embedder
) -> None:
    common = ("--fuser", "mean", "--embedder", tiny_embedder, "--aligned", "--workers", "1")
    output = tmp_path / "templates.npz"
    code, out, err = command("fuse-archive", people_folder, "-o", output, *common, "--json")
    assert code == 0
    facts = json.loads(out)
    assert (facts["num_templates"], facts["embedded"]["num_rows"], facts["rows"]) == (30, 73, None)
    assert "embedding: 73/73 images" in err
    assert "fusing: 73/73 images" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["templates.npz"]
    code, _, err = command("fuse-archive", people_folder, "-o", output, *common)
    assert code == 1
    assert "--force" in err
    kept = ("--rows", tmp_path / "kept", "-o", tmp_path / "again.npz")
    assert command("fuse-archive", people_folder, *kept, *common)[0] == 0
    assert embed(people_folder)[0] == 0
    two = ("fuse-archive", tmp_path / "rows", "--fuser", "mean", "-o", tmp_path / "two.npz")
    assert command(*two)[0] == 0
    found, again, expected = (
        TemplateSet.load(tmp_path / name) for name in ("templates.npz", "again.npz", "two.npz")
    )
    for name in expected:
        np.testing.assert_array_equal(again[name].vector, found[name].vector)
        np.testing.assert_allclose(found[name].vector, expected[name].vector, atol=2e-3)
    assert parquet.read_table(tmp_path / "kept").num_rows == 73


def test_a_fuser_that_needs_the_quality_of_crops_gets_it(
    tmp_path, command, people_folder, tiny_embedder
) -> None:
    common = (
        "--embedder",
        tiny_embedder,
        "--aligned",
        "--workers",
        "1",
        "--rows",
        tmp_path / "rows",
    )
    output = tmp_path / "templates.npz"
    assert (
        command("fuse-archive", people_folder, "--fuser", "universal", "-o", output, *common)[0]
        == 0
    )
    assert "quality" in parquet.read_table(tmp_path / "rows").column_names
    direct = tmp_path / "direct.npz"
    arguments = ("--people", "--aligned", "--fuser", "universal", "--embedder", tiny_embedder)
    assert command("fuse", people_folder, *arguments, "-o", direct)[0] in (0, 3)
    found, expected = TemplateSet.load(output), TemplateSet.load(direct)
    for name in expected:
        np.testing.assert_allclose(found[name].vector, expected[name].vector, atol=2e-3)


def test_options_of_which_nothing_makes_use_are_refused(
    tmp_path, embed, command, people_folder
) -> None:
    for option, value, told in (
        ("--every", "3", "--every (every=): has no effect on a source without clips, got 3"),
        (
            "--image-column",
            "jpg",
            "--image-column (image_column=): has no effect on a source without Parq",
        ),
    ):
        code, _, err = embed(people_folder, option, value)
        assert code == 1
        assert told in err
    photos = ("--detector", "yunet_2023mar", "--trust-alignment")
    code, _, err = command("embed-archive", people_folder, "-o", tmp_path / "rows", *photos)
    assert code == 1
    assert "--trust-alignment (trust_alignment=): has no effect on photos" in err
    assert not (tmp_path / "rows").exists()


def test_images_later_and_a_damaged_file(tmp_path, embed, people_folder) -> None:
    source = tmp_path / "faces"
    shutil.copytree(people_folder, source)
    assert embed(source)[0] == 0
    shutil.copytree(source / "person_00", source / "another")
    code, out, _ = embed(source)
    assert code == 0
    assert "in 5 files, 4 of them before" in out
    (tmp_path / "rows" / "chunk-0000001.parquet").write_bytes(b"PAR1")
    code, _, err = embed(source)
    assert code == 1
    assert "1 of its 5 files cannot be read: chunk-0000001.parquet" in err
    assert "Delete them and give the command again" in err


def test_images_are_added_to_states_once(tmp_path, command, people_folder, tiny_embedder) -> None:
    source = tmp_path / "faces"
    shutil.copytree(people_folder, source)
    output = tmp_path / "templates.npz"
    common = ("--fuser", "mean", "--embedder", tiny_embedder, "--aligned", "--workers", "1")
    given = ("fuse-archive", source, "-o", output, *common)
    rows, states = ("--rows", tmp_path / "rows"), tmp_path / "states"
    assert command(*given, *rows, "--keep-states", states)[0] == 0
    for person in ("another", "person_00"):
        (source / person).mkdir(exist_ok=True)
        shutil.copy(source / "person_01" / "0.png", source / person / "later.png")
    code, _, err = command(*given, "--add-to", states, "--force")
    assert code == 1
    assert "--add-to with images: expected --rows" in err
    code, out, _ = command(*given, *rows, "--add-to", states, "--force", "--json")
    assert code == 0
    facts = json.loads(out)
    assert (facts["num_images"], facts["num_passed_over"]) == (75, 1)
    assert facts["embedded"]["num_chunks_before"] == 1
    whole = tmp_path / "whole.npz"
    assert command("fuse-archive", tmp_path / "rows", "--fuser", "mean", "-o", whole)[0] == 0
    found, expected = TemplateSet.load(output), TemplateSet.load(whole)
    assert list(found) == list(expected)
    for name in expected:
        np.testing.assert_array_equal(found[name].vector, expected[name].vector)
