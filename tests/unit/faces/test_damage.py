"""Damaged video files say how many frames are missing and where; sound ones, however recorded, say nothing."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from probefusion.faces.frames import VideoReader

av = pytest.importorskip("av")

RATE = 25
COUNT = 120
PLACES = (30, 47, 70)
KINDS = {
    "a.mkv": "libx264",
    "b.mkv": "ffv1",
    "a.webm": "libvpx-vp9",
    "a.ts": "libx264",
    "a.flv": "libx264",
    "a.mp4": "mpeg4",
    "b.mp4": "libx264",
    "a.avi": "mpeg4",
}


def moving_frames(count):
    """Frames in which everything moves, so that no packet is small."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 300, 3)).astype(np.uint8)
    for number in range(count):
        yield np.ascontiguousarray(noise[:, number : number + 96])


def write(
    path, codec, *, ticks=None, count=COUNT, clock=RATE, sound=False, options=None, **format_options
):
    """Writes a clip whose frame k has the time ticks[k] / clock; with a sound track where asked."""
    ticks = range(count) if ticks is None else ticks
    with av.open(str(path), "w", options=format_options) as output:
        stream = output.add_stream(codec, rate=RATE, options=options or {})
        stream.width, stream.height, stream.gop_size = 96, 64, 10
        stream.codec_context.time_base = Fraction(1, clock)
        track = output.add_stream("libopus", rate=48000) if sound else None
        for number, (tick, image) in enumerate(zip(ticks, moving_frames(len(ticks)), strict=True)):
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts, picture.time_base = int(tick), Fraction(1, clock)
            output.mux(stream.encode(picture))
            if track is not None:
                for half in range(2):
                    part = av.AudioFrame.from_ndarray(
                        np.zeros((1, 960), np.float32), "fltp", "mono"
                    )
                    part.sample_rate, part.pts = 48000, 960 * (2 * number + half)
                    output.mux(track.encode(part))
        output.mux(stream.encode(None))
        if track is not None:
            output.mux(track.encode(None))
    return path


def read(path, **settings):
    with VideoReader(path, **settings) as reader:
        return [frame.time for frame in reader], reader


def packet_places(path):
    """Where each packet of the pictures begins, and how long it is."""
    with av.open(str(path)) as container:
        return [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]


def overwrite(path, first, last):
    """Random bytes from the middle of one packet to the middle of another: the same in every encoder's file."""
    places = packet_places(path)
    data = bytearray(path.read_bytes())
    begin = places[first][0] + places[first][1] // 2
    end = places[last][0] + places[last][1] // 2
    assert begin < end
    data[begin:end] = np.random.default_rng(first).bytes(end - begin)
    path.write_bytes(bytes(data))


def not_read(whole, found):
    return [time for time in whole if not np.any(np.abs(np.asarray(found) - time) < 2e-3)]


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    return {name: write(folder / name, codec) for name, codec in KINDS.items()}


@pytest.mark.parametrize("name", KINDS)
def test_whole_files_are_silent(clips, name) -> None:
    times, reader = read(clips[name])
    assert len(times) == COUNT
    assert (reader.problems, reader.num_damaged, reader.num_missing) == ((), 0, 0)
    for settings in ({"every": 4}, {"start": 1.03}, {"start": 0.5, "stop": 2.2}, {"stop": 1.0}):
        assert read(clips[name], **settings)[1].problems == (), settings


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", [name for name in KINDS if name != "a.avi"])
def test_overwritten_bytes_are_told_with_their_place(tmp_path, clips, name, place) -> None:
    path = tmp_path / name
    path.write_bytes(clips[name].read_bytes())
    overwrite(path, place, place + 8)
    found, reader = read(path)
    lost = not_read(read(clips[name])[0], found)
    assert lost, "nothing was lost"
    if name == "a.flv" and any(problem.startswith("cut off") for problem in reader.problems):
        return  # the bytes may look like a tag that reaches to the end: then the rest is told as missing
    assert found[-1] == pytest.approx((COUNT - 1) / RATE, abs=2e-3)
    assert reader.num_missing == COUNT - len(found), reader.problems
    (told,) = [problem for problem in reader.problems if "missing" in problem]
    assert told.startswith(f"damaged: about {COUNT - len(found)} frame")
    assert f"between {max(time for time in found if time < lost[0]):.2f} and " in told
    # before the place, or behind it and what hangs together with it, nothing is told
    assert read(path, stop=(place - 14) / RATE)[1].problems == ()
    assert read(path, start=lost[-1] + 12 / RATE)[1].num_missing == 0


@pytest.mark.parametrize("place", PLACES)
def test_a_file_that_numbers_its_frames_tells_that_times_are_wrong(tmp_path, clips, place) -> None:
    path = tmp_path / "a.avi"
    path.write_bytes(clips["a.avi"].read_bytes())
    overwrite(path, place, place + 8)
    found, reader = read(path)
    assert len(found) < COUNT
    told = [problem for problem in reader.problems if "later times are too early" in problem]
    assert len(told) == 1, reader.problems
    assert reader.num_missing >= COUNT - len(found) - reader.num_damaged
    assert not any("cut off" in problem for problem in reader.problems)


