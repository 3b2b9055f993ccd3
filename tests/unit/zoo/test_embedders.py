from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from probefusion.errors import ConfigError, FileFormatError, IntegrityError
from probefusion.files import sha256_of
from probefusion.zoo import load_embedder, resolve_embedder

ARCFACE = {"preprocessing": "arcface"}


def describe(path, **settings):
    path.with_suffix(".json").write_text(json.dumps(settings))


def test_an_unknown_file_needs_its_preprocessing(network_file):
    with pytest.raises(ConfigError) as caught:
        resolve_embedder(network_file)
    message = str(caught.value)
    for part in ("channel_order, mean, std", "my net.json", '"preprocessing": "arcface"'):
        assert part in message


def test_the_arcface_default_is_taken_on_request(network_file):
    path, spec = resolve_embedder(str(network_file), settings=ARCFACE)
    assert path == network_file
    assert spec.name == "my_net"
    assert spec.sha256 == sha256_of(network_file)
    assert (spec.channel_order, spec.mean, spec.std) == ("RGB", (0.5,) * 3, (0.5,) * 3)
    assert (spec.dim, spec.input_size) == (7, 112)
    assert spec.style_taps == ("quarter", "eighth")


def test_a_sidecar_describes_the_file_and_settings_win(network_file):
    describe(network_file, name="net", channel_order="BGR", mean=[0, 0, 0], std=[1, 1, 1])
    _, spec = resolve_embedder(network_file)
    assert (spec.name, spec.channel_order, spec.mean) == ("net", "BGR", (0.0, 0.0, 0.0))
    _, spec = resolve_embedder(network_file, settings={"channel_order": "RGB", "mean": None})
    assert (spec.channel_order, spec.mean) == ("RGB", (0.0, 0.0, 0.0))


def test_a_preset_gives_way_to_what_is_said_beside_it(network_file):
    settings = {"preprocessing": "arcface", "channel_order": "BGR"}
    assert resolve_embedder(network_file, settings=settings)[1].channel_order == "BGR"


@pytest.mark.parametrize("taps", [(), [], ("eighth", "quarter")])
def test_taps_can_be_chosen_or_left_out(network_file, taps):
    _, spec = resolve_embedder(network_file, settings={**ARCFACE, "style_taps": taps})
    assert spec.style_taps == tuple(taps)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"chanel_order": "RGB"}, "did you mean 'channel_order'"),
        ({"preprocessing": "imagenet"}, "expected 'arcface'"),
        ({**ARCFACE, "channel_order": "GRB"}, "channel_order"),
    ],
)
def test_wrong_settings_are_refused(network_file, settings, words):
    with pytest.raises(ConfigError, match=words):
        resolve_embedder(network_file, settings=settings)


def test_an_unknown_key_of_a_sidecar_names_the_sidecar(network_file):
    describe(network_file, colour="RGB")
    with pytest.raises(FileFormatError, match=r"my net\.json: unknown key 'colour'"):
        resolve_embedder(network_file)
    describe(network_file, chanel_order="RGB")
    with pytest.raises(FileFormatError, match="did you mean 'channel_order'"):
        resolve_embedder(network_file)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("dim", "7", "dim: expected a whole number or null, got a text"),
        ("mean", [0.5, 0.5], "mean: expected a list of length 3, got 2"),
        ("style_taps", "automatic", "style_taps: "),
        ("norm_is_quality", 1, "norm_is_quality: expected true or false or null"),
    ],
)
def test_a_wrong_value_of_a_sidecar_names_file_and_key(network_file, key, value, words):
    describe(network_file, **{"preprocessing": "arcface", key: value})
    with pytest.raises(FileFormatError, match=rf"my net\.json: {words}"):
        resolve_embedder(network_file)


@pytest.mark.parametrize("content", ["{", "[]", '"text"', ""])
def test_broken_sidecars_are_refused(network_file, content):
    network_file.with_suffix(".json").write_text(content)
    with pytest.raises(FileFormatError, match=r"my net\.json"):
        resolve_embedder(network_file, settings=ARCFACE)


def test_a_sidecar_of_another_file_is_refused(network_file):
    describe(network_file, sha256="0" * 64, **ARCFACE)
    with pytest.raises(IntegrityError, match="its description says"):
        resolve_embedder(network_file)
    describe(network_file, sha256=sha256_of(network_file), **ARCFACE)
    assert resolve_embedder(network_file)[1].dim == 7


def test_a_loaded_embedder_works(network_file, rng):
    embedder = load_embedder(network_file, settings=ARCFACE, num_threads=1, batch_size=2)
    crops = rng.integers(0, 256, (3, 112, 112, 3), dtype=np.uint8)
    images = embedder.embed_set(crops)
    assert images.embeddings.shape == (3, 7)
    assert images.style.shape == (3, 11, 2)
    assert images.embedder == resolve_embedder(network_file, settings=ARCFACE)[1].fingerprint


def test_a_file_that_is_no_model_is_refused(tmp_path):
    path = tmp_path / "text.onnx"
    path.write_text("no model")
    with pytest.raises(FileFormatError, match=r"text\.onnx"):
        resolve_embedder(path, settings=ARCFACE)


@pytest.mark.assets
def test_known_files_are_recognised_whatever_they_are_called(assets, tmp_path):
    renamed = tmp_path / "renamed.bin"
    shutil.copy(assets / "models" / "mobilefacenet_128d.onnx", renamed)
    _, spec = resolve_embedder(renamed)
    assert spec.name == "mobilefacenet_128d"
    assert spec.licence == "Apache-2.0"
    assert spec.mean == (0.485, 0.456, 0.406)
    assert spec.style_taps == (
        "/features/features.4/Add_output_0",
        "/features/features.11/Add_output_0",
    )


@pytest.mark.assets
def test_known_names_are_found_in_the_models_folder(assets, tmp_path, monkeypatch):
    monkeypatch.setenv("PROBEFUSION_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    shutil.copy(assets / "models" / "edgeface_xs_512d.onnx", tmp_path / "models")
    path, spec = resolve_embedder("edgeface_xs_512d")
    assert path == tmp_path / "models" / "edgeface_xs_512d.onnx"
    assert spec.dim == 512
    assert spec.norm_is_quality is False


@pytest.mark.assets
def test_a_detector_is_no_embedder(assets):
    with pytest.raises(ConfigError, match="got the detector 'yunet_320'"):
        resolve_embedder(assets / "models" / "yunet_320.onnx", settings=ARCFACE)
