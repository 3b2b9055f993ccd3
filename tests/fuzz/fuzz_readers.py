# ruff: noqa: T201, E501, BLE001
"""Throws damaged files at every reader; run by hand: `python tests/fuzz/fuzz_readers.py --minutes 10`.

Sound files are made, then damaged as Hypothesis finds: bits flipped, bytes cut out, repeated, written
over. A reader may refuse a file with an error of ours that names it, or give what the sound file holds.
Any other error, another answer from a file that carries a hash, a hang, or memory without end is a find:
the file is kept in the folder given by `--keep`.

Every batch runs in a process of its own, with little memory and an alarm, since some libraries end the
whole process on damaged files.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from probefusion.archives import open_archive
from probefusion.errors import ProbeFusionError
from probefusion.faces import decode_image, list_images, read_images
from probefusion.files.records import read_record
from probefusion.fusion import MeanFuser
from probefusion.fusion.folder import _card_of, read_card
from probefusion.io import kind_of, read_embeddings, read_templates
from probefusion.io.attribute_table import open_attribute_table
from probefusion.io.face_table import read_face_table
from probefusion.protocols import open_face_table, read_media_images, read_people
from probefusion.protocols.text_tables import read_fields, read_integer_columns
from probefusion.settings import read_settings_file
from probefusion.types import EmbeddingSet, FusionState, Template, TemplateSet
from probefusion.video import VideoSettings

MEMORY_BYTES = 6 << 30
SECONDS_PER_FILE = 30
FILES_PER_BATCH = 150


class Target(NamedTuple):
    """One kind of file.

    Attributes:
        name: The file's name; its ending counts.
        content: A sound one.
        read: Gives what it holds, as something that can be compared.
        is_hashed: Whether it carries a hash, so that no damage may give another answer.
    """

    name: str
    content: bytes
    read: Callable[[Path], Any]
    is_hashed: bool


def told(thing: Any) -> Any:
    """What a thing holds, as text; arrays with their types."""
    if isinstance(thing, np.ndarray):
        return (thing.dtype.str, thing.shape, thing.tobytes())
    if isinstance(thing, TemplateSet):
        return [told(getattr(thing, name)) for name in ("ids", "vectors", "num_images")] + [
            thing.fuser,
            thing.embedder,
            told(list(thing.states or ())),
        ]
    if isinstance(thing, EmbeddingSet | Template | FusionState):
        return [told(value) for name, value in sorted(vars(thing).items()) if name != "origin"]
    if isinstance(thing, list | tuple):
        return [told(item) for item in thing]
    return thing if isinstance(thing, str | bytes | int | float | None) else repr(thing)


def saved(thing: Any, name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        thing.save(path)
        return path.read_bytes()


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def in_folder(name: str, others: dict[str, bytes], read: Callable[[Path], Any]) -> Any:
    """A reader of a folder in which one file is the damaged one."""

    def read_folder(path: Path) -> Any:
        folder = path.with_name("folder")
        folder.mkdir(exist_ok=True)
        for other, data in others.items():
            (folder / other).write_bytes(data)
        (folder / name).write_bytes(path.read_bytes())
        _card_of.cache_clear()  # files are changed within one tick of the clock
        return read(folder)

    return read_folder


def archive_rows(path: Path) -> Any:
    archive = open_archive(path)
    ids = [told(part) for part in archive.ids()]
    rows = [(told(part.ids), told(part.embeddings)) for part in archive.rows(7)]
    return ids, rows


def pictures(path: Path) -> Any:
    found, skipped = list_images(path)
    return [told(image) for _, image in read_images(found)], len(skipped)


def people(path: Path) -> Any:
    found = read_people(path)
    return [told(found.read(name)) for names in found.images.values() for name in names]


def media(path: Path) -> Any:
    images = read_media_images(path, media_from="^(?P<medium>[0-9])")
    with_faces = images.with_faces(open_face_table("faces.csv", path))
    return sorted(with_faces.media.items()), sorted(with_faces.face_px.items())


def faces(path: Path) -> Any:
    table = read_face_table(path.read_bytes(), origin=path.name)
    return table.files, told(table.face_px)


def attributes(path: Path) -> Any:
    table = open_attribute_table(path)
    return table.owner, table.names, sorted(table.columns.items())


def make_targets() -> list[Target]:
    """A sound file of each kind; those whose extra is not installed are left out."""
    rng = np.random.default_rng(7)
    rows = rng.standard_normal((4, 6)).astype(np.float32)
    images = EmbeddingSet(
        embeddings=rows,
        style=rng.standard_normal((4, 2, 2)),
        media_ids=np.arange(4),
        sources=np.array(["a", "b", "ç", "d"]),
        embedder="net@1",
    )
    fuser = MeanFuser()
    states = {name: fuser.encode(images[index:]) for index, name in enumerate(("ann", "bob"))}
    many = TemplateSet.of({key: fuser.finish(state) for key, state in states.items()}, states)
    weights = Path(__file__).parents[2] / "src/probefusion/zoo/weights"
    folder = next(path.parent for path in sorted(weights.glob("*/fuser.json")))
    graphs = {name: (folder / name).read_bytes() for name in ("encode.onnx", "finish.onnx")}
    text = ",".join(["source", *(f"e{place}" for place in range(6))]) + "\n"
    text += "".join(f"{index}.jpg,{','.join(map(str, row))}\n" for index, row in enumerate(rows))
    toml = b"max_faces = 3\nmin_size = 20.5\nchunk_size = 64\nsplit_below = 0.25\n"
    old = zipped({"embeddings.npy": npy(rows), "sources.npy": npy(np.array(["a", "b", "c", "d"]))})
    targets = [
        Target("set.npz", saved(images, "s.npz"), EmbeddingSet.load, True),
        Target("template.npz", saved(fuser.fuse(images), "t.npz"), Template.load, True),
        Target("templates.npz", saved(many, "t.npz"), TemplateSet.load, True),
        Target("read.npz", saved(many, "t.npz"), read_templates, True),
        Target("state.safetensors", saved(states["ann"], "s.safetensors"), FusionState.load, True),
        Target("old.npz", old, EmbeddingSet.load, False),
        Target("rows.npy", npy(rows), read_embeddings, False),
        Target("rows.csv", text.encode(), read_embeddings, False),
        Target("kind.npz", saved(images, "s.npz"), kind_of, False),
        Target("kind.safetensors", saved(states["ann"], "s.safetensors"), kind_of, False),
        Target("fuser.json", (folder / "fuser.json").read_bytes(), in_folder("fuser.json", graphs, read_card), True),
        Target("record.json", json.dumps({"a": [1, {"b": None}]}).encode(), lambda path: read_record(path, dict[str, Any]), False),
        Target("settings.toml", toml, lambda path: read_settings_file(path, VideoSettings), False),
        Target("table.txt", b"1 2 3\n4 5 6\n\n7 8 9\n", lambda path: told(read_integer_columns(path, columns=("a", "b", "c"))), False),
        Target("fields.csv", b"a,b\n1,x\n2,y\n", lambda path: list(read_fields(path, columns=("a", "b"), delimiter=",", header=True)), False),
        Target("faces.csv", b"file,face_px,yaw\na/1.jpg,30.5,0\na/2.jpg,,\nb/1.jpg,7,-1\n", faces, False),
        Target("attributes.csv", b"person,group,site\nann,a,1\nbob,b,\ncid,a,2\n", attributes, False),
        Target("embeddings.npy", npy(rows), in_folder("embeddings.npy", {"template_ids.npy": npy(np.array([1, 1, 2, 2]))}, archive_rows), False),
        Target("template_ids.npy", npy(np.array(["a", "a", "b", "b"])), in_folder("template_ids.npy", {"embeddings.npy": npy(rows)}, archive_rows), False),
    ]  # fmt: skip
    for add in (_parquet_targets, _hdf5_targets, _picture_targets):
        try:
            targets += add(rows, many)
        except ImportError as error:
            print(f"left out: {error}")
    return targets


def _parquet_targets(rows: np.ndarray, many: TemplateSet) -> list[Target]:
    import pyarrow as arrow
    from pyarrow import parquet

    table = arrow.table(
        {
            "embedding": list(rows),
            "template_id": ["a"] * len(rows),
            "source": [f"{index}.jpg" for index in range(len(rows))],
        }
    )
    stream = io.BytesIO()
    parquet.write_table(table, stream)
    return [
        Target("templates.parquet", saved(many, "t.parquet"), TemplateSet.load, True),
        Target("kind.parquet", saved(many, "t.parquet"), kind_of, False),
        Target("rows.parquet", stream.getvalue(), read_embeddings, False),
        Target("archive.parquet", stream.getvalue(), archive_rows, False),
    ]


def _hdf5_targets(rows: np.ndarray, many: TemplateSet) -> list[Target]:
    import h5py

    del many
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_dataset("embeddings", data=rows, compression="gzip")
        file.create_dataset("sources", data=["a", "b", "c", "d"])
        file.attrs["embedder"] = "net@1"
    return [Target("rows.h5", stream.getvalue(), read_embeddings, False)]


def _picture_targets(rows: np.ndarray, many: TemplateSet) -> list[Target]:
    import cv2

    del rows, many
    photo = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    made = {
        ending: cv2.imencode(ending, photo)[1].tobytes()
        for ending in (".jpg", ".png", ".bmp", ".webp", ".tiff", ".ppm")
    }
    members = {"ann/1.jpg": made[".jpg"], "ann/2.png": made[".png"], "bob/1.bmp": made[".bmp"]}
    return [
        *(
            Target(f"photo{ending}", data, lambda path: told(decode_image(path.read_bytes(), source=path.name)), False)
            for ending, data in made.items()
        ),
        Target("pictures.zip", zipped(members), pictures, False),
        Target("people.zip", zipped(members, zipfile.ZIP_STORED), people, False),
        Target("media.zip", zipped({**members, "faces.csv": b"file,face_px\nann/1.jpg,9\n"}, zipfile.ZIP_STORED), media, False),
    ]  # fmt: skip


DAMAGE = st.lists(
    st.one_of(
        st.tuples(st.just("flip"), st.floats(0, 1), st.integers(0, 7)),
        st.tuples(st.just("set"), st.floats(0, 1), st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("cut"), st.floats(0, 1), st.integers(1, 64)),
        st.tuples(st.just("end"), st.floats(0, 1), st.just(0)),
        st.tuples(st.just("insert"), st.floats(0, 1), st.binary(min_size=1, max_size=16)),
        st.tuples(st.just("repeat"), st.floats(0, 1), st.integers(1, 4096)),
        st.tuples(st.just("digits"), st.floats(0, 1), st.sampled_from(
            [b"-1", b"1e999", b"9" * 30, b"NaN", b"\0", b"((((", b"[" * 3000, b'"', b"\xff\xfe"])),
    ),
    min_size=1,
    max_size=4,
)  # fmt: skip


def damaged(content: bytes, damage: list[tuple[str, float, Any]]) -> bytes:
    """The content after each damage in turn; places are fractions of its length."""
    data = bytearray(content)
    for kind, place, what in damage:
        if not data:
            break
        at = min(int(place * len(data)), len(data) - 1)
        if kind == "flip":
            data[at] ^= 1 << what
        elif kind == "set":
            data[at : at + len(what)] = what
        elif kind == "cut":
            del data[at : at + what]
        elif kind == "end":
            del data[at:]
        elif kind == "insert":
            data[at:at] = what
        elif kind == "repeat":
            data[at:at] = data[at : at + what]
        else:
            data[at : at + 1] = what
    return bytes(data)


def run_batch(target: Target, number: int, keep: Path) -> None:
    """Throws some files at one reader, in this process; the file at hand lies in `keep`."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGALRM, _too_long)
    path = keep / f"{number}" / target.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(target.content)
    right = told(target.read(path))

    @seed(number)
    @settings(
        max_examples=FILES_PER_BATCH,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )
    @given(DAMAGE)
    def throw(damage: list[tuple[str, float, Any]]) -> None:
        content = damaged(target.content, damage)
        path.write_bytes(content)
        signal.alarm(SECONDS_PER_FILE)
        try:
            found = told(target.read(path))
        except ProbeFusionError as error:
            if "\n" in str(error):
                raise ValueError(f"more than a line: {error}") from error
        else:
            assert not target.is_hashed or found == right, f"another answer after {damage}"
        finally:
            signal.alarm(0)

    throw()
    path.unlink()
    for left in sorted(path.parent.rglob("*"), reverse=True):
        left.unlink() if left.is_file() else left.rmdir()
    path.parent.rmdir()


