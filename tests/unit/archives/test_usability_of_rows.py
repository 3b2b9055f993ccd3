"""Templates of archives carry what can be expected of them: the same bits however they came to be."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from tests.support.judged_fusers import COMPACT, judged_fuser, some_images

from probefusion.archives import erase_from_archive, fuse_archive, open_archive
from probefusion.archives.fusing import reducing
from probefusion.types import TemplateSet
from probefusion.zoo import judge_usability, load_fuser

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

PEOPLE = ("ann", "bob", "cat", "dan")


def write_rows(path, people) -> None:
    sets = [some_images(PEOPLE.index(name), count) for name, count in people]
    names = [name for name, count in people for _ in range(count)]
    columns = {
        "template_id": names,
        "embedding": [row.tolist() for each in sets for row in each.embeddings],
        "style": [row.reshape(-1).tolist() for each in sets for row in each.style],
    }
    table = arrow.table(
        {
            "template_id": columns["template_id"],
            "embedding": arrow.array(columns["embedding"], arrow.list_(arrow.float32())),
            "style": arrow.array(columns["style"], arrow.list_(arrow.float32())),
        }
    ).replace_schema_metadata({"embedder": COMPACT})
    parquet.write_table(table, path)


@pytest.fixture(scope="module")
def fuser(tmp_path_factory):
    return load_fuser(judged_fuser(tmp_path_factory.mktemp("f"), "not usable"), num_threads=1)


@pytest.fixture
def rows(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    (tmp_path / "whole").mkdir()
    first, second = [("ann", 3), ("bob", 2)], [("bob", 1), ("cat", 4), ("dan", 1)]
    for folder, name, people in (
        ("old", "a.parquet", first),
        ("new", "b.parquet", second),
        ("whole", "a.parquet", first),
        ("whole", "b.parquet", second),
    ):
        write_rows(tmp_path / folder / name, people)
    return tmp_path


def test_each_is_judged_as_alone(rows, fuser) -> None:
    report = fuse_archive(open_archive(rows / "whole"), fuser, rows / "whole.parquet")
    assert report.not_usable == PEOPLE
    found = TemplateSet.load(rows / "whole.parquet")
    assert found.usability.shape == (4, 5)
    alone = judge_usability(fuser, fuser.encode(some_images(2, 4)))
    assert found["cat"].usability.verdict == alone.verdict == "not usable"
    assert found["cat"].usability.numbers == pytest.approx(alone.numbers)


def test_a_real_record_tells_people_apart_and_batches_change_no_bit(rows) -> None:
    fuser = load_fuser("exact-fast", embedder=COMPACT, num_threads=1)
    fuse_archive(open_archive(rows / "whole"), fuser, rows / "one.npz")
    fuse_archive(
        open_archive(rows / "whole"), fuser, rows / "two.npz", memory=6000
    )  # person by person
    assert (rows / "one.npz").read_bytes() == (rows / "two.npz").read_bytes()
    found = TemplateSet.load(rows / "one.npz")
    assert len(np.unique(found.usability[:, 0])) > 1
    for name, count in (("ann", 3), ("cat", 4)):
        images = some_images(PEOPLE.index(name), count)
        wanted = judge_usability(fuser, fuser.encode(images)).numbers
        assert found[name].usability.numbers == pytest.approx(wanted, nan_ok=True, abs=1e-6)


def test_what_is_added_later_gives_what_one_run_gives(rows, fuser) -> None:
    fuse_archive(open_archive(rows / "whole"), fuser, rows / "whole.npz")
    fuse_archive(open_archive(rows / "old"), fuser, rows / "t.npz", keep_states=rows / "states")
    fuse_archive(
        open_archive(rows / "new"), fuser, rows / "t.npz", add_to=rows / "states", force=True
    )
    assert (rows / "t.npz").read_bytes() == (rows / "whole.npz").read_bytes()


def test_states_of_before_are_unknown_until_something_is_added(rows, fuser, monkeypatch) -> None:
    with monkeypatch.context() as before:
        before.setattr(reducing.ReduceWork, "usability", None, raising=False)
        before.setattr(
            "probefusion.archives.fusing.archive_run.usability_or_why", lambda *given: (None, "")
        )
        fuse_archive(open_archive(rows / "old"), fuser, rows / "t.npz", keep_states=rows / "states")
        assert TemplateSet.load(rows / "t.npz").usability is None
    report = fuse_archive(
        open_archive(rows / "new"), fuser, rows / "t.npz", add_to=rows / "states", force=True
    )
    found = TemplateSet.load(rows / "t.npz")
    assert found["bob"].usability is not None
    assert {"bob", "cat", "dan"} <= set(report.not_usable)


def test_a_damaged_record_costs_no_archive_and_is_told(rows, tmp_path, caplog) -> None:
    folder = judged_fuser(tmp_path)
    (folder / "usability.json").write_text('{"level": 0.9}')
    own = load_fuser(folder, num_threads=1)
    with caplog.at_level(logging.WARNING, logger="probefusion"):
        report = fuse_archive(open_archive(rows / "whole"), own, rows / "t.npz")
    assert (report.num_images, report.not_usable) == (11, ())
    found = TemplateSet.load(rows / "t.npz")
    assert (len(found.ids), found.usability) == (4, None)
    (warning,) = [record.getMessage() for record in caplog.records]
    assert warning.startswith("usability is not known: ")
    assert "usability.json" in warning


def test_erasing_somebody_keeps_that_of_the_others(rows, fuser) -> None:
    output, states = rows / "t.parquet", rows / "states"
    fuse_archive(open_archive(rows / "whole"), fuser, output, keep_states=states)
    before = TemplateSet.load(output)
    erase_from_archive(people=["bob"], templates=output, states=states, fuser=fuser)
    after = TemplateSet.load(output)
    assert list(after) == ["ann", "cat", "dan"]
    assert all(after[name].usability == before[name].usability for name in after)
    write_rows(rows / "more.parquet", [("cat", 2)])
    fuse_archive(open_archive(rows / "more.parquet"), fuser, output, add_to=states, force=True)
    assert TemplateSet.load(output)["ann"].usability == before["ann"].usability
