from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from probefusion.nn.architectures import build_network
from probefusion.training import loop
from probefusion.training.batch_loader import BatchLoader
from probefusion.training.config import TrainingConfig
from probefusion.training.loop import train_network

SCRIPT = """
import sys
from pathlib import Path
import torch
from safetensors.torch import save_file
sys.path[:0] = {folders!r}
from test_parallel import compute_in_double, config_of, store_of
from probefusion.training.loop import train_network
from probefusion.training.parallel import join_workers
compute_in_double(setattr)
workers = join_workers()
result = train_network(store_of(Path({work!r})), config_of({architecture!r}))
if workers.is_first:
    tensors = {{k: v.contiguous() for k, v in result.network.state_dict().items()}}
    save_file(tensors, {output!r})
torch.distributed.destroy_process_group()
"""


def config_of(architecture: str) -> TrainingConfig:
    network = {"stochastic_depth": 0.0} if architecture == "official" else {}
    return TrainingConfig(
        architecture=architecture,
        network=network,
        batch_size=6,
        group_size=4,
        prefixes=(1, 2, 4),
        bad_share=None,
        steps=6,
        learning_rate=5e-3,
        milestones=(0.9,),
    )


def compute_in_double(patch: Callable[[object, str, object], None]) -> None:
    """Trains in float64: Adam turns what float32 rounds near zero into steps of full size.

    Args:
        patch: Sets an attribute, as `setattr` does.
    """
    load, start = BatchLoader.load, BatchLoader.__init__

    def load_double(self, step, **options):
        return tuple(
            part.double() if part.is_floating_point() else part
            for part in load(self, step, **options)
        )

    def start_double(self, *arguments):
        start(self, *arguments)
        self.centres = self.centres.double()

    def build_double(*arguments, **options):
        return build_network(*arguments, **options).double()

    patch(BatchLoader, "load", load_double)
    patch(BatchLoader, "__init__", start_double)
    patch(loop, "build_network", build_double)


def store_of(folder: Path):
    from variant_stores import PEOPLE, CountingEmbedder, draw_variants, read_image

    from probefusion.training.extraction import extract_variants

    return extract_variants(
        PEOPLE, read_image, CountingEmbedder(), draw_variants, folder, recipe="test"
    )


@pytest.mark.parametrize("architecture", ["exact", "official"])
def test_two_processes_give_the_network_of_one(tmp_path, store, architecture, monkeypatch) -> None:
    with monkeypatch.context() as patched:
        compute_in_double(patched.setattr)
        alone = train_network(store, config_of(architecture)).network.state_dict()
    output = tmp_path / "together.safetensors"
    script = tmp_path / "train.py"
    here = Path(__file__).parent
    script.write_text(
        SCRIPT.format(
            folders=[str(here), str(here.parents[1] / "support")],
            work=str(tmp_path / "store"),
            architecture=architecture,
            output=str(output),
        )
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*command, "--nproc-per-node", "2", str(script)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    from safetensors.torch import load_file

    together = load_file(output)
    assert together.keys() == alone.keys()
    network = build_network(architecture, {"dim": 12, "style_channels": 6})
    embeddings = torch.from_numpy(store.embeddings[:, :, :].astype("float32"))
    style = torch.from_numpy(store.style[:].astype("float32"))
    fused = []
    for parameters in (alone, together):
        network.load_state_dict(parameters)
        with torch.no_grad():
            fused.append(torch.nn.functional.normalize(network.eval()(embeddings, style), dim=-1))
    start = build_network(architecture, {"dim": 12, "style_channels": 6}).eval()
    with torch.no_grad():
        untrained = torch.nn.functional.normalize(start(embeddings, style), dim=-1)
    moved = float((fused[0] - untrained).abs().max())
    apart = float((fused[0] - fused[1]).abs().max())
    assert moved > 1e-3
    assert apart < 1e-4 * moved
