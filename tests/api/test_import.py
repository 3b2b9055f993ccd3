"""What `import probefusion` costs and shows."""

from __future__ import annotations

import json
import subprocess
import sys

import probefusion


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600
    ).stdout


def test_public_names() -> None:
    assert probefusion.__all__ == [
        "ConfigError",
        "EmbedderMismatchError",
        "EmbeddingSet",
        "EmptySetError",
        "FileFormatError",
        "Fuser",
        "FuserMismatchError",
        "FusionState",
        "Gallery",
        "InvalidInputError",
        "MissingExtraError",
        "MissingFileError",
        "OutputExistsError",
        "Pipeline",
        "ProbeFusionError",
        "Screening",
        "Template",
        "TemplateSet",
        "UnknownNameError",
        "__version__",
        "calibrate",
        "evaluate",
        "fuse",
        "load_detector",
        "load_embedder",
        "load_fuser",
        "read_embeddings",
        "screen",
        "train",
    ]
    for name in probefusion.__all__:
        assert getattr(probefusion, name) is not None
    assert set(dir(probefusion)) == set(probefusion.__all__)


def test_errors_at_the_root_are_of_one_tree() -> None:
    errors = [name for name in probefusion.__all__ if name.endswith("Error")]
    assert len(errors) == 11
    for name in errors:
        assert issubclass(getattr(probefusion, name), probefusion.ProbeFusionError)


def test_verbs_are_functions_however_their_modules_were_imported() -> None:
    code = (
        "import probefusion.pipeline.fuse, probefusion.pipeline.evaluate, probefusion as pf;"
        "print(callable(pf.fuse), callable(pf.evaluate), pf.Pipeline.__name__)"
    )
    assert run(code).split() == ["True", "True", "Pipeline"]


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


def test_import_loads_a_handful_of_modules() -> None:
    """Counted, not timed: of ours the root and its version; else the standard library."""
    code = (
        "import json, sys; before = set(sys.modules); import probefusion;"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    loaded = json.loads(run(code))
    ours = [name for name in loaded if name.split(".")[0] == "probefusion"]
    assert {"probefusion", "probefusion.version"} <= set(ours)
    assert len(ours) <= 5, ours
    others = {name.split(".")[0] for name in loaded} - {"probefusion"}
    assert others <= sys.stdlib_module_names, others - sys.stdlib_module_names
    assert len(loaded) <= 60, loaded


def test_import_costs_a_fraction_of_numpy() -> None:
    """Both timed in one child, so that a slow machine slows both; the least of seven ratios."""
    code = (
        "import time; t = time.process_time(); import probefusion; u = time.process_time();"
        "import numpy; print((u - t) / (time.process_time() - u))"
    )
    assert min(float(run(code)) for _ in range(7)) < 0.5


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
        " style=np.ones((3, fuser.style_channels, 2)), embedder=fuser.embedder)\n"
        "fuser.fuse(images)\n"
        "print(json.dumps([m in sys.modules for m in ('onnxruntime', 'torch', 'cv2')]))"
    )
    assert json.loads(run(code)) == [True, False, False]
