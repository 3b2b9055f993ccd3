"""What is erased leaves no trace: rows, states and templates as if the archive had never held it."""

from __future__ import annotations

import numpy as np
import pytest
import small_archive

from probefusion.archives import erase as module
from probefusion.archives import erase_from_archive, fuse_archive, open_archive
from probefusion.archives.fusing import planning
from probefusion.errors import (
    ConfigError,
    FileFormatError,
    FuserMismatchError,
    MismatchError,
    MissingFileError,
    UnsupportedOperationError,
)
from probefusion.types import TemplateSet
from probefusion.zoo import load_fuser

parquet = pytest.importorskip("pyarrow.parquet")

IMAGES = ["0-0.jpg", "0-7.jpg", "0-170.jpg", "0-399.jpg"]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(planning, "_FEWEST_ROWS", 100)
    monkeypatch.setattr(planning, "_MOST_ROWS", 100)


@pytest.fixture
def fuser(fuser_folders):
    return load_fuser(fuser_folders["exact"])


@pytest.fixture
def fused(tmp_path, fuser):
    """An archive with its states and templates."""
    columns = small_archive.rows()
    archive = small_archive.write_folder(tmp_path / "archive", columns)
    states, templates = tmp_path / "states", tmp_path / "t.npz"
    fuse_archive(open_archive(archive), fuser, templates, keep_states=states)
    return columns, archive, states, templates


def never_held(folder, columns, keeps, fuser):
    """Templates of an archive that never held some rows, in row groups of the same number."""
    borders = np.linspace(0, len(columns[0]), 6).astype(int)
    for number in range(5):
        part = np.arange(borders[number], borders[number + 1])
        part = part[keeps[part]]
        small_archive.write(folder / f"part-{number:02d}.parquet", columns, part)
    output = folder.with_suffix(".npz")
    fuse_archive(open_archive(folder), fuser, output)
    return output.read_bytes()


