"""What does not belong in a request: too large, too slow, too many, not what it says, bombs."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from probefusion.service.guards.gate import Rates
from probefusion.service.settings import Limits

ROOT = "/v1/collections/people"


def image_of(content: bytes, name: str = "x.png") -> dict:
    return {"images": [{"name": name, "base64": base64.b64encode(content).decode()}]}


def png(width: int, height: int, rows: bytes) -> bytes:
    """A PNG of one grey channel."""

    def part(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", rows) + part(b"IEND", b"")


def test_bombs_are_refused_in_a_process_of_their_own(serve) -> None:
    client = serve(limits=Limits(decode_memory=400_000_000, max_pixels=20_000_000))
    bomb = png(60_000, 60_000, zlib.compress(b"\x00" * 3_600_000, 9))
    large = png(10_000, 10_000, zlib.compress(b"\x00" * 100_010_000, 9))
    for content, words in ((bomb, "60000x60000 pixels"), (large, "10000x10000 pixels")):
        answer = client.post("/v1/fuse", json=image_of(content))
        assert answer.status_code == 422, answer.text
        assert words in answer.json()["detail"]
    assert client.get("/v1/health").status_code == 200


def test_what_takes_more_memory_than_allowed_ends_the_decoder_only(serve) -> None:
    client = serve(limits=Limits(decode_memory=30_000_000, max_pixels=90_000_000))
    large = png(9_000, 9_000, zlib.compress(b"\x00" * 81_009_000, 1))
    answer = client.post("/v1/fuse", json=image_of(large))
    assert answer.status_code == 422, answer.text
    small = png(112, 112, zlib.compress((b"\x00" + b"\x80" * 112) * 112))
    assert client.post("/v1/fuse", json=image_of(small)).status_code in (200, 422)
    assert client.get("/v1/ready").status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"GIF89a<script>alert(1)</script>",
        b"%PDF-1.7\n",
        b"PK\x03\x04" + b"\x00" * 60,
        b"\xff\xd8\xff\xe0" + b"\x00" * 40,
        png(4, 4, b"no zlib"),
        b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
        b"MM\x00*" + b"\xff" * 100,
    ],
)
def test_what_is_no_image_is_refused(serve, content) -> None:
    client = serve()
    answer = client.post("/v1/fuse", json=image_of(content, name="../../etc/passwd"))
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_large_slow_and_strange_bodies(serve, query) -> None:
    client = serve(limits=Limits(max_body=100_000, max_images=8))
    huge = client.post(f"{ROOT}/search", content=b"x" * 100_001)
    assert (huge.status_code, huge.json()["type"]) == (413, "urn:probefusion:problem:too-large")

    def endless():
        for _ in range(200):
            yield b"x" * 1000

    assert client.post(f"{ROOT}/search", content=endless()).status_code == 413
    for body in (b"", b"{", b"[" * 5000, b"\xff\xfe", b"null", b'"x"', b"1e999", b'{"query": NaN}'):
        answer = client.post(
            f"{ROOT}/search", content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code in (400, 422), body
        assert answer.headers["content-type"] == "application/problem+json"
    many = query(0, 9)
    assert client.post(f"{ROOT}/search", json={"query": many}).status_code == 422
    rows = np.full((2, 64), np.nan).tolist()
    body = json.dumps({"query": {"embeddings": {"rows": rows}}})
    answer = client.post(
        f"{ROOT}/search", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400  # NaN is no JSON
    zero = base64.b64encode(np.zeros(64, "<f4").tobytes()).decode()
    body = {"query": {"embeddings": {"base64": zero, "dim": 64}}}
    assert client.post(f"{ROOT}/search", json=body).status_code == 422


def test_decoders_do_not_fill_the_log(serve, capfd) -> None:
    client = serve()
    content = png(112, 112, zlib.compress((b"\x00" + b"\x80" * 112) * 112))
    profile = (
        b"iCCP" + b"x\x00\x00" + zlib.compress(b"\x00" * 10)
    )  # too short: the decoder complains
    profile = struct.pack(">I", len(profile) - 4) + profile + struct.pack(">I", zlib.crc32(profile))
    client.post("/v1/fuse", json=image_of(content))
    capfd.readouterr()
    answer = client.post("/v1/fuse", json=image_of(content[:33] + profile + content[33:]))
    assert answer.status_code in (200, 422)
    assert "libpng" not in capfd.readouterr().err


def test_state_bytes_are_checked(serve) -> None:
    client = serve()
    for content in (b"", b"\x00" * 100, b"\xff" * 8 + b"{}"):
        body = {"query": {"state": base64.b64encode(content).decode()}}
        assert client.post(f"{ROOT}/search", json=body).status_code == 422


def test_unreadable_images_are_named_at_every_door(serve) -> None:
    client = serve(detector=None)
    rng = np.random.default_rng(0)
    import cv2

    good = [
        cv2.imencode(".png", rng.integers(0, 256, (112, 112, 3), np.uint8))[1].tobytes()
        for _ in range(2)
    ]
    images = [
        image_of(content, f"{k}.png")["images"][0] for k, content in enumerate([*good, b"no"])
    ]
    query = {"images": images}
    client.post(f"{ROOT}/people", json={"name": "ann", "query": {"images": images[:2]}})
    answers = [
        client.post("/v1/fuse", json=query),
        client.post(f"{ROOT}/search", json={"query": query}),
        client.post(f"{ROOT}/people/ann/verify", json={"query": query}),
        client.post(f"{ROOT}/people/ann/explain", json=query),
        client.post("/v1/compare", json={"first": query, "second": query}),
    ]
    for answer in answers:
        assert answer.status_code == 200, answer.text
        assert answer.json()["skipped"][0]["source"] == "2.png", answer.url


def test_many_errors_make_no_large_answer(serve) -> None:
    client = serve()
    rows = {"query": {"embeddings": {"rows": [["x"] * 4000] * 20}}}
    fields = {"query": {f"f{k}": 1 for k in range(5000)}}
    for body in (rows, fields):
        answer = client.post(f"{ROOT}/search", json=body)
        assert answer.status_code == 422
        assert len(answer.content) < 10_000


def test_a_state_that_was_changed_is_refused(serve, query) -> None:
    client = serve()
    state = base64.b64decode(client.post("/v1/fuse?with_state=true", json=query(0)).json()["state"])
    good = {"query": {"state": base64.b64encode(state).decode()}}
    assert client.post("/v1/fuse", json=good["query"]).status_code == 200
    changed = bytearray(state)
    changed[-3] ^= 1
    body = {"query": {"state": base64.b64encode(bytes(changed)).decode()}}
    answer = client.post(f"{ROOT}/search", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/query/state"


def test_requests_of_foreign_pages_are_refused(serve, query, tmp_path) -> None:
    client = serve()
    client.post(f"{ROOT}/people", json={"name": "ann", "query": query(0)})
    foreign = [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:99"},
    ]
    for headers in foreign:
        assert client.post(f"{ROOT}/changes/1/undo", headers=headers).status_code == 403, headers
    for host in ("evil.example", "127.0.0.1.evil.example", "", "10.0.0.1"):
        assert client.get(f"{ROOT}/people", headers={"Host": host}).status_code == 403, host
    for host in ("127.0.0.1:8470", "localhost", "[::1]:8470"):
        assert client.get(f"{ROOT}/people", headers={"Host": host}).status_code == 200, host
    own = {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1"}
    assert client.post(f"{ROOT}/changes/1/undo", headers=own).status_code == 200


def test_pixels_of_all_images_are_bounded(serve) -> None:
    client = serve(limits=Limits(max_pixels=1_000_000, max_request_pixels=1_500_000))
    content = png(900, 900, zlib.compress((b"\x00" + b"\x80" * 900) * 900))
    image = image_of(content)["images"][0]
    answer = client.post("/v1/fuse", json={"images": [image, image]})
    assert answer.status_code == 422
    assert "1,500,000 pixels in all, got 1,620,000" in answer.json()["detail"]


def test_made_up_methods_become_no_figures(serve) -> None:
    client = serve()
    for number in range(20):
        client.request(f"ABC{number}", "/v1/health")
    text = client.get("/metrics").text
    assert "ABC" not in text
    assert 'method="other"' in text


def test_path_tricks_reach_no_file(serve) -> None:
    client = serve()
    for path in (
        "/../app.py",
        "/%2e%2e/app.py",
        "/..%2fapp.py",
        "/%2e%2e%2f%2e%2e%2fetc/passwd",
        "/page/../../app.py",
        "//etc/passwd",
    ):
        answer = client.get(path)
        assert answer.status_code in (404, 405), path
        assert b"def create_app" not in answer.content
        assert b"root:" not in answer.content


def test_too_many_requests_of_one_client(serve) -> None:
    client = serve(limits=Limits(requests_per_minute=3))
    statuses = [client.get(f"{ROOT}/people").status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    late = client.get(f"{ROOT}/people")
    assert int(late.headers["retry-after"]) >= 1
    assert client.get("/v1/health").status_code == 200


def test_threads_share_a_bucket() -> None:
    rates = Rates(100, clock=lambda: 0.0)
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: rates.seconds_to_wait("a"), range(4000)))
    assert waits.count(0.0) == 100


def test_buckets_fill_up_with_time() -> None:
    now = [0.0]
    rates = Rates(60, clock=lambda: now[0])
    assert [rates.seconds_to_wait("a") for _ in range(60)] == [0.0] * 60
    assert rates.seconds_to_wait("a") == pytest.approx(1.0)
    assert rates.seconds_to_wait("b") == 0.0
    now[0] = 2.5
    assert [rates.seconds_to_wait("a") for _ in range(3)] == pytest.approx([0.0, 0.0, 0.5])


def test_every_answer_has_safe_headers(serve) -> None:
    client = serve()
    for path in ("/", "/app.js", "/openapi.json", "/v1/health", "/nope", f"{ROOT}/people"):
        headers = client.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"], path
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert client.get(f"{ROOT}/people").headers["cache-control"] == "no-store"


def test_an_image_that_was_sent_is_kept_nowhere(serve, tmp_path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    stream = io.BytesIO()
    import cv2

    stream.write(cv2.imencode(".png", pixels)[1].tobytes())
    client = serve()
    client.post(f"{ROOT}/people", json={"name": "ann", "query": image_of(stream.getvalue())})
    raw = pixels.tobytes()[:4096]
    for path in tmp_path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert stream.getvalue()[100:1000] not in content
            assert raw not in content


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("PUT", "/v1/collections/people/people", 405, "GET, POST"),
        ("GET", "/v1/collections/people/search", 405, "POST"),
        ("DELETE", "/metrics", 405, "GET"),
        ("POST", "/index.html", 405, "GET, HEAD"),
        ("GET", "/v1/nothing", 404, None),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(filled, method, path, status, allowed) -> None:
    answer = filled.request(method, path)
    assert answer.status_code == status
    assert answer.headers.get("Allow") == allowed
    assert answer.headers["Content-Type"] == "application/problem+json"