def test_several_places_are_told_each(tmp_path, clips) -> None:
    path = tmp_path / "a.mkv"
    path.write_bytes(clips["b.mkv"].read_bytes())
    overwrite(path, 20, 24)
    data = bytearray(path.read_bytes())
    places = packet_places(clips["b.mkv"])
    begin, end = places[70][0] + 9, places[75][0] + 9
    data[begin:end] = bytes(end - begin)
    path.write_bytes(bytes(data))
    found, reader = read(path)
    lost = not_read(read(clips["b.mkv"])[0], found)
    assert reader.num_missing == len(lost)
    told = " ".join(reader.problems)
    assert told.count(" between ") == 2
    assert "between 0.7" in told


@pytest.mark.parametrize("name", ["a.mkv", "a.webm"])
def test_a_sound_track_hides_nothing(tmp_path, name) -> None:
    path = write(tmp_path / name, "libvpx-vp9", sound=True)
    whole, reader = read(path)
    assert reader.problems == ()
    overwrite(path, 40, 46)
    found, reader = read(path)
    assert reader.num_missing == len(not_read(whole, found)) > 0


def test_a_piece_cut_out_is_told_by_the_times(tmp_path, clips) -> None:
    data = clips["a.webm"].read_bytes()
    places = packet_places(clips["a.webm"])
    begin, end = places[41][0] - 4, places[45][0] - 4
    (tmp_path / "a.webm").write_bytes(data[:begin] + data[end:])
    found, reader = read(tmp_path / "a.webm")
    assert reader.num_missing == COUNT - len(found) >= 2


def test_a_lost_fragment_of_an_mp4(tmp_path) -> None:
    path = write(tmp_path / "a.mp4", "libx264", movflags="frag_keyframe+default_base_moof")
    assert read(path)[1].problems == ()
    data = path.read_bytes()
    fragments = [place - 4 for place in range(len(data)) if data[place : place + 4] == b"moof"]
    assert len(fragments) > 6
    path.write_bytes(data[: fragments[3]] + data[fragments[4] :])
    found, reader = read(path)
    assert reader.num_missing == COUNT - len(found) > 0
    # where a head is overwritten, the rest of the file cannot be found
    path.write_bytes(data[: fragments[3]] + bytes(20) + data[fragments[3] + 20 :])
    found, reader = read(path)
    assert len(found) < 60
    (told,) = reader.problems
    assert told.startswith(f"damaged: from byte {fragments[3]:,} of {len(data):,} on")
    assert f"about {len(fragments) - 4} more fragments" in told
    path.write_bytes(data[: fragments[5] - 100])
    assert read(path)[1].problems == (
        "cut off: the file ends within a fragment, 100 bytes are missing",
    )


def pauses(rng, count):
    """A screen recording: ten frames in a row, then nothing moves for a while."""
    steps = np.where(np.arange(count) % 10 == 9, rng.integers(20, 3000, count), 40)
    return np.cumsum(steps)


def webcam(rng, count):
    """33 ms with the noise of a camera's clock; now and then some frames are lost on the way."""
    steps = np.round(33.3 + rng.normal(0, 3, count)) + np.where(rng.random(count) < 0.04, 100, 0)
    return np.cumsum(steps)


def motion(rng, count):
    """A camera that records where something moves: steady, with long pauses."""
    return np.cumsum(np.where(np.arange(count) % 40 == 39, 30_000, 40))


def dim_light(rng, count):
    """A phone that halves its rate where it is dark."""
    return np.cumsum(np.where(np.arange(count) // 30 % 2, 80, 40))


def film(rng, count):
    """24 frames a second with a pulldown to 60 fields."""
    return np.cumsum(np.where(np.arange(count) % 2, 50, 33))


@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "a.mp4", "a.ts", "a.flv", "frag.mp4"])
@pytest.mark.parametrize("recorder", [pauses, webcam, motion, dim_light, film])
def test_recorders_that_leave_frames_out_raise_no_alarm(tmp_path, name, recorder) -> None:
    ticks = recorder(np.random.default_rng(3), COUNT).astype(int)
    codec = "libvpx-vp9" if name == "a.webm" else "libx264"
    parts = {"movflags": "frag_keyframe+empty_moov"} if name == "frag.mp4" else {}
    path = write(tmp_path / name, codec, ticks=ticks, clock=1000, **parts)
    for settings in ({}, {"every": 3}, {"start": 1.0, "stop": 4.0}):
        reader = read(path, **settings)[1]
        assert (reader.problems, reader.num_missing) == ((), 0), settings


def test_a_transparent_film_and_a_moving_picture_raise_no_alarm(tmp_path, videos) -> None:
    images = [
        np.dstack([image, np.full(image.shape[:2], 200, np.uint8)]) for image in moving_frames(60)
    ]
    path = videos.write_video(
        tmp_path / "a.webm", images, codec="libvpx-vp9", pix_fmt="yuva420p", array_format="rgba"
    )
    assert read(path)[1].problems == ()
    image = pytest.importorskip("PIL.Image")
    pictures = [image.fromarray(frame) for frame in moving_frames(60)]
    times = [40] * 30 + [900] + [40] * 29
    pictures[0].save(
        tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=times, loop=0
    )
    assert read(tmp_path / "a.gif")[1].problems == ()
