"""Where records lie, and what is told where there is none or a wrong one."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace

import numpy as np
import pytest
from bundled_models import COMPACT, bundled_fuser

from probefusion.errors import (
    EmbedderMismatchError,
    FileFormatError,
    FuserMismatchError,
    IntegrityError,
)
from probefusion.fusion import MeanFuser
from probefusion.screening.non_faces import KINDS, draw_non_faces
from probefusion.screening.usability import predict_states
from probefusion.screening.usability_record import read_usability, write_usability
from probefusion.types import EmbeddingSet, Usability
from probefusion.zoo import load_embedder, load_fuser, trained_fusers
from probefusion.zoo.usability import (
    find_usability,
    finish_judged,
    judge_usability,
    usability_or_why,
)


def images(count: int = 3, embedder: str | None = COMPACT) -> EmbeddingSet:
    rng = np.random.default_rng(0)
    return EmbeddingSet(
        embeddings=rng.standard_normal((count, 128)).astype(np.float32),
        style=np.abs(rng.standard_normal((count, 160, 2))).astype(np.float32) + 0.1,
        quality=np.zeros(count, np.float32),
        embedder=embedder,
    )


@pytest.mark.parametrize("name", ["exact", "exact-fast", "exact-embedding", "mean", "universal"])
def test_the_package_knows_the_usability_of_its_own_embedder(name) -> None:
    fuser = load_fuser(name, embedder=COMPACT)
    record = find_usability(fuser, COMPACT)
    assert record is not None
    assert (record.fuser, record.embedder) == (fuser.fingerprint, COMPACT)
    assert 0.4 < record.level < 0.7
    assert -0.5 < record.least_likeness < 0.9
    assert record.fitted_on["num_people"] > 500  # people whom the embedder has not learned from
    assert judge_usability(fuser, fuser.encode(images())).verdict != "not known"


def test_records_of_every_fuser_folder_are_of_that_fuser() -> None:
    found = 0
    for folder in set(trained_fusers().values()):
        if (folder / "usability.json").is_file():
            fuser = load_fuser(folder)
            assert find_usability(fuser, fuser.embedder) is not None
            found += 1
    assert found >= 6


@pytest.mark.parametrize(
    "name", ["hub/net@3900346931a7", "../../net", "net\0", "\udc80", "n" * 9000]
)
@pytest.mark.parametrize("fuser", ["mean", "universal"])
def test_an_embedder_of_any_name_is_only_not_known(fuser, name) -> None:
    opened = load_fuser(fuser)
    assert find_usability(opened, name) is None
    assert judge_usability(opened, opened.encode(images(embedder=name))).verdict == "not known"


def test_what_was_not_measured_is_said() -> None:
    fuser = MeanFuser()
    other = judge_usability(fuser, fuser.encode(images(embedder="net@1")))
    assert other.verdict == "not known"
    assert "not measured for the fuser mean with net@1" in str(other)
    nobody = judge_usability(fuser, fuser.encode(images(embedder=None)))
    assert "nobody said which embedder" in nobody.reason
    assert "keeps no state" in judge_usability(fuser, None).reason
    another = "compact_128d@000000000000"  # of the same name, with other weights
    assert judge_usability(fuser, fuser.encode(images(embedder=another))).verdict == "not known"


@pytest.fixture
def folder(tmp_path):
    source = bundled_fuser("exact-fast")
    return shutil.copytree(source, tmp_path / source.name)


def test_a_folder_without_the_file_fuses_as_before(folder) -> None:
    (folder / "usability.json").unlink()
    fuser = load_fuser(folder)
    state = fuser.encode(images())
    assert fuser.finish(state).num_images == 3
    assert judge_usability(fuser, state).verdict == "not known"


def test_records_of_others_are_refused(folder) -> None:
    path = folder / "usability.json"
    sound = read_usability(path)
    fuser = load_fuser(folder)
    write_usability(replace(sound, fuser="exact-fast@1"), path, force=True)
    with pytest.raises(FuserMismatchError, match=r"usability\.json.*exact-fast@1"):
        find_usability(fuser, COMPACT)
    write_usability(replace(sound, embedder="net@1"), path, force=True)
    with pytest.raises(EmbedderMismatchError, match=r"was measured with net@1"):
        find_usability(fuser, COMPACT)
    write_usability(sound, path, force=True)
    path.write_text(path.read_text().replace('"coverage": 0.9', '"coverage": 0.8'))
    with pytest.raises(IntegrityError, match=r"usability\.json"):
        find_usability(fuser, COMPACT)


def test_the_gain_of_the_mean_over_itself_is_nothing() -> None:
    record = find_usability(MeanFuser(), COMPACT)
    assert record is not None
    assert record.gain == pytest.approx([0] * 6, abs=1e-3)


@pytest.mark.parametrize("name", ["exact", "mean"])
def test_pictures_without_a_face_are_not_usable_alone_and_as_copies(name) -> None:
    embedder = load_embedder()
    fuser = load_fuser(name, embedder=embedder.fingerprint)
    rng = np.random.default_rng(9)
    for kind in KINDS:
        crops = draw_non_faces(kind, 4, rng)
        seen = embedder.embed_set(crops)
        for rows in ([0], [0] * 8, [0, 1, 2, 3]):
            judged = judge_usability(fuser, fuser.encode(seen[np.array(rows)]))
            assert judged.is_not_usable, (kind, rows)
            assert judged.quality == 0 or judged.interval is not None


def test_a_record_is_read_once_while_the_file_is_the_same(folder, monkeypatch) -> None:
    from probefusion.zoo import usability

    read = []
    monkeypatch.setattr(
        usability, "read_usability", lambda path: read.append(path) or read_usability(path)
    )
    fuser = load_fuser(folder)
    path = folder / "usability.json"
    state = fuser.encode(images())
    for _ in range(3):
        before = judge_usability(fuser, state)
    assert read == [path]
    sound = read_usability(path)
    write_usability(replace(sound, level=0.99), path, force=True)
    assert judge_usability(fuser, state).level == 0.99 != before.level
    path.write_text("{}")
    for _ in range(2):  # what is damaged is not remembered as anything
        with pytest.raises(FileFormatError, match=r"usability\.json"):
            find_usability(fuser, COMPACT)
        assert "usability.json" in judge_usability(fuser, state).reason
    path.unlink()
    assert judge_usability(fuser, state).verdict == "not known"
    write_usability(sound, path)
    assert judge_usability(fuser, state) == before


def test_many_states_are_judged_as_each_alone() -> None:
    fuser = MeanFuser()
    sets = [images(count) for count in (1, 3, 8)]
    record = find_usability(fuser, COMPACT)
    whole = EmbeddingSet.concatenate(sets)
    found = predict_states(fuser.encode_many(whole, [0, 1, 4, 12]), [1, 3, 8], record)
    for numbers, part in zip(found, sets, strict=True):
        alone = judge_usability(fuser, fuser.encode(part))
        assert Usability.of_numbers(numbers).verdict == alone.verdict
        assert numbers == pytest.approx(alone.numbers, nan_ok=True, abs=1e-6)


def test_a_record_that_cannot_be_used_is_told_once_and_costs_no_template(folder, caplog) -> None:
    path, sound = folder / "usability.json", read_usability(folder / "usability.json")
    fuser = load_fuser(folder)
    state = fuser.encode(images())
    assert usability_or_why(fuser, COMPACT) == (sound, "")
    assert usability_or_why(fuser, None) == (
        None,
        "nobody said which embedder made the embeddings",
    )
    short = replace(sound, appearance=sound.appearance[:-1], likeness=sound.likeness[:-1])
    for damage in (
        lambda: path.write_text('{"level": 0.9}'),
        lambda: path.write_text("no JSON"),
        lambda: write_usability(replace(sound, fuser="exact-fast@1"), path, force=True),
        lambda: write_usability(replace(sound, embedder="net@1"), path, force=True),
        lambda: write_usability(short, path, force=True),
    ):
        damage()
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="probefusion"):
            found = [finish_judged(fuser, state).usability for _ in range(3)]
        assert {each.verdict for each in found} == {"not known"}
        (record,) = caplog.records
        assert record.getMessage() == f"usability is not known: {found[0].reason}"
        assert "usability.json: " in record.getMessage()
    assert fuser.finish(state).num_images == 3
