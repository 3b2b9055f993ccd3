"""Exports hold all that is kept; what they give back has the same templates, bit for bit."""

from __future__ import annotations

import json

import numpy as np
import pytest

from probefusion.errors import (
    ConfigError,
    EmbedderMismatchError,
    FileFormatError,
    IntegrityError,
    OutputExistsError,
)
from probefusion.gallery import Gallery
from probefusion.gallery.exchange.exporting import export_people, import_people, read_export
from probefusion.types import EmbeddingSet

pytest.importorskip("cryptography")

FORMATS = ("all.parquet", "all.npz", "all")
NAMES = ("ann", "b'); DROP TABLE people;--", "zoë", "../etc/x", "ANN", "con/aux")


@pytest.fixture(params=FORMATS)
def output(request, tmp_path):
    if request.param.endswith("parquet"):
        pytest.importorskip("pyarrow")
    return tmp_path / request.param


def images_of(seed, count, embedder="net@1", **more):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((count, 32)) * rng.uniform(5, 30, (count, 1))
    return EmbeddingSet(embeddings=rows, embedder=embedder, **more)


def fill(gallery):
    rng = np.random.default_rng(9)
    for seed, name in enumerate(NAMES):
        gallery.enroll(
            name, images_of(seed, 3, sources=np.array([f"{name}-{i}" for i in range(3)]))
        )
    gallery.update("ann", images_of(50, 2, quality=rng.standard_normal(2)), guard=False)
    gallery.update("ann", images_of(51, 2, style=rng.uniform(1, 2, (2, 4, 2))), guard=False)
    image = gallery.person("ann").contributions[0].images[1].id
    gallery.remove(image=image)
    gallery.cannot_link("ann", "zoë")
    gallery.ignore("ANN")


def vectors(gallery):
    return {
        person.name: (
            person.vector.tobytes(),
            person.num_images,
            person.is_ignored,
            person.different_from,
        )
        for person in gallery.plain_people()
    }


def test_a_round_trip_gives_the_same_templates(tmp_path, output):
    with Gallery(tmp_path / "a.db", fuser="norm-weighted") as gallery:
        fill(gallery)
        gallery.enroll("gone", images_of(77, 2))
        gallery.remove("gone")
        told = export_people(gallery, output)
        before = vectors(gallery)
    assert (told.num_people, told.num_contributions, told.num_images) == (6, 8, 22)
    assert (told.num_left_out, told.was_encrypted, len(told.not_exported)) == (1, False, 2)
    with Gallery(tmp_path / "b.db", fuser="norm-weighted") as other:
        done = import_people(other, read_export(output))
        assert vectors(other) == before
        assert (done.num_people, done.revisions, done.other_fuser) == (6, (1, 6), None)
        assert (done.lost_links, done.skipped) == ((), ())
        sources = [image.source for image in other.person("ann").contributions[0].images]
        assert sorted(sources) == ["ann-0", "ann-1", "ann-2"]
        assert other.check() == ()


def test_states_come_back(tmp_path, output):
    with Gallery(tmp_path / "a.db", fuser="mean", keep="state") as gallery:
        gallery.enroll("ann", images_of(1, 4))
        gallery.enroll("bob", images_of(2, 4))
        export_people(gallery, output)
        before = vectors(gallery)
    with Gallery(tmp_path / "b.db", fuser="mean") as other:
        import_people(other, read_export(output))
        assert vectors(other) == before
        assert other.person("ann").contributions[0].keep == "state"


def test_an_empty_gallery_is_exported_and_imported(tmp_path, output):
    with Gallery(tmp_path / "a.db") as gallery:
        assert export_people(gallery, output).num_people == 0
    with Gallery(tmp_path / "b.db") as other:
        assert import_people(other, read_export(output)).revisions is None


def test_another_embedder_and_known_names_are_refused_and_nothing_is_added(tmp_path, output):
    with Gallery(tmp_path / "a.db", fuser="mean") as gallery:
        gallery.enroll("ann", images_of(1, 4))
        gallery.enroll("bob", images_of(2, 4))
        export_people(gallery, output)
    export = read_export(output)
    with Gallery(tmp_path / "b.db", fuser="mean") as other:
        other.enroll("cid", images_of(3, 2, embedder="net@2"))
        with pytest.raises(EmbedderMismatchError, match="net@2"):
            import_people(other, export)
        assert other.list() == ("cid",)
    with Gallery(tmp_path / "c.db", fuser="mean") as third:
        third.enroll("bob", images_of(3, 2))
        with pytest.raises(OutputExistsError, match="'bob'; nothing was added"):
            import_people(third, export)
        assert third.list() == ("bob",)
        done = import_people(third, export, skip_existing=True)
        assert (done.num_people, done.skipped, third.list()) == (1, ("bob",), ("ann", "bob"))


def test_exports_are_for_the_owner_alone_and_never_overwritten_unasked(tmp_path, output):
    with Gallery(tmp_path / "a.db", fuser="mean") as gallery:
        gallery.enroll("ann", images_of(1, 4))
        export_people(gallery, output)
        files = [output, *output.rglob("*")] if output.is_dir() else [output]
        assert {path.stat().st_mode & 0o077 for path in files} == {0}
        with pytest.raises(OutputExistsError):
            export_people(gallery, output)
        gallery.enroll("bob", images_of(2, 4))
        export_people(gallery, output, force=True)
    assert [person.name for person in read_export(output).people].count("bob") == 1
    assert not list(tmp_path.glob(".probefusion*"))


def test_a_folder_that_is_no_export_is_not_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").write_text("dear")
    with Gallery(tmp_path / "a.db", fuser="mean") as gallery:
        gallery.enroll("ann", images_of(1, 4))
        with pytest.raises(OutputExistsError, match="no export"):
            export_people(gallery, tmp_path / "mine", force=True)
        with pytest.raises(ConfigError, match=r"expected NAME\.parquet"):
            export_people(gallery, tmp_path / "all.csv")
    assert (tmp_path / "mine" / "letter").read_text() == "dear"


def test_damage_is_found(tmp_path, output):
    with Gallery(tmp_path / "a.db", fuser="mean") as gallery:
        gallery.enroll("ann", images_of(1, 40))
        export_people(gallery, output)
    file = next(output.rglob("images.npz")) if output.is_dir() else output
    whole = file.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:10], b"", b"hello, I am a text\n" * 9):
        file.write_bytes(damaged)
        with pytest.raises((FileFormatError, IntegrityError)):
            read_export(output)
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 1
    file.write_bytes(bytes(flipped))
    with pytest.raises((FileFormatError, IntegrityError)):
        read_export(output)


def test_a_folder_outside_is_not_read(tmp_path):
    from probefusion.files.hashed_json import hashed_json

    with Gallery(tmp_path / "a.db", fuser="mean") as gallery:
        gallery.enroll("ann", images_of(1, 4))
        export_people(gallery, tmp_path / "all")
    manifest = tmp_path / "all" / "gallery.json"
    facts = json.loads(manifest.read_text())
    manifest.write_bytes(hashed_json({**facts, "people": ["../all/ann"]}))
    with pytest.raises(FileFormatError, match="no name of a folder"):
        read_export(tmp_path / "all")
