"""Real arguments, standard output, exit codes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from probefusion.types import EmbeddingSet, FusionState, Template
from probefusion.zoo import load_fuser


@pytest.fixture
def set_file(tmp_path, make_set):
    make_set(6, sources=[f"{k}.jpg" for k in range(6)], embedder="net@1").save(tmp_path / "a.npz")
    return tmp_path / "a.npz"


def test_embed_then_fuse_then_compare(tmp_path, command, tiny_embedder, people_folder) -> None:
    person = people_folder / "person_03"
    code, out, _ = command(
        "embed", person, "--aligned", "--embedder", tiny_embedder, "-o", tmp_path / "set.npz"
    )
    assert code == 0
    assert "4 images, 16 dimensions" in out
    images = EmbeddingSet.load(tmp_path / "set.npz")
    assert images.style.shape == (4, 6, 2)
    assert images.embedder.startswith("tiny@")
    code, out, err = command("fuse", tmp_path / "set.npz", "-o", tmp_path / "t.npz")
    assert code == 0
    assert "fuser: universal" in err
    template = Template.load(tmp_path / "t.npz")
    assert np.allclose(template.vector, load_fuser("universal").fuse(images).vector, atol=1e-6)
    code, out, _ = command(
        "compare", tmp_path / "t.npz", person, "--aligned", "--embedder", tiny_embedder, "--json"
    )
    assert code == 0
    facts = json.loads(out)
    assert facts["similarity"] == pytest.approx(1.0, abs=1e-6)
    assert facts["is_match"] is None


def test_compare_two_folders(command, tiny_embedder, people_folder) -> None:
    def similarity(first, second):
        code, out, _ = command(
            "compare",
            people_folder / first,
            people_folder / second,
            "--aligned",
            "--embedder",
            tiny_embedder,
            "--json",
        )
        assert code == 0
        return json.loads(out)["similarity"]

    assert similarity("person_03", "person_03") > similarity("person_03", "person_07")


def test_skipped_images_are_listed_and_exit_3(
    tmp_path, command, tiny_embedder, people_folder
) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(people_folder / "person_07", folder)
    (folder / "broken.jpg").write_bytes(b"no picture")
    code, out, err = command(
        "embed",
        folder,
        "--aligned",
        "--embedder",
        tiny_embedder,
        "-o",
        tmp_path / "s.npz",
        "--json",
    )
    assert code == 3
    facts = json.loads(out)
    assert facts["num_images"] == 4
    assert [entry["source"].endswith("broken.jpg") for entry in facts["skipped"]] == [True]
    assert "skipped 1 images" in err
    assert "broken.jpg" in err


def test_fuse_prints_weights_as_json(command, set_file, fuser_folders) -> None:
    code, out, _ = command("fuse", set_file, "--fuser", fuser_folders["exact"], "--json")
    assert code == 0
    facts = json.loads(out)
    assert len(facts["weights"]) == 6
    assert facts["sources"][2] == "2.jpg"
    assert abs(sum(facts["weights"]) - 1) < 1e-5
    assert len(facts["template"]) == 16


def test_states_are_merged(tmp_path, command, make_set, fuser_folders) -> None:
    whole = make_set(9, embedder="net@1")
    for name, part in (("a", whole[:4]), ("b", whole[4:])):
        part.save(tmp_path / f"{name}.npz")
        code, _, _ = command(
            "fuse",
            tmp_path / f"{name}.npz",
            "--fuser",
            fuser_folders["exact"],
            "--state",
            tmp_path / f"{name}.safetensors",
        )
        assert code == 0
    assert FusionState.load(tmp_path / "a.safetensors").num_images == 4
    code, _, _ = command(
        "fuse",
        tmp_path / "a.safetensors",
        tmp_path / "b.safetensors",
        "--fuser",
        fuser_folders["exact"],
        "-o",
        tmp_path / "merged.npz",
    )
    assert code == 0
    expected = load_fuser(fuser_folders["exact"]).fuse(whole).vector
    merged = Template.load(tmp_path / "merged.npz")
    assert np.abs(merged.vector - expected).max() < 1e-6
    assert merged.num_images == 9


def test_chunks_matter_for_official_fusers_only(command, set_file, fuser_folders) -> None:
    def template(architecture, *options):
        code, out, _ = command(
            "fuse", set_file, "--fuser", fuser_folders[architecture], "--json", *options
        )
        assert code == 0
        return np.array(json.loads(out)["template"])

    assert np.abs(template("exact") - template("exact", "--chunk", 2)).max() < 1e-6
    assert np.abs(template("official") - template("official", "--chunk", 2)).max() > 1e-6


def test_known_errors_are_one_line_and_exit_1(tmp_path, command, set_file, fuser_folders) -> None:
    np.save(tmp_path / "nan.npy", np.array([[1.0, np.nan]]))
    Template(vector=np.array([1.0, 0.0]), num_images=1).save(tmp_path / "t.npz")
    other = tmp_path / "other.npz"
    EmbeddingSet(embeddings=np.ones((1, 16)), style=np.ones((1, 6, 2)), embedder="another@1").save(
        other
    )
    exact = fuser_folders["exact"]
    cases = [
        (("fuse", tmp_path / "none.npz", "-o", tmp_path / "x.npz"), "does not exist"),
        (("fuse", tmp_path / "nan.npy", "-o", tmp_path / "x.npz"), "embedding 0 of nan.npy"),
        (("fuse", set_file, "-o", set_file), "--force"),
        (("fuse", set_file), "-o TEMPLATE.npz"),
        (("fuse", set_file, "--fuser", "meen", "--json"), "did you mean 'mean'"),
        (("fuse", other, "--fuser", exact, "--json"), "another@1"),
        (("fuse", tmp_path, "-o", tmp_path / "x.npz"), "models pull yunet_2023mar"),
        (("fuse", set_file, "-o", tmp_path / "no" / "x.npz"), "folder"),
        (("compare", set_file, tmp_path / "t.npz"), "dimension"),
        (("compare", set_file, set_file, "--fmr", "2"), "--fmr"),
        (("embed", tmp_path, "-o", tmp_path / "x.npz", "--embedder", "x.onnx"), "--detector"),
    ]
    for arguments, words in cases:
        code, out, err = command(*arguments)
        assert (code, out) == (1, ""), arguments
        lines = [line for line in err.splitlines() if not line.startswith("fuser:")]
        assert len(lines) == 1, err
        assert words in lines[0], err
        assert lines[0].startswith("probefusion: error:")
    assert not (tmp_path / "x.npz").exists()


def test_wrong_usage_exits_2(command) -> None:
    assert command("fuse")[0] == 2
    assert command("fusion")[0] == 2
    assert command("fuse", "a.npz", "--chunk", "0")[0] == 2
    assert command()[0] == 2


def test_decision_with_a_calibrated_threshold(tmp_path, command, set_file, fuser_folders) -> None:
    folder = tmp_path / "fuser"
    shutil.copytree(fuser_folders["exact"], folder)
    card = json.loads((folder / "fuser.json").read_text())
    del card["content_sha256"]
    card["thresholds"] = [
        {
            "false_match_rate": 0.001,
            "similarity": 0.5,
            "num_images": 4,
            "num_non_mated": 1000,
            "source": "a test",
        }
    ]
    (folder / "fuser.json").write_text(json.dumps(card))
    code, out, _ = command("compare", set_file, set_file, "--fuser", folder)
    assert code == 0
    assert "match: threshold 0.5000 at false match rate 0.001 (a test)" in out
    code, out, _ = command("compare", set_file, set_file, "--fuser", folder, "--fmr", "1e-5")
    assert "no decision" in out


def test_demo(tmp_path, command) -> None:
    pytest.importorskip("matplotlib")
    code, out, err = command("demo", "-o", tmp_path / "demo", "--json")
    assert code == 0, err
    points = json.loads(out)
    assert {point["fuser"].split(".")[0] for point in points} == {
        "mean",
        "norm-weighted",
        "exact-fast",
        "exact-embedding",
        "exact",
    }
    at = {(point["fuser"].split(".")[0], point["num_images"]): point for point in points}
    for size in (4, 8, 16, 32):
        for fuser in ("exact-fast", "exact-embedding", "exact"):
            tar = {entry["far"]: entry["tar"] for entry in at[fuser, size]["tar_at_far"]}
            mean = {entry["far"]: entry["tar"] for entry in at["mean", size]["tar_at_far"]}
            assert tar[1e-3] > max(mean[1e-3] + 0.02, 0.9)
    for name in ("sweep.png", "person.png"):
        assert (tmp_path / "demo" / name).read_bytes().startswith(b"\x89PNG")
    code, _, err = command("demo", "-o", tmp_path / "demo")
    assert code == 1
    assert "--force" in err


HEAVY = (
    "av", "cv2", "h5py", "matplotlib", "onnx", "onnxruntime", "PIL", "pyarrow", "rich",
    "safetensors", "scipy", "torch",
)  # fmt: skip


def test_help_loads_no_heavy_library() -> None:
    """Which modules were loaded, and the cost beside that of NumPy in the same process."""
    code = (
        "import contextlib, io, json, sys, time\n"
        "start = time.process_time(); import numpy; numpy_took = time.process_time() - start\n"
        "start = time.process_time()\n"
        "from probefusion.cli import main\n"
        "shown = io.StringIO()\n"
        "with contextlib.redirect_stdout(shown): assert main(['--help']) == 0\n"
        "ratio = (time.process_time() - start) / numpy_took\n"
        "print(json.dumps([shown.getvalue(), list(sys.modules), ratio]))"
    )
    ratios = []
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600
        )
        shown, modules, ratio = json.loads(done.stdout)
        assert "fuse-archive" in shown
        assert not set(HEAVY) & set(modules)
        ratios.append(ratio)
    assert min(ratios) < 3  # 0.8 where it was written


def test_outputs_do_not_destroy_each_other(tmp_path, command, set_file) -> None:
    same = tmp_path / "same.npz"
    code, _, err = command("fuse", set_file, "--fuser", "mean", "-o", same, "--state", same)
    assert (code, same.exists()) == (1, False)
    assert "two files" in err
    (tmp_path / "link.npz").symlink_to(tmp_path / "target.npz")
    code, _, err = command(
        "fuse", set_file, "--fuser", "mean", "-o", tmp_path / "link.npz", "--force"
    )
    assert code == 1
    assert "link" in err
    code, _, err = command("fuse", set_file, "--fuser", "mean", "-o", tmp_path, "--force")
    assert code == 1
    assert "folder" in err
    code, _, err = command("fuse", set_file, "--fuser", "mean", "-o", "/dev/null", "--force")
    assert code == 1
    assert "device" in err


def test_compare_is_symmetric_for_sets_of_unknown_origin(tmp_path, command, make_set) -> None:
    make_set(3, embedder="net@1").save(tmp_path / "known.npz")
    np.save(tmp_path / "bare.npy", make_set(3).embeddings)
    found = []
    for pair in (("known.npz", "bare.npy"), ("bare.npy", "known.npz")):
        code, out, err = command("compare", *(tmp_path / name for name in pair), "--json")
        assert code == 0, err
        found.append(json.loads(out)["similarity"])
    assert found[0] == pytest.approx(found[1], abs=1e-9)


def test_evaluate_and_calibrate(tmp_path, command, tiny_embedder, people_folder) -> None:
    pytest.importorskip("torch")
    data = tmp_path / "people"
    shutil.copytree(people_folder, data)
    (data / "person_03" / "cut.jpg").write_bytes(b"\xff\xd8\xff cut")
    fuser = tmp_path / "fuser"
    options = ["--embedder", tiny_embedder, "--threads", "1"]
    code, _, err = command(
        "train", "--images", data, *options, "-o", fuser, "--steps", "2", "--folds", "0,1"
    )
    assert code == 3
    assert "cut.jpg" in err
    shutil.rmtree(data / "person_03")
    evaluate = ["evaluate", "degraded-folder", "--data", data, *options, "-o", tmp_path / "report"]
    evaluate += ["--fuser", "mean", "--fuser", fuser, "--folds", "2,3", "--sizes", "1,4"]
    code, _, err = command(*evaluate, "--replicates", "50")
    assert (code, (tmp_path / "report.work").exists()) == (1, False)
    code, out, err = command(*evaluate, "--replicates", "100", "--json")
    assert code == 0, err
    facts = json.loads(out, parse_constant=pytest.fail)
    assert {point["num_images"] for point in facts["points"]} == {1, 4}
    assert (tmp_path / "report" / "report.html").exists()
    calibrate = ["calibrate", fuser, "--data", data, *options, "--sizes", "1,4", "--folds", "2,3"]
    code, out, err = command(*calibrate, "--num-sets", "1", "--folds", "3", "--force")
    assert code == 1
    assert "the card is kept" in err
    code, out, err = command(*calibrate, "--num-sets", "4", "--force", "--json")
    assert code == 0, err
    assert json.loads(out)[0]["num_images"] == 1
    assert len(load_fuser(fuser).card.thresholds) == len(json.loads(out))
