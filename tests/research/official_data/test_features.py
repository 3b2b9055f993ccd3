from __future__ import annotations

import struct

import numpy as np
import pytest
import torch
from research.official_data.features import (
    export_store,
    extract_images,
    import_features,
    read_class_centres,
)

from probefusion.errors import FileFormatError, IntegrityError, OutputExistsError, ShapeError
from probefusion.training.variant_store import VariantStore, class_centres

MAGIC = bytes([0x0A, 0x23, 0xD7, 0xCE])


def record(label, identifier, payload, labels=()):
    data = struct.pack("<IfQQ", len(labels), label, identifier, 0)
    data += struct.pack(f"<{len(labels)}f", *labels) + payload
    assert MAGIC not in data
    return MAGIC + struct.pack("<I", len(data)) + data + bytes(-len(data) % 4)


def write_records(folder, items):
    """items: (key, label, payload, labels)."""
    folder.mkdir(exist_ok=True)
    blob, index = b"", ""
    for key, label, payload, *labels in items:
        index += f"{key}\t{len(blob)}\n"
        blob += record(label, key, payload, *labels)
    (folder / "train.rec").write_bytes(blob)
    (folder / "train.idx").write_text(index)
    return folder


@pytest.fixture
def features(tmp_path, rng):
    """Three images of two people: 16 x 1280 half floats each, as the official files hold them."""
    rows = rng.standard_normal((3, 16, 1280)).astype("<f2")
    folder = write_records(
        tmp_path / "features", [(n, n // 2, rows[n].tobytes()) for n in range(3)]
    )
    names = ["0_0_0000039/0_573.jpg", "0_0_0000039/0_574.jpg", "0_0_0000004/1_2.jpg"]
    lines = [f"{n}\t{n // 2:f}\t{name}\n" for n, name in enumerate(names)]
    (folder / "train.lst").write_text("".join(lines))
    return folder, rows, names


def test_features_become_a_variant_store(features, tmp_path, rng):
    folder, rows, names = features
    centres = rng.standard_normal((2, 512)).astype(np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    seen = []
    store = import_features(
        folder, tmp_path / "store", embedder="ir_101@1", centres=centres,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert np.array_equal(store.embeddings, rows[:, :, :512])
    # mean and deviation of channel 0, of channel 1, ...
    assert np.array_equal(store.style[..., 0], rows[:, :, 512::2])
    assert np.array_equal(store.style[..., 1], rows[:, :, 513::2])
    assert store.subject_ids == ("0_0_0000004", "0_0_0000039")
    assert store.subjects.tolist() == [1, 1, 0]
    assert store.sources == tuple(names)
    assert store.embedder == "ir_101@1"
    assert np.allclose(class_centres(store), centres, atol=1e-6)
    assert np.array_equal(VariantStore.open(tmp_path / "store").embeddings, store.embeddings)
    with pytest.raises(OutputExistsError):
        import_features(folder, tmp_path / "store", embedder="x")


def test_without_class_centres_the_variants_stand_in(features, tmp_path):
    folder, rows, _ = features
    store = import_features(folder, tmp_path / "store", embedder="ir_101@1")
    assert "variants" in store.facts["content"]
    single = rows[2, :, :512].astype(np.float64)
    mean = (single / np.linalg.norm(single, axis=1, keepdims=True)).mean(axis=0)
    assert np.allclose(class_centres(store)[0], mean / np.linalg.norm(mean), atol=1e-5)


def test_features_that_do_not_fit(features, tmp_path, rng):
    folder, rows, _ = features
    with pytest.raises(ShapeError, match=r"expected \(2, 512\)"):
        import_features(
            folder, tmp_path / "s", embedder="x", centres=np.zeros((3, 512), np.float32)
        )
    with pytest.raises(FileFormatError, match=r"train\.rec, byte 0: expected 7 rows"):
        import_features(folder, tmp_path / "s", embedder="x", num_variants=7)
    bad = rows.copy()
    bad[1, 3, 5] = np.nan
    for payload, words in ((rows[1].tobytes()[:-2], "bytes"), (bad[1].tobytes(), "NaN")):
        items = [(0, 0, rows[0].tobytes()), (1, 0, payload), (2, 1, rows[2].tobytes())]
        write_records(folder, items)
        target = tmp_path / f"bad {words}"
        with pytest.raises(FileFormatError, match=rf"train\.rec, byte 40992: .*{words}"):
            import_features(folder, target, embedder="x")
        assert not (target / "store.json").exists()


def test_parquet_and_back(features, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    store = import_features(features[0], tmp_path / "store", embedder="ir_101@1")
    assert export_store(store, tmp_path / "store.parquet") == 48
    table = parquet.read_table(tmp_path / "store.parquet")
    assert table.schema.metadata[b"embedder"] == b"ir_101@1"
    assert table.column("subject_id").to_pylist()[31:33] == ["0_0_0000039", "0_0_0000004"]
    assert table.column("variant").to_pylist() == [*range(16)] * 3
    row = np.asarray(table.column("embedding").to_pylist()[17], np.float16)
    assert np.array_equal(row, store.embeddings[1, 1])
    style = np.asarray(table.column("style").to_pylist()[17], np.float16).reshape(-1, 2)
    assert np.array_equal(style, store.style[1, 1])
    with pytest.raises(OutputExistsError):
        export_store(store, tmp_path / "store.parquet")


def test_image_records_of_insightface(tmp_path):
    jpeg = b"\xff\xd8\xff" + bytes(range(50))
    png = b"\x89PNG" + bytes(20)
    folder = write_records(
        tmp_path / "faces",
        [
            (0, 0, b"", (4.0, 6.0)),
            (1, 0, jpeg),
            (2, 0, jpeg + b"2"),
            (3, 17, png),
            (4, 0, b"", (1.0, 3.0)),  # a person: its images are 1 and 2
            (5, 0, b"", (3.0, 4.0)),
        ],
    )
    assert extract_images(folder / "train.rec", tmp_path / "out") == 3
    found = {
        str(path.relative_to(tmp_path / "out")): path.read_bytes()
        for path in sorted((tmp_path / "out").rglob("*.*"))
    }
    assert found == {
        "0000000/00000001.jpg": jpeg,
        "0000000/00000002.jpg": jpeg + b"2",
        "0000017/00000003.png": png,
    }
    with pytest.raises(OutputExistsError):
        extract_images(folder / "train.rec", tmp_path / "out")
    for label, payload, words in ((0, b"GIF89a", "JPEG or PNG"), (0.5, jpeg, "person's number")):
        write_records(folder, [(1, label, payload)])
        with pytest.raises(FileFormatError, match=rf"train\.rec, byte 0: .*{words}"):
            extract_images(folder / "train.rec", tmp_path / f"out {words}")


@pytest.mark.parametrize("filler", [b"", b"\0", b"\0\0\0\0"])
def test_the_totals_are_found_wherever_the_index_names_them(tmp_path, filler):
    jpeg = b"\xff\xd8\xff" + bytes(50)
    items = [(0, 0, filler, (3.0, 4.0)), (1, 5, jpeg), (2, 6, jpeg), (3, 0, b"", (1.0, 3.0))]
    folder = write_records(tmp_path / "faces", items)
    index = (folder / "train.idx").read_text().splitlines()
    for number, order in enumerate(([0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0])):
        (folder / "train.idx").write_text("\n".join(index[place] for place in order) + "\n")
        output = tmp_path / f"out{number}"
        assert extract_images(folder / "train.rec", output) == 2
        assert sorted(path.name for path in output.iterdir()) == ["0000005", "0000006"]


def test_numbers_of_people_that_float32_does_not_tell_apart_are_told(tmp_path):
    jpeg = b"\xff\xd8\xff" + bytes(50)
    sure = write_records(tmp_path / "sure", [(0, 16_777_214, jpeg), (1, 16_777_215, jpeg)])
    assert extract_images(sure / "train.rec", tmp_path / "a") == 2
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["16777214", "16777215"]
    unsure = write_records(tmp_path / "unsure", [(0, 16_777_216, jpeg), (1, 16_777_217, jpeg)])
    with pytest.warns(UserWarning, match="byte 0: .*several people may lie in one folder"):
        assert extract_images(unsure / "train.rec", tmp_path / "b") == 2
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["16777216"]


def test_a_failed_run_leaves_no_folder_behind(tmp_path):
    jpeg = b"\xff\xd8\xff" + bytes(50)
    folder = write_records(tmp_path / "faces", [(0, 3, jpeg), (1, 3, jpeg), (2, 3, b"GIF89a")])
    for _ in range(2):  # the next run is not refused because of the last one
        with pytest.raises(FileFormatError, match="JPEG or PNG"):
            extract_images(folder / "train.rec", tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_class_centre_files(tmp_path, rng):
    centres = rng.standard_normal((4, 512)).astype(np.float32)
    content = {"center": torch.from_numpy(centres), "model": "a.ckpt", "dataset": "webface"}
    torch.save(content, tmp_path / "center.pth")
    np.save(tmp_path / "center.npy", centres)
    for name in ("center.pth", "center.npy"):
        assert np.array_equal(read_class_centres(tmp_path / name), centres)
    torch.save({"weights": torch.zeros(3, 3)}, tmp_path / "other.pth")
    with pytest.raises(FileFormatError, match="expected a tensor 'center'"):
        read_class_centres(tmp_path / "other.pth")
    np.save(tmp_path / "flat.npy", centres[0])
    with pytest.raises(FileFormatError, match=r"\(S, D\)"):
        read_class_centres(tmp_path / "flat.npy")
    np.save(tmp_path / "object.npy", np.array([{}], dtype=object))
    with pytest.raises(FileFormatError, match="plain array"):
        read_class_centres(tmp_path / "object.npy")

    class Evil:
        def __reduce__(self):
            return print, ("run",)

    torch.save({**content, "model": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(IntegrityError):
        read_class_centres(tmp_path / "evil.pth")
