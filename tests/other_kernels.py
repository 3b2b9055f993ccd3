"""Runs tests as on older processors: each library is told to leave newer instructions alone.

    [WORKERS=2] python tests/other_kernels.py [arguments of pytest]

WORKERS, as `make test` has it: processes that run tests side by side, of one thread each; one per core if left
out, at most eight; 0 is plain pytest.

Sums come out in another order there, so a tolerance that holds under all settings holds on other machines.
ONNX Runtime's own kernels cannot be chosen; everything around them can: OpenBLAS, NumPy, PyTorch, oneDNN.
Without arguments, the tests that compare numbers run.
"""

from __future__ import annotations

import importlib
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOMS = ("unit/embedders", "unit/faces", "unit/fusion", "unit/metrics", "unit/nn", "unit/training")
NUMBERS = ("parity", "cli", "congruence", "properties", "assets", "docs", "research", *ROOMS)


def numpy_without(is_newer: Callable[[str], bool]) -> str:
    """Names of this NumPy's optional instructions that this processor has and an older one lacks."""
    core = importlib.import_module("numpy.core" if np.__version__ < "2" else "numpy._core")
    umath = core._multiarray_umath
    has = umath.__cpu_features__
    return " ".join(name for name in umath.__cpu_dispatch__ if has[name] and is_newer(name))


SETTINGS = {
    "SSE": {
        "OPENBLAS_CORETYPE": "Prescott",
        "NPY_DISABLE_CPU_FEATURES": numpy_without(lambda _: True),
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_CBWR": "COMPATIBLE",
        "DNNL_MAX_CPU_ISA": "SSE41",
    },
    "AVX": {
        "OPENBLAS_CORETYPE": "Sandybridge",
        "NPY_DISABLE_CPU_FEATURES": numpy_without(lambda _: True),
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_CBWR": "AVX",
        "DNNL_MAX_CPU_ISA": "AVX",
    },
    "AVX2": {
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": numpy_without(lambda name: "V4" in name or "AVX512" in name),
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_CBWR": "AVX2",
        "DNNL_MAX_CPU_ISA": "AVX2",
    },
}
"""Environment variables by the newest instructions that are left."""


def main(arguments: list[str]) -> int:
    """Runs the tests once per setting; gives 0 if all are green."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        sys.stderr.write(f"error: the settings are for x86-64, this is {platform.machine()}\n")
        return 2
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    chosen = arguments or [str(HERE / room) for room in NUMBERS]
    failed = []
    for name, environment in SETTINGS.items():
        sys.stdout.write(f"==== newest instructions: {name} ====\n")
        sys.stdout.flush()
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            os.environ.get("WORKERS") or "auto",
            "--maxprocesses",
            "8",
            "--dist",
            "loadfile",
            *chosen,
        ]
        if subprocess.call(command, env=os.environ | threads | environment) != 0:
            failed.append(name)
    sys.stdout.write(
        f"==== {'failed under ' + ', '.join(failed) if failed else 'all green'} ====\n"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
