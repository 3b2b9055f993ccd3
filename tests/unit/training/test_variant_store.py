from __future__ import annotations

import json

import numpy as np
import pytest

from probefusion.errors import (
    ConfigError,
    EmptySetError,
    FileFormatError,
    IntegrityError,
    MismatchError,
    MissingFileError,
)
from probefusion.training.extraction import extract_variants
from probefusion.training.store_files import CHECKED, StoreProgress
from probefusion.training.variant_store import VariantStore, class_centres


def test_shapes_and_contents(store, extraction) -> None:
    people, read_image, embedder, _ = extraction
    count = sum(map(len, people.values()))
    assert store.embeddings.shape == (count, 4, 12)
    assert store.style.shape == (count, 4, 6, 2)
    assert store.clean.shape == (count, 2, 12)
    row = store.sources.index("p1/1")
    image = read_image("p1/1")
    expected = embedder().embed(np.stack([image, image[:, ::-1]]))[0]
    # Another batch rounds otherwise.
    assert np.allclose(store.clean[row], expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert store.subject_ids[store.subjects[row]] == "p1"


def test_a_killed_extraction_goes_on_and_gives_the_same(tmp_path, store, extraction) -> None:
    people, read_image, embedder, draw = extraction
    given = {"recipe": "test", "block_images": 4}
    with pytest.raises(KeyboardInterrupt):
        extract_variants(people, read_image, embedder(12), draw, tmp_path / "again", **given)
    with pytest.raises(FileFormatError, match="only 0 of"):
        VariantStore.open(tmp_path / "again")
    rest = embedder()
    seen = []
    again = extract_variants(
        people, read_image, rest, draw, tmp_path / "again",
        recipe="test", progress=lambda *done: seen.append(done),
    )  # fmt: skip
    # One call sized the files, ten embedded an image: two blocks of four are kept.
    assert rest.calls == len(store.sources) - 8
    assert seen == [(number, len(store.sources)) for number in range(9, len(store.sources) + 1)]
    assert np.array_equal(again.embeddings, store.embeddings)
    assert np.array_equal(again.style, store.style)
    files = {path.name for path in (tmp_path / "again").iterdir()}
    assert files == {"store.json", "progress.json", "checks.npy", *CHECKED}


def test_images_that_cannot_be_read_are_left_out_and_listed(tmp_path, store, extraction) -> None:
    people, read_image, embedder, draw = extraction
    gone = {"p0/0", "p4/1", "p11/2"}

    def read(name):
        if name in gone:
            raise FileFormatError(f"{name}: no picture")
        return read_image(name)

    part = extract_variants(people, read, embedder(), draw, tmp_path / "part", recipe="test")
    assert [(image.source, image.reason) for image in part.skipped] == [
        (name, f"{name}: no picture") for name in ("p0/0", "p11/2", "p4/1")
    ]
    assert part.sources == tuple(name for name in store.sources if name not in gone)
    assert part.subject_ids == tuple(name for name in store.subject_ids if name != "p0")
    rows = [store.sources.index(name) for name in part.sources]
    assert np.array_equal(part.embeddings, store.embeddings[rows])
    assert np.array_equal(part.clean, store.clean[rows])
    whose = [part.subject_ids[subject] for subject in part.subjects]
    assert whose == [name.split("/")[0] for name in part.sources]
    assert np.array_equal(class_centres(part)[-1], class_centres(store)[-1])
    gone.update(store.sources)
    with pytest.raises(EmptySetError, match=r"none of the 24 images can be read, the first: p0/0"):
        extract_variants(people, read, embedder(), draw, tmp_path / "none", recipe="test")


def test_a_part_of_a_store_reads_its_own_rows(store) -> None:
    part = store.of_people(["p7", "p2"])
    assert part.subject_ids == ("p2", "p7")
    rows = [store.sources.index(name) for name in part.sources]
    assert np.array_equal(part.embeddings, store.embeddings[rows])
    assert np.array_equal(
        part.style[[1, 0, 1]], np.asarray(store.style)[[rows[1], rows[0], rows[1]]]
    )
    assert part.of_people(["p7"]).sources == ("p7/0", "p7/1")


def test_random_numbers_do_not_depend_on_the_other_people(tmp_path, store, extraction) -> None:
    people, read_image, embedder, draw = extraction
    few = {"p4": people["p4"]}
    alone = extract_variants(few, read_image, embedder(), draw, tmp_path / "few", recipe="test")
    rows = [store.sources.index(source) for source in alone.sources]
    assert np.array_equal(alone.embeddings, store.embeddings[rows])


def test_another_run_is_refused(tmp_path, extraction) -> None:
    people, read_image, embedder, draw = extraction
    extract_variants(people, read_image, embedder(), draw, tmp_path / "s", recipe="test")
    with pytest.raises(MismatchError, match="seed"):
        extract_variants(
            people, read_image, embedder(), draw, tmp_path / "s", recipe="test", seed=1
        )
    with pytest.raises(EmptySetError):
        extract_variants({}, read_image, embedder(), draw, tmp_path / "t", recipe="test")
    with pytest.raises(MissingFileError):
        VariantStore.open(tmp_path / "nowhere")


def test_values_beyond_half_precision_are_refused(tmp_path, extraction) -> None:
    people, read_image, embedder, draw = extraction
    large = embedder()
    large.matrix = large.matrix * 1e6
    with pytest.raises(ConfigError, match="half precision"):
        extract_variants(people, read_image, large, draw, tmp_path / "s", recipe="test")


def test_class_centres_are_unit_means_of_unit_embeddings(store) -> None:
    centres = class_centres(store)
    assert np.allclose(np.linalg.norm(centres, axis=1), 1, atol=1e-6)
    person = store.subject_ids.index("p2")
    rows = store.clean[store.subjects == person].reshape(-1, 12)
    mean = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).mean(axis=0)
    assert np.allclose(centres[person], mean / np.linalg.norm(mean), atol=1e-6)


