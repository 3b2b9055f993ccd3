"""Two revisions of one embedder: told apart at every door, with the option that goes on with the former one."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from bundled_models import COMPACT

from probefusion.archives.images.chunk_file import RowFormat
from probefusion.archives.images.chunks import SourceSettings
from probefusion.archives.images.manifest import Making, check_making
from probefusion.errors import ConfigError, EmbedderMismatchError
from probefusion.files import bundled_folder
from probefusion.fusion import MeanFuser
from probefusion.fusion.calibration_files import read_calibration
from probefusion.fusion.compatibility import check_fits
from probefusion.gallery import Gallery
from probefusion.gallery.contributions.material import read_material
from probefusion.io import read_embeddings
from probefusion.pipeline import Pipeline
from probefusion.types import EmbeddingSet, revisions
from probefusion.types.revisions import are_revisions, name_to_load, remedy, remedy_for_pair
from probefusion.types.template import check_comparable

OLD, NEW, OTHER = "net@0123456789ab", "net@ba9876543210", "web@0123456789ab"
FORMER = r"--embedder net\.r1 \(embedder='net\.r1'; got with: probefusion models pull net\.r1\)"


@pytest.fixture(autouse=True)
def former(monkeypatch):
    """The first of the two is a former revision, which has a name of its own."""
    monkeypatch.setattr(revisions, "FORMER", {OLD: "net.r1"})


def images(embedder: str, count: int = 3) -> EmbeddingSet:
    rows = np.random.default_rng(count).standard_normal((count, 8)).astype(np.float32)
    return EmbeddingSet(embeddings=rows, embedder=embedder)


def test_revisions_have_one_name_and_different_digits() -> None:
    assert are_revisions(OLD, NEW)
    for second in (OLD, OTHER, None):
        assert not are_revisions(OLD, second)
    assert (name_to_load(OLD), name_to_load(NEW), name_to_load(OTHER)) == ("net.r1", "net", "web")


def test_what_to_do_depends_on_which_of_them_is_kept() -> None:
    assert re.search(f"go on with {FORMER}, or embed the images anew", remedy(OLD, NEW, ""))
    assert "go on with --embedder net (embedder='net'), or embed" in remedy(NEW, OLD, "")
    assert "--embedder FILE.onnx" in remedy("net@000000000000", NEW, "")
    assert "or calibrate" in remedy(OLD, NEW, "", anew="calibrate")
    for pair in ((OLD, NEW), (NEW, OLD)):
        assert re.search(f"The former, {OLD}, is {FORMER}", remedy_for_pair(*pair, ""))
    assert "do not mix" in remedy_for_pair("net@000000000000", NEW, "")
    for function in (remedy, remedy_for_pair):
        assert function(OLD, OTHER, "Otherwise.") == "Otherwise."
        assert function(None, NEW, "Otherwise.") == "Otherwise."


def _compare() -> None:
    fuser = MeanFuser()
    check_comparable(fuser.fuse(images(OLD)), fuser.fuse(images(NEW)))


def _merge() -> None:
    fuser = MeanFuser()
    _ = fuser.encode(images(OLD)) + fuser.encode(images(NEW))


def _fit() -> None:
    fuser = MeanFuser()
    fuser.embedder = OLD
    check_fits(fuser, images(NEW))


DOORS = {
    "templates": _compare,
    "states": _merge,
    "a fuser": _fit,
    "sets": lambda: EmbeddingSet.concatenate([images(OLD), images(NEW)]),
    "what a gallery is opened for": lambda: read_material(images(OLD), embedder=NEW),
}


@pytest.mark.parametrize("door", DOORS)
def test_values_of_two_revisions_do_not_mix(door: str) -> None:
    with pytest.raises(EmbedderMismatchError, match=FORMER) as found:
        DOORS[door]()
    assert OLD in str(found.value)
    assert NEW in str(found.value)


def test_files_say_what_made_them(tmp_path) -> None:
    images(OLD).save(tmp_path / "set.npz")
    with pytest.raises(EmbedderMismatchError, match=FORMER):
        read_embeddings(tmp_path / "set.npz", embedder=NEW)
    with pytest.raises(EmbedderMismatchError, match=FORMER):
        Pipeline(NEW, fuser="mean").fuse(tmp_path / "set.npz")


def test_a_gallery_names_its_embedder_and_the_way_on(tmp_path) -> None:
    with Gallery(tmp_path / "people.db", fuser="mean") as gallery:
        gallery.enroll("ann", images(OLD))
        for act in (
            lambda: gallery.enroll("bob", images(NEW)),
            lambda: gallery.update("ann", images(NEW)),
            lambda: gallery.search(images(NEW)),
            lambda: gallery.verify("ann", images(NEW)),
        ):
            with pytest.raises(EmbedderMismatchError, match=f"{FORMER}.* add_model, re_embed"):
                act()
        with pytest.raises(EmbedderMismatchError, match="or move the gallery"):
            gallery.search(images(OTHER))
        assert gallery.search(images(OLD)).candidates[0].name == "ann"


def test_embedding_an_archive_goes_on_with_the_embedder_it_began_with() -> None:
    rows = RowFormat(
        embedder=NEW, dim=8, style_channels=0, has_quality=False, has_scores=False, norms_known=True
    )
    now = Making(rows=rows, model=NEW, detector="", quality="", source=SourceSettings())
    began = {"making": {**now.facts(), "model": OLD}}
    with pytest.raises(ConfigError, match=f"{FORMER}.*Name another output folder"):
        check_making(began, "rows", now)


def test_a_calibration_names_the_embedder_it_was_made_for() -> None:
    path = bundled_folder() / "calibrations" / f"mean-1.{COMPACT.replace('@', '-')}.json"
    record = replace(read_calibration(path), embedder=OLD)
    with pytest.raises(EmbedderMismatchError, match=f"{FORMER}, or calibrate for the other"):
        record.check_made_for("mean@1", NEW, where="file")
