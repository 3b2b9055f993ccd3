"""Every code block of the README and of the site runs, page by page, in order, in an empty folder."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from page_blocks import Block, blocks_of, pages_of
from page_runner import LANGUAGES, PageRunner, check_unrun

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = pages_of(REPOSITORY)

REASONS = {
    "installs": "changes the environment it runs in",
    "network": "fetches a file",
    "device": "needs a camera, a stream or a GPU",
    "other package": "needs a package that is not among the dependencies, or its model files",
    "licensed": "needs data under licence",
    "checkpoint": "needs a checkpoint that is offered on a page for browsers only",
    "hours": "takes from many minutes to hours",
    "processes": "starts several processes",
    "cluster": "needs several machines or a cluster that runs",
    "server": "needs a server of PostgreSQL at a fixed address",
    "shell": "is for the start-up file of a shell",
}
"""All reasons for which a block may stay unrun."""

UNRUN: dict[tuple[str, str], int] = {
    ("CONTRIBUTING.md", "hours"): 2,
    ("CONTRIBUTING.md", "installs"): 1,
    ("README.md", "installs"): 2,
    ("README.md", "network"): 1,
    ("docs/how-to/archives.md", "hours"): 1,
    ("docs/how-to/change-embedder.md", "network"): 1,
    ("docs/how-to/checkpoints.md", "checkpoint"): 1,
    ("docs/how-to/choose-a-fuser.md", "network"): 1,
    ("docs/how-to/clusters.md", "cluster"): 3,
    ("docs/how-to/devices.md", "device"): 1,
    ("docs/how-to/devices.md", "processes"): 1,
    ("docs/how-to/features.md", "licensed"): 2,
    ("docs/how-to/models.md", "network"): 1,
    ("docs/how-to/official-data.md", "licensed"): 1,
    ("docs/how-to/offline.md", "network"): 1,
    ("docs/how-to/other-packages.md", "other package"): 5,
    ("docs/how-to/postgres.md", "installs"): 1,
    ("docs/how-to/postgres.md", "server"): 2,
    ("docs/how-to/serve.md", "installs"): 1,
    ("docs/how-to/serve.md", "processes"): 4,
    ("docs/how-to/tab-completion.md", "installs"): 1,
    ("docs/how-to/thresholds.md", "hours"): 3,
    ("docs/how-to/train-large.md", "processes"): 1,
    ("docs/how-to/tab-completion.md", "shell"): 1,
    ("docs/results/accuracy.md", "hours"): 2,
    ("docs/results/capacity.md", "hours"): 1,
    ("docs/results/eight-bits.md", "hours"): 1,
    ("docs/results/embedder.md", "hours"): 1,
    ("docs/results/engines.md", "hours"): 1,
    ("docs/results/gallery-search.md", "hours"): 1,
    ("docs/results/killed-writers.md", "hours"): 1,
    ("docs/results/other-degradation.md", "hours"): 2,
    ("docs/results/parity.md", "hours"): 1,
    ("docs/results/embedder.md", "licensed"): 1,
    ("docs/results/own-data.md", "hours"): 1,
    ("docs/results/own-data.md", "licensed"): 1,
    ("docs/results/real-faces.md", "licensed"): 1,
    ("docs/results/real-faces.md", "network"): 1,
    ("docs/results/rivals.md", "hours"): 1,
    ("docs/results/scale.md", "hours"): 3,
    ("docs/results/service.md", "hours"): 1,
    ("docs/results/set-up-faults.md", "hours"): 1,
    ("docs/results/smear.md", "hours"): 1,
    ("docs/results/speed.md", "hours"): 1,
    ("docs/results/strong-embedder.md", "licensed"): 2,
    ("docs/results/video.md", "licensed"): 1,
    ("docs/results/training.md", "hours"): 1,
    ("docs/results/training.md", "processes"): 1,
    ("docs/results/unknown-embedder.md", "hours"): 1,
    ("docs/results/video.md", "hours"): 2,
    ("docs/tutorials/first-template.md", "installs"): 1,
    ("docs/tutorials/own-fuser.md", "hours"): 2,
    ("docs/tutorials/own-fuser.md", "installs"): 1,
    ("docs/tutorials/photos.md", "network"): 1,
    ("docs/tutorials/video.md", "device"): 2,
    ("docs/tutorials/video.md", "installs"): 1,
    ("docs/tutorials/video.md", "network"): 1,
}
"""How many blocks of a page are not run for a reason: any other one must run."""


@pytest.fixture(scope="session", autouse=True)
def _no_plots_on_screen():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")


@pytest.mark.parametrize("page", [page for page in PAGES if blocks_of(page, REPOSITORY)])
def test_blocks_run(page, tmp_path, monkeypatch, material):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROBEFUSION_HOME", str(tmp_path / ".models"))
    monkeypatch.setenv("PROBEFUSION_OFFLINE", "1")
    runner = PageRunner(tmp_path, names := {})
    skipped = []
    for block in blocks_of(page, REPOSITORY):
        if block.not_run is not None:
            check_unrun(block)
            continue
        try:
            for name in block.needs:
                names.update(material(name, tmp_path))
        except pytest.skip.Exception as reason:
            check_unrun(block)
            skipped.append(f"{block.place}: {reason}")
            continue
        runner.run(block)
    if skipped:
        pytest.skip("; ".join(skipped))


def test_only_listed_blocks_stay_unrun():
    blocks = [block for page in PAGES for block in blocks_of(page, REPOSITORY)]
    unrun = Counter((block.page, str(block.not_run)) for block in blocks if block.not_run)
    assert dict(unrun) == UNRUN
    assert {reason for _, reason in unrun} <= set(REASONS)


def test_languages_are_known():
    blocks = [block for page in PAGES for block in blocks_of(page, REPOSITORY)]
    assert [block.place for block in blocks if block.language not in LANGUAGES] == []


def test_text_blocks_hold_no_code():
    def looks_like_code(block: Block) -> bool:
        starts = ("probefusion ", "import ", "from ", "python ", "pip ", "$ ")
        return any(line.lstrip().startswith(starts) for line in block.text.splitlines())

    blocks = [block for page in PAGES for block in blocks_of(page, REPOSITORY)]
    hiding = [
        block.place for block in blocks if block.language == "text" and looks_like_code(block)
    ]
    assert hiding == []
