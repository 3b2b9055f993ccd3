"""A program that has an engine do tasks, to be killed in the middle: ENGINE FOLDER NUM_TASKS SECONDS."""

from __future__ import annotations

import sys
from pathlib import Path

from engine_works import Line, Squares

from probefusion.archives.engines.choose import choose_engine
from probefusion.cli.interrupt import sigterm_as_interrupt


def main() -> None:
    """Does the tasks; every outcome leaves a file in the folder."""
    name, folder, num_tasks, seconds = sys.argv[1:]
    work = Squares(folder=folder, seconds=float(seconds))
    tasks = [Line(number=number) for number in range(int(num_tasks))]
    with sigterm_as_interrupt(), choose_engine(name, num_workers=2) as engine:
        for index, _ in engine.run(work, tasks):
            Path(folder, f"ended-{index}").touch()


if __name__ == "__main__":
    main()
