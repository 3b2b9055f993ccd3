from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from probefusion.errors import ConfigError, FileFormatError, OutputExistsError
from probefusion.nn import CAFace, CAFaceConfig, ir_18, iresnet18
from probefusion.training.convert.conversion import convert_checkpoint
from probefusion.zoo import load_embedder


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    return ir_18().eval()


@pytest.fixture
def crops(rng):
    return rng.integers(0, 256, (3, 112, 112, 3), dtype=np.uint8)


@torch.no_grad()
def expected(network, crops, order):
    pixels = crops if order == "RGB" else crops[..., ::-1]
    images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).float()
    return network((images / 255 - 0.5) / 0.5)


def test_a_file_of_cvlface_with_its_settings(network, crops, tmp_path):
    state = {f"model.net.{k}": v.contiguous() for k, v in network.state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(ConfigError, match=r"config\.json"):
        convert_checkpoint(tmp_path / "model.safetensors", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "config.json").write_text(
        json.dumps({"conf": {"name": "ir18", "color_space": "RGB"}})
    )
    report = convert_checkpoint(
        tmp_path / "model.safetensors", tmp_path / "out", name="cvl", licence="research"
    )
    assert report.layout == "CVLface (Hugging Face)"
    assert sum(report.keys.values()) == len(state)
    assert report.fuser is None
    embedder = load_embedder(tmp_path / "out" / "embedder.onnx")
    assert embedder.spec.channel_order == "RGB"
    assert embedder.spec.licence == "research"
    assert embedder.fingerprint == report.embedder
    embedding, style = expected(network, crops, "RGB")
    found = embedder.embed(crops)
    assert np.allclose(found[0], embedding, atol=1e-4 * float(embedding.abs().max()))
    assert np.allclose(found[1], style, atol=1e-4 * float(style.abs().max()))


def test_a_fuser_that_looks_at_all_four_stages(network, crops, tmp_path):
    """style_index 1,3,5,7, eight clusters, one weight per cluster, three blocks."""
    config = CAFaceConfig(style_channels=960, num_clusters=8, depth=3, per_dimension_weights=False)
    fuser = CAFace(config, rng=np.random.default_rng(0)).eval()
    state = {f"model.{k}": v for k, v in network.state_dict().items()}
    state |= {f"aggregator.{k}": v for k, v in fuser.state_dict().items()}
    content = {
        "state_dict": state,
        "hyper_parameters": {
            "arch": "ir_18", "decoder_name": "catv9_g8", "style_index": "1,3,5,7",
            "aggregator_name": "style_norm_srm",
        },
    }  # fmt: skip
    torch.save(content, tmp_path / "a.ckpt")
    report = convert_checkpoint(tmp_path / "a.ckpt", tmp_path / "out")
    assert report.style_taps == ("stage1", "stage2", "stage3", "stage4")
    embedder = load_embedder(tmp_path / "out" / "embedder.onnx")
    images = embedder.embed_set(crops)
    assert images.style.shape == (3, 960, 2)
    from probefusion.zoo import load_fuser

    template = load_fuser(tmp_path / "out" / "fuser").fuse(images)
    with torch.no_grad():
        fused = fuser(
            torch.from_numpy(images.embeddings.copy())[None],
            torch.from_numpy(images.style.copy())[None],
        )[0].numpy()
    assert np.allclose(template.vector, fused / np.linalg.norm(fused), atol=1e-5)
    for key, value, words in (
        ("decoder_name", "catv9_g4", "says num_clusters = 4, its parameters say 8"),
        ("style_index", "3,5", "gives 384 channels, the fuser has 960"),
        ("arch", "ir_101", "arch 'ir_101'"),
        ("aggregator_name", "simple_avg", "aggregator_name"),
    ):
        content["hyper_parameters"] = {**content["hyper_parameters"], key: value}
        torch.save(content, tmp_path / "b.ckpt")
        with pytest.raises(FileFormatError, match=words):
            convert_checkpoint(tmp_path / "b.ckpt", tmp_path / "other")
        assert not (tmp_path / "other").exists()
        content["hyper_parameters"] = {
            "arch": "ir_18", "decoder_name": "catv9_g8", "style_index": "1,3,5,7",
            "aggregator_name": "style_norm_srm",
        }  # fmt: skip


def test_what_may_be_replaced(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / "a.pth")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("x")
    for force in (False, True):
        with pytest.raises(OutputExistsError):
            convert_checkpoint(tmp_path / "a.pth", tmp_path / "out", force=force)
    assert (tmp_path / "out" / "precious").exists()


def test_a_file_of_magface_is_fed_as_magface(crops, tmp_path):
    torch.manual_seed(4)
    network = iresnet18().eval()
    state = {f"features.module.{k}": v for k, v in network.state_dict().items()}
    state["fc.weight"] = torch.zeros(512, 10)
    torch.save({"epoch": 25, "arch": "iresnet18", "state_dict": state}, tmp_path / "magface.pth")
    torch.save(network.state_dict(), tmp_path / "bare.pth")
    report = convert_checkpoint(tmp_path / "magface.pth", tmp_path / "out")
    assert (report.layout, report.preprocessing) == ("MagFace", "magface")
    assert sum(report.keys.values()) == len(state)
    renamed = convert_checkpoint(
        tmp_path / "bare.pth", tmp_path / "renamed", preprocessing="magface"
    )
    assert renamed.preprocessing == "magface"
    assert convert_checkpoint(tmp_path / "bare.pth", tmp_path / "arc").preprocessing == "arcface"
    # MagFace reads BGR as x / 255; the network, made for ArcFace's RGB, turns its channels round.
    pixels = torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))).float() / 255
    with torch.no_grad():
        expected = network(pixels).embedding.numpy()
    for folder in ("out", "renamed"):
        embedder = load_embedder(tmp_path / folder / "embedder.onnx")
        assert embedder.spec.mean == (0.0, 0.0, 0.0)
        assert embedder.spec.std == (1.0, 1.0, 1.0)
        assert embedder.spec.norm_is_quality
        found, _ = embedder.embed(crops)
        assert np.allclose(found, expected, atol=1e-4 * np.abs(expected).max())
