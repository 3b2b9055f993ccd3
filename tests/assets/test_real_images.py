"""The real path on real images: photos and crops in, template out, with real models."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from research.compact_embedder.verification_pairs import draw_pairs, pair_accuracy

from probefusion.cli import main
from probefusion.errors import IntegrityError
from probefusion.evaluation.embed_protocol import embed_protocol
from probefusion.evaluation.sweep import sweep
from probefusion.faces.images import read_crop
from probefusion.protocols import DegradedFolderProtocol, People, read_people
from probefusion.protocols.degraded_folder import fold_of
from probefusion.types import Template
from probefusion.zoo import load_embedder, load_fuser, quantize_embedder

pytestmark = pytest.mark.assets


def test_crops_to_template(assets, tmp_path, capsys) -> None:
    """Folder of aligned crops -> set with style -> template by the bundled exact fuser."""
    with zipfile.ZipFile(assets / "data" / "lfw112.zip") as archive:
        person = DegradedFolderProtocol(
            people=read_people(assets / "data" / "lfw112.zip"), folds=(3,)
        ).probe_subjects[0]
        names = [name for name in archive.namelist() if f"/{person}/" in f"/{name}"]
        names = [name for name in names if name.endswith(".jpg")]
        assert len(names) >= 3
        archive.extractall(tmp_path, members=names)
    folder = (tmp_path / names[0]).parent
    embedder = assets / "models" / "mobilefacenet_128d.onnx"
    code = main(
        [
            "embed",
            str(folder),
            "--aligned",
            "--embedder",
            str(embedder),
            "-o",
            str(tmp_path / "s.npz"),
        ]
    )
    assert code == 0
    assert main(["fuse", str(tmp_path / "s.npz"), "-o", str(tmp_path / "t.npz")]) == 0
    assert "fuser: exact." in capsys.readouterr().err
    template = Template.load(tmp_path / "t.npz")
    assert template.dim == 128
    assert template.num_images == len(names)
    assert template.fuser.startswith("exact.mobilefacenet_128d")


def test_uncropped_photos(assets, capsys) -> None:
    """Two photos through detector and alignment; the same photo matches, another person does not."""
    models, photos = assets / "models", assets / "video"
    options = ["--embedder", str(models / "mobilefacenet_128d.onnx")]
    options += ["--detector", str(models / "yunet_320.onnx"), "--json"]

    def compare(first: str, second: str) -> dict:
        assert main(["compare", str(photos / first), str(photos / second), *options]) == 0
        return json.loads(capsys.readouterr().out)

    same = compare("lin-manuel-miranda.png", "lin-manuel-miranda.png")
    other = compare("lin-manuel-miranda.png", "alex-lacamoire.png")
    assert same["similarity"] == pytest.approx(1.0, abs=1e-5)
    assert other["similarity"] < 0.4
    assert same["is_match"] is True
    assert other["is_match"] is False


def test_fused_templates_beat_the_mean_on_unseen_people(assets) -> None:
    """A small cut of the open protocol on fold 3, from images to rates."""
    everybody = read_people(assets / "data" / "lfw112.zip")
    unseen = DegradedFolderProtocol(people=everybody, folds=(3,), num_sets=1)
    chosen = unseen.probe_subjects[:40]
    few = People(images={name: everybody.images[name] for name in chosen}, path=everybody.path)
    protocol = DegradedFolderProtocol(people=few, folds=(3,), num_sets=1)
    embedder = load_embedder(assets / "models" / "mobilefacenet_128d.onnx")
    data = embed_protocol(protocol, embedder, num_images=8)
    known = embedder.fingerprint
    fusers = [load_fuser(name, embedder=known) for name in ("mean", "exact", "official")]
    points = sweep(data, fusers, set_sizes=(8,), false_accept_rates=(1e-2,))
    mean, exact, official = (point.verification[0].tar for point in points)
    assert exact > mean
    assert official > mean


def test_bundled_fusers_belong_to_the_embedder(assets) -> None:
    embedder = load_embedder(assets / "models" / "mobilefacenet_128d.onnx")
    for name in ("exact", "exact-fast", "official"):
        fuser = load_fuser(name, embedder=embedder.fingerprint)
        assert fuser.embedder == embedder.fingerprint
        assert fuser.self_test() < 1e-4
        assert {t.false_match_rate for t in fuser.card.thresholds} >= {1e-3, 1e-4}


def test_batches_do_not_change_embeddings(assets) -> None:
    embedder = load_embedder(assets / "models" / "mobilefacenet_128d.onnx")
    crops = np.random.default_rng(0).integers(0, 256, (5, 112, 112, 3)).astype(np.uint8)
    together, style = embedder.embed(crops)
    for index in range(5):
        alone, alone_style = embedder.embed(crops[index : index + 1])
        assert np.abs(alone - together[index]).max() < 1e-4 * np.abs(together).max()
        assert np.abs(alone_style - style[index]).max() < 1e-4 * np.abs(style).max()


def test_eight_bits_recognise_as_well(assets, tmp_path) -> None:
    """Single clean images of people that the compact embedder was not trained on, 2,280 pairs."""
    people = read_people(assets / "data" / "lfw112.zip")
    unseen = {person: files for person, files in people.images.items() if fold_of(person) == 3}
    pairs = draw_pairs(unseen)
    calibrating, testing = (
        np.stack([read_crop(people.read(file), source=file) for file in files])
        for files in (_one_of_each(people)[:256], pairs.images)
    )
    found = quantize_embedder("compact_128d", tmp_path / "small.onnx", calibrating)
    before, after = (
        pair_accuracy(pairs, load_embedder(form).embed(testing)[0]).mean
        for form in ("compact_128d", tmp_path / "small.onnx")
    )
    assert after > before - 0.005
    assert found.num_bytes < 0.65 * found.num_bytes_before


def test_seven_bits_of_weight_are_too_few_for_some(assets, tmp_path) -> None:
    """MobileFaceNet's clean embeddings survive them, its style and poor images do not."""
    people = read_people(assets / "data" / "lfw112.zip")
    files = _one_of_each(people)[:128]
    crops = np.stack([read_crop(people.read(file), source=file) for file in files])
    model = assets / "models" / "mobilefacenet_128d.onnx"
    with pytest.raises(IntegrityError, match=r"an error of style of .*--weight-bits 8"):
        quantize_embedder(model, tmp_path / "small.onnx", crops)
    assert not list(tmp_path.iterdir())


def _one_of_each(people: People) -> list[str]:
    return [files[0] for person, files in people.images.items() if fold_of(person) == 0]
