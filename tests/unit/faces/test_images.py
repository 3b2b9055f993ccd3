from __future__ import annotations

import contextlib
import os
import struct
import zipfile

import numpy as np
import pytest

from probefusion.errors import FileFormatError, MissingFileError
from probefusion.faces import SkippedImage, decode_image, list_images, read_crop, read_images
from probefusion.faces.image_header import pixel_size
from probefusion.faces.images import fit_crop

cv2 = pytest.importorskip("cv2")


def encode(image, suffix=".png"):
    """Bytes of an RGB image file."""
    if image.ndim == 3:
        image = image[..., [2, 1, 0, 3][: image.shape[2]]]
    done, data = cv2.imencode(suffix, np.ascontiguousarray(image))
    assert done
    return data.tobytes()


@pytest.fixture
def picture(rng):
    return rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm"])
def test_lossless_formats_come_back_as_they_were(picture, suffix):
    decoded = decode_image(encode(picture, suffix))
    np.testing.assert_array_equal(decoded, picture)
    assert decoded.dtype == np.uint8
    assert decoded.flags.c_contiguous


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_formats_keep_colour_order(suffix):
    red = np.zeros((40, 40, 3), np.uint8)
    red[..., 0] = 250
    decoded = decode_image(encode(red, suffix)).mean((0, 1))
    assert decoded[0] > 230
    assert decoded[1:].max() < 20


def test_grey_alpha_and_sixteen_bits_become_plain_colour(rng):
    grey = rng.integers(0, 256, (8, 9), dtype=np.uint8)
    np.testing.assert_array_equal(decode_image(encode(grey)), np.stack([grey] * 3, axis=-1))
    alpha = rng.integers(0, 256, (8, 9, 4), dtype=np.uint8)
    np.testing.assert_array_equal(decode_image(encode(alpha)), alpha[..., :3])
    deep = rng.integers(0, 65536, (8, 9, 3), dtype=np.uint16)
    for suffix in (".png", ".tif"):
        decoded = decode_image(encode(deep, suffix))
        assert decoded.dtype == np.uint8
        assert np.abs(decoded.astype(int) - deep // 256).max() <= 1


@pytest.mark.parametrize(
    "suffix", [".jpg", ".png", ".bmp", ".webp", ".tif", ".ppm", ".pgm", ".pbm"]
)
@pytest.mark.parametrize("shape", [(20, 30), (301, 7)])
def test_sizes_are_read_from_headers(rng, suffix, shape):
    grey = suffix in (".pgm", ".pbm")
    image = rng.integers(0, 256, shape if grey else (*shape, 3), dtype=np.uint8)
    assert pixel_size(encode(image, suffix)) == (shape[1], shape[0])


def test_sizes_of_rarer_headers():
    lossless = cv2.imencode(".webp", np.zeros((5, 9, 3), np.uint8), [cv2.IMWRITE_WEBP_QUALITY, 101])
    assert pixel_size(lossless[1].tobytes()) == (9, 5)
    extended = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\x0f\x27\x00" + b"\x1f\x4e\x00"
    assert pixel_size(extended) == (10000, 20000)
    old_bitmap = b"BM" + bytes(12) + struct.pack("<IHH", 12, 640, 480)
    assert pixel_size(old_bitmap) == (640, 480)
    upside_down = b"BM" + bytes(12) + struct.pack("<Iii", 40, 640, -480)
    assert pixel_size(upside_down) == (640, 480)
    assert pixel_size(b"P6 # a comment\n# more\n12\n34 255\n") == (12, 34)
    big_endian = b"MM\0*" + struct.pack(">IH", 8, 2) + struct.pack(">HHIHH", 256, 3, 1, 70, 0)
    assert pixel_size(big_endian + struct.pack(">HHII", 257, 4, 1, 80)) == (70, 80)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tif", ".ppm"])
def test_no_cut_or_scribbled_file_does_worse_than_a_clean_refusal(
    rng, picture, suffix, capfd, monkeypatch
):
    monkeypatch.setattr("probefusion.faces.decoding.MAX_PIXELS", 10_000)  # keeps it quick
    data = encode(picture, suffix)
    for length in {0, 1, 2, 3, 10, 25, 29, len(data) // 2, len(data) - 20}:
        with pytest.raises(FileFormatError, match=r"^photo: "):
            decode_image(data[:length], source="photo")
    for _ in range(30):  # either an image or an error of ours
        scribbled = bytearray(data)
        for place in rng.integers(0, len(data), 8):
            scribbled[place] = rng.integers(256)
        with contextlib.suppress(FileFormatError):
            assert decode_image(bytes(scribbled)).dtype == np.uint8
    log = capfd.readouterr().err
    assert "ERROR:" not in log
    assert "WARN:" not in log


def test_a_png_that_claims_to_go_on_is_not_decoded(picture, monkeypatch):
    data = bytearray(encode(picture))
    place = data.find(b"IDAT")
    data[place - 4 : place] = struct.pack(">I", 2_400_000_000)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(FileFormatError, match="the end of the file is missing"):
        decode_image(bytes(data))


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (struct.pack(">II", 50_000, 50_000), "50000x50000 pixels, expected at most 100,000,000"),
        (struct.pack(">II", 0, 10), "damaged header"),
    ],
)
def test_absurd_sizes_are_refused_before_decoding(picture, monkeypatch, header, words):
    data = bytearray(encode(picture))
    data[16:24] = header
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(FileFormatError, match=words):
        decode_image(bytes(data))


