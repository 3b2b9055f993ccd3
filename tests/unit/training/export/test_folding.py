from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from probefusion.nn.architectures import ARCHITECTURES, build_network
from probefusion.training.export.folding import fold_network


@pytest.fixture(params=sorted(ARCHITECTURES))
def network(request):
    """A network in evaluation mode whose every parameter and statistic is away from its first value."""
    network = build_network(
        request.param, {"dim": 16, "style_channels": 12}, rng=np.random.default_rng(3)
    )
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
        for name, buffer in network.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer += torch.rand(buffer.shape, generator=generator)
    return network.eval()


def test_folding_changes_nothing_but_rounding(network) -> None:
    generator = torch.Generator().manual_seed(4)
    embeddings = torch.randn(3, 40, 16, generator=generator)
    style = torch.rand(3, 40, 12, 2, generator=generator)
    with torch.no_grad():
        expected = network(embeddings, style)
        found = fold_network(network)(embeddings, style)
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


def test_the_original_stays_as_it_is(network) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fold_network(network)
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_exported_attention_never_holds_the_whole_matrix_of_scores(fuser_folders) -> None:
    graph = onnx.load(fuser_folders["official"] / "encode.onnx").graph
    kinds = [node.op_type for node in graph.node]
    assert kinds.count("MultiHeadAttention") == 2  # one in each block of the cluster network
    assert kinds.count("Softmax") == 1  # over the clusters, not over the images
