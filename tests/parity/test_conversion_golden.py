"""A checkpoint as Lightning 1.7 writes it, converted and run, against the official arrays."""

from __future__ import annotations

import collections
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from probefusion.embedders.onnx_graph import read_model
from probefusion.embedders.style_taps import find_style_taps, map_shapes
from probefusion.nn import BACKBONES
from probefusion.training.export.backbone import export_backbone
from probefusion.zoo import load_embedder, load_fuser

NUM_CLASSES = 1000
MAX_COPIES = 12
"""Of the checkpoint in memory at the same time; 8.6 where it was measured: weights, graph, its bytes,
a session of the runtime, and what the exporter keeps of each."""
MAX_BUILDS = 2500
"""The time of a conversion over that of building the network without weights; 500 where it was
measured. Both are Python for the most part, so that their ratio is alike on all machines."""


def hyper_parameters() -> dict:
    """The arguments of the released training run, as the trainer keeps them."""
    return {
        "data_root": "/data", "train_data_path": "WebFace4M", "prefix": "caface", "gpus": 2,
        "distributed_backend": "ddp", "epochs": 10, "seed": 42, "batch_size": 512, "lr": 1e-3,
        "lr_milestones": [6, 9], "lr_gamma": 0.1, "optimizer_type": "adamw", "arch": "ir_101",
        "weight_decay": 5e-4, "center_path": "center.pth", "aggregator_name": "style_norm_srm",
        "intermediate_type": "style", "style_index": [3, 5], "freeze_model": True,
        "decoder_name": "catv9_g4_conf512_small", "use_memory": True, "center_loss_lambda": 1.0,
        "memory_loss_lambda": 1.0, "num_images_per_identity": 32, "output_dir": "/out",
    }  # fmt: skip


def lightning_checkpoint(state: dict) -> dict:
    """All entries of `Trainer.save_checkpoint` of Lightning 1.7 with one AdamW and one scheduler."""
    name = (
        "ModelCheckpoint{'monitor': 'ijbb_val/0.0001', 'mode': 'max', 'every_n_train_steps': 0, "
        "'every_n_epochs': 1, 'train_time_interval': None, 'save_on_train_epoch_end': None}"
    )
    best = torch.tensor(0.9603)
    moments = {"step": torch.tensor(10.0), "exp_avg": torch.zeros(3), "exp_avg_sq": torch.ones(3)}
    group = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 5e-4, "params": [0]}
    return {
        "epoch": 9,
        "global_step": 12240,
        "pytorch-lightning_version": "1.7.7",
        "state_dict": collections.OrderedDict(state),
        "loops": {
            "fit_loop": {
                "state_dict": {},
                "epoch_progress": {"total": {"ready": 10}, "current": {"ready": 10}},
            }
        },
        "callbacks": {
            name: {
                "monitor": "ijbb_val/0.0001",
                "best_model_score": best,
                "best_model_path": "/out/epoch=9.ckpt",
                "current_score": best,
                "dirpath": "/out",
                "best_k_models": {"/out/epoch=9.ckpt": best},
                "kth_value": best,
                "last_model_path": "/out/last.ckpt",
            }
        },
        "optimizer_states": [{"state": {0: moments}, "param_groups": [group]}],
        "lr_schedulers": [
            {"milestones": collections.Counter({6: 1, 9: 1}), "gamma": 0.1, "last_epoch": 10}
        ],
        "hparams_name": "kwargs",
        "hyper_parameters": hyper_parameters(),
    }


@pytest.fixture(scope="module")
def checkpoint(made_state, golden, tmp_path_factory):
    """IR-101, the golden fuser with its official second name, and class centres: one file."""
    aggregator = {key: torch.from_numpy(array) for key, array in golden("weights").items()}
    aggregator["style_maker.cfcs.0"] = aggregator["style_maker.cfc"]
    centres = torch.nn.functional.normalize(torch.randn(NUM_CLASSES, 512))
    state = {f"model.{key}": value for key, value in made_state("ir_101").items()}
    state |= {f"aggregator.{key}": value for key, value in aggregator.items()}
    state["center.weight"] = centres
    path = tmp_path_factory.mktemp("official") / "CAFace_AdaFaceWebFace4M.ckpt"
    torch.save(lightning_checkpoint(state), path)
    return path, len(state), centres.numpy()


CONVERT = """
import json, resource, sys, time
from pathlib import Path

import onnx, onnxruntime, torch

from probefusion.cli import main
from probefusion.nn import BACKBONES


def memory(field):  # getrusage would count the pages of the parent, from which this was forked
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    line = next(line for line in status.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


torch.set_num_threads(1)
source, folder = sys.argv[1:]
before = memory("VmRSS")
start = time.process_time()
code = main(["models", "convert", source, "-o", folder])
took, peak = time.process_time() - start, memory("VmHWM")

builds = []
for _ in range(5):
    start = time.process_time()
    with torch.device("meta"):
        BACKBONES["ir_101"]()
    builds.append(time.process_time() - start)
print(json.dumps({"code": code, "builds": took / min(builds), "bytes": peak - before}))
"""


