"""Reading video: frames, times, and everything that can be wrong with a file."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from probefusion.errors import ConfigError, FileFormatError, MissingFileError
from probefusion.faces import video_source as video
from probefusion.faces.frames import VideoReader, is_video

av = pytest.importorskip("av")


def read(path, **settings):
    """All frames, and the reader afterwards."""
    with VideoReader(path, **settings) as reader:
        return list(reader), reader


def level(frame) -> int:
    """The number a frame of `numbered_frames` carries."""
    image = frame.image
    return round(float(image[image.shape[0] // 2 :, image.shape[1] // 2 :].mean()) / 8)


@pytest.fixture(scope="module")
def clip(tmp_path_factory, videos):
    folder = tmp_path_factory.mktemp("clip")
    return videos.write_video(folder / "clip.mp4", videos.numbered_frames(20))


def test_frames_come_in_order_with_their_times(clip) -> None:
    frames, reader = read(clip)
    assert [frame.index for frame in frames] == list(range(20))
    assert [level(frame) for frame in frames] == list(range(20))
    assert np.allclose([frame.time for frame in frames], np.arange(20) / 25, atol=2e-3)
    assert frames[0].image.shape == (64, 96, 3)
    assert frames[0].image.dtype == np.uint8
    red = frames[0].image[4, 4]
    assert red[0] > 200
    assert red[1:].max() < 60
    assert reader.problems == ()
    facts = reader.facts
    assert (facts.width, facts.height, facts.num_frames, facts.is_live) == (96, 64, 20, False)
    assert facts.frame_rate == pytest.approx(25)
    assert facts.duration == pytest.approx(0.8, abs=0.05)


def test_every_start_and_stop(clip) -> None:
    frames, reader = read(clip, every=3)
    assert [level(frame) for frame in frames] == [0, 3, 6, 9, 12, 15, 18]
    assert (reader.num_read, reader.num_given) == (20, 7)
    assert reader.step == pytest.approx(3 / 25)
    part, _ = read(clip, start=0.4)
    assert [level(frame) for frame in part] == list(range(10, 20))
    assert part[0].index == 0
    assert part[0].time == pytest.approx(0.4, abs=1e-3)
    part, _ = read(clip, stop=0.4)
    assert [level(frame) for frame in part] == list(range(10))


def test_a_start_behind_the_end(clip) -> None:
    with pytest.raises(FileFormatError, match="no frame of it could be decoded after 99 s"):
        read(clip, start=99)


def test_variable_frame_rate_keeps_times(tmp_path, videos) -> None:
    times = [0, 0.04, 0.5, 0.54, 2.0, 2.01]
    path = videos.write_video(tmp_path / "v.mkv", videos.numbered_frames(6), times=times)
    frames, _ = read(path)
    assert np.allclose([frame.time for frame in frames], times, atol=2e-3)


def test_phone_video_is_turned_upright(tmp_path, videos) -> None:
    path = videos.write_video(tmp_path / "phone.mp4", videos.numbered_frames(4))
    videos.turn_clockwise(path)
    frames, _ = read(path)
    image = frames[2].image
    assert image.shape == (96, 64, 3)
    assert image[4, -4, 0] > 200  # what was in the upper left corner is in the upper right one
    assert image[4, 4, 0] < 60


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "array_format"),
    [
        ("grey.mkv", "ffv1", "gray", "gray8"),
        ("grey16.mkv", "ffv1", "gray16le", "gray16le"),
        ("alpha.mov", "png", "rgba", "rgba"),
        ("alpha.webm", "libvpx-vp9", "yuva420p", "rgba"),
        ("deep.mkv", "ffv1", "yuv420p10le", "rgb24"),
        ("old.avi", "mpeg4", "yuv420p", "rgb24"),
        ("motion.mjpeg", "mjpeg", "yuvj420p", "rgb24"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*deprecated.*")
def test_every_kind_of_pixels_becomes_rgb(
    tmp_path, videos, name, codec, pix_fmt, array_format
) -> None:
    frames = list(videos.numbered_frames(5))
    if array_format == "gray8":
        frames = [frame[..., 1] for frame in frames]
    elif array_format == "gray16le":
        frames = [frame[..., 1].astype(np.uint16) * 257 for frame in frames]
    elif array_format == "rgba":
        frames = [np.dstack([frame, np.full(frame.shape[:2], 200, np.uint8)]) for frame in frames]
    path = videos.write_video(
        tmp_path / name, frames, codec=codec, pix_fmt=pix_fmt, array_format=array_format
    )
    found, reader = read(path)
    assert [level(frame) for frame in found] == list(range(5))
    assert all(frame.image.shape == (64, 96, 3) for frame in found)
    assert reader.problems == ()


def test_a_damaged_middle_is_passed_over_and_told(tmp_path, videos) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (64, 96, 3)).astype(np.uint8) for _ in range(40)]
    path = videos.write_video(tmp_path / "v.mkv", noise)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as whole:
        places = [packet.pos for packet in whole.demux(video=0) if packet.size]
    for first in (8, 13, 19, 22):
        damaged = data[: places[first] + 9] + rng.bytes(len(data) // 10)
        damaged += data[len(damaged) :]
        path.write_bytes(bytes(damaged))
        frames, reader = read(path)
        assert 20 <= len(frames) < 40
        assert frames[-1].time == pytest.approx(
            39 / 25, abs=2e-3
        )  # what follows the damage is read
        assert reader.num_missing == 40 - len(frames)
        assert any("missing" in problem for problem in reader.problems)
        assert all("damaged" in problem for problem in reader.problems)


def test_a_cut_off_stream_gives_what_is_there(tmp_path, videos) -> None:
    path = videos.write_video(tmp_path / "v.mkv", videos.numbered_frames(20), codec="ffv1", gop=1)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    frames, _ = read(path)
    assert 3 < len(frames) < 18
    assert [level(frame) for frame in frames] == list(range(len(frames)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "could not open it"),
        (b"no video at all" * 100, "could not open it"),
        (b"\x00" * 5000, "could not open it"),
        (
            b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n/etc/passwd\n#EXT-X-ENDLIST\n",
            "could not",
        ),
        (b"ffconcat version 1.0\nfile /etc/hostname\n", "could not open it"),
        (b"%PDF-1.4\n" + b"x" * 3000, "could not open it"),
    ],
    ids=["empty", "text", "zeros", "playlist", "script", "pdf"],
)
def test_files_that_lie_about_their_type(tmp_path, content, message) -> None:
    path = tmp_path / "liar.mp4"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_an_image_under_a_video_name_is_one_frame(tmp_path) -> None:
    cv2 = pytest.importorskip("cv2")
    cv2.imwrite(str(tmp_path / "a.png"), np.full((40, 60), 99, np.uint8))
    (tmp_path / "a.png").rename(tmp_path / "a.mp4")
    frames, _ = read(tmp_path / "a.mp4")
    assert len(frames) == 1
    assert frames[0].image.shape == (40, 60, 3)
    assert np.abs(frames[0].image.astype(int) - 99).max() <= 1


def test_a_half_mp4_is_refused(tmp_path, clip) -> None:
    data = clip.read_bytes()
    (tmp_path / "half.mp4").write_bytes(data[: data.rfind(b"moov") - 4])
    with pytest.raises(FileFormatError, match="could not open it"):
        read(tmp_path / "half.mp4")


def test_sound_alone_is_refused(tmp_path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as output:
        stream = output.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 44100), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 44100
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with pytest.raises(FileFormatError, match="expected a video stream, found only: audio"):
        read(tmp_path / "a.mp4")


def test_absurdly_large_frames_are_refused(clip, monkeypatch) -> None:
    monkeypatch.setattr(video, "MAX_PIXELS", 5000)
    with pytest.raises(FileFormatError, match="96x64 pixels, expected at most 5,000"):
        read(clip)


def test_missing_files_folders_and_settings(tmp_path, clip) -> None:
    with pytest.raises(MissingFileError):
        VideoReader(tmp_path / "none.mp4")
    with pytest.raises(FileFormatError, match="folder"):
        VideoReader(tmp_path)
    with pytest.raises(MissingFileError, match="webcam"):
        VideoReader("webcam:97")
    for settings in ({"every": 0}, {"start": -1}, {"stop": 0.0}, {"start": float("nan")}):
        with pytest.raises(ConfigError):
            VideoReader(clip, **settings)


def test_what_is_taken_for_a_video(tmp_path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    for name in ("a.mp4", "A.MOV", "rtsp://u:p@cam/1", "webcam:0", "https://host/x", "udp://@:99"):
        assert is_video(name), name
    for name in ("a.jpg", "a.npz", "a", "webcam", "ftp://x/a", tmp_path / "folder.mp4"):
        assert not is_video(name), name


def test_an_unreachable_address_hides_the_password() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(FileFormatError) as caught:
        VideoReader(f"rtsp://user:secret@127.0.0.1:{port}/stream", timeout=5)
    assert "secret" not in str(caught.value)
    assert f"rtsp://127.0.0.1:{port}/stream" in str(caught.value)


@pytest.fixture
def stream_bytes(tmp_path, videos):
    path = videos.write_video(
        tmp_path / "s.ts", videos.numbered_frames(30), options={"tune": "zerolatency"}
    )
    return path.read_bytes()


def test_a_live_stream_over_http(stream_bytes) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.end_headers()
            self.wfile.write(stream_bytes)

        def log_message(self, *details: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        frames, reader = read(f"http://127.0.0.1:{server.server_port}/live", timeout=120)
        server.shutdown()
        thread.join()
    assert [level(frame) for frame in frames] == list(range(30))
    assert reader.facts.is_live
    assert reader.facts.num_frames is None


class RtspServer(threading.Thread):
    """The least that RTSP over TCP asks for: one client, one MPEG transport stream, then the end."""

    def __init__(self, stream: bytes, *, hang: bool = False) -> None:
        super().__init__(daemon=True)
        self._stream, self._hang = stream, hang
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.release = threading.Event()

    def run(self) -> None:
        connection, _ = self._socket.accept()
        with self._socket, connection, connection.makefile("rb") as requests:
            while line := requests.readline().decode():
                method, url, _ = line.split()
                headers = {}
                while (header := requests.readline().decode().strip()) != "":
                    key, value = header.split(":", 1)
                    headers[key.lower()] = value.strip()
                extra, body = "", ""
                if method == "DESCRIBE":
                    body = (
                        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\n"
                        "m=video 0 RTP/AVP 33\r\na=control:track1\r\n"
                    )
                    extra = f"Content-Type: application/sdp\r\nContent-Base: {url}/\r\n"
                elif method == "SETUP":
                    extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
                connection.sendall(
                    f"RTSP/1.0 200 OK\r\nCSeq: {headers['cseq']}\r\nSession: 1\r\n{extra}"
                    f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
                )
                if method == "PLAY":
                    self._play(connection)
                    return

    def _play(self, connection: socket.socket) -> None:
        size = 7 * 188
        for number, start in enumerate(range(0, len(self._stream), size)):
            head = (
                bytes([0x80, 33]) + number.to_bytes(2, "big") + (number * 3000).to_bytes(4, "big")
            )
            packet = head + b"\x00\x00\x00\x01" + self._stream[start : start + size]
            connection.sendall(b"$\x00" + len(packet).to_bytes(2, "big") + packet)
        if self._hang:
            self.release.wait(600)


def test_a_camera_over_rtsp(stream_bytes) -> None:
    server = RtspServer(stream_bytes)
    server.start()
    frames, reader = read(f"rtsp://127.0.0.1:{server.port}/cam", timeout=120)
    server.join(120)
    assert len(frames) >= 25
    assert np.all(np.diff([level(frame) for frame in frames]) == 1)
    assert reader.facts.is_live


def test_a_camera_that_falls_silent(stream_bytes) -> None:
    server = RtspServer(stream_bytes, hang=True)
    server.start()
    frames, reader = read(f"rtsp://127.0.0.1:{server.port}/cam", timeout=4)
    server.release.set()
    server.join(120)
    assert len(frames) >= 20
    assert any("no data for 4 s" in problem for problem in reader.problems)