@pytest.mark.parametrize("data", [b"", b"plain text", b"%PDF-1.4", b"GIF89a" + bytes(50)])
def test_other_files_are_refused(data):
    with pytest.raises(FileFormatError, match=r"^a\.jpg: "):
        decode_image(data, source="a.jpg")


def test_crops_are_brought_to_size(rng):
    crop = rng.integers(0, 256, (112, 112, 3), dtype=np.uint8)
    np.testing.assert_array_equal(read_crop(encode(crop)), crop)
    even = np.full((224, 224, 3), 77, np.uint8)
    np.testing.assert_array_equal(read_crop(encode(even)), even[:112, :112])
    np.testing.assert_array_equal(read_crop(encode(even[:50, :50]), size=64), even[:64, :64])
    with pytest.raises(FileFormatError, match=r"^crop 7: expected an aligned square crop.*96x112"):
        read_crop(encode(crop[:, :96]), source="crop 7")


@pytest.fixture
def tree(tmp_path, picture):
    """A folder with images on two levels, and things that are no images."""
    folder = tmp_path / "photos"
    (folder / "b").mkdir(parents=True)
    (folder / ".cache").mkdir()
    data = encode(picture)
    for name in ("b/2.png", "b/10.PNG", "a.jpeg", ".hidden.png", ".cache/x.png"):
        (folder / name).write_bytes(data)
    (folder / "notes.txt").write_text("no image")
    (folder / "phone.jxl").write_bytes(b"x")
    return folder


def test_folders_are_searched_in_order(tree):
    found, skipped = list_images(tree)
    assert [source.path.relative_to(tree).as_posix() for source in found] == [
        "a.jpeg", "b/10.PNG", "b/2.png",
    ]  # fmt: skip
    assert found[0].name == (tree / "a.jpeg").as_posix()
    ((name, reason),) = [(item.source, item.reason) for item in skipped]
    assert name == (tree / "phone.jxl").as_posix()
    assert reason == "no image: neither its ending nor its first bytes are those of an image"


def test_archives_are_searched_like_folders(tree, tmp_path):
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        for path in sorted(tree.rglob("*"), reverse=True):
            stream.write(path, path.relative_to(tree))
        stream.writestr("__MACOSX/b/._2.png", b"x")
        stream.writestr("inner.zip", b"x")
    found, skipped = list_images([archive])
    assert [source.member for source in found] == ["a.jpeg", "b/10.PNG", "b/2.png"]
    assert found[2].name == f"{archive.as_posix()}/b/2.png"
    assert {item.source.rsplit("/", 1)[1] for item in skipped} == {"phone.jxl", "inner.zip"}
    images = [image for _, image in read_images(found)]
    np.testing.assert_array_equal(images[1], decode_image((tree / "b" / "10.PNG").read_bytes()))


def test_paths_keep_their_order_and_count_as_often_as_given(tree):
    paths = [tree / "b" / "2.png", tree / "a.jpeg", tree / "b" / "2.png", tree / "notes.txt"]
    found, skipped = list_images(map(str, paths))
    assert [source.path for source in found] == paths
    assert skipped == []
    results = [image for _, image in read_images(found)]
    assert isinstance(results[3], SkippedImage)
    np.testing.assert_array_equal(results[0], results[2])


