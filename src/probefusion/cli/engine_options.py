"""Options that say where the tasks of an archive run."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from probefusion.cli.options import positive

if TYPE_CHECKING:
    from probefusion.archives.engines.engine import Engine

__all__ = ["add_engine_options", "engine_of"]


def add_engine_options(parser: argparse.ArgumentParser, *, gpus: bool = False) -> None:
    """--engine, --workers and the addresses of clusters.

    Args:
        parser: The command's.
        gpus: Whether workers run networks, so that Ray may give them GPUs.
    """
    group = parser.add_argument_group("where it runs")
    group.add_argument(
        "--engine",
        choices=("local", "ray", "dask"),
        default="local",
        help="processes of this machine (default), a Ray cluster or a Dask cluster; the result is the same",
    )
    group.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help="tasks at the same time (default: one per core of the machine or cluster)",
    )
    group.add_argument(
        "--ray-address",
        metavar="ADDRESS",
        help="of a Ray cluster that runs: auto, HOST:PORT or ray://HOST:PORT (default: Ray on this machine)",
    )
    group.add_argument(
        "--dask-address",
        metavar="ADDRESS",
        help="of a Dask scheduler that runs: tcp://HOST:PORT or its .json file (default: Dask on this machine)",
    )
    if gpus:
        group.add_argument(
            "--gpus-per-worker",
            type=float,
            default=0.0,
            metavar="G",
            help="GPUs, or the share of one, that Ray gives each worker (default 0)",
        )


def engine_of(options: argparse.Namespace) -> Engine:
    """The engine that a command's options describe, started; to be closed."""
    from probefusion.archives.engines.choose import choose_engine

    return choose_engine(
        options.engine,
        num_workers=options.workers,
        ray_address=options.ray_address,
        dask_address=options.dask_address,
        gpus_per_worker=getattr(options, "gpus_per_worker", 0.0),
    )