@pytest.fixture(scope="module")
def converted(checkpoint, tmp_path_factory):
    """The folder, and what making it took in a process of its own."""
    folder = tmp_path_factory.mktemp("converted") / "caface"
    command = [sys.executable, "-c", CONVERT, str(checkpoint[0]), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=True)
    facts = json.loads(done.stdout.splitlines()[-1])
    assert facts["code"] == 0
    return folder, facts


def test_its_cost_is_bounded(converted, checkpoint):
    _, facts = converted
    assert facts["bytes"] < MAX_COPIES * checkpoint[0].stat().st_size
    assert facts["builds"] < MAX_BUILDS


def test_every_key_is_accounted_for(converted, checkpoint):
    report = json.loads((converted[0] / "conversion.json").read_text())
    _, num_keys, centres = checkpoint
    assert sum(report["keys"].values()) == num_keys
    assert report["layout"] == "CAFace (Lightning)"
    assert report["network"] == "ir_101"
    assert report["style_taps"] == ["stage2", "stage3"]
    assert report["fuser_config"]["num_clusters"] == 4
    assert report["fuser_config"]["depth"] == 2
    assert report["fuser_config"]["per_dimension_weights"] is True
    assert set(report["ignored"]) == {
        "epoch", "global_step", "pytorch-lightning_version", "loops", "callbacks",
        "optimizer_states", "lr_schedulers", "hparams_name",
    }  # fmt: skip
    assert np.array_equal(np.load(converted[0] / "class_centres.npy"), centres)


def test_photo_to_template_is_the_official_result(converted, golden, deviation, tolerances):
    """Four crops through the exported embedder and fuser, by the runtime alone."""
    arrays = golden("backbones")
    embedder = load_embedder(converted[0] / "embedder.onnx", batch_size=4)
    fuser = load_fuser(converted[0] / "fuser")
    # The golden images went in with their channels as stored; crops are RGB and the network takes BGR.
    crops = np.ascontiguousarray(arrays["input.image_uint8_hwc"][..., ::-1])
    images = embedder.embed_set(crops)
    units = images.embeddings / images.norms[:, None]
    assert deviation(units, arrays["ir_101.unit_embedding"]) < tolerances.GOLDEN
    assert deviation(images.norms[:, None], arrays["ir_101.norm"]) < tolerances.GOLDEN
    for name, part in (("2", slice(0, 128)), ("3", slice(128, None))):
        expected = arrays[f"ir_101.style_stage{name}"]
        assert deviation(images.style[:, part], expected) < tolerances.GOLDEN
    fused = arrays["pipeline.ir_101.fused"][0]
    template = fuser.fuse(images)
    assert deviation(template.vector, fused / np.linalg.norm(fused)) < tolerances.GOLDEN
    assert template.embedder == embedder.fingerprint == fuser.embedder


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_style_taps_are_found_by_themselves(
    name, made_state, golden, tmp_path, deviation, tolerances, request
):
    """The exported network, its taps searched for as for any unknown file, against golden style."""
    arrays = golden("backbones")
    path = tmp_path / f"{name}.onnx"
    if name == "ir_101":  # the largest was exported by the conversion, with the same weights
        path.symlink_to(request.getfixturevalue("converted")[0] / "embedder.onnx")
    else:
        with torch.device("meta"):
            network = BACKBONES[name]()
        network.load_state_dict(made_state(name), strict=True, assign=True)
        export_backbone(network.eval(), path)
    model, _ = read_model(path)
    taps = find_style_taps(model)
    assert taps == ("stage2", "stage3")
    shapes = [shape for shape, _ in map_shapes(model, names=taps).values()]
    assert shapes == [(1, 128, 28, 28), (1, 256, 14, 14)]
    settings = {"preprocessing": "arcface", "channel_order": "BGR"}
    embedder = load_embedder(path, settings=settings, batch_size=4)
    assert embedder.is_batched
    crops = np.ascontiguousarray(arrays["input.image_uint8_hwc"][..., ::-1])
    images = embedder.embed_set(crops)
    expected = {
        "unit": (images.embeddings / images.norms[:, None], arrays[f"{name}.unit_embedding"]),
        "norm": (images.norms[:, None], arrays[f"{name}.norm"]),
        "style 2": (images.style[:, :128], arrays[f"{name}.style_stage2"]),
        "style 3": (images.style[:, 128:], arrays[f"{name}.style_stage3"]),
    }
    found = {what: deviation(*pair) for what, pair in expected.items()}
    assert max(found.values()) < tolerances.GOLDEN, found