def test_other_images_of_the_same_names_are_refused(tmp_path, extraction) -> None:
    people, read_image, embedder, draw = extraction
    folder = tmp_path / "s"
    extract_variants(people, read_image, embedder(), draw, folder, recipe="test", content="first")
    with pytest.raises(MismatchError, match="content"):
        extract_variants(
            people, read_image, embedder(), draw, folder, recipe="test", content="second"
        )


@pytest.mark.parametrize("has_hashes", [False, True])
def test_what_an_older_release_left_unfinished_is_gone_on_with(
    tmp_path, store, extraction, has_hashes
) -> None:
    people, read_image, embedder, draw = extraction
    old = tmp_path / "old"
    old.mkdir()
    files = {}
    for name in CHECKED:
        files[name] = np.load(tmp_path / "store" / name)
        files[name][10:] = 0
        np.save(old / name, files[name])
    facts = {**store.facts, "format_version": 1}
    (old / "store.json").write_text(json.dumps(facts))
    progress = StoreProgress(done=0).grown(7, files).grown(10, files)
    (old / "progress.json").write_text(json.dumps({"done": 10}))
    if has_hashes:
        progress.write(old)
    rest = embedder()
    given = {"recipe": "test", "block_images": 4}
    again = extract_variants(people, read_image, rest, draw, old, **given)
    assert rest.calls == len(store.sources) - 8
    assert np.array_equal(again.embeddings, store.embeddings)
    assert np.array_equal(again.clean, store.clean)
    files["clean.npy"][2, 0, 0] += 1
    np.save(old / "clean.npy", files["clean.npy"])
    with pytest.raises(IntegrityError, match="row 2 is not what was written"):
        class_centres(VariantStore.open(old))


def test_a_finished_store_of_an_older_release_is_checked_whole(tmp_path, store) -> None:
    folder = tmp_path / "store"
    files = {name: np.load(folder / name) for name in CHECKED}
    (folder / "checks.npy").unlink()
    StoreProgress(done=0).grown(5, files).grown(len(store.sources), files).write(folder)
    assert np.array_equal(VariantStore.open(folder).embeddings, store.embeddings)
    files["style.npy"][3, 0, 0, 0] += 1
    np.save(folder / "style.npy", files["style.npy"])
    with pytest.raises(IntegrityError, match="images 0 to 4 are not those"):
        VariantStore.open(folder)


def test_files_that_do_not_fit_together(tmp_path, store) -> None:
    folder = tmp_path / "store"
    kept = (folder / "style.npy").read_bytes()
    (folder / "style.npy").unlink()
    with pytest.raises(MissingFileError, match=r"style\.npy"):
        VariantStore.open(folder)
    (folder / "style.npy").write_bytes(kept)
    np.save(folder / "clean.npy", np.load(folder / "clean.npy")[:-1])
    with pytest.raises(FileFormatError, match=r"clean\.npy: expected 24 rows, got the shape \(23"):
        VariantStore.open(folder)
