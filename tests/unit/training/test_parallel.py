"""Two processes of `torchrun`: one store, the network of one process, checkpoints between them, errors of one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402

from probefusion.errors import ConfigError, WorkerError  # noqa: E402
from probefusion.nn.architectures import build_network  # noqa: E402
from probefusion.training import loop, parallel  # noqa: E402
from probefusion.training.batch_loader import BatchLoader  # noqa: E402
from probefusion.training.config import TrainingConfig  # noqa: E402
from probefusion.training.loop import TrainingResult, train_network  # noqa: E402
from probefusion.training.parallel import (  # noqa: E402
    Workers,
    ending_together,
    threads_of_process,
)

ARCHITECTURES = ("exact", "official")

TOGETHER = """
import sys
from pathlib import Path
sys.path[:0] = {folders!r}
import torch
from safetensors.torch import save_file
from test_parallel import ARCHITECTURES, compute_in_double, config_of, stopped_after, store_of
from probefusion.training.loop import train_network
from probefusion.training.parallel import join_workers
work = Path({work!r})
compute_in_double(setattr)
workers = join_workers()
store = store_of(work / "store", workers)
for architecture in ARCHITECTURES:
    result = train_network(store, config_of(architecture))
    if workers.is_first:
        tensors = {{k: v.contiguous() for k, v in result.network.state_dict().items()}}
        save_file(tensors, work / f"{{architecture}}.safetensors")
        print(*result.centre_losses, result.validation_loss)
    train_network(store, config_of(architecture), checkpoint=work / f"{{architecture}}.checkpoint",
                  should_stop=stopped_after(3))
result = train_network(store, config_of("exact"), checkpoint=work / "alone.checkpoint")
if workers.is_first:
    print(result.step, *result.centre_losses)
torch.distributed.destroy_process_group()
"""

FAILING = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = {folders!r}
from test_parallel import config_of, store_of
from probefusion.errors import WorkerError
from probefusion.training.loop import train_network
from probefusion.training.parallel import ending_together, join_workers
workers = join_workers()
def fail(report):
    if workers.rank == 1 and report.step == 2:
        if {is_killed}:
            os.kill(os.getpid(), signal.SIGKILL)
        raise ValueError("the disk\\nis full")
try:
    with ending_together(workers):
        train_network(store_of(Path({work!r}) / "store", workers), config_of("exact"), on_step=fail)
except WorkerError as error:
    print("told:", error)
except ValueError as error:
    print("failed:", error)
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
        validation_share=0.3,
        check_every=4,
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


def store_of(folder: Path, workers=None):
    from variant_stores import PEOPLE, CountingEmbedder, draw_variants, read_image

    from probefusion.training.extraction import extract_variants

    return extract_variants(
        PEOPLE,
        read_image,
        CountingEmbedder(),
        draw_variants,
        folder,
        recipe="test",
        block_images=2,
        workers=workers,
    )


def stopped_after(steps: int) -> Callable[[], bool]:
    asked: list[int] = []

    def should_stop() -> bool:
        asked.append(1)
        return len(asked) >= steps

    return should_stop


def _run_two(folder: Path, script: str, **values: object) -> subprocess.CompletedProcess[str]:
    here = Path(__file__).parent
    folders = [str(here), str(here.parents[1] / "support")]
    path = folder / "train.py"
    path.write_text(script.format(folders=folders, work=str(folder), **values))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return subprocess.run(
        [*command, "--nproc-per-node", "2", str(path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )


@contextmanager
def _in_double() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        compute_in_double(patched.setattr)
        yield


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What two processes made, and what they printed."""
    folder = tmp_path_factory.mktemp("together")
    with _in_double():
        train_network(
            store_of(folder / "first"),
            config_of("exact"),
            checkpoint=folder / "alone.checkpoint",
            should_stop=stopped_after(3),
        )
    done = _run_two(folder, TOGETHER)
    assert done.returncode == 0, done.stderr
    lines = [[float(word) for word in line.split()] for line in done.stdout.splitlines()]
    return folder, lines


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict[str, TrainingResult]:
    store = store_of(tmp_path_factory.mktemp("alone") / "store")
    with _in_double():
        return {name: train_network(store, config_of(name)) for name in ARCHITECTURES}


