"""The master key comes from the environment or a private file, and appears nowhere."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import stat
from pathlib import Path

import pytest

from probefusion.errors import (
    ConfigError,
    FileFormatError,
    MissingFileError,
    OutputExistsError,
    ProbeFusionError,
    SealError,
)
from probefusion.gallery.keys.master_key import (
    WRAPPED_BYTES,
    KeyWrap,
    MasterKey,
    derive,
    read_master_key,
    write_master_key,
)

SECRET = bytes(range(100, 132))
VARIABLE = "PROBEFUSION_MASTER_KEY"


def private(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(SECRET).decode(),
        base64.b64encode(SECRET).decode().rstrip("="),
        SECRET.hex(),
        SECRET.hex().upper(),
        f"  {SECRET.hex()}\n",
    ],
)
def test_all_spellings_give_the_same_key(text: str, tmp_path: Path) -> None:
    found = read_master_key(environment={VARIABLE: text})
    assert found is not None
    assert found.secret == SECRET
    in_file = read_master_key(private(tmp_path / "key", text.encode()))
    assert in_file is not None
    assert in_file.secret == SECRET


def test_the_alphabet_for_addresses_is_read_too() -> None:
    secret = bytes([251, 255, 190] * 10 + [1, 2, 3, 4, 5, 6])[4:]
    text = base64.urlsafe_b64encode(secret).decode()
    assert "-" in text or "_" in text
    found = read_master_key(environment={VARIABLE: text})
    assert found is not None
    assert found.secret == secret


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "secret",
        SECRET.hex()[:-2],
        SECRET.hex() + "00",
        SECRET.hex()[:43],  # hexadecimal digits, which base64 would take for 32 other bytes
        base64.b64encode(SECRET[:16]).decode(),
        base64.b64encode(SECRET + b"\x00").decode(),
        base64.b64encode(SECRET).decode()[:-3] + "é=",
        SECRET.hex()[:40] + " " + SECRET.hex()[40:],
        "\x00" * 32,
    ],
)
def test_anything_else_is_refused_without_showing_it(text: str, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=f"environment variable {VARIABLE}: expected 32 random bytes"
    ) as caught:
        read_master_key(environment={VARIABLE: text})
    assert not text.strip() or text.strip()[:6] not in str(caught.value)
    with pytest.raises(ConfigError, match=r"master key file .*expected 32 random bytes"):
        read_master_key(private(tmp_path / "key", text.encode()))


@pytest.mark.parametrize("secret", [bytes(32), b"k" * 32, b"abcdefg" * 4 + b"abcd"])
def test_bytes_that_nobody_drew_are_refused(secret: bytes) -> None:
    with pytest.raises(ConfigError, match="bytes that repeat"):
        read_master_key(environment={VARIABLE: secret.hex()})


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_master_key_of_another_size_is_refused(length: int) -> None:
    with pytest.raises(ConfigError, match=f"got {length} bytes"):
        MasterKey(secret=bytes(range(length)))


def test_no_variable_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_master_key(environment={}) is None
    monkeypatch.delenv(VARIABLE, raising=False)
    assert read_master_key() is None
    monkeypatch.setenv(VARIABLE, SECRET.hex())
    assert read_master_key() == MasterKey(secret=SECRET)


def test_a_named_file_wins_over_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "not a key")
    assert read_master_key(private(tmp_path / "key", SECRET.hex().encode())) == MasterKey(
        secret=SECRET
    )


def test_a_new_file_is_private_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    before = os.umask(0)
    try:
        key = write_master_key(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = read_master_key(path)
    assert found is not None
    assert found.secret == key.secret
    content = path.read_bytes()
    with pytest.raises(OutputExistsError):
        write_master_key(path)
    assert path.read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["master.key"]


def test_a_given_key_is_written_as_it_is(tmp_path: Path) -> None:
    write_master_key(tmp_path / "key", MasterKey(secret=SECRET))
    assert (tmp_path / "key").read_bytes() == base64.b64encode(SECRET) + b"\n"


def test_a_file_that_could_not_be_written_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_master_key(tmp_path / "key")
    assert list(tmp_path.iterdir()) == []


def test_new_keys_differ() -> None:
    assert len({MasterKey.generate().secret for _ in range(20)}) == 20


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o200])
def test_private_modes_are_read(mode: int, tmp_path: Path) -> None:
    path = private(tmp_path / "key", SECRET.hex().encode(), mode)
    if not os.access(path, os.R_OK):
        with pytest.raises(FileFormatError, match="cannot be read"):
            read_master_key(path)
    else:
        assert read_master_key(path) == MasterKey(secret=SECRET)


@pytest.mark.parametrize(
    "mode", [0o604, 0o640, 0o660, 0o644, 0o620, 0o602, 0o610, 0o601, 0o700, 0o777]
)
def test_a_file_that_others_may_open_is_refused(mode: int, tmp_path: Path) -> None:
    path = private(tmp_path / "key", SECRET.hex().encode(), mode)
    with pytest.raises(ConfigError, match=rf"0600 or fewer, got {mode:04o}.*chmod 600"):
        read_master_key(path)


def test_a_file_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = private(tmp_path / "key", SECRET.hex().encode())
    owner = os.geteuid()
    monkeypatch.setattr("os.geteuid", lambda: owner + 1)
    with pytest.raises(ConfigError, match=f"one of user {owner}"):
        read_master_key(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="does not exist"):
        read_master_key(tmp_path / "nowhere")
    with pytest.raises(MissingFileError, match="does not exist"):
        read_master_key(tmp_path / "nowhere" / "key")
    with pytest.raises(FileFormatError, match="folder, pipe or device"):
        read_master_key(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(FileFormatError, match="folder, pipe or device"):
        read_master_key(tmp_path / "pipe")
    with pytest.raises(FileFormatError, match="longer file"):
        read_master_key(private(tmp_path / "long", b"a" * 5000))


def hkdf(secret: bytes, purpose: str) -> bytes:
    """RFC 5869 with SHA-256, no salt, one block, written out."""
    extracted = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    parts = (b"probefusion", purpose.encode())
    info = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def test_derived_bytes_are_those_of_rfc_5869() -> None:
    assert derive(SECRET, "audit") == hkdf(SECRET, "audit")
    assert derive(SECRET, "audit") != derive(SECRET, "other")
    assert MasterKey(secret=SECRET).fingerprint == hkdf(SECRET, "fingerprint")[:8].hex()


def test_a_master_key_shows_its_fingerprint_alone() -> None:
    key = MasterKey(secret=SECRET)
    assert repr(key) == f"MasterKey(fingerprint={key.fingerprint!r})"
    assert key == MasterKey(secret=SECRET)
    assert key != MasterKey.generate()
    for form in (SECRET.hex(), repr(SECRET)[2:-1], base64.b64encode(SECRET).decode()):
        assert form not in f"{key} {key!r} {KeyWrap(key)!r}"


def test_a_wrapped_key_opens_for_its_id_and_master_alone() -> None:
    wrap = KeyWrap(MasterKey(secret=SECRET))
    secret = bytes(range(32))
    wrapped = wrap.wrap(secret, "k1")
    assert len(wrapped) == WRAPPED_BYTES == 68
    assert wrap.unwrap(wrapped, "k1") == secret
    assert wrap.wrap(secret, "k1") != wrapped
    others = [(wrap, wrapped, "k2"), (KeyWrap(MasterKey.generate()), wrapped, "k1")]
    others += [(wrap, wrapped[:length], "k1") for length in range(len(wrapped))]
    for bit in range(8 * len(wrapped)):
        changed = bytearray(wrapped)
        changed[bit // 8] ^= 1 << bit % 8
        others.append((wrap, bytes(changed), "k1"))
    for by, data, key_id in others:
        with pytest.raises(SealError, match="does not open"):
            by.unwrap(data, key_id)


def test_without_the_package_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cryptography.hazmat.primitives.kdf.hkdf", None)
    with pytest.raises(ProbeFusionError, match=r"pip install 'probefusion\[gallery\]'"):
        MasterKey(secret=SECRET)
