"""A tiny real embedder, pictures of made-up people, and the command run in this process."""

from __future__ import annotations

import pytest

from probefusion.cli import main

pytest.importorskip("onnx")
pytest.importorskip("cv2")

from people_images import people_folder  # noqa: F401


@pytest.fixture
def command(capsys):
    """Runs a command; gives exit code, standard output and standard error."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
