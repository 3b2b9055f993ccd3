"""What the zoo shows, and what importing it costs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from probefusion import zoo


def test_names() -> None:
    assert zoo.__all__ == sorted(zoo.__all__)
    assert set(dir(zoo)) == set(zoo.__all__) == set(zoo._LAZY)
    for name in zoo.__all__:
        assert getattr(zoo, name) is not None
    assert zoo.DEFAULT_EMBEDDER == "compact_128d"
    assert zoo.DEFAULT_EMBEDDER in zoo.known_models()
    rooms = {path.rpartition(".")[2] for path in zoo._LAZY.values()}
    assert not rooms & set(zoo.__all__), "a room would hide the name when it is imported"
    with pytest.raises(AttributeError, match="feature"):
        zoo.feature  # noqa: B018


def test_the_list_of_fusers_for_help_texts_is_light() -> None:
    code = (
        "import json, sys\n"
        "from probefusion.zoo.fuser_names import fuser_choices\n"
        "heavy = ('numpy', 'onnxruntime', 'msgspec', 'rich')\n"
        "print(json.dumps([dict(fuser_choices()), [m for m in heavy if m in sys.modules]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    choices, loaded = json.loads(done.stdout)
    assert loaded == []
    assert all(len(line) < 80 for line in choices.values())


def test_the_list_of_fusers_names_all_that_can_be_loaded() -> None:
    """Every pooling, and every architecture that is in the package or can be pulled."""
    from probefusion.zoo.fusers import _POOLING

    trained = {
        name.split(".")[0]
        for name, entry in zoo.known_models().items()
        if entry.kind == "fuser" and entry.format == "folder"
    }
    assert set(zoo.fuser_choices()) == {"auto", "NAME", "DIR"} | set(_POOLING) | trained
    for name in sorted(set(_POOLING) | trained):
        assert zoo.load_fuser(name).name.split(".")[0] == name
