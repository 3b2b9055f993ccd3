"""Fusers that are not in the package: pulled from a misbehaving server, kept, found by name, verified."""

from __future__ import annotations

import os
import shutil
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from misbehaving_server import Handler

from probefusion.errors import (
    DownloadError,
    FileFormatError,
    IntegrityError,
    MissingFileError,
    UnknownNameError,
)
from probefusion.files import sha256_of
from probefusion.fusion.folder import read_card
from probefusion.zoo import (
    Patience,
    absent_fusers,
    find_fuser_folder,
    has_fuser_for,
    known_models,
    load_fuser,
    locate,
    pull_model,
    search_file,
    suggest_fuser,
    verify_models,
)
from probefusion.zoo import manifest as manifest_room
from probefusion.zoo.manifest import FolderFile, KnownModel

HASTY = Patience(timeout=0.4, window=0.3, pause=0.0, idle_attempts=2)
NAME = "exact.test-random.r1"
FILES = ("encode.onnx", "finish.onnx", "weights.safetensors", "fuser.json")


class FuserHandler(Handler):
    """Serves the files of one fuser folder; `server.moods` says how it misbehaves with which."""

    def do_GET(self):
        server = self.server
        name = self.path.rpartition("/")[2]
        server.requests.append((self.path, self.headers.get("Range")))
        content = server.files.get(name)
        mood = server.moods.get(name, "good")
        if content is None or mood == "missing":
            self.give(b"", 404)
        elif mood == "wrong":
            self.give(content[:-1] + bytes([content[-1] ^ 1]))
        elif mood == "cut":
            server.moods[name] = "good"
            self.give(content[: len(content) // 3], length=len(content))
            self.break_off()
        else:
            body, status, headers = self.wanted(content)
            self.give(body, status, **headers)


@pytest.fixture
def server(monkeypatch, fuser_folders):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    running = ThreadingHTTPServer(("127.0.0.1", 0), FuserHandler)
    running.daemon_threads = True
    running.handle_error = lambda *_: None
    running.requests, running.moods = [], {}
    running.files = {name: (fuser_folders["exact"] / name).read_bytes() for name in FILES}
    running.url = f"http://127.0.0.1:{running.server_address[1]}"
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def entry(monkeypatch, home, server, fuser_folders):
    """The manifest knows one fuser, which is not here."""
    folder = fuser_folders["exact"]
    known = KnownModel(
        name=NAME,
        kind="fuser",
        format="folder",
        file=NAME,
        licence="none",
        non_commercial=True,
        origin="here",
        urls=(f"{server.url}/weights/{NAME}",),
        files=tuple(
            FolderFile(
                name=name,
                sha256=sha256_of(folder / name),
                size=(folder / name).stat().st_size,
            )
            for name in FILES
        ),
        settings={"embedder": "net@1", "dim": 16},
    )
    monkeypatch.setattr(manifest_room, "_built_in", lambda: {NAME: known})
    return known


def test_it_is_pulled_found_by_name_and_fuses(entry, home, server, make_set):
    images = make_set(embedder="net@1")
    assert suggest_fuser(images) == "mean"
    assert [known.name for known in absent_fusers("net@1")] == [NAME]
    assert absent_fusers("net@2") == ()
    told, shown = [], []
    (result,) = pull_model(
        NAME, patience=HASTY, notice=shown.append, progress=lambda *now: told.append(now)
    )
    assert (result.path, result.is_new, result.is_verified) == (home / NAME, True, True)
    assert result.sha256 == sha256_of(home / NAME / "fuser.json")
    assert result.source == f"{server.url}/weights/{NAME}"
    assert shown == [entry]
    assert told[-1] == (entry.size, entry.size)
    assert [have for have, _ in told] == sorted(have for have, _ in told)
    assert sorted(path.name for path in (home / NAME).iterdir()) == sorted(FILES)
    assert absent_fusers() == ()
    assert has_fuser_for("net@1")
    assert suggest_fuser(images) == NAME
    for name in (NAME, "exact"):
        fuser = load_fuser(name, embedder="net@1")
        assert fuser.name == NAME
        assert np.linalg.norm(fuser.fuse(images).vector) == pytest.approx(1, abs=1e-5)
    asked = len(server.requests)
    (again,) = pull_model(NAME)
    assert (again.is_new, again.source, len(server.requests)) == (False, "probefusion", asked)


def test_a_known_fuser_that_is_not_here_says_how_to_get_it(entry):
    for name in (NAME, "exact"):
        with pytest.raises(MissingFileError, match=f"probefusion models pull {NAME}"):
            load_fuser(name, embedder="net@1")
    with pytest.raises(MissingFileError, match=f"probefusion models pull {NAME}"):
        locate(NAME, kind="fuser")
    with pytest.raises(UnknownNameError, match=NAME):
        load_fuser("exakt")
    assert load_fuser("exact").name.startswith("exact.compact_128d-")


def test_a_broken_connection_is_taken_up_and_finished_files_are_kept(entry, home, server):
    server.moods = {"encode.onnx": "cut", "weights.safetensors": "missing"}
    with pytest.raises(DownloadError, match=rf"{NAME}.*weights\.safetensors.*HTTP 404"):
        pull_model(NAME, patience=HASTY)
    assert any(given is not None for _, given in server.requests)
    assert not (home / NAME / "fuser.json").exists(), "half a fuser is none"
    with pytest.raises(MissingFileError, match="models pull"):
        load_fuser(NAME)
    assert search_file(entry) is None
    server.moods, server.requests = {}, []
    pull_model(NAME, patience=HASTY)
    names = [path.rpartition("/")[2] for path, _ in server.requests]
    assert names == ["weights.safetensors", "fuser.json"]


def test_wrong_bytes_are_not_kept(entry, home, server):
    server.moods = {"finish.onnx": "wrong"}
    with pytest.raises(IntegrityError, match=rf"{NAME}.*finish\.onnx: expected SHA-256"):
        pull_model(NAME, patience=HASTY)
    assert not (home / NAME / "finish.onnx").exists()


def test_a_mirror_is_asked_first(entry, server):
    (result,) = pull_model(NAME, mirrors=[f"{server.url}/mirror/"], patience=HASTY)
    assert result.source == f"{server.url}/mirror/{NAME}"
    assert {path.rpartition("/")[0] for path, _ in server.requests} == {f"/mirror/{NAME}"}
    server.requests = []
    pull_model(NAME, force=True, patience=HASTY)
    assert len(server.requests) == len(FILES)


def test_offline_means_no_request(entry, server, monkeypatch):
    monkeypatch.setenv("PROBEFUSION_OFFLINE", "1")
    with pytest.raises(DownloadError, match="network is not to be used"):
        pull_model(NAME)
    assert server.requests == []


def test_it_is_verified_file_by_file(entry, home):
    assert verify_models() == ()
    assert verify_models([NAME])[0].state == "missing"
    pull_model(NAME, patience=HASTY)
    assert [row.state for row in verify_models()] == ["ok"]
    assert locate(NAME, kind="fuser") == (home / NAME, sha256_of(home / NAME / "fuser.json"))
    damaged = home / NAME / "weights.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    (row,) = verify_models()
    assert (row.state, row.path) == ("wrong hash", damaged)
    with pytest.raises(IntegrityError, match=f"models pull {NAME}"):
        locate(NAME, kind="fuser")
    pull_model(NAME, patience=HASTY)
    assert [row.state for row in verify_models()] == ["ok"]


def test_folders_of_the_user_are_searched(entry, home, fuser_folders, tmp_path, monkeypatch):
    own = tmp_path / "own"
    shutil.copytree(fuser_folders["exact"], own / NAME)
    shutil.copytree(fuser_folders["official"], own / "mine")
    monkeypatch.setenv("PROBEFUSION_FUSERS", f"{own}{os.pathsep}{home}")
    assert load_fuser(NAME).folder == own / NAME
    assert load_fuser("mine").folder == own / "mine"
    for given in (NAME, "exact", str(own / NAME)):
        assert find_fuser_folder(given, embedder="net@1") == own / NAME
    with pytest.raises(UnknownNameError, match="did you mean 'mine'"):
        find_fuser_folder("mein")
    assert (search_file(entry).path, search_file(entry).place) == (own / NAME, "own")
    assert pull_model(NAME, offline=True)[0].source == "own"
    monkeypatch.setenv("PROBEFUSION_FUSERS", str(own / "nowhere"))
    with pytest.raises(MissingFileError, match="PROBEFUSION_FUSERS"):
        load_fuser("mine")


def test_of_one_embedder_the_bundled_one_comes_first(entry, home, monkeypatch):
    bundled = load_fuser("exact").folder
    shutil.copytree(bundled, home / "exact.aa-lfw.r1")
    for embedder in (None, read_card(bundled).embedder):
        assert load_fuser("exact", embedder=embedder).folder == bundled
    assert load_fuser("exact.aa-lfw.r1").folder == home / "exact.aa-lfw.r1"


def test_the_manifest_tells_the_truth_about_the_fusers_of_the_repository(repository):
    folders = {
        path.parent.name: path.parent for path in (repository / "weights").glob("*/fuser.json")
    }
    known = {
        name: entry
        for name, entry in known_models().items()
        if entry.format == "folder" and not Path(entry.file).is_absolute()
    }
    assert set(known) == set(folders)
    for name, folder in folders.items():
        entry, card = known[name], read_card(folder)
        assert entry.settings == {"embedder": card.embedder, "dim": card.dim}
        assert entry.licence == card.licence
        assert entry.non_commercial
        assert entry.urls[0].endswith(f"/weights/{name}")
        assert entry.files[-1].name == "fuser.json", "the card comes last"
        found = {path.name: (sha256_of(path), path.stat().st_size) for path in folder.iterdir()}
        assert {file.name: (file.sha256, file.size) for file in entry.files} == found


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"files": [{"name": "../a", "sha256": "0" * 64, "size": 1}]}, "without folders"),
        ({"files": [{"name": "a", "sha256": "A", "size": 1}]}, "64 lower-case"),
        ({"files": [{"name": "a", "sha256": "0" * 64}]}, r"files\[0\].size"),
        ({"files": [{"name": "a", "sha": "0"}]}, "did you mean 'sha256'"),
        ({"files": []}, "files of f"),
        ({"format": "onnx"}, "files of f"),
    ],
)
def test_wrong_folders_of_a_manifest_are_refused(home, changes, words):
    import json

    entry = {
        "kind": "fuser",
        "format": "folder",
        "file": "f",
        "files": [{"name": "fuser.json", "sha256": "0" * 64, "size": 5}],
    }
    models = {"f": entry | changes}
    (home / "manifest.json").write_text(json.dumps({"format_version": 3, "models": models}))
    with pytest.raises(FileFormatError, match=words):
        known_models()
