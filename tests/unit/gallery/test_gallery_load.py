"""Many people at once: as enrolled one by one, in batches that are there or not, from archives and back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gallery_people import MadeUp, stored_bits
from probefusion.errors import (
    ConfigError,
    DtypeError,
    FileFormatError,
    IntegrityError,
    OutputExistsError,
)
from probefusion.fusion import MeanFuser
from probefusion.gallery import Gallery, MasterKey
from probefusion.gallery.exchange.gallery_archive import export_archive, open_gallery_archive
from probefusion.types import TemplateSet

PEOPLE = MadeUp()
CHIP = b"\xff\xd8\xff\xe0 a face"


def pairs(start, stop):
    return [(f"p{number}", PEOPLE.images(number, 0)) for number in range(start, stop)]


@pytest.fixture(params=["features", "state", "sealed"])
def opened(request, tmp_path):
    """Opens galleries of one kind."""
    settings = {"fuser": "mean", "keep": "state" if request.param == "state" else "features"}
    if request.param == "sealed":
        pytest.importorskip("cryptography")
        settings["keys"] = MasterKey.generate()
    return lambda name: Gallery(tmp_path / name, **settings)


def test_loaded_is_as_enrolled(opened):
    with opened("one.db") as one, opened("many.db") as many:
        for name, images in pairs(0, 7):
            one.enroll(name, images)
        told = []
        done = many.load(pairs(0, 7), people_at_once=3, progress=told.append, source="camera")
        assert (done.num_people, done.num_contributions, done.num_images) == (7, 7, 21)
        assert (done.revisions, told) == ((1, 2, 3), [3, 6, 7])
        assert stored_bits(one) == stored_bits(many)
        assert many.check() == ()
        person = many.person("p1").contributions[0]
        assert (person.source, person.kind, person.keep) == ("camera", "enrolment", one.keep)
        before = stored_bits(many)
        many.undo(2)
        assert many.list() == ("p0", "p1", "p2", "p6")
        many.undo()  # the newest that is left is the last batch
        assert many.list() == ("p0", "p1", "p2")
        many.undo(5), many.undo(4)
        assert stored_bits(many) == before


def test_what_was_stopped_is_repeated(opened):
    def broken():
        yield from pairs(0, 5)
        raise RuntimeError("the disk went away")

    with opened("people.db") as gallery:
        with pytest.raises(RuntimeError, match="went away"):
            gallery.load(broken(), people_at_once=2)
        assert gallery.list() == ("p0", "p1", "p2", "p3")
        with pytest.raises(OutputExistsError, match=r"^'p0' is in 'people' already"):
            gallery.load(pairs(0, 7))
        done = gallery.load(pairs(0, 7), people_at_once=2, skip_existing=True)
        assert (done.num_people, done.skipped) == (3, ("p0", "p1", "p2", "p3"))
        with opened("whole.db") as whole:
            whole.load(dict(pairs(0, 7)))
            assert stored_bits(whole) == stored_bits(gallery)


def test_a_batch_that_cannot_be_is_not_there(opened):
    other = MadeUp(embedder="another@1").images(9, 0)
    with opened("people.db") as gallery:
        gallery.load(pairs(0, 2))
        with pytest.raises(Exception, match="another@1"):
            gallery.load([*pairs(2, 5), ("x", other)])
        with pytest.raises(OutputExistsError, match="'p7' twice"):
            gallery.load([*pairs(7, 8), *pairs(7, 8)])
        assert gallery.list() == ("p0", "p1")
        assert gallery.revision == 1


@pytest.mark.parametrize("people", ["ann", 3, [("ann",)], [3]])
def test_what_is_no_list_of_people_is_refused(tmp_path, people):
    with (
        Gallery(tmp_path / "people.db", fuser="mean") as gallery,
        pytest.raises(DtypeError, match=r"^people: expected"),
    ):
        gallery.load(people)


def test_templates_come_with_their_states(tmp_path):
    fuser = MeanFuser()
    states = {name: fuser.encode(images) for name, images in pairs(0, 3)}
    templates = {name: fuser.finish(state) for name, state in states.items()}
    with Gallery(tmp_path / "people.db", fuser="mean") as gallery:
        with pytest.raises(ConfigError, match=r"^people: expected templates with their states"):
            gallery.load(TemplateSet.of(templates))
        assert gallery.load(TemplateSet.of(templates, states)).num_images == 9
        assert gallery.person("p1").contributions[0].keep == "state"
        assert gallery.search(PEOPLE.images(1, 5), threshold=0.5).name == "p1"


def fill(gallery):
    gallery.load(pairs(0, 5))
    gallery.enroll("a/b", PEOPLE.images(7, 0), chips=[CHIP, None, None])
    gallery.update("p1", PEOPLE.images(1, 1), guard=False, source="door")
    gallery.remove(image=gallery.person("p1").contributions[0].images[2].id)
    gallery.cannot_link("p0", "p4")
    gallery.ignore("p2")


def kept(gallery):
    """All that is kept of people, by name; contributions by what they hold."""
    return {
        person.name: (
            person.is_ignored,
            person.different_from,
            person.vector.tobytes(),
            sorted(
                (
                    part.kind,
                    part.time,
                    part.source,
                    part.left_out,
                    part.kept.embeddings.tobytes(),
                    part.kept.sources.tolist(),
                    [] if part.kept.chips is None else part.kept.chips.tolist(),
                )
                for part in person.contributions
            ),
        )
        for person in gallery.plain_people(chips=True)
    }


def test_an_archive_of_a_gallery_brings_everything_back_bit_for_bit(tmp_path):
    pytest.importorskip("pyarrow")
    folder = tmp_path / "archive"
    with Gallery(tmp_path / "a.db", fuser="mean") as gallery:
        fill(gallery)
        done = export_archive(gallery, folder, people_at_once=4, chips=True)
        before = kept(gallery)
        with pytest.raises(OutputExistsError):
            export_archive(gallery, folder)
        plain = tmp_path / "without"
        export_archive(gallery, plain)
    assert (done.num_people, done.num_contributions, done.num_images) == (6, 7, 21)
    assert (done.num_left_out, done.was_encrypted, done.not_exported) == (1, False, ())
    assert {path.stat().st_mode & 0o077 for path in [folder, *folder.iterdir()]} == {0}
    assert CHIP in b"".join(path.read_bytes() for path in folder.iterdir())
    assert CHIP not in b"".join(path.read_bytes() for path in plain.iterdir())
    archive = open_gallery_archive(folder)
    assert (len(archive.files), archive.num_people, archive.num_images) == (2, 6, 21)
    with Gallery(tmp_path / "b.db", fuser="mean") as other:
        other.load(archive.people(), people_at_once=2)
        assert kept(other) == before
        assert other.check() == ()


def test_an_archive_of_a_gallery_is_one_for_others(tmp_path):
    pytest.importorskip("pyarrow")
    from probefusion.archives import open_archive
    from probefusion.pipeline.load_archive import load_archive

    with Gallery(tmp_path / "a.db", fuser="mean") as gallery:
        gallery.load(pairs(0, 9))
        export_archive(gallery, tmp_path / "archive", people_at_once=4)
        before = stored_bits(gallery)
    archive = open_archive(tmp_path / "archive", by="subject_id")
    told = []
    with Gallery(tmp_path / "b.db", fuser="mean") as other:
        done = load_archive(other, archive, progress=lambda *numbers: told.append(numbers))
        assert (done.num_people, told) == (9, [(9, 9)])
        assert other.person("p3").contributions[0].source == "archive"
        assert stored_bits(other) == before


def test_rows_in_any_order_are_read_in_bounded_memory(tmp_path):
    pytest.importorskip("pyarrow")
    import pyarrow
    import pyarrow.parquet

    from probefusion.archives import open_archive
    from probefusion.pipeline.load_archive import people_of_archive

    rng = np.random.default_rng(0)
    ids = rng.permutation(np.repeat(np.arange(20), 5))
    rows = rng.standard_normal((100, 8)).astype(np.float32)
    table = {
        "embedding": pyarrow.FixedSizeListArray.from_arrays(rows.reshape(-1), 8),
        "template_id": ids,
    }
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "rows.parquet")
    archive = open_archive(tmp_path / "rows.parquet")
    for most in (1, 30, 1000):
        found = list(people_of_archive(archive, most_waiting=most))
        assert sorted(int(name) for name, _ in found) == list(range(20))
        for name, images in found:
            assert np.array_equal(images.embeddings, rows[ids == int(name)])


class _Rows:
    """Rows of an archive, as far as they are looked at, in parts of ten."""

    embedder = None
    norms_known = False

    def __init__(self, ids):
        self._ids = ids

    def rows(self, count):
        from probefusion.archives import ArchiveRows

        for start in range(0, len(self._ids), 10):
            ids = self._ids[start : start + 10]
            yield ArchiveRows(
                start=start, ids=ids, embeddings=np.ones((len(ids), 4), np.float32), style=None
            )


def test_no_more_images_wait_than_may(monkeypatch):
    from probefusion.pipeline import load_archive as verb

    held, most_held = [0], [0]
    take, images = verb._Waiting.take, verb._Waiting.images

    def counting_take(self, rows, places):
        take(self, rows, places)
        held[0] += len(places)
        most_held[0] = max(most_held[0], held[0])

    def counting_images(self, archive):
        held[0] -= self.num_images
        return images(self, archive)

    monkeypatch.setattr(verb._Waiting, "take", counting_take)
    monkeypatch.setattr(verb._Waiting, "images", counting_images)
    ids = np.tile(np.arange(50), 12)  # everybody is open until the last rows
    counts = dict.fromkeys(range(50), 12)
    found = dict(verb.people_of_archive(_Rows(ids), counts=counts, most_waiting=60))
    assert {name: len(images) for name, images in found.items()} == {str(k): 12 for k in range(50)}
    assert most_held[0] == 56  # of five people all but their last image, and one of those
    assert not any(images.norms_known for images in found.values())
    most_held[0] = 0
    assert len(dict(verb.people_of_archive(_Rows(ids), counts=counts, most_waiting=5))) == 50
    assert most_held[0] == 12  # somebody alone may have more


def test_an_archive_with_a_broken_file_is_not_loaded_in_part(tmp_path):
    pytest.importorskip("pyarrow")
    from probefusion.archives import open_archive
    from probefusion.pipeline.load_archive import load_archive

    with Gallery(tmp_path / "a.db", fuser="mean") as gallery:
        gallery.load(pairs(0, 4))
        export_archive(gallery, tmp_path / "archive", people_at_once=2)
    last = max((tmp_path / "archive").glob("*.parquet"))
    last.write_bytes(last.read_bytes()[:300])
    archive = open_archive(tmp_path / "archive", by="subject_id")
    with Gallery(tmp_path / "b.db", fuser="mean") as other:
        with pytest.raises(FileFormatError, match=rf"^{last.name}: cannot be read, so nobody was"):
            load_archive(other, archive)
        assert other.list() == ()


def test_an_archive_that_was_changed_is_refused(tmp_path):
    pytest.importorskip("pyarrow")
    with Gallery(tmp_path / "a.db", fuser="mean") as gallery:
        gallery.load(pairs(0, 4))
        export_archive(gallery, tmp_path / "archive", people_at_once=2)
    first, second = sorted((tmp_path / "archive").glob("*.parquet"))
    data = second.read_bytes()
    second.write_bytes(first.read_bytes())
    with pytest.raises(IntegrityError, match="another file than the one that was written"):
        list(open_gallery_archive(tmp_path / "archive").people())
    second.write_bytes(data[:200])
    with pytest.raises(FileFormatError):
        list(open_gallery_archive(tmp_path / "archive").people())
    manifest = tmp_path / "archive" / "gallery.json"
    facts = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**facts, "num_people": 3}))
    with pytest.raises(IntegrityError):
        open_gallery_archive(tmp_path / "archive")
    (tmp_path / "mine").mkdir()
    with (
        Gallery(tmp_path / "a.db") as gallery,
        pytest.raises(OutputExistsError, match="no archive of a gallery"),
    ):
        export_archive(gallery, tmp_path / "mine", force=True)


def test_a_gallery_without_images_is_an_archive(tmp_path):
    pytest.importorskip("pyarrow")
    with Gallery(tmp_path / "a.db", fuser="mean", keep="state") as gallery:
        gallery.load(pairs(0, 2))
        export_archive(gallery, tmp_path / "archive")
        before = stored_bits(gallery)
    with Gallery(tmp_path / "b.db", fuser="mean") as other:
        other.load(open_gallery_archive(tmp_path / "archive").people())
        assert stored_bits(other) == before
    with Gallery(tmp_path / "c.db", fuser="mean") as empty:
        assert export_archive(empty, tmp_path / "none").num_people == 0
        assert empty.load(open_gallery_archive(tmp_path / "none").people()).revisions == ()
