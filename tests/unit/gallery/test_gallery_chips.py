"""Small pictures of faces: given with images, shown by the image's id, gone with the image."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from gallery_people import MadeUp
from probefusion.errors import ConfigError, DtypeError, InvalidInputError, ShapeError
from probefusion.fusion import MeanFuser
from probefusion.gallery import Gallery, MasterKey
from probefusion.types import EmbeddingSet

PEOPLE = MadeUp()


def picture(number: int) -> bytes:
    """Bytes that begin as a JPEG picture does and are like no other."""
    return b"\xff\xd8\xff\xe0" + np.random.default_rng(number).bytes(300)


@pytest.fixture(params=[False, True], ids=["plain", "sealed"])
def gallery(request, tmp_path):
    if request.param:
        pytest.importorskip("cryptography")
    keys = MasterKey.generate() if request.param else None
    with Gallery(tmp_path / "people.db", fuser="mean", keys=keys) as opened:
        yield opened


def ids_of(gallery, name):
    return [image.id for each in gallery.person(name).contributions for image in each.images]


def bytes_of(folder):
    """All bytes of a folder's files; read by another process, since closing a file drops SQLite's locks."""
    code = (
        "import sys; from pathlib import Path; "
        "[sys.stdout.buffer.write(p.read_bytes()) for p in sorted(Path(sys.argv[1]).iterdir())]"
    )
    return subprocess.run(
        [sys.executable, "-c", code, str(folder)], check=True, capture_output=True
    ).stdout


def test_pictures_are_shown_by_the_id_of_the_image(gallery, tmp_path):
    gallery.enroll("ann", PEOPLE.images(0, 0), chips=[picture(0), None, picture(2)])
    gallery.update("ann", PEOPLE.images(0, 1, 1), chips=[picture(3)])
    gallery.enroll("bob", PEOPLE.images(1, 0))
    told = {
        image.source: (gallery.chip(image.id), image.has_chip)
        for each in gallery.person("ann").contributions
        for image in each.images
    }
    assert told == {
        "0/0/0.jpg": (picture(0), True),
        "0/0/1.jpg": (None, False),
        "0/0/2.jpg": (picture(2), True),
        "0/1/0.jpg": (picture(3), True),
    }
    assert [gallery.chip(item) for item in ids_of(gallery, "bob")] == [None] * 3
    assert (picture(0) in bytes_of(tmp_path)) is not gallery.is_encrypted


def test_pictures_that_images_carry_are_kept(gallery):
    images = PEOPLE.images(0, 0)
    carried = EmbeddingSet(
        embeddings=images.embeddings,
        embedder=images.embedder,
        chips=[picture(0), picture(1), None],
    )
    joined = EmbeddingSet.concatenate([carried[[1, 0]], carried[2:]])
    gallery.enroll("ann", [joined])
    assert [gallery.chip(item) for item in ids_of(gallery, "ann")] == [picture(1), picture(0), None]


def test_pictures_go_where_their_images_go_and_come_back(gallery):
    gallery.enroll("ann", PEOPLE.images(0, 0), chips=[picture(0), picture(1), None])
    gallery.enroll("bob", PEOPLE.images(1, 0))
    moved = gallery.move("bob", images=ids_of(gallery, "ann")[:1])
    assert [gallery.chip(item) for item in ids_of(gallery, "bob")].count(picture(0)) == 1
    gallery.undo(moved)
    assert [gallery.chip(item) for item in ids_of(gallery, "ann")] == [picture(0), picture(1), None]


def test_a_picture_is_forgotten_with_its_image_and_others_stay(gallery, tmp_path):
    gallery.enroll("ann", PEOPLE.images(0, 0), chips=[picture(0), picture(1), picture(2)])
    gallery.enroll("bob", PEOPLE.images(1, 0), chips=[picture(3), None, None])
    assert gallery.forget(image=ids_of(gallery, "ann")[1]).status == "erased"
    assert [gallery.chip(item) for item in ids_of(gallery, "ann")] == [picture(0), picture(2)]
    assert picture(1) not in bytes_of(tmp_path)
    assert gallery.forget("ann").status == "erased"
    data = bytes_of(tmp_path)
    assert not any(picture(number) in data for number in range(3))
    assert gallery.chip(ids_of(gallery, "bob")[0]) == picture(3)
    gallery.compact("bob")
    assert picture(3) not in bytes_of(tmp_path)


@pytest.mark.parametrize(
    ("chips", "error", "match"),
    [
        (b"one", DtypeError, "expected a list of JPEG bytes"),
        ([picture(0)], ShapeError, r"one entry per image \(3\), got 1"),
        ([b"\x89PNG", None, None], DtypeError, "got bytes at image 0"),
        ([None, "text", None], DtypeError, "got str at image 1"),
        ([None, None, picture(0) + bytes(1 << 16)], InvalidInputError, "at most 65,536 bytes"),
    ],
)
def test_what_is_no_small_picture_is_refused(gallery, chips, error, match):
    with pytest.raises(error, match=f"^chips.*{match}"):
        gallery.enroll("ann", PEOPLE.images(0, 0), chips=chips)
    assert len(gallery) == 0


def test_states_have_no_pictures(tmp_path):
    with (
        Gallery(tmp_path / "people.db", fuser="mean", keep="state") as gallery,
        pytest.raises(ConfigError, match=r"^chips: expected none, as a gallery that keeps"),
    ):
        gallery.enroll("ann", PEOPLE.images(0, 0), chips=[picture(0)] * 3)
    with Gallery(tmp_path / "other.db", fuser="mean") as gallery:
        state = MeanFuser().encode(PEOPLE.images(0, 0))
        with pytest.raises(ConfigError, match=r"^chips: expected none, as a state has no images"):
            gallery.enroll("ann", state, chips=[picture(0)] * 3)
