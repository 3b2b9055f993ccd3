"""Engines by their names and options: what fits together, and what is said where something does not."""

from __future__ import annotations

import argparse
import sys

import pytest

from probefusion.archives.engines.choose import choose_engine
from probefusion.archives.engines.local import LocalEngine
from probefusion.cli.engine_options import add_engine_options, engine_of
from probefusion.errors import ConfigError, MissingExtraError, UnknownNameError, WorkerError
from probefusion.workers import available_threads


def options(*arguments: str, gpus: bool = False) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_engine_options(parser, gpus=gpus)
    return parser.parse_args(arguments)


def test_the_local_engine_has_a_worker_per_core():
    with engine_of(options()) as engine:
        assert isinstance(engine, LocalEngine)
        assert engine.num_workers == available_threads()
    with engine_of(options("--workers", "3", gpus=True)) as engine:
        assert engine.num_workers == 3


def test_one_local_worker_is_this_process():
    class Names:  # could go to no other process
        def open(self):
            return lambda number: number + 1

    with choose_engine(num_workers=1) as engine:
        assert list(engine.run(Names(), [1, 2])) == [(0, 2), (1, 3)]


def test_an_unknown_engine_is_refused():
    with pytest.raises(UnknownNameError, match=r"unknown engine 'rai'; did you mean 'ray'\?"):
        choose_engine("rai")
    with pytest.raises(SystemExit):
        options("--engine", "rai")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ray-address", "auto"], "ray_address: .*'auto' with 'local'.*--engine ray"),
        (["--engine", "ray", "--dask-address", "tcp://h:1"], "dask_address: .*--engine dask"),
        (["--gpus-per-worker", "1"], "gpus_per_worker: .*--engine ray"),
        (["--gpus-per-worker", "-1"], "gpus_per_worker: expected 0 or more"),
    ],
)
def test_options_of_another_engine_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        engine_of(options(*arguments, gpus=True))


def test_fewer_than_one_worker_are_refused():
    with pytest.raises(ConfigError, match="num_workers: expected at least 1, got 0"):
        choose_engine(num_workers=0)


@pytest.mark.parametrize(("name", "library"), [("ray", "ray"), ("dask", "distributed")])
def test_an_engine_that_is_not_installed_names_the_command(monkeypatch, name, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'probefusion\[{name}\]'"):
        choose_engine(name)


def test_a_ray_cluster_that_does_not_answer_is_told():
    pytest.importorskip("ray")
    with pytest.raises(WorkerError, match=r"ray at '127\.0\.0\.1:9': no answer .*--ray-address"):
        choose_engine("ray", ray_address="127.0.0.1:9")


def test_a_dask_scheduler_that_does_not_answer_is_told(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("probefusion.archives.engines.dask_engine._PATIENCE", "1s")
    with pytest.raises(WorkerError, match=r"dask at 'tcp://127\.0\.0\.1:9': no answer"):
        choose_engine("dask", dask_address="tcp://127.0.0.1:9")