def test_images_are_erased_as_if_they_had_never_been(tmp_path, fuser, fused) -> None:
    columns, archive, states, templates = fused
    receipt = erase_from_archive(
        images=[*IMAGES, "nowhere.jpg"],
        archives=[archive],
        states=states,
        templates=templates,
        fuser=fuser,
    )
    keeps = ~np.isin(columns[3], IMAGES)
    assert templates.read_bytes() == never_held(tmp_path / "other", columns, keeps, fuser)
    assert receipt.images == tuple(sorted(IMAGES))
    assert receipt.not_found == ("nowhere.jpg",)
    assert set(receipt.recomputed) == set(columns[0][~keeps].tolist())
    assert sum(count for _, count in receipt.rows) == len(IMAGES)
    left = parquet.read_table(archive)
    assert left.column("source").to_pylist() == columns[3][keeps].tolist()
    file = parquet.ParquetFile(archive / "part-00.parquet")
    assert file.metadata.num_row_groups == 2
    assert file.schema_arrow.metadata[b"embedder"] == b"net@1"
    fuse_archive(open_archive(archive), fuser, tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == templates.read_bytes()


def test_a_second_erasure_and_more_files_go_on_from_there(tmp_path, fuser, fused) -> None:
    columns, archive, states, templates = fused
    options = {"archives": [archive], "states": states, "templates": templates, "fuser": fuser}
    erase_from_archive(images=IMAGES[:2], **options)
    erase_from_archive(images=IMAGES[2:], **options)
    keeps = ~np.isin(columns[3], IMAGES)
    assert templates.read_bytes() == never_held(tmp_path / "other", columns, keeps, fuser)
    more = small_archive.rows(1, 60)
    for folder in ("other", "more"):
        small_archive.write(tmp_path / folder / "part-05.parquet", more)
    fuse_archive(open_archive(tmp_path / "more"), fuser, templates, add_to=states, force=True)
    fuse_archive(open_archive(tmp_path / "other"), fuser, tmp_path / "all.npz")
    assert (tmp_path / "all.npz").read_bytes() == templates.read_bytes()


def test_a_person_is_erased_everywhere(tmp_path, fuser, fused) -> None:
    columns, archive, states, templates = fused
    receipt = erase_from_archive(
        people=["5", 7, 99], archives=[archive], states=states, templates=templates
    )
    keeps = ~np.isin(columns[0], [5, 7])
    assert receipt.people == (5, 7)
    assert receipt.not_found == ("99",)
    assert receipt.recomputed == ()
    assert receipt.num_templates == 21
    assert templates.read_bytes() == never_held(tmp_path / "other", columns, keeps, fuser)
    assert b"5" not in {str(name).encode() for name in TemplateSet.load(templates).ids}
    for bucket in states.glob("*/*.arrow"):
        from probefusion.archives.partials.partials import open_partials

        with open_partials(str(bucket)) as file:
            for index in range(file.num_batches):
                assert not np.isin(file.read(index).ids, [5, 7]).any()


def test_the_last_image_takes_its_person_with_it(tmp_path, fuser) -> None:
    columns = small_archive.rows(2, 60, 4)
    columns[0][11] = 1234
    archive = small_archive.write(tmp_path / "a.parquet", columns)
    states, templates = tmp_path / "states", tmp_path / "t.npz"
    fuse_archive(open_archive(archive), fuser, templates, keep_states=states)
    receipt = erase_from_archive(
        images=["2-11.jpg"], archives=[archive], states=states, templates=templates, fuser=fuser
    )
    assert receipt.people == (1234,)
    assert receipt.recomputed == ()
    assert "1234" not in TemplateSet.load(templates).ids


@pytest.mark.parametrize("step", ["states", "first file", "second file"])
def test_an_erasure_that_was_cut_off_goes_on(tmp_path, fuser, fused, monkeypatch, step) -> None:
    columns, archive, states, templates = fused
    options = {"archives": [archive], "states": states, "templates": templates, "fuser": fuser}
    written = []
    real = module.write_without

    def stop(file, rows):
        if step != "states" and len(written) < ("first file", "second file").index(step) + 1:
            written.append(file)
            return real(file, rows)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_without", stop)
    with pytest.raises(KeyboardInterrupt):
        erase_from_archive(images=IMAGES, **options)
    monkeypatch.setattr(module, "write_without", real)
    erase_from_archive(images=IMAGES, **options)
    keeps = ~np.isin(columns[3], IMAGES)
    assert templates.read_bytes() == never_held(tmp_path / "other", columns, keeps, fuser)
    assert parquet.read_table(archive).num_rows == keeps.sum()
    more = small_archive.write(tmp_path / "more.parquet", small_archive.rows(1, 60))
    fuse_archive(open_archive(more), fuser, templates, add_to=states, force=True)


def test_templates_alone_and_rows_alone(tmp_path, fuser) -> None:
    columns = small_archive.rows(text=True)
    archive = small_archive.write_folder(tmp_path / "archive", columns)
    for ending in ("npz", "parquet"):
        templates = tmp_path / f"t.{ending}"
        fuse_archive(open_archive(archive), fuser, templates)
        before = TemplateSet.load(templates)
        receipt = erase_from_archive(people=["person 5"], templates=templates)
        assert (receipt.people, receipt.num_templates) == (("person 5",), len(before) - 1)
        after = TemplateSet.load(templates)
        assert "person 5" not in after.ids
        assert np.array_equal(after["person 3"].vector, before["person 3"].vector)
    receipt = erase_from_archive(people=["person 5"], archives=[archive])
    assert receipt.people == ("person 5",)
    assert "person 5" not in parquet.read_table(archive).column("template_id").to_pylist()


def test_what_cannot_be_done_is_refused(tmp_path, fuser, fused) -> None:
    _, archive, states, templates = fused
    with pytest.raises(ConfigError, match="at least one to erase, got none"):
        erase_from_archive(archives=[archive])
    with pytest.raises(ConfigError, match="at least one to erase from"):
        erase_from_archive(people=[1])
    with pytest.raises(ConfigError, match="archives="):
        erase_from_archive(images=["a"], states=states, fuser=fuser)
    with pytest.raises(ConfigError, match="give the fuser"):
        erase_from_archive(images=["a"], archives=[archive], states=states)
    with pytest.raises(ConfigError, match="give states="):
        erase_from_archive(images=["a"], archives=[archive], templates=templates)
    with pytest.raises(FuserMismatchError, match="mean"):
        erase_from_archive(
            images=["a"], archives=[archive], states=states, fuser=load_fuser("mean")
        )
    (archive / "part-03.parquet").unlink()
    with pytest.raises(MismatchError, match=r"part-03.*is not there"):
        erase_from_archive(images=["a"], archives=[archive], states=states, fuser=fuser)
    folder = tmp_path / "arrays"
    folder.mkdir()
    np.save(folder / "template_ids.npy", np.arange(3))
    np.save(folder / "embeddings.npy", np.ones((3, 4), np.float32))
    with pytest.raises(UnsupportedOperationError, match="Parquet files only"):
        erase_from_archive(people=[1], archives=[folder])


def test_an_archive_that_cannot_be_read_whole_is_left_as_it_is(tmp_path) -> None:
    archive = small_archive.write_folder(tmp_path / "a", small_archive.rows(0, 60, 6), num_files=2)
    (archive / "part-01.parquet").write_bytes(b"PAR1 nothing")
    before = (archive / "part-00.parquet").read_bytes()
    with pytest.raises(FileFormatError, match=r"part-01.*nothing was erased"):
        erase_from_archive(people=[5], archives=[archive])
    assert (archive / "part-00.parquet").read_bytes() == before


def test_a_file_that_is_named_twice_or_linked_is_written_once(tmp_path) -> None:
    columns = small_archive.rows(0, 60, 6)
    small_archive.write(tmp_path / "store" / "a.parquet", columns)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "b.parquet").symlink_to(tmp_path / "store" / "a.parquet")
    receipt = erase_from_archive(
        people=[5],
        archives=[tmp_path / "store", tmp_path / "linked" / ".." / "store", tmp_path / "linked"],
    )
    assert receipt.rows == (("a.parquet", int((columns[0] == 5).sum())),)
    left = parquet.read_table(tmp_path / "store" / "a.parquet").column("template_id").to_pylist()
    assert left == columns[0][columns[0] != 5].tolist()
    assert (tmp_path / "linked" / "b.parquet").is_symlink()


