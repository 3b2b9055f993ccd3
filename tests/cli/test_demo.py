"""The demo's crops, and its tables on narrow terminals."""

from __future__ import annotations

import json

import pytest

from probefusion.cli.terminal_tables import print_result_table, short_name, short_names
from probefusion.evaluation.demo import demo_data


def test_crops_can_be_fused_at_once(tmp_path, command) -> None:
    pytest.importorskip("cv2")
    code, out, err = command("demo", "--crops", tmp_path / "crops")
    assert code == 0, err
    assert "18 drawn crops (no photos of anybody)" in out
    assert not (tmp_path / "demo-output").exists()
    code, out, err = command(
        "fuse", tmp_path / "crops" / "person-2", "--aligned", "--fuser", "exact", "--json"
    )
    assert code == 0, err
    weights = json.loads(out)["weights"]
    assert len(weights) == 6
    assert weights[-1] == min(weights)  # the poor one
    code, _, err = command("demo", "--crops", tmp_path / "crops")
    assert code == 1
    assert "--force" in err


def test_all_crops_are_written_or_none(tmp_path, monkeypatch) -> None:
    pytest.importorskip("cv2")
    from probefusion.evaluation import drawn_people

    def fail_late(person, number, draw=drawn_people.draw_crop):
        if number == 4:
            raise OSError(28, "the disk is full")
        return draw(person, number)

    (tmp_path / "kept").mkdir()
    old = tmp_path / "kept" / "person-1"
    old.mkdir()
    (old / "1.png").write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(drawn_people, "draw_crop", fail_late)
        for folder in ("new", "kept"):
            with pytest.raises(OSError, match="full"):
                drawn_people.write_crops(tmp_path / folder, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert [path.relative_to(tmp_path / "kept").as_posix() for path in (tmp_path / "kept").rglob("*")] == [
        "person-1", "person-1/1.png",
    ]  # fmt: skip
    assert (old / "1.png").read_bytes() == b"old"
    assert len(drawn_people.write_crops(tmp_path / "kept", force=True)) == 18
    assert (old / "1.png").read_bytes() != b"old"


@pytest.mark.parametrize("width", [36, 60, 120])
def test_tables_fit_the_terminal_and_lose_nothing(monkeypatch, capsys, width) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    header = ["fuser", *(f"N={2**k}" for k in range(7))]
    rows = [["exact-embedding", *(f"0.{k}{k}{k}" for k in range(1, 8))]]
    print_result_table("TAR", header, rows)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= width
    for text in (*header, *rows[0]):
        assert text in out


def test_the_data_are_of_the_embedder_inside_and_small() -> None:
    from probefusion.evaluation.demo import DEMO_FUSERS, demo_data
    from probefusion.files import bundled_folder
    from probefusion.zoo import DEFAULT_EMBEDDER, load_fuser

    data = demo_data()
    assert data.gallery.embedder.partition("@")[0] == DEFAULT_EMBEDDER
    for name in DEMO_FUSERS:
        load_fuser(name, embedder=data.gallery.embedder).check_fits(data.probes)
    assert (bundled_folder() / "demo_probes.npz").stat().st_size <= 2_500_000


def test_short_names() -> None:
    assert short_name("exact.compact_128d-lfw112.r3, 4 at a time") == "exact, 4 at a time"
    assert short_name("mean") == "mean"
    two = ["exact.a-lfw.r2", "exact.a-lfw.r3"]
    assert short_names(["mean", *two, "exact-fast.a-lfw.r3"]) == ["mean", *two, "exact-fast"]


def test_the_table_says_what_it_is(tmp_path, command) -> None:
    pytest.importorskip("matplotlib")
    code, out, err = command("demo", "-o", tmp_path / "plots")
    assert code == 0, err
    title, note = out.splitlines()[:2]
    data = demo_data()
    people, gallery = len(set(data.probe_subjects)), data.gallery.num_images
    assert title == f"{people} unseen people, degraded probes, {gallery} gallery entries"
    assert note.startswith(f"embedder: {data.gallery.embedder}; tables of other embedders")