def test_two_processes_make_the_store_of_one(together, store) -> None:
    folder = together[0] / "store"
    for name in ("embeddings.npy", "style.npy", "clean.npy", "checks.npy"):
        assert np.array_equal(np.load(folder / name), np.load(store.embeddings.path.parent / name))
    assert not (folder / "blocks").exists()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_two_processes_give_the_network_of_one(together, alone, store, architecture) -> None:
    found = load_file(together[0] / f"{architecture}.safetensors")
    right = alone[architecture].network.state_dict()
    assert found.keys() == right.keys()
    network = build_network(architecture, {"dim": 12, "style_channels": 6})
    embeddings = torch.from_numpy(store.embeddings[:, :, :].astype("float32"))
    style = torch.from_numpy(store.style[:].astype("float32"))
    fused = []
    for parameters in (right, found):
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
    told = together[1][ARCHITECTURES.index(architecture)]
    assert np.allclose(told[:-1], alone[architecture].centre_losses, rtol=1e-6)
    assert told[-1] == pytest.approx(alone[architecture].validation_loss, rel=1e-6)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_one_process_goes_on_where_two_stopped(together, alone, store, architecture) -> None:
    with _in_double():
        rest = train_network(
            store,
            config_of(architecture),
            checkpoint=together[0] / f"{architecture}.checkpoint",
        )
    assert rest.step == 6
    assert np.allclose(rest.centre_losses, alone[architecture].centre_losses[3:], rtol=1e-6)


def test_two_processes_go_on_where_one_stopped(together, alone) -> None:
    step, *losses = together[1][-1]
    assert step == 6
    assert np.allclose(losses, alone["exact"].centre_losses[3:], rtol=1e-6)


@pytest.mark.parametrize("is_killed", [False, True])
def test_an_error_of_one_process_ends_both_with_the_reason(tmp_path, is_killed) -> None:
    done = _run_two(tmp_path, FAILING, is_killed=is_killed)
    if is_killed:
        # torchrun ends the other one at once, so it may not come to say anything.
        assert done.returncode != 0
        assert "SIGKILL" in done.stderr
        told = "told: stopped, because another of the 2 processes ended without a word"
        assert all(line.startswith(told) for line in done.stdout.splitlines())
    else:
        assert sorted(done.stdout.splitlines()) == [
            "failed: the disk",
            "is full",
            "told: stopped, because process 1 of 2 (counted from 0) failed: the disk is full",
        ]


class Board:
    """The key-value store of `torchrun`, in one process."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.texts: dict[str, bytes] = {}

    def add(self, name: str, number: int) -> int:
        self.numbers[name] = self.numbers.get(name, 0) + number
        return self.numbers[name]

    def check(self, names: list[str]) -> bool:
        return all(name in self.texts for name in names)

    def get(self, name: str) -> bytes:
        return self.texts[name]

    def compare_set(self, name: str, expected: str, text: str) -> None:
        assert expected == ""
        self.texts.setdefault(name, text.encode())


def test_a_process_that_waits_is_told_of_the_failure_of_another(monkeypatch) -> None:
    monkeypatch.setattr(parallel, "_LAST_WORDS", 0.0)
    monkeypatch.setattr(parallel, "_LOOK_EVERY", 0.01)
    board = Board()
    first, second, third = (Workers(rank=rank, world_size=3, board=board) for rank in range(3))
    with pytest.raises(OSError, match="full"), ending_together(second):
        raise OSError("the disk\nis full")
    message = r"process 1 of 3 \(counted from 0\) failed: the disk is full"
    with pytest.raises(WorkerError, match=message), ending_together(first):
        first.wait("the end")
    with pytest.raises(WorkerError, match=message) as caught, ending_together(third):
        raise RuntimeError("Connection closed by peer [127.0.0.1]:1234")
    assert caught.value.__cause__ is None
    assert board.numbers["failure heard"] == 2


def test_a_lost_connection_without_a_reason_says_that() -> None:
    workers = Workers(rank=0, world_size=2, board=Board())
    with pytest.raises(WorkerError, match="ended without a word"), ending_together(workers):
        raise RuntimeError("Connection reset by peer")


def test_one_process_alone_waits_for_nobody_and_counts() -> None:
    workers = Workers()
    workers.wait("nothing")
    assert [workers.add("a", 2), workers.add("a", 1), workers.add("b", 0)] == [2, 3, 0]
    with pytest.raises(RuntimeError, match="as it is"), ending_together(workers):
        raise RuntimeError("Connection, as it is")


def test_processes_of_one_machine_share_its_cores(monkeypatch) -> None:
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert threads_of_process(None) is None
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setattr(parallel, "available_threads", lambda: 5)
    assert threads_of_process(None) == 2
    assert threads_of_process(4) == 4
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "9")
    assert threads_of_process(None) == 1


def test_a_batch_that_cannot_be_split_is_refused_with_one_that_can() -> None:
    workers = Workers(rank=1, world_size=3)
    assert workers.part_of(np.arange(6)).tolist() == [2, 3]
    for size, better in ((7, 6), (2, 3)):
        with pytest.raises(ConfigError, match=rf"got {size}\. Give one \(--batch-size {better}\)"):
            workers.part_of(np.arange(size))
