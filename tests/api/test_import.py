"""What `import probefusion` costs and shows."""

from __future__ import annotations

import json
import subprocess
import sys

import probefusion


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    ).stdout


def test_public_names() -> None:
    assert probefusion.__all__ == [
        "EmbeddingSet",
        "Fuser",
        "FusionState",
        "ProbeFusionError",
        "Template",
        "__version__",
        "fuse",
        "load_fuser",
        "read_embeddings",
    ]
    for name in probefusion.__all__:
        assert getattr(probefusion, name) is not None
    assert set(dir(probefusion)) == set(probefusion.__all__)


def test_unknown_attribute() -> None:
    assert not hasattr(probefusion, "feature")


def test_import_is_light() -> None:
    heavy = (
        "numpy",
        "torch",
        "onnxruntime",
        "onnx",
        "cv2",
        "matplotlib",
        "pyarrow",
        "h5py",
        "rich",
        "scipy",
    )
    code = (
        f"import sys, probefusion; print([m for m in {heavy!r} if m in sys.modules]);"
        f"probefusion.EmbeddingSet, probefusion.Template;"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    assert run(code).splitlines() == ["[]", "['numpy']"]


def test_import_costs_at_most_50_ms() -> None:
    """Processor time of the child, the least of seven runs: other load counts for little."""
    code = (
        "import time; t = time.process_time(); import probefusion; print(time.process_time() - t)"
    )
    assert min(float(run(code)) for _ in range(7)) < 0.050


def test_sets_and_templates_cost_less_than_numpy_to_load() -> None:
    """Both timed in one child, so that a busy machine slows both; the least of seven ratios."""
    code = (
        "import time; t = time.process_time(); import numpy; u = time.process_time();"
        "from probefusion import EmbeddingSet, Template; print((time.process_time() - u) / (u - t))"
    )
    assert min(float(run(code)) for _ in range(7)) < 1


def test_runtime_needs_no_torch() -> None:
    """Fusing with a trained fuser loads ONNX Runtime, never PyTorch."""
    code = (
        "import sys, json, numpy as np, probefusion\n"
        "fuser = probefusion.load_fuser('exact')\n"
        "images = probefusion.EmbeddingSet(embeddings=np.ones((3, fuser.dim)),"
        " style=np.ones((3, fuser.style_channels, 2)))\n"
        "fuser.fuse(images)\n"
        "print(json.dumps([m in sys.modules for m in ('onnxruntime', 'torch', 'cv2')]))"
    )
    assert json.loads(run(code)) == [True, False, False]
