"""Tables of attributes: what is read, and what is refused with its line."""

from __future__ import annotations

import pytest

from probefusion.errors import FileFormatError, MissingFileError, UnknownNameError
from probefusion.io.attribute_table import open_attribute_table, read_attribute_table


def read(text, **settings):
    return read_attribute_table(text.encode(), origin="t.csv", **settings)


def test_a_table_by_person():
    table = read("Person,Group, camera \nann, a ,1\nbob,,2\n\ncid,b,\n")
    assert table.owner == "person"
    assert table.names == ("ann", "bob", "cid")
    assert dict(table.columns) == {"Group": ("a", "", "b"), "camera": ("1", "2", "")}
    assert table.origin == "t.csv"
    assert len(table.sha256) == 64


@pytest.mark.parametrize(
    ("header", "owner"),
    [
        ("subject_id", "person"),
        ("SUBJECT", "person"),
        ("file", "image"),
        ("image", "image"),
        ("template_id", "template"),
    ],
)
def test_what_rows_describe_is_told_by_the_name_of_a_column(header, owner):
    assert read(f"group;{header}\na;1\n").owner == owner


def test_values_are_texts_as_they_are_written():
    assert read("person\tage\na\t1\nb\t1.0\nc\t01\n").columns["age"] == ("1", "1.0", "01")


def test_some_columns_may_be_taken():
    text = "person,group,note\n" + "".join(f"p{n},{n % 2},note {n}\n" for n in range(60))
    assert list(read(text, columns=("Group",)).columns) == ["group"]
    with pytest.raises(UnknownNameError, match=r"unknown attribute 'groop'.*did you mean 'group'"):
        read(text, columns=("groop",))
    with pytest.raises(
        FileFormatError, match="at most 50 different values in the column 'note', got 60"
    ):
        read(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "got 0 of these among no columns"),
        ("name,group\na,b\n", "got 0 of these among 'name', 'group'"),
        ("person,image,group\na,b,c\n", "got 2 of these"),
        ("person\na\n", "got no other column"),
        ("person,group,Group\na,b,c\n", "got 'group' twice"),
        ("person,group,\na,b,c\n", "got a column without a name"),
        ("person,group\na,b,c\n", "line 2: expected 2 columns, got 3"),
        (
            "person,group\na,b\na,c\n",
            r"line 3: expected a person that has no row yet, got 'a' a second time",
        ),
        ("person,group\n ,b\n", "line 2: expected a person that has no row yet, got none"),
        ("person,group\na,\nb, \n", "some values in the column 'group', got none"),
        ("person,group\n", "some values in the column 'group', got none"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(FileFormatError, match=message) as caught:
        read(text)
    assert str(caught.value).startswith("t.csv")


def test_files(tmp_path):
    with pytest.raises(MissingFileError, match="attributes"):
        open_attribute_table(tmp_path / "none.csv")
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfperson,group\r\nann,a\r\n")
    assert open_attribute_table(tmp_path / "a.csv").names == ("ann",)
    (tmp_path / "b.csv").write_bytes(b"person,group\nann,\xff\n")
    with pytest.raises(FileFormatError, match=r"b\.csv.*UTF-8"):
        open_attribute_table(tmp_path / "b.csv")
