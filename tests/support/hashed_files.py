"""One sound file of each kind that carries a hash, and how it is read; what single flipped bits do to it."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from bundled_models import EMBEDDER_FOLDER, bundled_fuser

from probefusion.archives import fuse_archive, open_archive
from probefusion.archives.states.states import open_states
from probefusion.errors import ProbeFusionError
from probefusion.files.records import read_record
from probefusion.fusion import MeanFuser
from probefusion.fusion import folder as fuser_folder
from probefusion.fusion.calibration import (
    CalibrationRecord,
    CalibrationSource,
    MeasuredRate,
    ModelRecord,
    Stratum,
)
from probefusion.fusion.calibration_files import read_calibration, write_calibration
from probefusion.screening.usability_record import read_usability
from probefusion.types import EmbeddingSet, TemplateSet
from probefusion.zoo import cache, manifest
from probefusion.zoo.bundled import EmbedderCard


class HashedFile(NamedTuple):
    """A file and what it holds.

    Attributes:
        path: The file.
        read: Gives what it holds, or what comes of it, as something that can be compared.
        named: What an error must name: the file, or the folder that it belongs to.
    """

    path: Path
    read: Callable[[], Any]
    named: str


def told(thing: Any) -> Any:
    """What a thing holds, comparable; NaN is equal to NaN."""
    if isinstance(thing, np.ndarray):
        return (thing.dtype.str, thing.shape, thing.tobytes())
    if isinstance(thing, dict):
        return sorted((str(key), told(value)) for key, value in thing.items())
    if isinstance(thing, list | tuple):
        return [told(item) for item in thing]
    return repr(thing)


def what_flips_do(file: HashedFile, *, num_flips: int, seed: int = 0) -> Counter[str]:
    """Flips single bits, one at a time, and counts what reading then gives.

    Returns:
        Counts of "refused" (an error of ours that names the file, on one line), "same value", "other value",
        and "other error: TYPE" or "unnamed error".
    """
    sound = file.path.read_bytes()
    right = file.read()
    rng = random.Random(seed)
    found: Counter[str] = Counter()
    for _ in range(num_flips):
        bit = rng.randrange(8 * len(sound))
        damaged = bytearray(sound)
        damaged[bit // 8] ^= 1 << bit % 8
        file.path.write_bytes(damaged)
        try:
            is_same = file.read() == right
        except ProbeFusionError as error:
            is_named = file.named in str(error) and "\n" not in str(error)
            found["refused" if is_named else f"unnamed error: {str(error)[:80]}"] += 1
        except Exception as error:  # noqa: BLE001
            found[f"other error: {type(error).__name__}"] += 1
        else:
            found["same value" if is_same else f"other value: byte {bit // 8}"] += 1
    file.path.write_bytes(sound)
    return found


def make_values(folder: Path) -> dict[str, HashedFile]:
    """The value types."""
    rng = np.random.default_rng(3)
    images = EmbeddingSet(
        embeddings=rng.standard_normal((4, 6)).astype(np.float32),
        media_ids=np.arange(4),
        sources=np.array(["a", "b", "ç", "d"]),
        embedder="net@1",
    )
    fuser = MeanFuser()
    state = fuser.encode(images)
    template = fuser.finish(state)
    many = TemplateSet.of({"ann": template, "bob": template}, {"ann": state, "bob": state})
    files = {}
    for name, thing in (
        ("set.npz", images), ("template.npz", template), ("state.safetensors", state), ("many.npz", many),
        *((("many.parquet", many),) if find_spec("pyarrow") else ()),
    ):  # fmt: skip
        path = folder / name
        thing.save(path)

        def read(thing: Any = thing, path: Path = path) -> Any:
            found = type(thing).load(path)
            names = [each for each in vars(found) if each != "origin"]
            return [told(getattr(found, each)) for each in names if each != "states"]

        files[name] = HashedFile(path, read, name)
    return files


def make_cards(folder: Path) -> dict[str, HashedFile]:
    """Cards of fusers and embedders."""
    fuser = Path(shutil.copytree(bundled_fuser("exact-fast"), folder / "fuser"))
    usability = fuser / "usability.json"
    embedder = folder / "embedder.json"
    shutil.copy(EMBEDDER_FOLDER / "embedder.json", embedder)

    calibration = folder / "calibration.json"
    write_calibration(small_calibration(), calibration)

    def read_card() -> Any:
        fuser_folder._card_of.cache_clear()  # files are changed within one tick of the clock
        return told(asdict(fuser_folder.read_card(fuser)))

    return {
        "fuser.json": HashedFile(fuser / "fuser.json", read_card, "fuser.json"),
        "usability.json": HashedFile(
            usability, lambda: told(asdict(read_usability(usability))), "usability.json"
        ),
        "calibration.json": HashedFile(
            calibration,
            lambda: told(asdict(read_calibration(calibration))),
            "calibration.json",
        ),
        "embedder.json": HashedFile(
            embedder,
            lambda: told(dict(read_record(embedder, EmbedderCard, newest=1))),
            "embedder.json",
        ),
    }


def small_calibration() -> CalibrationRecord:
    """A calibration of one direction."""
    return CalibrationRecord(
        embedder="net@1",
        fuser="mean@1",
        sets="made",
        sizes=(1, 4),
        sources=(CalibrationSource(name="made", num_people=60, num_sets=120),),
        model=ModelRecord(
            directions=((0.6, 0.8), (0.8, 0.6)),
            are_poor=(False, True),
            border=0.1,
            lowest=(-1.0, -1.0),
            highest=(1.0, 1.0),
            most_images=4,
            location=((0.1,) * 4,) * 4,
            log_variance=((-1.0,) * 4,) * 4,
            level=2.0,
            log_rate=(-3.0, 0.1, 0.1, 0.1, 0.1),
            log_excess=(-1.0, 0.1, 0.1, 0.1, 0.1),
            shape=-0.1,
        ),
        strata=(
            Stratum(
                looks=("clear", "poor"),
                num_images=(1, 4),
                num_people=60,
                num_comparisons=3540,
                rates=(MeasuredRate(stated=0.01, achieved=0.011, low=0.008, high=0.014),),
            ),
        ),
        searches=(),
    )


def make_models_folder(folder: Path) -> dict[str, HashedFile]:
    """Pins and the user's manifest, in the models folder, which `folder` must be."""
    entry = manifest.KnownModel(
        name="mine",
        kind="embedder",
        file="/models/mine.onnx",
        sha256="1" * 64,
        settings={"channel_order": "RGB", "mean": [0.5] * 3, "std": [0.5] * 3},
    )
    manifest.remember_model(entry)
    cache.pin(entry, "2" * 64)
    names = [entry.name, *manifest._built_in()]
    return {
        "pins.json": HashedFile(
            folder / "pins.json",
            lambda: told({name: cache._read_pins().get(name) for name in names}),
            "pins.json",
        ),
        "manifest.json": HashedFile(
            folder / "manifest.json",
            lambda: told({name: repr(each) for name, each in manifest._of_user().items()}),
            "manifest.json",
        ),
    }


