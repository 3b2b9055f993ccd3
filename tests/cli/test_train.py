"""Training by command: real arguments, exit codes, and fusers that work."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from probefusion.types import EmbeddingSet
from probefusion.zoo import load_fuser


def test_train_is_resumed_after_a_kill_and_gives_a_working_fuser(
    tmp_path, command, tiny_embedder, people_folder
) -> None:
    pytest.importorskip("torch")
    output = tmp_path / "fuser"
    options = ["--images", people_folder, "--embedder", tiny_embedder, "-o", output]
    options += ["--steps", "400", "--batch-size", "8", "--seed", "2", "--threads", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "probefusion", "train", *map(str, options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    checkpoint = tmp_path / "fuser.work" / "checkpoint.safetensors"
    deadline = time.monotonic() + 1200
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.terminate()
    _, err = process.communicate(timeout=600)
    assert process.returncode == 130, err
    assert "give the same command again" in err
    assert not output.exists()

    code, out, err = command("train", *options, "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert facts["num_people"] + facts["num_held_out"] == 30
    fuser = load_fuser(output)
    assert fuser.self_test() < 1e-4
    assert fuser.embedder.startswith("tiny@")
    code, out, _ = command(
        "fuse",
        people_folder / "person_03",
        "--aligned",
        "--embedder",
        tiny_embedder,
        "--fuser",
        output,
        "--json",
    )
    assert code == 0
    assert json.loads(out)["fuser"] == facts["fingerprint"]


def test_train_without_style_and_norm_gives_a_report_and_a_fuser_for_unit_embeddings(
    tmp_path, command, tiny_embedder, people_folder, monkeypatch
) -> None:
    pytest.importorskip("torch")
    from probefusion.training import held_out

    monkeypatch.setattr(held_out, "MIN_HELD_OUT", 2)
    options = ["--images", people_folder, "--embedder", tiny_embedder, "-o", tmp_path / "f"]
    options += ["--steps", "3", "--batch-size", "6", "--folds", "0,1", "--threads", "1"]
    options += ["--without", "style", "norm", "--validation-share", "0.3", "--report"]
    code, out, err = command("train", *options, tmp_path / "report", "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert facts["report"] == str(tmp_path / "report")
    assert facts["metrics"]["points"]
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert {point["fuser"] for point in report["points"]} == {"mean", facts["name"]}
    fuser = load_fuser(tmp_path / "f")
    assert (fuser.style_channels, fuser.needs_norms) == (0, False)
    rng = np.random.default_rng(0)
    units = rng.standard_normal((5, fuser.dim))
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    images = EmbeddingSet(embeddings=units, embedder=fuser.embedder)
    longer = replace(images, embeddings=units * rng.uniform(1, 9, (5, 1)))
    assert np.allclose(fuser.fuse(images).vector, fuser.fuse(longer).vector, atol=1e-4)
    code, _, err = command("train", *options, tmp_path / "report", "--json", "--work", tmp_path)
    assert code == 1
    assert "exists" in err


def test_train_settings_from_a_file(tmp_path, command, tiny_embedder, people_folder) -> None:
    pytest.importorskip("torch")
    (tmp_path / "bad.toml").write_text("stepps = 3\n")
    base = ["train", "--images", people_folder, "--embedder", tiny_embedder, "-o", tmp_path / "f"]
    code, _, err = command(*base, "--config", tmp_path / "bad.toml")
    assert code == 1
    assert "did you mean 'steps'" in err
    (tmp_path / "good.toml").write_text(
        "steps = 2\nbatch_size = 4\nseed = 5\n[network]\nnum_clusters = 3\n"
    )
    code, _, err = command(*base, "--config", tmp_path / "good.toml", "--seed", "6")
    assert code == 0, err
    run = json.loads((tmp_path / "f.work" / "run.json").read_text())
    assert run["config"]["steps"] == 2
    assert run["config"]["seed"] == 6
    assert load_fuser(tmp_path / "f").card.num_clusters == 3
    (tmp_path / "bad.toml").write_text("steps = 2\n[network]\nnum_cluster = 3\n")
    code, _, err = command(*base, "--config", tmp_path / "bad.toml", "--force")
    assert code == 1
    assert "did you mean 'num_clusters'" in err


def test_settings_of_the_wrong_type(tmp_path, command, tiny_embedder, people_folder) -> None:
    pytest.importorskip("torch")
    base = ["train", "--images", people_folder, "--embedder", tiny_embedder, "-o", tmp_path / "f"]
    for text in ('steps = "abc"', "folds = 3", "seed = true", "steps = 2.5"):
        (tmp_path / "bad.toml").write_text(text)
        code, _, err = command(*base, "--config", tmp_path / "bad.toml")
        assert code == 1, text
        assert text.split()[0] in err
    code, _, err = command(*base, "--device", "nowhere")
    assert code == 1
    assert "device" in err
    code, _, err = command(
        "embed",
        people_folder,
        "--aligned",
        "--detector",
        "x",
        "--embedder",
        tiny_embedder,
        "-o",
        tmp_path / "x.npz",
    )
    assert code == 1
    assert "got both" in err


def test_every_setting_is_a_flag_a_key_and_an_argument(tmp_path) -> None:
    from dataclasses import fields

    from probefusion.cli.main import build_parser
    from probefusion.cli.setting_flags import given_settings
    from probefusion.settings import check_settings, read_settings_file
    from probefusion.training.config import RunSettings, TrainingConfig

    flags = """--architecture official --network num_clusters=3 sees_norm=false --recipe official-16
        --steps 7 --batch-size 9 --group-size 8 --prefixes 1,3 --bad-share none --learning-rate 2e-3
        --milestones .5,.75 --weight-decay 0 --margin-weight .1 --margin .2 --scale 30 --memory-weight 2
        --no-memory-divided-by-batch --validation-share 0 --check-every 5 --patience 2 --seed 4
        --folds 0,1 --without style norm --name n --licence MIT --report r --work w --device cpu
        --threads 2"""
    options = build_parser().parse_args(["train", "--images", "x", "-o", "y", *flags.split()])
    from_flags = given_settings(options, TrainingConfig, RunSettings)
    names = {field.name for each in (TrainingConfig, RunSettings) for field in fields(each)}
    assert set(from_flags) == names
    (tmp_path / "t.toml").write_text(
        """
        architecture = "official"
        recipe = "official-16"
        steps = 7
        batch_size = 9
        group_size = 8
        prefixes = [1, 3]
        bad_share = "none"
        learning_rate = 2e-3
        milestones = [0.5, 0.75]
        weight_decay = 0
        margin_weight = 0.1
        margin = 0.2
        scale = 30
        memory_weight = 2
        memory_divided_by_batch = false
        validation_share = 0
        check_every = 5
        patience = 2
        seed = 4
        folds = [0, 1]
        without = ["style", "norm"]
        name = "n"
        licence = "MIT"
        report = "r"
        work = "w"
        device = "cpu"
        threads = 2
        [network]
        num_clusters = 3
        sees_norm = false
        """
    )
    classes = (TrainingConfig, RunSettings)
    from_file = read_settings_file(tmp_path / "t.toml", *classes)
    assert check_settings(from_flags, *classes, source="flags") == from_file
    run = {field.name for field in fields(RunSettings)}
    TrainingConfig(**{key: value for key, value in from_file.items() if key not in run})
    RunSettings(**{key: value for key, value in from_file.items() if key in run})


@pytest.mark.parametrize(
    "wrong",
    ["--steps two", "--prefixes 1,x", "--network hidden", "--recipe none", "--without colour"],
)
def test_a_flag_that_cannot_be_read_is_wrong_usage(wrong, command) -> None:
    code, _, err = command("train", "--images", "x", "-o", "y", *wrong.split())
    assert code == 2
    assert wrong.split()[0] in err


def test_an_architecture_of_a_plugin(tmp_path, command, tiny_embedder, people_folder) -> None:
    pytest.importorskip("torch")
    base = ["train", "--images", people_folder, "--embedder", tiny_embedder, "-o", tmp_path / "f"]
    base += [
        "--plugin",
        "research.rivals",
        "--threads",
        "1",
        "--folds",
        "0,1,2,3",
        "--architecture",
    ]
    code, _, err = command(*base, "set-attention")
    assert code == 1
    assert "whole sets at once" in err
    assert not (tmp_path / "f.work").exists()
    code, _, err = command(*base, "scalar-quality", "--steps", "2", "--network", "hidden=8")
    assert code == 0, err
    fuser = load_fuser(tmp_path / "f")
    assert fuser.card.architecture == "scalar-quality"
    assert fuser.card.config["hidden"] == 8
    assert fuser.is_exact
    code, _, err = command(*base[:-5], "--plugin", "no.such.module")
    assert code == 1
    assert "'no.such.module' could not be imported" in err


def test_going_on_from_a_fuser(tmp_path, command, tiny_embedder, people_folder) -> None:
    pytest.importorskip("torch")
    base = ["train", "--images", people_folder, "--embedder", tiny_embedder, "--threads", "1"]
    base += ["--folds", "0,1,2,3", "--steps", "2"]
    code, _, err = command(*base, "-o", tmp_path / "old", "--architecture", "exact-fast")
    assert code == 0, err
    code, _, err = command(*base, "-o", tmp_path / "new", "--from", tmp_path / "old")
    assert code == 0, err
    old, new = load_fuser(tmp_path / "old"), load_fuser(tmp_path / "new")
    assert new.card.architecture == "exact-fast"
    assert new.card.training["started_from"]["fingerprint"] == old.fingerprint
    (tmp_path / "old" / "weights.safetensors").unlink()
    code, _, err = command(*base, "-o", tmp_path / "third", "--from", tmp_path / "old")
    assert code == 1
    assert "expected the weights to go on training from" in err
