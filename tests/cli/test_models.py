"""`probefusion models`: arguments, output, exit codes."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from bundled_models import bundled_fuser

from probefusion.evaluation.drawn_people import write_crops

INSIDE = {
    "compact_128d",
    "compact_128d-int8",
    *(bundled_fuser(name).name for name in ("exact", "exact-fast", "exact-embedding")),
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PROBEFUSION_HOME", str(tmp_path / "home"))
    for name in ("INSIGHTFACE_HOME", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    for name in ("HF_HUB_CACHE", "PROBEFUSION_MIRROR", "PROBEFUSION_FUSERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PROBEFUSION_OFFLINE", "1")
    (tmp_path / "home" / "models").mkdir(parents=True)
    return tmp_path / "home" / "models"


def test_list(command, home):
    code, out, _ = command("models", "list")
    assert code == 0
    row = next(line for line in out.splitlines() if line.startswith("insightface_w600k_r50"))
    assert row.split()[1:4] == ["embedder", "512", "research"]
    code, out, _ = command("models", "list", "--json")
    entry = next(item for item in json.loads(out) if item["name"] == "buffalo_l")
    assert (entry["kind"], entry["path"]) == ("pack", None)
    assert entry["urls"][0].endswith("/v0.7/buffalo_l.zip")


def test_the_eight_bit_form_inside_is_listed_and_used(command, home, tmp_path):
    _, out, _ = command("models", "list")
    rows = {line.split()[0]: line.split()[1:5] for line in out.splitlines()}
    assert rows["compact_128d-int8"] == ["embedder", "128", "package", "research"]
    assert rows["compact_128d"] == rows["compact_128d-int8"]
    code, out, _ = command("models", "path", "compact_128d-int8")
    assert code == 0
    assert out.endswith("compact_128d-int8.onnx\n")
    write_crops(tmp_path / "people")
    for name in ("compact_128d", "compact_128d-int8"):
        images = ("--aligned", "--embedder", name, "--threads", 1, "-o", tmp_path / f"{name}.npz")
        code, _, err = command("embed", tmp_path / "people" / "person-1", *images)
        assert code == 0, err
    both = (tmp_path / "compact_128d.npz", tmp_path / "compact_128d-int8.npz")
    code, out, err = command("compare", *both, "--json")
    assert code in (0, 3), err
    assert json.loads(out)["similarity"] > 0.99


def test_pull_offline_is_one_line(command, home):
    code, out, err = command("models", "pull", "buffalo_l")
    assert (code, out) == (1, "")
    assert "NOT FOR COMMERCIAL USE. licence: InsightFace" in err
    assert err.splitlines()[-1].startswith("probefusion: error: model 'buffalo_l' is not here")
    code, _, err = command("models", "pull", "bufalo_l")
    assert code == 1
    assert "did you mean 'buffalo_l'" in err


def test_what_is_here_needs_no_network(command, home, assets):
    shutil.copy(assets / "models" / "yunet_320.onnx", home)
    code, out, err = command("models", "pull", "yunet_320", "--json")
    assert code == 0
    (facts,) = json.loads(out)
    assert (facts["is_new"], facts["is_verified"]) == (False, True)
    assert "licence" not in err
    code, out, _ = command("models", "path", "yunet_320")
    assert (code, out) == (0, f"{home / 'yunet_320.onnx'}\n")
    code, out, _ = command("models", "verify")
    *inside, own = out.splitlines()
    assert (code, own) == (0, f"yunet_320: ok ({home / 'yunet_320.onnx'})")
    assert {line.split(": ok (")[0] for line in inside} == INSIDE
    (home / "yunet_320.onnx").write_bytes(b"damaged")
    code, out, err = command("models", "verify", "--json")
    assert code == 1
    states = {row["name"]: row["state"] for row in json.loads(out)}
    assert states == {**dict.fromkeys(INSIDE, "ok"), "yunet_320": "wrong hash"}
    assert "models pull --force yunet_320" in err
    code, _, err = command("models", "path", "yunet_320")
    assert code == 1
    assert "expected SHA-256 81dbde15" in err


def test_inspect_save_use_forget(command, home, tiny_embedder, people_folder, tmp_path):
    model = tmp_path / "net.onnx"
    shutil.copy(tiny_embedder, model)
    code, out, _ = command("models", "inspect", model)
    assert code == 0
    assert "stage2 (3, 28, 28), stage3 (3, 14, 14)" in out
    assert "give aligned faces with --faces" in out
    code, _, err = command("models", "inspect", model, "--save", "mine")
    assert code == 1
    assert "--preprocessing arcface" in err
    code, out, _ = command(
        "models", "inspect", model, "--faces", people_folder, "--preprocessing", "arcface",
        "--save", "mine", "--licence", "own", "--json",
    )  # fmt: skip
    assert code == 0
    facts = json.loads(out)
    assert facts["guess"]["num_faces"] == 24
    assert len(facts["guess"]["tried"]) == 14
    assert facts["guess"]["num_people"] <= 24
    assert facts["guess"]["doubts"] == [] or facts["guess"]["confidence"] == "unsure"
    assert facts["norm_output"] is None
    assert facts["saved_as"] == "mine"
    code, out, _ = command(
        "embed", people_folder / "person_03", "--aligned", "--embedder", "mine",
        "-o", tmp_path / "s.npz",
    )  # fmt: skip
    assert code == 0
    assert "mine" in command("models", "list")[1]
    assert command("models", "forget", "mine")[0] == 0
    code, _, err = command("models", "forget", "mine")
    assert code == 1
    assert "unknown model of your own 'mine'" in err


def test_a_second_output_with_the_length_is_found_said_and_used(
    command, home, tiny_embedder, people_folder, tmp_path
):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(tiny_embedder)
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    source = model.graph.output[0].name
    model.graph.node.append(helper.make_node("ReduceL2", [source], ["norm"], axes=[1], keepdims=1))
    model.graph.node.append(helper.make_node("Div", [source, "norm"], ["unit"]))
    model.graph.node.append(helper.make_node("Sqrt", ["norm"], ["root"]))
    for second in ("norm", "root"):
        del model.graph.output[:]
        for name, width in (("unit", 16), (second, 1)):
            model.graph.output.append(helper.make_tensor_value_info(name, kind, ["N", width]))
        onnx.save(model, tmp_path / f"{second}.onnx")
    code, out, _ = command("models", "inspect", tmp_path / "norm.onnx")
    assert code == 0
    assert "norm output: norm, the length of the embedding" in out
    code, out, _ = command("models", "inspect", tmp_path / "root.onnx")
    assert "norm output: perhaps root" in out
    assert "say so: --norm-output root" in out
    saving = ("--preprocessing", "arcface", "--save")
    for name, flags in (("kept", ()), ("lost", ("--norm-output", ""))):
        code, _, _ = command("models", "inspect", tmp_path / "norm.onnx", *saving, name, *flags)
        assert code == 0
    person = (people_folder / "person_03", "--aligned")
    weighted = (*person, "--fuser", "norm-weighted", "-o")
    code, _, _ = command("fuse", *weighted, tmp_path / "a.npz", "--embedder", "kept")
    assert code == 0
    code, _, err = command("fuse", *weighted, tmp_path / "b.npz", "--embedder", "lost")
    assert code == 1
    assert "'norm-weighted' judges images by the length" in err
    assert "mean" in err
    flags = ("--embedder", tmp_path / "norm.onnx", "--preprocessing", "arcface")
    assert command("fuse", *weighted, tmp_path / "c.npz", *flags)[0] == 0
    code, _, err = command("fuse", *weighted, tmp_path / "d.npz", *flags, "--norm-output", "")
    assert code == 1
    code, _, err = command("embed", *person, *flags, "--norm-output", "x", "-o", tmp_path / "e.npz")
    assert code == 1
    assert "norm_output of kept: expected one of ['norm', 'unit'], got 'x'" in err


def test_convert_refuses_what_is_no_checkpoint(command, home, tmp_path):
    (tmp_path / "a.ckpt").write_bytes(b"<html>")
    code, _, err = command("models", "convert", tmp_path / "a.ckpt", "-o", tmp_path / "out")
    assert code == 1
    assert "expected a PyTorch checkpoint" in err or "refused" in err
    assert not (tmp_path / "out").exists()
    code, _, err = command("models", "convert", tmp_path / "a.ckpt")
    assert code == 1
    assert "expected the folder to make" in err
    code, _, err = command("models", "convert", "yunet_320", "-o", tmp_path / "out")
    assert code == 1
    assert "is no checkpoint" in err
    code, _, err = command("models", "convert", "caface_adaface_webface4m")
    assert code == 1
    assert "network is not to be used" in err


def test_usage(command):
    assert command("models")[0] == 2
    assert command("models", "pull")[0] == 2
    assert command("models", "--help")[0] == 0


def test_quantize(command, tmp_path):
    cv2 = pytest.importorskip("cv2")
    crops = tmp_path / "crops"
    crops.mkdir()
    rng = np.random.default_rng(3)
    for number in range(70):
        coarse = rng.integers(0, 256, (8, 8, 3)) * rng.uniform(0.1, 1) + rng.uniform(0, 25)
        coarse = np.clip(coarse, 0, 255)
        crop = cv2.resize(coarse.astype(np.uint8), (112, 112), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(crops / f"{number:02d}.png"), crop)
    cv2.imwrite(str(crops / "wide.png"), np.zeros((50, 90, 3), np.uint8))
    target = tmp_path / "small.onnx"
    arguments = ["models", "quantize", "compact_128d", "--images", str(crops), "-o", str(target)]
    code, out, err = command(*arguments, "--num-images", "20")
    assert (code, out) == (1, "")
    assert "expected at least 64 images" in err
    assert "wide.png: expected an aligned square crop" in err  # told, though nothing came of it
    code, out, err = command(*arguments, "--json", "--threads", "1")
    assert code == 3
    assert "skipped 1 images" in err
    facts = json.loads(out)
    assert facts["output"] == str(target)
    assert (facts["num_calibrated"], facts["num_compared"]) == (70, 70)
    assert facts["median_cosine"] > 0.98
    assert [image["source"].endswith("wide.png") for image in facts["skipped"]] == [True]
    code, out, err = command("models", "inspect", str(target))
    assert code == 0
    assert f"8-bit form of {facts['embedder']}" in out
    code, out, err = command(*arguments)
    assert (code, out) == (1, "")
    assert "exists" in err
    template = str(tmp_path / "template.npz")
    given = ["--aligned", "--embedder", str(target), "-o", template]
    code, out, err = command("fuse", str(crops), *given)
    assert code == 3, err
    assert "exact.compact_128d" in out
