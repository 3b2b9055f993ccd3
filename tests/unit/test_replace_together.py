"""Several outputs appear together or not at all, and what stood there stays until then."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from probefusion.errors import ConfigError, OutputExistsError
from probefusion.files import (
    check_name,
    check_not_input,
    check_output_file,
    making_folders,
    replace_at_once,
    replace_file,
    replace_folder,
    replace_folder_content,
    replace_together,
)


def write(path: Path, text: str, **settings) -> None:
    with replace_file(path, **settings) as stream:
        stream.write(text.encode())


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_both_or_none(tmp_path) -> None:
    write(tmp_path / "a", "old")
    with replace_together():
        write(tmp_path / "a", "new", force=True)
        write(tmp_path / "b", "new")
        assert (tmp_path / "a").read_text() == "old"
        assert not (tmp_path / "b").exists()
    assert contents(tmp_path) == {"a": "new", "b": "new"}


def _fail_after_one(folder: Path) -> None:
    with replace_together():
        write(folder / "a", "new", force=True)
        write(folder / "none" / "b", "new")


def test_after_an_error_everything_is_as_it_was(tmp_path) -> None:
    write(tmp_path / "a", "old")
    with pytest.raises(FileNotFoundError):
        _fail_after_one(tmp_path)
    assert contents(tmp_path) == {"a": "old"}
    write(tmp_path / "c", "written at once again")
    assert contents(tmp_path) == {"a": "old", "c": "written at once again"}


def test_a_name_that_is_taken_meanwhile_undoes_all(tmp_path) -> None:
    write(tmp_path / "a", "old")

    def fill() -> None:
        with replace_together():
            write(tmp_path / "new", "new")
            write(tmp_path / "a", "new", force=True)
            write(tmp_path / "b", "new")
            (tmp_path / "b" / "inside").mkdir(parents=True)

    with pytest.raises(OSError, match="b"):
        fill()
    assert contents(tmp_path) == {"a": "old"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_block_inside_belongs_to_the_outer_one(tmp_path) -> None:
    with replace_together():
        with replace_together():
            write(tmp_path / "a", "new")
        assert not (tmp_path / "a").exists()
    assert contents(tmp_path) == {"a": "new"}


def test_a_folder_is_replaced_at_the_end_only(tmp_path) -> None:
    folder = tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    for name in ("x", "sub/1", "sub/2", "mine"):
        (folder / name).write_text("old")
    standing = [folder / name for name in ("x", "sub/1", "sub/2")]
    with replace_folder_content(folder, standing) as draft:
        (draft / "sub").mkdir()
        write(draft / "sub" / "1", "new")
        assert contents(folder).items() >= {"x": "old", "sub/1": "old", "mine": "old"}.items()
    assert contents(folder) == {"sub/1": "new", "mine": "old"}


def test_a_folder_that_was_not_there_is_gone_again_after_an_error(tmp_path) -> None:
    with (
        pytest.raises(OutputExistsError),
        replace_folder_content(tmp_path / "a" / "b", []) as draft,
    ):
        write(draft, "a folder")
    assert list(tmp_path.iterdir()) == []


def test_names_that_no_file_can_have_are_refused_before_the_work(tmp_path) -> None:
    for name in ("x" * 256, "ä" * 128, "name\udcff.npz", "zero\0.npz"):
        with pytest.raises(ConfigError, match=r"^output .* name"):
            check_output_file(tmp_path / name, force=False)
    longest = "x" * 251 + ".npz"
    check_name(longest)
    write(tmp_path / longest, "fits")
    assert contents(tmp_path) == {longest: "fits"}


def test_a_folder_is_no_output_file(tmp_path) -> None:
    with pytest.raises(OutputExistsError, match="is a folder"):
        check_output_file(tmp_path, force=True)


def test_an_output_that_is_an_input(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a").write_text("")
    Path("link").symlink_to("a")
    check_not_input("b", ["a", "none", "rtsp://camera/1"])
    for output, inputs in (("a", ["b", "a"]), ("./a", [tmp_path / "a"]), ("a", ["link"])):
        with pytest.raises(ConfigError, match=r"--state: .* is also an input"):
            check_not_input(output, inputs, name="--state")


def test_a_full_disk_loses_nothing_and_is_named(tmp_path) -> None:
    """A file size limit stands for a full disk: the write fails in the middle."""
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from probefusion.files import replace_file, replace_together\n"
        "folder = Path(sys.argv[1])\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    with replace_together():\n"
        "        for name, size in (('a', 100), ('b', 5000)):\n"
        "            with replace_file(folder / name, force=True) as stream:\n"
        "                stream.write(bytes(size))\n"
        "except OSError as error:\n"
        "    print(error.errno, error.filename)\n"
    )
    for name in "ab":
        (tmp_path / name).write_text("old")
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"{errno.EFBIG} {tmp_path / 'b'}"
    assert contents(tmp_path) == {"a": "old", "b": "old"}


def test_a_folder_gives_way_to_its_successor_only_when_that_stands(tmp_path) -> None:
    for name in ("old", "draft"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "none", tmp_path / "old")
    assert contents(tmp_path) == {"old/file": "old", "draft/file": "draft"}
    replace_folder(tmp_path / "draft", tmp_path / "old")
    assert contents(tmp_path) == {"old/file": "draft"}
    (tmp_path / "next").mkdir()
    replace_folder(tmp_path / "next", tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old"]


def make_draft(folder: Path, name: str, text: str) -> Path:
    draft = folder / name
    draft.mkdir()
    write(draft / "card", text)
    return draft


def test_a_folder_takes_its_name_with_the_files_or_not_at_all(tmp_path) -> None:
    make_draft(tmp_path, "fuser", "old")
    with replace_together():
        write(tmp_path / "report", "new")
        with replace_at_once():
            draft = make_draft(tmp_path, "draft", "new")
        replace_folder(draft, tmp_path / "fuser")
        assert (tmp_path / "fuser/card").read_text() == "old"
    assert contents(tmp_path) == {"fuser/card": "new", "report": "new"}

    def fail() -> None:
        with replace_together():
            write(tmp_path / "report", "newer", force=True)
            with replace_at_once():
                draft = make_draft(tmp_path, "draft", "newer")
            replace_folder(draft, tmp_path / "fuser")
            raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert contents(tmp_path) == {"fuser/card": "new", "report": "new"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fuser", "report"]


def test_a_folder_goes_back_where_a_later_file_cannot_take_its_name(tmp_path) -> None:
    make_draft(tmp_path, "fuser", "old")

    def fail() -> None:
        with replace_together():
            with replace_at_once():
                draft = make_draft(tmp_path, "draft", "new")
            replace_folder(draft, tmp_path / "fuser")
            write(tmp_path / "report", "new")
            (tmp_path / "report").mkdir()

    with pytest.raises(OutputExistsError, match="folder"):
        fail()
    assert contents(tmp_path) == {"fuser/card": "old"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fuser", "report"]


def test_folders_that_were_made_for_nothing_go_again(tmp_path) -> None:
    (tmp_path / "stood").mkdir()

    def fail() -> None:
        with making_folders(tmp_path / "a/b", tmp_path / "stood/c"):
            assert (tmp_path / "a/b").is_dir()
            raise ConfigError("no")

    with pytest.raises(ConfigError):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["stood"]
    assert not any((tmp_path / "stood").iterdir())
    with making_folders(tmp_path / "a/b"):
        pass
    assert (tmp_path / "a/b").is_dir()
