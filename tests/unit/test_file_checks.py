"""Paths that are no files: pipes, devices, folders, other types."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from probefusion.errors import DtypeError, FileFormatError, MissingFileError
from probefusion.files import check_existing, check_file, replace_file
from probefusion.io import kind_of, read_embeddings, read_templates
from probefusion.types import EmbeddingSet, FusionState, Template, TemplateSet

READERS = {
    "EmbeddingSet.load": EmbeddingSet.load,
    "Template.load": Template.load,
    "TemplateSet.load": TemplateSet.load,
    "FusionState.load": FusionState.load,
    "read_embeddings": read_embeddings,
    "read_templates": read_templates,
    "kind_of": kind_of,
}


@pytest.mark.parametrize("ending", ["npz", "npy", "csv", "safetensors", "parquet", "h5"])
@pytest.mark.parametrize("reader", READERS)
def test_pipes_are_refused_not_waited_for(tmp_path: Path, reader: str, ending: str) -> None:
    path = tmp_path / f"pipe.{ending}"
    os.mkfifo(path)
    with pytest.raises(FileFormatError, match="pipe, a device"):
        READERS[reader](path)


@pytest.mark.parametrize("reader", READERS)
def test_devices_are_refused(reader: str) -> None:
    with pytest.raises(FileFormatError, match="pipe, a device"):
        READERS[reader]("/dev/zero")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("given", [None, 3, b"bytes.npz", ["a.npz"], np.zeros((2, 3))])
def test_what_is_no_path_is_named(reader: str, given: object) -> None:
    with pytest.raises(DtypeError, match="expected a path"):
        READERS[reader](given)  # type: ignore[arg-type]


@pytest.mark.parametrize("reader", READERS)
def test_names_that_no_file_can_have(reader: str) -> None:
    for name in ("a\0b.npz", "x" * 5000 + ".npz", "missing.npz"):
        with pytest.raises(MissingFileError, match="does not exist"):
            READERS[reader](name)


def test_folders_and_closed_files(tmp_path: Path) -> None:
    assert check_existing(tmp_path) == tmp_path
    with pytest.raises(FileFormatError, match="got a folder"):
        check_file(tmp_path)
    assert check_existing("/dev/zero", devices=True) == Path("/dev/zero")


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "people.npz"
    with pytest.raises(OSError, match=r"people\.npz") as caught, replace_file(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())


def test_a_long_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 250)
    with replace_file(path) as stream:
        stream.write(b"all")
    assert path.read_bytes() == b"all"
