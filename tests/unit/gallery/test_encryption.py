"""Sealed bytes open with their key, at their place, unchanged; and in no other case."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from probefusion.errors import ConfigError, SealError
from probefusion.gallery.keys.encryption import (
    Cipher,
    DataKey,
    NoEncryption,
    Place,
    Sealing,
    join_parts,
)

PLACE = Place(collection="main", subject="c1", what="features", of="e" * 64)
KEY = DataKey(id="k1", secret=bytes(range(32)))
PLAIN = b"plaintxt"

BOTH = pytest.mark.parametrize(
    ("sealing", "key"), [(Cipher(), KEY), (NoEncryption(), None)], ids=["cipher", "none"]
)


@BOTH
@given(plain=st.binary(max_size=300))
def test_what_was_sealed_opens_as_it_was(
    sealing: Sealing, key: DataKey | None, plain: bytes
) -> None:
    sealed = sealing.seal(plain, PLACE, key)
    assert sealing.open(sealed, PLACE, key) == plain


@BOTH
def test_every_flipped_bit_is_refused(sealing: Sealing, key: DataKey | None) -> None:
    sealed = sealing.seal(PLAIN, PLACE, key)
    for bit in range(8 * len(sealed)):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealError):
            sealing.open(bytes(changed), PLACE, key)


@BOTH
def test_every_truncation_and_extension_is_refused(sealing: Sealing, key: DataKey | None) -> None:
    sealed = sealing.seal(PLAIN, PLACE, key)
    others = [sealed[:length] for length in range(len(sealed))]
    others += [sealed[start:] for start in range(1, len(sealed))]
    others += [sealed + b"\x00", b"\x00" + sealed, sealed + sealed]
    for other in others:
        with pytest.raises(SealError):
            sealing.open(other, PLACE, key)


@BOTH
@pytest.mark.parametrize(
    "change",
    [
        {"collection": "other"},
        {"subject": "c2"},
        {"what": "state"},
        {"of": "f" * 64},
        {"version": 2},
        {"collection": "mainc", "subject": "1"},  # the same letters, cut elsewhere
        {"subject": "", "what": "c1features"},
        {"what": "featurese", "of": "e" * 63},
    ],
)
def test_no_other_place_opens_it(
    sealing: Sealing, key: DataKey | None, change: dict[str, str]
) -> None:
    sealed = sealing.seal(PLAIN, PLACE, key)
    with pytest.raises(SealError, match="do not open"):
        sealing.open(sealed, dataclasses.replace(PLACE, **change), key)


def test_rows_that_were_swapped_between_contributions_are_refused() -> None:
    first, second = (
        Place(collection="main", subject=name, what="features") for name in ("c1", "c2")
    )
    sealed = {
        place.subject: Cipher().seal(place.subject.encode(), place, KEY)
        for place in (first, second)
    }
    with pytest.raises(SealError, match="'c1'"):
        Cipher().open(sealed["c2"], first, KEY)
    with pytest.raises(SealError, match="'c2'"):
        Cipher().open(sealed["c1"], second, KEY)


def test_another_key_is_refused_and_nothing_is_told() -> None:
    sealed = Cipher().seal(PLAIN, PLACE, KEY)
    other = DataKey(id="k1", secret=bytes(range(1, 33)))
    with pytest.raises(SealError) as caught:
        Cipher().open(sealed, PLACE, other)
    told = f"{caught.value!r} {caught.value.__cause__!r}"
    assert "plaintxt" not in told
    assert other.secret.hex() not in told
    assert "\n" not in str(caught.value)


def test_the_form_is_that_of_aes_256_gcm() -> None:
    sealed = Cipher().seal(PLAIN, PLACE, KEY)
    parts = [b"\x01"]
    bound = b"".join(
        len(part).to_bytes(8, "big") + part
        for part in (b"main", b"c1", b"features", b"e" * 64, b"1")
    )
    parts.append(bound)
    associated = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    assert AESGCM(bytes(range(32))).decrypt(sealed[1:13], sealed[13:], associated) == PLAIN
    assert len(sealed) == 1 + 12 + len(PLAIN) + 16


def test_plain_bytes_stand_behind_a_checksum() -> None:
    sealed = NoEncryption().seal(PLAIN, PLACE, None)
    encoded = join_parts(b"\x00", PLACE.encoded(), PLAIN)
    assert sealed == b"\x00" + hashlib.sha256(encoded).digest()[:16] + PLAIN


def test_each_seal_has_a_nonce_of_its_own() -> None:
    seals = {Cipher().seal(PLAIN, PLACE, KEY) for _ in range(200)}
    assert len({sealed[1:13] for sealed in seals}) == 200


def test_encrypted_and_plain_bytes_are_never_mixed() -> None:
    with pytest.raises(SealError, match="expected encrypted bytes, got plain"):
        Cipher().open(NoEncryption().seal(PLAIN, PLACE, None), PLACE, KEY)
    with pytest.raises(SealError, match="with its master key"):
        NoEncryption().open(Cipher().seal(PLAIN, PLACE, KEY), PLACE, None)


def test_a_missing_or_needless_key_is_refused() -> None:
    for call in (Cipher().seal, Cipher().open):
        with pytest.raises(ConfigError, match="expected a key"):
            call(PLAIN, PLACE, None)
    for call in (NoEncryption().seal, NoEncryption().open):
        with pytest.raises(ConfigError, match="expected no key, got 'k1'"):
            call(PLAIN, PLACE, KEY)


@pytest.mark.parametrize("length", [0, 16, 24, 31, 33, 64])
def test_a_key_of_another_size_is_refused(length: int) -> None:
    with pytest.raises(ConfigError, match=f"expected 32 bytes, got {length}"):
        DataKey(id="k", secret=bytes(length))


def test_a_key_shows_its_id_alone() -> None:
    assert repr(KEY) == "DataKey(id='k1')"


def test_too_much_at_once_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probefusion.gallery.keys.encryption.LARGEST_PLAIN", 4)
    for sealing, key in ((Cipher(), KEY), (NoEncryption(), None)):
        with pytest.raises(ConfigError, match="at most 4 bytes, got 8"):
            sealing.seal(PLAIN, PLACE, key)


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_different_parts_give_different_bytes(first: list[bytes], second: list[bytes]) -> None:
    assert (join_parts(*first) == join_parts(*second)) == (first == second)
