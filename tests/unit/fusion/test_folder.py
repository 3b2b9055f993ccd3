from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from probefusion.errors import (
    ConfigError,
    FileFormatError,
    IntegrityError,
    MissingFileError,
)
from probefusion.files.hashed_json import renew_hash
from probefusion.fusion.folder import FuserCard, read_card
from probefusion.fusion.threshold import Threshold
from probefusion.zoo import load_fuser
from probefusion.zoo.fusers import trained_fusers


@pytest.fixture
def folder(tmp_path, fuser_folders):
    shutil.copytree(fuser_folders["exact"], tmp_path / "fuser")
    return tmp_path / "fuser"


def change_card(folder, **changes) -> None:
    path = folder / "fuser.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    renew_hash(path)


def test_self_test_repeats_the_answer_of_the_card(folder) -> None:
    assert load_fuser(folder).self_test() < 1e-5


def test_self_test_notices_another_answer(folder) -> None:
    card = json.loads((folder / "fuser.json").read_text())
    card["self_test"]["output"][0] += 0.01
    change_card(folder, self_test=card["self_test"])
    with pytest.raises(IntegrityError, match="another answer"):
        load_fuser(folder).self_test()


def test_changed_graph_is_noticed(folder) -> None:
    data = bytearray((folder / "encode.onnx").read_bytes())
    data[-1] ^= 1
    (folder / "encode.onnx").write_bytes(data)
    with pytest.raises(IntegrityError, match="SHA-256"):
        load_fuser(folder)


def test_bad_cards(folder, tmp_path) -> None:
    change_card(folder, colour="red")
    with pytest.raises(FileFormatError, match="colour"):
        read_card(folder)
    (folder / "fuser.json").write_text("{")
    with pytest.raises(FileFormatError, match="JSON"):
        read_card(folder)
    (folder / "fuser.json").write_text("[]")
    with pytest.raises(FileFormatError, match="list"):
        read_card(folder)
    (folder / "fuser.json").unlink()
    with pytest.raises(MissingFileError):
        read_card(folder)
    with pytest.raises(MissingFileError):
        read_card(tmp_path / "nowhere")


def test_newer_format_and_missing_keys(folder) -> None:
    change_card(folder, format_version=99)
    with pytest.raises(FileFormatError, match="Upgrade"):
        read_card(folder)
    change_card(folder, format_version=1, kind="magic")
    with pytest.raises(FileFormatError, match="imagewise"):
        read_card(folder)


def test_missing_graph(folder) -> None:
    (folder / "finish.onnx").unlink()
    with pytest.raises(MissingFileError, match="finish"):
        load_fuser(folder)


def threshold(rate: float, size: int, similarity: float) -> Threshold:
    return Threshold(
        false_match_rate=rate, similarity=similarity, num_images=size, num_non_mated=10, source="s"
    )


def test_threshold_of_the_largest_size_not_above() -> None:
    card = FuserCard(
        name="n",
        architecture="exact",
        kind="imagewise",
        config={},
        embedder=None,
        dim=2,
        style_channels=0,
        num_clusters=1,
        licence="",
        files={},
        thresholds=(threshold(1e-3, 4, 0.4), threshold(1e-3, 16, 0.3), threshold(1e-4, 4, 0.5)),
    )
    assert card.threshold_for(1e-3, 15).similarity == 0.4
    assert card.threshold_for(1e-3, 99).similarity == 0.3
    assert card.threshold_for(1e-3, 1).similarity == 0.4
    assert card.threshold_for(1e-4, 4).similarity == 0.5
    assert card.threshold_for(1e-5, 4) is None
    for rate in (0, 1, -1e-3, float("nan")):
        with pytest.raises(ConfigError, match="between 0 and 1"):
            card.threshold_for(rate, 4)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_clusters": 2},
        {"kind": "setwise"},
        {"dim": 17},
        {"name": 7},
        {"embedder": 5},
        {"thresholds": [{"false_match_rate": "a"}]},
        {
            "thresholds": [
                {
                    "false_match_rate": "a",
                    "similarity": 0.1,
                    "num_images": 1,
                    "num_non_mated": 1,
                    "source": "",
                }
            ]
        },
    ],
)
def test_cards_that_do_not_fit_the_graphs(folder, changes) -> None:
    change_card(folder, **changes)
    with pytest.raises(FileFormatError):
        load_fuser(folder)