def _too_long(number: int, frame: Any) -> None:
    del number, frame
    raise TimeoutError(f"a file took more than {SECONDS_PER_FILE} seconds")


def _child(target_name: str, number: int, keep: Path) -> None:
    target = next(each for each in make_targets() if each.name == target_name)
    os.environ["PYTHONWARNINGS"] = "ignore"
    try:
        run_batch(target, number, keep)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def main() -> int:
    """Fuzzes until the time is over; 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--only", help="names of files that begin so")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "fuzz-readers")
    options = parser.parse_args()
    names = [each.name for each in make_targets() if each.name.startswith(options.only or "")]
    end, number, finds = time.monotonic() + 60 * options.minutes, options.seed, []
    context = multiprocessing.get_context("fork")
    batches = 0
    while time.monotonic() < end:
        for name in names:
            if time.monotonic() > end:
                break
            number += 1
            batches += 1
            child = context.Process(target=_child, args=(name, number, options.keep))
            child.start()
            child.join(SECONDS_PER_FILE * FILES_PER_BATCH)
            if child.exitcode != 0:
                child.kill()
                finds.append(f"{name}, batch {number}, exit {child.exitcode}")
                print(
                    f"FOUND: {finds[-1]}; the file: {options.keep / str(number) / name}", flush=True
                )
    print(f"{batches * FILES_PER_BATCH} files of {len(names)} kinds, {len(finds)} finds")
    return 1 if finds else 0


if __name__ == "__main__":
    sys.exit(main())
