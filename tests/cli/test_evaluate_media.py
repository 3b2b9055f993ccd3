"""`evaluate media-folder`: real command lines, good, odd and hostile input."""

from __future__ import annotations

import json
import shutil
import zipfile

import numpy as np
import pytest

from probefusion.types import EmbeddingSet

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

FILM = r"^(?P<medium>.+?)__"
FEW = ("--sizes", "1,2", "--num-sets", "3", "--replicates", "100")


@pytest.fixture(scope="session")
def stills(people_folder, tmp_path_factory):
    """8 people with 4 crops each, two of each of two films, and a table of the faces' widths."""
    root = tmp_path_factory.mktemp("stills")
    rows = ["file,face_px,detector_score,yaw"]
    for index, number in enumerate((3, 7, 11, 15, 19, 23, 27, 2)):
        images = sorted((people_folder / f"person_{number:02d}").iterdir())
        person = f"F{index // 2}_p{index}"
        (root / person).mkdir()
        for place, image in enumerate(images):
            name = f"{person}/film{place % 2}__{place}.png"
            shutil.copy(image, root / name)
            width = "" if place == 3 else str(30 + 40 * (place % 2))
            rows.append(f"{name},{width},0.9,0.1")
    (root / "faces.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture
def evaluate(command, tiny_embedder, tmp_path):
    """Runs the command on data; gives exit code, output, errors, and the folder of the report."""

    def run(data, *options, output="out", embedder=True):
        start = ["evaluate", "media-folder", "--data", data, "-o", tmp_path / output]
        chosen = ["--embedder", tiny_embedder] if embedder else []
        return (*command(*start, *chosen, *options), tmp_path / output)

    return run


def test_a_folder_with_all_options(evaluate, stills):
    code, out, err, folder = evaluate(
        stills,
        *("--media-from", FILM, "--faces", stills / "faces.csv"),
        *("--face-px", "..60", "--face-px", "60.."),
        *("--relatives", "^(?P<family>F[0-9])_", "--leave-out", "F0_p0", *FEW),
        *("--fuser", "mean", "--fuser", "norm-weighted"),
    )
    assert code == 0, err
    assert "all faces: rank 1 among 7" in out
    assert "faces ..60 px" in out
    assert "Replicates: 3 galleries" in out
    facts = json.loads((folder / "report.json").read_text(), parse_constant=pytest.fail)
    evaluated = facts["evaluated"]
    assert evaluated["protocol"]["version"] == "media-folder/v1"
    assert evaluated["protocol"]["size_classes"] == ["all", "..60", "60.."]
    assert evaluated["protocol"]["leave_out"] == ["F0_p0"]
    assert evaluated["protocol"]["folds"] == [0, 1, 2, 3]
    assert evaluated["content"].startswith("media-folder/v1@")
    assert evaluated["media_from"] == FILM
    assert evaluated["repeated_images"] == []
    assert evaluated["faces"]["num_rows"] == 31
    assert evaluated["faces"]["num_rows_of_no_image"] == 0
    assert evaluated["counts"] == {
        "num_people": 7,
        "num_distractors": 0,
        "num_media": 14,
        "num_images": 27,
        "num_images_of_unknown_width": 6,
        "num_families": 4,
        "num_people_of_no_family": 0,
    }
    assert [entry.partition("@")[0] for entry in evaluated["fusers"]] == ["mean", "norm-weighted"]
    assert evaluated["embedder"] == evaluated["embedder_form"]
    columns = {(c["size_class"], c["num_images"]): c for c in facts["columns"]}
    assert columns["all", 1]["num_people"] == 7
    assert columns["all", 2]["num_people"] + columns["all", 2]["num_too_few"] == 7
    assert columns["60..", 1]["num_people"] == 0
    assert (folder / "report.html").exists()
    assert (folder / "tar-0.png").exists()
    assert (folder.parent / "out.work").is_dir()


def test_media_folders_and_archives_give_the_same(evaluate, stills, tmp_path):
    for image in stills.glob("*/*.png"):
        medium, _, rest = image.name.partition("__")
        target = tmp_path / "nested" / image.parent.name / medium / rest
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, target)
    with zipfile.ZipFile(tmp_path / "nested.zip", "w") as archive:
        for path in sorted((tmp_path / "nested").rglob("*.png"), reverse=True):
            archive.write(path, path.relative_to(tmp_path / "nested").as_posix())
    found = []
    for number, data in enumerate((tmp_path / "nested", tmp_path / "nested.zip")):
        code, _, err, folder = evaluate(data, *FEW, output=f"out{number}")
        assert code == 0, err
        facts = json.loads((folder / "report.json").read_text())
        found.append({name: facts[name] for name in ("columns", "points", "differences")})
        assert facts["evaluated"]["media_from"] == "folder"
    assert found[0] == found[1]


