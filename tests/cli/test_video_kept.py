"""`probefusion video`: what is cut off or stopped is told, and old results stay until new ones are whole."""

from __future__ import annotations

import json

import pytest
from drawn_video import SquareDetector, two_people

cv2 = pytest.importorskip("cv2")
pytest.importorskip("edgefirst.tracker")


@pytest.fixture(scope="module")
def clip(tmp_path_factory, videos):
    path = tmp_path_factory.mktemp("clip") / "people.mp4"
    return videos.write_video(path, two_people(), options={"crf": "10"})


@pytest.fixture
def options(monkeypatch, tiny_embedder):
    monkeypatch.setattr("probefusion.zoo.load_detector", lambda name: SquareDetector())
    return ["--detector", "squares", "--embedder", str(tiny_embedder), "--threads", "1"]


def files_in(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("failing", ["write_report", "annotate_video"])
def test_a_full_disk_leaves_the_old_results(
    command, clip, options, tmp_path, monkeypatch, failing
) -> None:
    folder = tmp_path / "out"
    assert command("video", clip, "-o", folder, *options)[0] == 0
    before = files_in(folder)

    def full(*_, **__):
        raise OSError(28, "No space left on device", "report.html")

    module = {"write_report": "reports.video", "annotate_video": "video.annotate"}[failing]
    monkeypatch.setattr(f"probefusion.{module}.{failing}", full)
    code, _, err = command("video", clip, "-o", folder, "--force", "--annotate", *options)
    assert code == 1
    assert "No space left" in err
    assert files_in(folder) == before
    code, _, err = command("video", clip, "-o", tmp_path / "new", "--annotate", *options)
    assert code == 1
    assert not (tmp_path / "new").exists()


def test_results_that_are_an_input_are_not_replaced(command, clip, options, tmp_path) -> None:
    folder = tmp_path / "out"
    assert command("video", clip, "-o", folder, "--annotate", *options)[0] == 0
    before = files_in(folder)
    annotated = folder / "annotated.mp4"
    code, _, err = command("video", annotated, "-o", folder, "--force", *options)
    assert code == 1
    assert "is also an input" in err
    assert files_in(folder) == before


def test_a_cut_off_video_is_told_everywhere(command, clip, options, tmp_path) -> None:
    import av

    whole = tmp_path / "whole.mp4"
    with (
        av.open(str(clip)) as source,
        av.open(str(whole), "w", options={"movflags": "faststart"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    assert command("video", whole, "-o", tmp_path / "a", *options)[0] == 0
    cut = tmp_path / "cut.mp4"
    data = whole.read_bytes()
    cut.write_bytes(data[: len(data) * 3 // 4])
    code, _, err = command("video", cut, "-o", tmp_path / "b", *options)
    assert code == 3
    facts = json.loads((tmp_path / "b" / "tracks.json").read_text())
    problem = facts["problems"][-1]
    assert problem.startswith("cut off: the file ends at ")
    assert f"{facts['counts']['frames_read']} of {facts['video']['num_frames']} promised" in problem
    assert facts["stopped_at"] is None
    assert problem in err
    assert problem in (tmp_path / "b" / "report.html").read_text()


def test_a_video_that_was_stopped_says_where(command, clip, options, tmp_path, monkeypatch) -> None:
    from probefusion.cli.interrupt import Interruption

    asked = iter([False] * 24 + [True] * 100)
    monkeypatch.setattr(Interruption, "__call__", lambda self: next(asked))
    code, _, err = command("video", clip, "-o", tmp_path / "out", *options)
    assert code == 130
    facts = json.loads((tmp_path / "out" / "tracks.json").read_text())
    assert facts["stopped_at"] == pytest.approx(24 / 25, abs=0.01)
    told = facts["problems"][-1]
    assert told.startswith("reading was ended by hand at 1.0 s of ")
    assert told in err
    assert told in (tmp_path / "out" / "report.html").read_text()
