from __future__ import annotations

import argparse
import collections
import os
import pickle
import sys
import types

import pytest
import torch
from safetensors.torch import save_file

from probefusion.errors import FileFormatError, IntegrityError, MissingFileError
from probefusion.training.convert.foreign_checkpoint import read_foreign_checkpoint

TENSORS = {"model.a": torch.arange(3.0), "model.b": torch.zeros(2, 2)}


class Malicious:
    """Runs a command when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("place", ["hyper_parameters", "callbacks", "state_dict"])
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path, place, zipped):
    witness = tmp_path / "witness"
    content = {"state_dict": dict(TENSORS), "hyper_parameters": {}, "callbacks": {}}
    content[place]["x"] = Malicious(f"touch {witness}")
    path = tmp_path / "evil.ckpt"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(IntegrityError, match=r"refused, nothing of it was run.*system"):
        read_foreign_checkpoint(path)
    assert not witness.exists()
    torch.load(path, weights_only=False)  # the trap works: an ordinary reader falls into it
    assert witness.exists()


def test_a_bare_pickle_is_refused(tmp_path):
    path = tmp_path / "bare.pth"
    path.write_bytes(pickle.dumps(Malicious(f"touch {tmp_path / 'witness'}")))
    with pytest.raises((IntegrityError, FileFormatError)):
        read_foreign_checkpoint(path)
    assert not (tmp_path / "witness").exists()


@pytest.mark.parametrize(
    "name", ["builtins.eval", "subprocess.Popen", "os.system", "runpy.run_path"]
)
def test_names_of_code_are_refused(tmp_path, name, monkeypatch):
    path = tmp_path / "evil.pt"

    class Named:
        def __reduce__(self):
            module, _, attribute = name.rpartition(".")
            return getattr(__import__(module), attribute), ("1 + 1",)

    torch.save({"state_dict": TENSORS, "x": Named()}, path)
    with pytest.raises(IntegrityError, match="refused"):
        read_foreign_checkpoint(path)


def fake_lightning(monkeypatch):
    """Classes with the names that Lightning and OmegaConf leave in checkpoints."""
    made = {}
    for full in (
        "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
        "pytorch_lightning.utilities.parsing.AttributeDict",
    ):
        module, _, name = full.rpartition(".")
        base = dict if name == "AttributeDict" else object
        made[name] = type(name, (base,), {"__module__": module})
        parts = module.split(".")
        for end in range(1, len(parts) + 1):
            monkeypatch.setitem(
                sys.modules, ".".join(parts[:end]), types.ModuleType(".".join(parts[:end]))
            )
        setattr(sys.modules[module], name, made[name])
    return made


def test_names_that_frameworks_leave_are_read_without_the_framework(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        made = fake_lightning(patch)
        path = tmp_path / "old.ckpt"
        torch.save(
            {
                "state_dict": collections.OrderedDict(TENSORS),
                "callbacks": {made["ModelCheckpoint"]: {"best_model_score": torch.tensor(0.5)}},
                "hyper_parameters": made["AttributeDict"](arch="ir_50", m=0.4),
                "optimizer_states": [{"milestones": collections.Counter({6: 1})}],
            },
            path,
        )
    assert "pytorch_lightning" not in sys.modules
    checkpoint = read_foreign_checkpoint(path)
    assert "pytorch_lightning" not in sys.modules
    assert checkpoint.settings == {"arch": "ir_50", "m": 0.4}
    assert set(checkpoint.state) == set(TENSORS)
    assert checkpoint.ignored == ("callbacks", "optimizer_states")


def test_settings_may_be_a_namespace(tmp_path):
    path = tmp_path / "n.ckpt"
    namespace = argparse.Namespace(arch="ir_101", style_index="3,5")
    torch.save({"state_dict": TENSORS, "hyper_parameters": namespace}, path)
    assert read_foreign_checkpoint(path).settings == {"arch": "ir_101", "style_index": "3,5"}


def test_plain_state_dicts_and_safetensors(tmp_path):
    torch.save(TENSORS, tmp_path / "a.pth")
    torch.save(TENSORS, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    torch.save({"epoch": 3, "state_dict_backbone": TENSORS}, tmp_path / "b.pt")
    save_file(TENSORS, tmp_path / "c.safetensors")
    for name in ("a.pth", "old.pth", "b.pt", "c.safetensors"):
        state = read_foreign_checkpoint(tmp_path / name).state
        assert set(state) == set(TENSORS)
        assert torch.equal(state["model.a"], TENSORS["model.a"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2], "got list"),
        ({}, "expected tensors by name"),
        ({"state_dict": {}}, "expected"),
        ({"state_dict": {"a": 5}}, "got a"),
        ({"epoch": 5, "weights": TENSORS}, "expected one of the entries"),
    ],
)
def test_other_contents_are_refused(tmp_path, content, words):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(FileFormatError, match=words):
        read_foreign_checkpoint(tmp_path / "x.pt")


def test_damaged_files(tmp_path):
    torch.save({"state_dict": TENSORS}, tmp_path / "good.ckpt")
    data = (tmp_path / "good.ckpt").read_bytes()
    for name, content in (
        ("cut.ckpt", data[: len(data) // 2]),
        ("empty.ckpt", b""),
        ("text.ckpt", b"<html>not here</html>"),
        ("zeros.ckpt", bytes(4096)),
        ("flipped.ckpt", data[:100] + b"\xff" * 60 + data[160:]),
        ("bad.safetensors", b"\x08\x00\x00\x00\x00\x00\x00\x00{}{}{}{}"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises((FileFormatError, IntegrityError), match=name.replace(".", r"\.")):
            read_foreign_checkpoint(tmp_path / name)
    with pytest.raises(MissingFileError):
        read_foreign_checkpoint(tmp_path / "none.ckpt")
    with pytest.raises(FileFormatError, match="folder"):
        read_foreign_checkpoint(tmp_path)
