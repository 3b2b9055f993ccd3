"""A video that ends earlier than it promises says so; a whole one does not."""

import av
import numpy as np
import pytest

from probefusion.faces.frames import VideoReader


def read(path, **settings):
    with VideoReader(path, **settings) as reader:
        for _ in reader:
            pass
        return reader


@pytest.fixture
def short_file(tmp_path, videos):
    """Makes a file of 100 frames, 4 s, of which a part is left."""

    def make(name, part, **settings):
        frames = list(videos.numbered_frames(100))
        path = videos.write_video(tmp_path / f"whole-{name}", frames, **settings)
        data = path.read_bytes()
        (tmp_path / name).write_bytes(data[: int(len(data) * part)])
        return path, tmp_path / name

    return make


@pytest.mark.parametrize("name", ["a.mkv", "a.webm"])
def test_a_file_whose_end_is_missing(short_file, name) -> None:
    codec = "libvpx-vp9" if name == "a.webm" else "libx264"
    whole, cut = short_file(name, 0.6, codec=codec)
    assert read(whole).problems == ()
    reader = read(cut)
    assert 20 <= reader.num_read <= 90
    assert f"{reader.num_read} of" in reader.problems[-1]
    assert reader.problems[-1].startswith("cut off: the file ends at ")
    assert read(cut, stop=0.4).problems == ()


def test_an_mp4_with_its_index_in_front(tmp_path, videos) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height = 96, 64
        for image in videos.numbered_frames(100):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(stream.encode(None))
    assert read(path).problems == ()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    reader = read(path)
    assert reader.num_read < 95
    assert f"{reader.num_read} of 100 promised frames" in reader.problems[-1]
    assert "promised" not in read(path, start=0.2).problems[-1]


def test_a_frame_shown_for_long_and_times_that_vary_are_whole(tmp_path, videos) -> None:
    frames = list(videos.numbered_frames(12))
    times = [0, 0.04, 0.1, 0.5, 0.54, 0.6, 1.4, 1.44, 1.5, 1.6, 1.7, 3.0]
    for name in ("a.mp4", "a.mkv"):
        path = videos.write_video(tmp_path / name, frames, times=times)
        assert read(path).problems == (), name


def test_a_longer_sound_track_does_not_make_a_video_cut_off(tmp_path, videos) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=25)
        video.width, video.height = 96, 64
        sound = output.add_stream("aac", rate=8000)
        for image in videos.numbered_frames(50):
            output.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(video.encode(None))
        for place in range(40):  # 5 s
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            silence.sample_rate, silence.pts = 8000, 1024 * place
            output.mux(sound.encode(silence))
        output.mux(sound.encode(None))
    assert read(path).problems == ()


@pytest.mark.assets
def test_the_cases(assets) -> None:
    hostile = assets / "cases" / "hostile"
    assert read(hostile / "ok.mp4").problems == ()
    assert read(hostile / "fastcut.mp4").problems == (
        "cut off: the file ends at 4.44 of 9.18 s, 133 of 275 promised frames could be read",
    )
    (problem,) = read(hostile / "trunc.mkv").problems
    assert "20 of about 30 frames" in problem
    for name in ("short_hamilton_clip.mp4", "caface_probe.mp4"):
        assert read(assets / "video" / name).problems == ()