def test_the_table_inside_the_archive_and_json(evaluate, stills, tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "stills.zip", "w") as archive:
        for path in sorted(stills.rglob("*.*")):
            archive.write(path, path.relative_to(stills).as_posix())
    monkeypatch.chdir(tmp_path)
    code, out, err, _ = evaluate(
        "stills.zip", "--media-from", FILM, "--faces", "faces.csv", "--json", *FEW
    )
    assert code == 0, err
    facts = json.loads(out)
    assert facts["evaluated"]["faces"]["file"] == "faces.csv"
    assert facts["evaluated"]["counts"]["num_images_of_unknown_width"] == 7
    assert facts["num_sets"] == 3


def test_embeddings_made_before_give_the_same(evaluate, stills, tmp_path, tiny_embedder):
    from probefusion.faces.images import read_crop
    from probefusion.zoo import load_embedder

    names = sorted(f"{path.parent.name}/{path.name}" for path in stills.glob("*/*.png"))
    crops = np.stack([read_crop((stills / name).read_bytes(), source=name) for name in names])
    made = load_embedder(tiny_embedder).embed_set(crops)
    EmbeddingSet(embeddings=made.embeddings, sources=np.array(names), embedder=made.embedder).save(
        tmp_path / "made.npz"
    )
    options = ("--media-from", FILM, *FEW)
    code, _, err, folder = evaluate(stills, *options)
    assert code == 0, err
    expected = json.loads((folder / "report.json").read_text())
    code, _, err, folder = evaluate(
        *(stills, *options, "--embeddings", tmp_path / "made.npz"), output="made", embedder=False
    )
    assert code == 0, err
    facts = json.loads((folder / "report.json").read_text())
    assert facts["evaluated"]["embeddings"] == "made.npz"
    assert facts["evaluated"]["content"] == expected["evaluated"]["content"]
    for one, two in zip(facts["points"], expected["points"], strict=True):
        assert one["rank1"]["estimate"] == pytest.approx(two["rank1"]["estimate"], abs=1e-6)
    assert not (tmp_path / "made.work").exists()
    # Some images without an embedding: listed, and no part of the gallery or a probe.
    made[np.arange(1, len(names))].save(tmp_path / "plain.npz")
    np.savez(tmp_path / "part.npz", embeddings=made.embeddings[1:], names=np.array(names[1:]))
    code, _, err, folder = evaluate(
        *(stills, *options, "--embeddings", tmp_path / "part.npz"), output="part", embedder=False
    )
    assert code == 3
    assert names[0] in err
    facts = json.loads((folder / "report.json").read_text())
    assert facts["skipped"] == [{"source": names[0], "reason": "no embedding in part.npz"}]
    assert facts["evaluated"]["counts"]["num_images"] == len(names) - 1
    code, _, err, _ = evaluate(
        *(stills, *options, "--embeddings", tmp_path / "plain.npz"), output="plain", embedder=False
    )
    assert code == 1
    assert "expected names of the images beside them" in err