def test_missing_paths_and_false_archives_are_errors(tmp_path):
    with pytest.raises(MissingFileError, match=r"none\.png"):
        list_images([tmp_path / "none.png"])
    false = tmp_path / "false.zip"
    false.write_bytes(b"no archive")
    with pytest.raises(FileFormatError, match=r"false\.zip"):
        list_images(false)


def test_what_cannot_be_read_is_reported_and_the_rest_goes_on(tree, tmp_path, picture):
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        stream.writestr("a.png", encode(picture))
        stream.writestr("b.png", b"no image")
        stream.writestr("c.png", encode(picture))
    data = archive.read_bytes().replace(b"no image", b"no imagf")  # a wrong checksum
    archive.write_bytes(data)
    gone = tree / "gone.png"
    gone.symlink_to(tmp_path / "nowhere.png")
    found, _ = list_images([archive, tree])
    results = {source.name.rsplit("/", 1)[1]: result for source, result in read_images(found)}
    assert len(results) == 7
    skipped = {name for name, result in results.items() if isinstance(result, SkippedImage)}
    assert skipped == {"b.png", "gone.png"}
    assert "CRC" in results["b.png"].reason
    assert "No such file" in results["gone.png"].reason
    assert results["gone.png"].source == gone.as_posix()


def test_an_encrypted_member_is_reported(tmp_path, picture):
    archive = tmp_path / "locked.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        stream.writestr("a.png", encode(picture))
    data = bytearray(archive.read_bytes())
    data[6] |= 1  # the flag in the member's header, then the one in the directory
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    ((_, result),) = read_images(list_images(archive)[0])
    assert "encrypted" in result.reason


def test_huge_files_are_not_read(tree, monkeypatch):
    monkeypatch.setattr("probefusion.faces.images.MAX_FILE_BYTES", 10)
    found, _ = list_images(tree)
    assert all("expected at most 10" in image.reason for _, image in read_images(found))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_things_that_are_no_files_are_not_waited_for(tmp_path):
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    ((_, result),) = read_images(list_images(pipe)[0])
    assert "no file" in result.reason


def test_an_archive_that_vanishes_is_reported(tree, tmp_path):
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        stream.write(tree / "a.jpeg", "1.png")
        stream.write(tree / "a.jpeg", "2.png")
    found, _ = list_images([archive, tree / "a.jpeg"])
    archive.unlink()
    results = [image for _, image in read_images(found)]
    assert [isinstance(image, SkippedImage) for image in results] == [True, True, False]


@pytest.mark.assets
def test_real_crops_are_read_from_their_archive(assets):
    found, skipped = list_images(assets / "data" / "lfw112.zip")
    assert len(found) == 9083
    assert skipped == []
    shapes = {image.shape for _, image in read_images(found[::500])}
    assert shapes == {(112, 112, 3)}


def test_threads_change_neither_images_nor_order(tmp_path) -> None:
    rng = np.random.default_rng(0)
    for number in range(20):
        path = tmp_path / f"{number:02d}.png"
        path.write_bytes(encode(rng.integers(0, 256, (9, 9, 3)).astype(np.uint8), ".png"))
    (tmp_path / "07.png").write_bytes(b"no image")
    sources = list_images(tmp_path)[0]
    alone = list(read_images(sources))
    for settings in ({"num_threads": 3}, {"num_threads": 1, "ahead": 5}):
        together = list(read_images(sources, **settings))
        assert [source for source, _ in together] == sources
        for (_, one), (_, other) in zip(alone, together, strict=True):
            assert isinstance(one, SkippedImage) == isinstance(other, SkippedImage)
            assert one == other if isinstance(one, SkippedImage) else np.array_equal(one, other)


def test_images_are_fitted_where_they_are_decoded(tmp_path) -> None:
    (tmp_path / "a.png").write_bytes(encode(np.zeros((9, 9, 3), np.uint8), ".png"))
    (tmp_path / "b.png").write_bytes(encode(np.zeros((9, 5, 3), np.uint8), ".png"))
    sources = list_images(tmp_path)[0]
    fitted = dict(read_images(sources, num_threads=2, fit=lambda image: fit_crop(image, 4)))
    assert fitted[sources[0]].shape == (4, 4, 3)
    assert "aligned square crop" in fitted[sources[1]].reason