def test_a_graph_that_is_no_onnx(folder) -> None:
    from probefusion.files import sha256_of

    (folder / "encode.onnx").write_bytes(b"no graph")
    card = json.loads((folder / "fuser.json").read_text())
    change_card(folder, files=card["files"] | {"encode.onnx": sha256_of(folder / "encode.onnx")})
    with pytest.raises(FileFormatError, match="ONNX Runtime"):
        load_fuser(folder)


def test_lost_lengths_are_refused_where_they_matter(folder, make_set) -> None:
    from probefusion.errors import MissingNormsError
    from probefusion.types import EmbeddingSet

    raw = make_set(4)
    units = EmbeddingSet(
        embeddings=raw.embeddings / raw.norms[:, None], style=raw.style, embedder="net@1"
    )
    assert load_fuser(folder).fuse(units).num_images == 4
    change_card(folder, needs_norms=True)
    assert load_fuser(folder).fuse(raw).num_images == 4
    with pytest.raises(MissingNormsError, match="length 1"):
        load_fuser(folder).fuse(units)


def test_unit_values_are_not_given_by_the_graph(folder) -> None:
    card = read_card(folder)
    assert (card.format_version, card.values) == (3, "unit")
    names = [output.name for output in load_fuser(folder)._encode_graph.get_outputs()]
    assert names == ["shares", "style_tokens"]
    change_card(folder, values="graph")
    with pytest.raises(FileFormatError, match="values"):
        load_fuser(folder)
    change_card(folder, values="some")
    with pytest.raises(FileFormatError, match="unit, graph"):
        load_fuser(folder)


def test_a_network_with_values_of_its_own_gives_them(tmp_path, make_set) -> None:
    torch = pytest.importorskip("torch")
    from probefusion.nn.exact import ExactFuser, ExactFuserConfig
    from probefusion.training.export.fuser_folder import export_fuser

    class OwnValues(ExactFuser):
        """Adds to every image, before it is weighted, what the sums could not tell apart."""

        values_are_directions = False

        def terms(self, embeddings, style):
            terms = super().terms(embeddings, style)
            return terms._replace(values=terms.values + 0.1 * terms.values**2)

    network = OwnValues(ExactFuserConfig(dim=16, style_channels=6))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1
    export_fuser(
        network,
        tmp_path / "fuser",
        name="exact.test-random.r1",
        architecture="exact",
        embedder=None,
        licence="none",
        training={},
    )
    fuser = load_fuser(tmp_path / "fuser")
    assert fuser.card.values == "graph"
    images = make_set(700)
    with torch.no_grad():
        fused = network(
            torch.from_numpy(images.embeddings.copy())[None],
            torch.from_numpy(images.style.copy())[None],
        )[0]
    assert np.abs(fuser.fuse(images).vector - (fused / fused.norm()).numpy()).max() < 1e-5
    # Format 1 knew no other kind: its cards have no key `values`.
    card = json.loads((tmp_path / "fuser" / "fuser.json").read_text())
    del card["values"], card["content_sha256"]
    (tmp_path / "fuser" / "fuser.json").write_text(json.dumps(card | {"format_version": 1}))
    old = load_fuser(tmp_path / "fuser")
    assert old.card.values == "graph"
    assert np.array_equal(old.fuse(images).vector, fuser.fuse(images).vector)


def test_graphs_tell_nothing_of_the_machine_they_were_made_on(fuser_folders) -> None:
    for folder in {*fuser_folders.values(), *trained_fusers().values()}:
        for graph in folder.glob("*.onnx"):
            content = graph.read_bytes()
            assert b"stack_trace" not in content
            assert b".py" not in content, graph