def test_an_image_without_a_medium_is_listed(evaluate, stills, tmp_path):
    shutil.copytree(stills, tmp_path / "data")
    shutil.copy(stills / "F0_p0" / "film0__0.png", tmp_path / "data" / "F0_p0" / "holiday.png")
    code, _, err, folder = evaluate(tmp_path / "data", "--media-from", FILM, *FEW)
    assert code == 3
    assert "F0_p0/holiday.png" in err
    facts = json.loads((folder / "report.json").read_text())
    assert [entry["source"] for entry in facts["skipped"]] == ["F0_p0/holiday.png"]
    assert facts["evaluated"]["counts"]["num_images"] == 31


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            (),
            "got <person>/<file>. If the medium stands in the file's name, say where: --media-from",
        ),
        (("--media-from", "["), "media_from: expected a regular expression, got '['"),
        (("--media-from", "^film"), "with a group (?P<medium>...)"),
        (("--media-from", "(?P<medium>x{9})"), "got none in 31 files"),
        (("--media-from", FILM, "--face-px", "..60"), "--faces FILE.csv"),
        (("--media-from", FILM, "--faces", "absent.csv"), "faces"),
        (("--media-from", FILM, "--leave-out", "nobody"), "person to leave out"),
        (("--media-from", FILM, "--relatives", "(?P<family>Q)"), "to find a family"),
        (("--media-from", FILM, "--ignore-columns", "yaw"), "no faces are given"),
        (("--media-from", FILM, "--sizes", "4,2"), "set_sizes: expected ascending"),
        (("--media-from", FILM, "--folds", "4"), "folds: expected different ones of 0 to 3"),
        (("--media-from", FILM, "--mix", "clean"), "mix: belongs to degraded-folder, not to media"),
        (("--media-from", FILM, "--chunks", "4"), "chunks: belongs to the benchmarks"),
    ],
)
def test_what_cannot_be_is_one_line(evaluate, stills, options, words):
    code, out, err, folder = evaluate(stills, *options)
    assert code == 1
    assert words in err
    assert len(err.strip().splitlines()) == 1
    assert out == ""
    assert not folder.exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,face_px\nelse/where.png,3\n", "expected a row for some of the 31 images"),
        ("file,facepx\nF0_p0/film0__0.png,3\n", "did you mean 'face_px'"),
        ("file,face_px\nF0_p0/film0__0.png,three\n", "line 2: expected a width in pixels"),
        ("file,face_px\nF0_p0/film0__0.png,-1\n", "line 2: expected a width in pixels above 0"),
    ],
)
def test_unusable_tables_are_one_line(evaluate, stills, tmp_path, text, words):
    (tmp_path / "bad.csv").write_text(text)
    code, _, err, folder = evaluate(stills, "--media-from", FILM, "--faces", tmp_path / "bad.csv")
    assert code == 1
    assert words in err
    assert len(err.strip().splitlines()) == 1
    assert not folder.exists()


def test_an_image_in_two_media_is_told(evaluate, stills, tmp_path):
    shutil.copytree(stills, tmp_path / "data")
    image = tmp_path / "data" / "F0_p0" / "film0__0.png"
    shutil.copy(image, image.with_name("film1__9.png"))
    shutil.copy(image, image.with_name("film0__9.png"))  # twice in one medium
    code, out, err, folder = evaluate(tmp_path / "data", "--media-from", FILM, *FEW)
    assert code == 0, err
    assert "1 image is there byte for byte in several media" in out
    assert "'F0_p0/film0__0.png' and 'F0_p0/film0__9.png'" in out
    facts = json.loads((folder / "report.json").read_text())
    assert facts["evaluated"]["repeated_images"] == [
        ["F0_p0/film0__0.png", "F0_p0/film0__9.png", "F0_p0/film1__9.png"]
    ]


def test_a_damaged_image_is_named(evaluate, stills, tmp_path):
    shutil.copytree(stills, tmp_path / "data")
    (tmp_path / "data" / "F0_p0" / "film0__0.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    code, _, err, folder = evaluate(tmp_path / "data", "--media-from", FILM, *FEW)
    assert code == 1
    assert "F0_p0/film0__0.png" in err
    assert not folder.exists()


def test_a_report_is_not_replaced(evaluate, stills):
    options = ("--media-from", FILM, *FEW)
    assert evaluate(stills, *options)[0] == 0
    code, _, err, _ = evaluate(stills, *options)
    assert code == 1
    assert "--force" in err
    assert evaluate(stills, *options, "--force")[0] == 0


def test_an_interrupted_run_finds_its_embeddings(evaluate, stills, tmp_path):
    options = ("--media-from", FILM, *FEW, "--cache", tmp_path / "kept")
    assert evaluate(stills, *options)[0] == 0
    (block,) = (tmp_path / "kept").rglob("images-*.npz")
    before = block.stat().st_mtime_ns
    assert evaluate(stills, *options, "--seed", "0", output="again")[0] == 0
    assert block.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "setting", ["--media-from", "--faces", "--face-px", "--relatives", "--leave-out"]
)
def test_its_settings_belong_to_no_other_protocol(command, stills, tmp_path, setting):
    for protocol in ("degraded-folder", "ijbc"):
        code, _, err = command(
            *("evaluate", protocol, "--data", stills, setting, "x", "-o", tmp_path / "out")
        )
        assert code == 1
        assert "belongs to media-folder, not to" in err