def make_archive_work(folder: Path) -> dict[str, HashedFile]:
    """What an interrupted run on an archive leaves behind; read by going on to the end."""
    rng = np.random.default_rng(5)
    ids = rng.permutation(np.arange(240) % 30)
    archive = folder / "archive"
    archive.mkdir()
    np.save(archive / "template_ids.npy", ids)
    np.save(archive / "embeddings.npy", rng.standard_normal((240, 8)).astype(np.float32))
    output, work, states = folder / "out.npz", folder / "out.npz.work", folder / "states"

    def stop(done: int, total: int) -> None:
        if done > 0.9 * total:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        fuse_archive(open_archive(archive), MeanFuser(), output, progress=stop)
    sound = Path(shutil.copytree(work, folder / "left"))
    fuse_archive(open_archive(archive), MeanFuser(), folder / "kept.npz", keep_states=states)

    def read() -> Any:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(sound, work)
        fuse_archive(open_archive(archive), MeanFuser(), output, force=True)
        return told(TemplateSet.load(output).vectors)

    (partials,) = (sound / "partials").iterdir()
    first = next(path for path in sorted(sound.glob("*/00*.arrow")))
    return {
        "archive manifest.json": HashedFile(sound / "manifest.json", read, "out.npz.work"),
        "archive partials": HashedFile(partials, read, "out.npz.work"),
        "archive bucket": HashedFile(first, read, "out.npz.work"),
        "archive states.json": HashedFile(
            states / "states.json", lambda: told(repr(open_states(states))), "states.json"
        ),
    }


def make_variant_store(folder: Path) -> dict[str, HashedFile]:
    """A variant store of made-up embeddings. Needs PyTorch for its room."""
    from variant_stores import PEOPLE, CountingEmbedder, draw_variants, read_image

    from probefusion.training.extraction import extract_variants
    from probefusion.training.variant_store import VariantStore

    store = folder / "store"
    extract_variants(PEOPLE, read_image, CountingEmbedder(), draw_variants, store, recipe="test")

    def read() -> Any:
        found = VariantStore.open(store)
        facts = {key: value for key, value in found.facts.items() if key in
                 ("embedder", "recipe", "content", "seed", "subject_ids", "subjects", "sources")}  # fmt: skip
        arrays = (found.embeddings, found.style, found.clean, found.subjects)
        return told([facts, *map(np.asarray, arrays)])

    names = (
        "store.json", "progress.json", "checks.npy", "embeddings.npy", "style.npy", "clean.npy",
    )  # fmt: skip
    return {f"store {name}": HashedFile(store / name, read, "store") for name in names}


def make_training_checkpoint(folder: Path) -> dict[str, HashedFile]:
    """The checkpoint of a training with early stopping. Needs PyTorch."""
    import torch

    from probefusion.training.checkpoint import load_checkpoint, save_checkpoint
    from probefusion.training.early_stopping import EarlyStopping

    def fresh() -> tuple[Any, Any, Any]:
        torch.manual_seed(0)
        network = torch.nn.Linear(3, 2)
        return network, torch.optim.AdamW(network.parameters()), EarlyStopping(patience=3)

    network, optimizer, stopping = fresh()
    network(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    stopping.tell(7, 0.25, network)
    path = folder / "checkpoint.safetensors"
    save_checkpoint(path, network, optimizer, "run", 9, stopping)

    def read() -> Any:
        network, optimizer, stopping = fresh()
        step = load_checkpoint(path, network, optimizer, "run", stopping)
        moments = [
            sorted((key, told(value.numpy())) for key, value in optimizer.state[each].items())
            for each in network.parameters()
        ]
        weights = {key: value.numpy() for key, value in network.state_dict().items()}
        best = {key: value.numpy() for key, value in stopping.best.items()}
        return (
            told([step, stopping.best_loss, stopping.best_step, stopping.waited]),
            moments,
            told([weights, best]),
        )

    return {"checkpoint.safetensors": HashedFile(path, read, "checkpoint.safetensors")}
