from __future__ import annotations

import collections

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from research.compact_embedder.export import (  # noqa: E402
    MAP_NAMES,
    export_compact_embedder,
    fold_batch_norms,
    read_compact_embedder,
)
from research.compact_embedder.network import CompactEmbedder  # noqa: E402

from probefusion.embedders import EmbedderSpec, OnnxEmbedder  # noqa: E402
from probefusion.errors import FileFormatError, MissingFileError, OutputExistsError  # noqa: E402
from probefusion.files import sha256_of  # noqa: E402


@pytest.fixture(scope="module")
def network():
    """The default size with random weights and BatchNorms that do something."""
    network = CompactEmbedder(rng=np.random.default_rng(0))
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            shape = module.running_mean.shape
            module.running_mean.copy_(0.1 * torch.randn(shape, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(shape, generator=generator))
            with torch.no_grad():
                module.weight.copy_(0.7 + 0.6 * torch.rand(shape, generator=generator))
                module.bias.copy_(0.1 * torch.randn(shape, generator=generator))
    return network.eval()


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "net.onnx"
    export_compact_embedder(network, path)
    return path


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(1).integers(0, 256, (5, 112, 112, 3), dtype=np.uint8)


def as_pixels(crops):
    return torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 127.5 - 1


def test_the_file_answers_like_the_network(network, exported, crops) -> None:
    spec = EmbedderSpec(name="net", sha256=sha256_of(exported), dim=128, style_taps=MAP_NAMES)
    embedder = OnnxEmbedder(exported, spec, num_threads=1)
    assert embedder.is_batched
    assert embedder.norms_known
    embeddings, style = embedder.embed(crops)
    with torch.no_grad():
        expected = network(as_pixels(crops)).numpy()
        maps = network.maps(as_pixels(crops))[:2]
    assert np.abs(embeddings - expected).max() < 5e-3 * np.abs(expected).max()
    assert style.shape == (5, 48 + 112, 2)
    wanted = torch.cat([part.flatten(2).mean(-1) for part in maps], 1).numpy()
    assert np.abs(style[..., 0] - wanted).max() < 5e-3 * np.abs(wanted).max()
    wanted = torch.cat([part.flatten(2).std(-1) for part in maps], 1).numpy()
    assert np.abs(style[..., 1] - wanted).max() < 5e-3 * np.abs(wanted).max()


def test_names_types_and_size(exported) -> None:
    model = onnx.load(exported)
    onnx.checker.check_model(model)
    assert exported.stat().st_size <= 3_000_000
    assert [entry.name for entry in model.graph.input] == ["pixels"]
    assert [entry.name for entry in model.graph.output] == ["embedding"]
    shape = model.graph.input[0].type.tensor_type.shape.dim
    assert shape[0].dim_param
    assert [axis.dim_value for axis in shape[1:]] == [3, 112, 112]
    assert set(MAP_NAMES) <= {name for node in model.graph.node for name in node.output}
    kinds = {tensor.data_type for tensor in model.graph.initializer if len(tensor.dims) > 1}
    assert kinds == {onnx.TensorProto.FLOAT16}
    assert str(exported.parent.parent) not in exported.read_bytes().decode("latin-1")
    assert not any(node.metadata_props for node in model.graph.node)


def test_the_runtime_folds_all_but_convolutions_away(exported, tmp_path) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(str(exported), options, providers=["CPUExecutionProvider"])
    nodes = onnx.load(tmp_path / "optimised.onnx").graph.node
    found = collections.Counter(node.op_type for node in nodes)
    assert not {"Cast", "BatchNormalization", "Relu"} & found.keys(), found


def test_folding_changes_nothing_but_the_number_of_steps(network, crops) -> None:
    folded = fold_batch_norms(network)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in folded.modules())
    assert any(isinstance(part, torch.nn.BatchNorm2d) for part in network.modules())
    with torch.no_grad():
        expected, found = network(as_pixels(crops)), folded(as_pixels(crops))
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


def test_the_same_network_gives_the_same_file(network, exported, tmp_path) -> None:
    export_compact_embedder(network, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == exported.read_bytes()


def test_nothing_is_overwritten_unasked(network, exported) -> None:
    before = exported.read_bytes()
    with pytest.raises(OutputExistsError):
        export_compact_embedder(network, exported)
    assert exported.read_bytes() == before


def test_a_saved_state_is_read(network, tmp_path) -> None:
    from dataclasses import asdict

    keys = ("comparisons", "optimizer")
    state = {"config": asdict(network.config), "network": network.state_dict(), "step": 7}
    state |= {"stages": [{"from_step": 0, "seed": 3}], **{key: {} for key in keys}}
    torch.save(state, tmp_path / "state.pt")
    found, steps, stages = read_compact_embedder(tmp_path / "state.pt")
    assert (steps, stages) == (7, [{"from_step": 0, "seed": 3}])
    assert found.config == network.config
    assert torch.equal(found.embedding.weight, network.embedding.weight)
    torch.save({"network": {}}, tmp_path / "other.pt")
    with pytest.raises(FileFormatError, match="expected comparisons, config"):
        read_compact_embedder(tmp_path / "other.pt")
    with pytest.raises(MissingFileError):
        read_compact_embedder(tmp_path / "none.pt")
