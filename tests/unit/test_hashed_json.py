"""JSON files of ours say what they were written with, or are refused."""

from __future__ import annotations

import json

import pytest

from probefusion.errors import FileFormatError, IntegrityError
from probefusion.files.hashed_json import (
    HASH_KEY,
    check_json_hash,
    hashed_json,
    json_hash,
    renew_hash,
)
from probefusion.files.records import decode_record

CONTENT = {"name": "ä", "share": 0.1, "parts": [1, 2.0, None, {"a": True}]}


def test_the_hash_is_over_what_is_said() -> None:
    same = '{"parts": [1, 2.00, null, {"a": true}],\n "share": 1e-1, "name": "\\u00e4"}'
    assert json_hash(json.loads(same)) == json_hash(CONTENT)
    assert json_hash({**CONTENT, HASH_KEY: "x"}) == json_hash(CONTENT)
    assert json_hash({"a": (1, 2)}) == json_hash({"a": [1, 2]})
    assert json_hash({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    for other in (
        {"share": 0.2},
        {"parts": [1, 2, None, {"a": True}]},
        {"name": "a"},
        {"more": None},
    ):
        assert json_hash(CONTENT | other) != json_hash(CONTENT)


@pytest.mark.parametrize("indent", [None, 2])
def test_written_read_and_left_out(indent) -> None:
    data = hashed_json(CONTENT, indent=indent)
    assert data.endswith(b"}\n")
    assert json.loads(data)[HASH_KEY] == json_hash(CONTENT)
    assert decode_record(data, dict, where="a.json") == CONTENT
    assert hashed_json(json.loads(data), indent=indent) == data


def test_another_content_is_refused() -> None:
    data = hashed_json(CONTENT).replace(b"0.1", b"0.3")
    with pytest.raises(IntegrityError, match=r"a\.json: what it says is not .* Copy it\."):
        decode_record(data, dict, where="a.json", step="Copy it.")


def test_a_hash_is_asked_for_from_a_version_on() -> None:
    def read(**content) -> dict:
        data = json.dumps(content).encode()
        return decode_record(data, dict, where="a.json", newest=3, hashed_from=2)

    assert read(format_version=1, a=5) == {"format_version": 1, "a": 5}
    with pytest.raises(FileFormatError, match=f"a.json: {HASH_KEY}: expected the SHA-256"):
        read(format_version=2, a=5)
    assert check_json_hash({"a": 1}, where="a.json") == {"a": 1}
    with pytest.raises(FileFormatError, match="missing"):
        check_json_hash({"a": 1}, where="a.json", is_needed=True)


def test_nesting_without_end_is_no_traceback() -> None:
    data = b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b', "content_sha256": "0"}'
    with pytest.raises((FileFormatError, IntegrityError), match=r"a\.json"):
        decode_record(data, dict, where="a.json")


def test_a_hash_is_renewed_and_all_else_stays(tmp_path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{\n  "b": [1,  2],\n  "a": {}\n}\n')
    renew_hash(path)
    text = path.read_text()
    assert text.startswith('{\n  "b": [1,  2],\n  "a": {},\n  "content_sha256": "')
    assert decode_record(path.read_bytes(), dict, where="a") == {"b": [1, 2], "a": {}}
    path.write_text(text.replace("1,  2", "1,  3"))
    with pytest.raises(IntegrityError):
        decode_record(path.read_bytes(), dict, where="a")
    renew_hash(path)
    assert decode_record(path.read_bytes(), dict, where="a") == {"b": [1, 3], "a": {}}
    for wrong in ("[1]", "{}", "{", '"a"'):
        path.write_text(wrong)
        with pytest.raises(FileFormatError, match=r"a\.json"):
            renew_hash(path)
        assert path.read_text() == wrong


def test_a_byte_order_mark_stays_where_a_hash_is_renewed(tmp_path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": "\xc3\xa4"}\r\n')
    for _ in range(2):
        renew_hash(path)
        data = path.read_bytes()
        assert data.startswith(b'\xef\xbb\xbf{"a": "\xc3\xa4",\n  "content_sha256": "')
        assert decode_record(data, dict, where="a", hashed_from=1) == {"a": "ä"}
    path.write_bytes('{"a": 1}'.encode("utf-16"))
    with pytest.raises(FileFormatError, match=r"a\.json: expected JSON in UTF-8"):
        renew_hash(path)


@pytest.mark.parametrize(
    "value", ["null", "12", '"a\\"b"', '{"content_sha256": "x"}', "[]", '"x" ']
)
def test_whatever_stands_in_place_of_the_hash_is_renewed(tmp_path, value) -> None:
    path = tmp_path / "a.json"
    path.write_text(f'{{"a":  1, "content_sha256" : {value}, "b": {{}}}}')
    renew_hash(path)
    digest = json_hash({"a": 1, "b": {}})
    left = value[len(value.rstrip()) :]
    assert path.read_text() == f'{{"a":  1, "content_sha256" : "{digest}"{left}, "b": {{}}}}'


def test_hashes_of_what_lies_inside_stay_as_they_are(tmp_path) -> None:
    path = tmp_path / "a.json"
    inner = '"part": {"content_sha256": "of the part"}, "text": "\\"content_sha256\\": \\"x\\""'
    path.write_text(f'{{{inner}, "content_sha256": "old"}}')
    renew_hash(path)
    data = path.read_text()
    assert data.startswith(f'{{{inner}, "content_sha256": "')
    assert json.loads(data)[HASH_KEY] == json_hash(json.loads(data))
    path.write_text(f"{{{inner}}}")
    renew_hash(path)
    assert json.loads(path.read_text())[HASH_KEY] == json.loads(data)[HASH_KEY]


@pytest.mark.parametrize("indent", [None, 2])
def test_half_a_surrogate_pair_is_written_as_its_escape(indent) -> None:
    for text in ("a\udc80ä", "\ud83d", "\ud83d\ude00"):
        data = hashed_json({"a": text, text: 1}, indent=indent)
        whole = json.loads(json.dumps(text))  # a pair that is whole becomes its sign
        assert decode_record(data, dict, where="a") == {"a": whole, whole: 1}
        assert ("ä".encode() in data) == (indent == 2 and "ä" in text)


def test_other_ways_to_write_a_number() -> None:
    def of(number: str) -> str:
        return json_hash(json.loads(f'{{"a": {number}}}'))

    assert of("0.1") == of("1e-1") == of("0.100")
    assert of("2.0") == of("2.00") == of("2e0")
    assert of("2") != of("2.0")