def test_states_of_another_column_are_refused(tmp_path, fused, fuser) -> None:
    _, archive, states, _ = fused
    before = [path.read_bytes() for path in sorted(archive.iterdir())]
    with pytest.raises(MismatchError, match="by='source'"):
        erase_from_archive(people=["5"], archives=[archive], by="source", states=states)
    assert [path.read_bytes() for path in sorted(archive.iterdir())] == before
    texts = small_archive.write(tmp_path / "t.parquet", small_archive.rows(text=True))
    with pytest.raises(MismatchError, match="are texts"):
        erase_from_archive(people=[5], archives=[archive, texts])


def test_who_was_erased_does_not_come_back_with_an_image(fused, fuser) -> None:
    columns, archive, states, templates = fused
    erase_from_archive(people=[5], states=states, templates=templates)
    name = columns[3][columns[0] == 5][0]
    options = {"archives": [archive], "states": states, "templates": templates, "fuser": fuser}
    assert erase_from_archive(images=[name], **options).recomputed == ()
    assert "5" not in TemplateSet.load(templates).ids


@pytest.mark.parametrize("name", ["1_0", "+5", " 5", "05", "anna", "9" * 20])
def test_only_the_text_of_an_id_is_that_id(fused, name) -> None:
    _, archive, states, _ = fused
    receipt = erase_from_archive(people=[name], archives=[archive], states=states)
    assert (receipt.people, receipt.not_found) == ((), (name,))
    assert parquet.read_table(archive).num_rows == 400


def test_files_of_one_name_in_two_folders(tmp_path, fuser) -> None:
    old, new = small_archive.rows(0, 60, 6), small_archive.rows(1, 40, 6)
    first = small_archive.write(tmp_path / "first" / "c.parquet", old)
    second = small_archive.write(tmp_path / "second" / "c.parquet", new)
    states, templates = tmp_path / "states", tmp_path / "t.npz"
    fuse_archive(open_archive(first), fuser, templates, keep_states=states)
    fuse_archive(open_archive(second), fuser, templates, add_to=states, force=True)
    options = {"states": states, "templates": templates, "fuser": fuser}
    receipt = erase_from_archive(images=["1-3.jpg"], archives=[second, first], **options)
    assert receipt.rows == (("c.parquet", 1),)
    assert receipt.recomputed == (int(new[0][3]),)
    both = tmp_path / "both"
    both.mkdir()
    first.rename(both / "0.parquet")
    second.rename(both / "1.parquet")
    fuse_archive(open_archive(both), fuser, tmp_path / "u.npz")
    assert (tmp_path / "u.npz").read_bytes() == templates.read_bytes()


@pytest.mark.parametrize("text", [False, True])
def test_everybody_is_erased_and_then_once_more(tmp_path, fuser, text) -> None:
    columns = small_archive.rows(0, 40, 3, text=text)
    archive = small_archive.write(tmp_path / "a.parquet", columns)
    states, templates = tmp_path / "states", tmp_path / "t.npz"
    fuse_archive(open_archive(archive), fuser, templates, keep_states=states)
    everybody = sorted(set(columns[0].tolist()))
    options = {"people": everybody, "archives": [archive], "states": states}
    receipt = erase_from_archive(templates=templates, **options)
    assert (sorted(receipt.people), receipt.num_templates) == (everybody, 0)
    assert not templates.exists()
    assert parquet.read_table(archive).num_rows == 0
    again = erase_from_archive(people=everybody, states=states)
    assert again.not_found == tuple(sorted(map(str, everybody)))


def test_templates_that_are_not_of_the_states_are_refused(tmp_path, fused, fuser) -> None:
    _, archive, states, templates = fused
    file = archive / "part-00.parquet"
    before = file.read_bytes()
    with pytest.raises(FileFormatError):
        erase_from_archive(people=[5], states=states, templates=file)
    with pytest.raises(MissingFileError):
        erase_from_archive(people=[5], states=states, templates=tmp_path / "typo.npz")
    other = tmp_path / "other.npz"
    fuse_archive(open_archive(archive), load_fuser("mean"), other)
    with pytest.raises(MismatchError, match="expected those of the states"):
        erase_from_archive(people=[5], states=states, templates=other)
    assert file.read_bytes() == before
    assert "5" in TemplateSet.load(other).ids
    receipt = erase_from_archive(people=[5], states=states, templates=templates)
    assert receipt.people == (5,)  # none of these had begun
