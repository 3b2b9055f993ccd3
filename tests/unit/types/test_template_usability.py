"""What can be expected of a template stays with it: in files of one and of many, old files and hostile ones."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from probefusion.errors import DtypeError, FileFormatError, InvalidInputError, ShapeError
from probefusion.files import read_npz, write_npz
from probefusion.types import Template, TemplateSet, Usability
from probefusion.types.usability import NUMBERS, checked_numbers, not_usable_rows

UNKNOWN = Usability.unknown("nobody measured it")


def predicted(similarity=0.6, interval=(0.4, 0.8), level=0.5, rate=1e-3) -> Usability:
    return Usability.predicted(similarity, interval, level=level, false_match_rate=rate)


USABLE = predicted()
DOUBTFUL = predicted(0.45)
POOR = predicted(0.2, (0.1, 0.3))
NO_FACE = predicted(0.0, None)
ALL = {"ann": USABLE, "bob": DOUBTFUL, "cat": POOR, "dan": NO_FACE, "eve": None}


def template(usability=None, place=0) -> Template:
    vector = np.eye(4, dtype=np.float32)[place % 4]
    return Template(
        vector=vector, num_images=3, fuser="mean@1", embedder="net@1", usability=usability
    )


def templates() -> TemplateSet:
    return TemplateSet.of({name: template(each, i) for i, (name, each) in enumerate(ALL.items())})


@pytest.mark.parametrize(
    ("usability", "verdict", "quality", "reason"),
    [
        (USABLE, "usable", 60, ""),
        (DOUBTFUL, "doubtful", 45, "the prediction is below the threshold 0.5000 at false match"),
        (POOR, "not usable", 20, "even the upper end is below the threshold 0.5000 at false match"),
        (NO_FACE, "not usable", 0, "the images do not look like faces to the embedder"),
        (predicted(rate=None, level=0.7), "doubtful", 60, "threshold 0.7000 (where usability was"),
    ],
)
def test_a_prediction_comes_back_from_its_numbers(usability, verdict, quality, reason) -> None:
    assert (usability.verdict, usability.quality) == (verdict, quality)
    assert reason in usability.reason
    assert Usability.of_numbers(usability.numbers) == usability
    assert asdict(usability)["quality"] == quality
    assert usability.is_not_usable == bool(not_usable_rows(usability.numbers[None])[0])


def test_what_is_not_known_has_no_numbers() -> None:
    assert np.isnan(UNKNOWN.numbers).all()
    assert Usability.of_numbers(UNKNOWN.numbers) is None
    assert not not_usable_rows(UNKNOWN.numbers[None])[0]


@pytest.mark.parametrize("usability", [USABLE, DOUBTFUL, POOR, NO_FACE])
def test_a_saved_template_keeps_it(tmp_path, usability) -> None:
    template(usability).save(tmp_path / "a.npz")
    assert Template.load(tmp_path / "a.npz").usability == usability


@pytest.mark.parametrize("usability", [None, UNKNOWN])
def test_a_template_of_which_nothing_is_known_is_a_file_that_older_releases_read(
    tmp_path, usability
) -> None:
    template(usability).save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as file:
        assert int(file["format_version"]) == 1
        assert "usability" not in file
    assert Template.load(tmp_path / "a.npz").usability is None


@pytest.mark.parametrize("ending", [".npz", ".parquet"])
def test_sets_keep_it_row_by_row(tmp_path, ending) -> None:
    path = tmp_path / f"people{ending}"
    templates().save(path)
    found = TemplateSet.load(path)
    assert {name: found[name].usability for name in found} == ALL
    assert found.not_usable == ("cat", "dan")
    found.save(path, force=True)  # the hash is the same for what was read
    assert TemplateSet.load(path).not_usable == ("cat", "dan")


@pytest.mark.parametrize("ending", [".npz", ".parquet"])
def test_sets_of_which_nothing_is_known_have_no_column(tmp_path, ending) -> None:
    path = tmp_path / f"people{ending}"
    TemplateSet.of({"ann": template(), "bob": template(UNKNOWN, 1)}).save(path)
    found = TemplateSet.load(path)
    assert found.usability is None
    assert found["bob"].usability is None
    assert found.not_usable == ()


def test_parquet_has_named_columns_with_null_where_nothing_is_known(tmp_path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    templates().save(tmp_path / "people.parquet")
    rows = parquet.read_table(tmp_path / "people.parquet").column("usability").to_pylist()
    assert rows[0] == dict(zip(NUMBERS, USABLE.numbers.tolist(), strict=True))
    assert rows[3] == {
        "similarity": 0.0,
        "low": None,
        "high": None,
        "level": 0.5,
        "false_match_rate": 1e-3,
    }
    assert rows[4] == dict.fromkeys(NUMBERS)


def test_other_columns_of_that_name_in_parquet_are_refused(tmp_path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    templates().save(tmp_path / "people.parquet")
    table = parquet.read_table(tmp_path / "people.parquet").replace_schema_metadata({})
    table = table.set_column(3, "usability", arrow.array([0.5] * 5))
    parquet.write_table(table, tmp_path / "people.parquet")
    with pytest.raises(FileFormatError, match="usability: expected struct<similarity: double"):
        TemplateSet.load(tmp_path / "people.parquet")


@pytest.mark.parametrize(
    ("numbers", "error", "told"),
    [
        ([1.5, 0.4, 0.8, 0.5, 1e-3], InvalidInputError, "usability of row 0"),
        ([0.6, 0.7, 0.8, 0.5, 1e-3], InvalidInputError, "low <= similarity"),
        ([0.6, 0.4, 0.5, 0.5, 1e-3], InvalidInputError, "low <= similarity"),
        ([0.6, 0.4, np.inf, 0.5, 1e-3], InvalidInputError, "low <= similarity"),
        ([0.6, 0.4, np.nan, 0.5, 1e-3], InvalidInputError, "or NaN alone"),
        ([np.nan, 0.4, 0.8, 0.5, 1e-3], InvalidInputError, "or NaN alone"),
        ([0.6, 0.4, 0.8, np.nan, 1e-3], InvalidInputError, "a level"),
        ([0.6, 0.4, 0.8, 0.5, 2.0], InvalidInputError, "a rate"),
        ([0.6, 0.4, 0.8, 0.5], ShapeError, "expected 5 numbers"),
        (0.6, ShapeError, "expected 5 numbers"),
        (["usable"] * 5, DtypeError, "expected floating-point numbers"),
        ([1, 0, 1, 0, 0], DtypeError, "expected floating-point numbers"),
    ],
)
def test_files_that_claim_what_cannot_be_are_refused(tmp_path, numbers, error, told) -> None:
    arrays = {"vector": np.eye(4, dtype=np.float32)[0], "num_images": 3, "usability": numbers}
    write_npz(tmp_path / "a.npz", kind="template", version=2, arrays=arrays)
    with pytest.raises(error, match=told) as caught:
        Template.load(tmp_path / "a.npz")
    assert "a.npz" in str(caught.value)


def test_templates_take_no_other_thing_for_it() -> None:
    with pytest.raises(DtypeError, match="usability: expected a Usability or None, got dict"):
        template({"verdict": "usable"})
    with pytest.raises(ShapeError, match=r"for each of 5 templates .*got shape \(4, 5\)"):
        replace(templates(), usability=np.full((4, 5), np.nan))


def test_numbers_cannot_be_changed_once_checked() -> None:
    numbers = checked_numbers(np.array([USABLE.numbers]), 1)
    with pytest.raises(ValueError, match="read-only"):
        numbers[0, 0] = 0


def test_a_file_of_version_1_with_the_column_is_read_too(tmp_path) -> None:
    """Somebody may have written it by hand."""
    template(USABLE).save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as file:
        arrays = dict(file)
    arrays["format_version"] = np.asarray(1)
    np.savez(tmp_path / "b.npz", **arrays)
    assert Template.load(tmp_path / "b.npz").usability == USABLE
    found = read_npz(
        tmp_path / "a.npz",
        kind="template",
        version=2,
        required=frozenset({"vector", "num_images"}),
        optional=frozenset({"fuser", "embedder", "weights", "usability"}),
    )
    assert found["usability"].tolist() == USABLE.numbers.tolist()
