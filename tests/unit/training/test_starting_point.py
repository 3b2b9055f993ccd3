"""Going on from a fuser: its own weights, checked, and what comes of them."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict

import numpy as np
import pytest
import torch

from probefusion.errors import (
    ConfigError,
    EmbedderMismatchError,
    IntegrityError,
    MismatchError,
    MissingFileError,
)
from probefusion.files import renew_hash
from probefusion.fusion.learned import open_fuser
from probefusion.nn.architectures import network_config
from probefusion.training import loop
from probefusion.training.config import TrainingConfig
from probefusion.training.export.fuser_folder import export_fuser
from probefusion.training.loop import train_network
from probefusion.training.starting_point import WEIGHTS_NAME, read_starting_point

SETTINGS = {
    "batch_size": 12,
    "group_size": 4,
    "prefixes": (1, 2, 4),
    "bad_share": None,
    "margin_weight": 0.0,
}


def export(network, folder, architecture):
    return export_fuser(
        network,
        folder,
        name=f"{architecture}.projection-test.r1",
        architecture=architecture,
        embedder="projection@1",
        licence="none",
        training={},
    )


@pytest.mark.parametrize("architecture", ["exact", "exact-fast", "official"])
def test_at_step_0_it_is_the_old_fuser(fuser_folders, architecture, make_set) -> None:
    fuser = open_fuser(fuser_folders[architecture])
    start = read_starting_point(fuser_folders[architecture])
    network = start.network()
    assert network_config(network) == fuser.card.config
    images = make_set(9)
    with torch.no_grad():
        fused = network(
            torch.from_numpy(images.embeddings.copy())[None],
            torch.from_numpy(images.style.copy())[None],
        )[0].numpy()
    # rounding in float32 only: these random weights are wild, the vectors have length one
    assert np.abs(fused / np.linalg.norm(fused) - fuser.fuse(images).vector).max() < 5e-5


@pytest.mark.parametrize("architecture", ["exact", "official"])
def test_training_on_begins_where_the_old_one_ended_and_goes_further(
    tmp_path, store, architecture
) -> None:
    config = TrainingConfig(architecture=architecture, steps=40, learning_rate=3e-3, **SETTINGS)
    first = train_network(store, config)
    export(first.network, tmp_path / "old", architecture)
    start = read_starting_point(tmp_path / "old")
    kept = first.network.state_dict()  # rounded to half precision by the export
    assert kept.keys() == start.weights.keys()
    assert all(torch.equal(value, kept[name]) for name, value in start.weights.items())
    more = TrainingConfig(
        architecture=architecture,
        network=start.network_settings,
        steps=40,
        learning_rate=1e-3,
        **SETTINGS,
    )
    further = train_network(store, more, start=start)
    assert further.centre_losses[0] < 0.5 * first.centre_losses[0] + 0.5 * first.centre_losses[-1]
    assert further.centre_losses[-10:].mean() < first.centre_losses[-10:].mean()
    moved = further.network.state_dict()
    assert any(not torch.equal(moved[name], value) for name, value in start.weights.items())


def test_kept_people_never_fare_worse_than_with_the_old_fuser(tmp_path, store) -> None:
    config = TrainingConfig(steps=40, learning_rate=3e-3, **SETTINGS)
    export(train_network(store, config).network, tmp_path / "old", "exact")
    start = read_starting_point(tmp_path / "old")
    ruinous = TrainingConfig(
        network=start.network_settings,
        steps=3,
        learning_rate=50.0,
        validation_share=0.3,
        check_every=1,
        **SETTINGS,
    )
    result = train_network(store, ruinous, start=start)
    assert result.best_step == 0
    assert all(
        torch.equal(value, start.weights[name])
        for name, value in result.network.state_dict().items()
    )


def test_a_checkpoint_of_another_start_is_not_gone_on_with(tmp_path, store) -> None:
    from probefusion.errors import MismatchError

    config = TrainingConfig(steps=2, **SETTINGS)
    export(train_network(store, config).network, tmp_path / "old", "exact")
    start = read_starting_point(tmp_path / "old")
    train_network(store, config, checkpoint=tmp_path / "c")
    with pytest.raises(MismatchError, match="other settings"):
        train_network(store, config, start=start, checkpoint=tmp_path / "c")


def test_what_cannot_be_gone_on_from(tmp_path, fuser_folders) -> None:
    folder = tmp_path / "fuser"
    shutil.copytree(fuser_folders["exact"], folder)
    start = read_starting_point(folder)
    start.check_embedder("net@1")
    with pytest.raises(EmbedderMismatchError, match=r"net@1.*other@2"):
        start.check_embedder("other@2")
    weights = (folder / WEIGHTS_NAME).read_bytes()
    (folder / WEIGHTS_NAME).write_bytes(weights[:-1] + b"\x00\x01")
    with pytest.raises(IntegrityError, match="SHA-256"):
        read_starting_point(folder)
    (folder / WEIGHTS_NAME).unlink()
    with pytest.raises(MissingFileError, match="without them"):
        read_starting_point(folder)
    (folder / WEIGHTS_NAME).write_bytes(weights)
    card = json.loads((folder / "fuser.json").read_text())
    card["architecture"] = "exakt"
    del card["content_sha256"]
    (folder / "fuser.json").write_text(json.dumps(card))
    with pytest.raises(ConfigError, match="--plugin"):
        read_starting_point(folder)


def test_a_table_that_an_older_release_halved_is_made_whole(fuser_folders) -> None:
    start = read_starting_point(fuser_folders["exact"])
    name = "token.norm_emb.pe"
    whole = start.weights[name]
    assert torch.equal(whole, start.network().state_dict()[name])
    start.weights[name] = whole.half().float()
    assert not torch.equal(start.weights[name], whole)
    assert torch.equal(start.network().state_dict()[name], whole)


def test_a_card_that_names_no_share_of_the_correction_means_all_of_it(
    fuser_folders, tmp_path
) -> None:
    folder = tmp_path / "older"
    shutil.copytree(fuser_folders["exact-fast"], folder)
    card = json.loads((folder / "fuser.json").read_text())
    assert card["config"].pop("correction_share") == 0.5
    (folder / "fuser.json").write_text(json.dumps(card))
    renew_hash(folder / "fuser.json")
    start = read_starting_point(folder)
    assert start.network_settings["correction_share"] == 1.0
    assert start.network().config.correction_share == 1.0
    assert read_starting_point(fuser_folders["exact-fast"]).network().config.correction_share == 0.5


def former_identity(config, store, started_from=None) -> str:
    """`run_identity` of the release before `correction_share`."""
    facts = {key: value for key, value in store.facts.items() if key != "format_version"}
    network = {k: v for k, v in config.network.items() if k != "correction_share"}
    identity = {"config": {**asdict(config), "network": network}, "store": facts}
    if started_from is not None:
        identity["started_from"] = started_from
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


@pytest.fixture
def stopped_before(monkeypatch, store, tmp_path):
    """A checkpoint after two of four steps, as the release before `correction_share` wrote it."""

    def stop(config, start=None):
        steps = []
        with monkeypatch.context() as old:
            old.setattr(loop, "run_identity", former_identity)
            train_network(
                store,
                config,
                start=start,
                checkpoint=tmp_path / "c",
                on_step=steps.append,
                should_stop=lambda: len(steps) == 2,
            )
        return tmp_path / "c"

    return stop


@pytest.mark.parametrize("architecture", ["exact", "exact-fast"])
def test_a_checkpoint_that_knows_no_share_of_the_correction_means_all_of_it(
    store, stopped_before, architecture
) -> None:
    config = TrainingConfig(architecture=architecture, steps=4, **SETTINGS)
    checkpoint = stopped_before(config)
    for network in ({}, {"correction_share": 0.5}):
        other = TrainingConfig(architecture=architecture, network=network, steps=4, **SETTINGS)
        with pytest.raises(MismatchError, match="other settings"):
            train_network(store, other, checkpoint=checkpoint)
    for whole in (1.0, 1):
        network = {"correction_share": whole}
        same = TrainingConfig(architecture=architecture, network=network, steps=4, **SETTINGS)
        gone_on = train_network(store, same, checkpoint=checkpoint)
    assert gone_on.is_finished
    assert gone_on.network.config.correction_share == 1.0


def test_a_run_from_an_older_fuser_goes_on_from_its_older_checkpoint(
    store, stopped_before, tmp_path
) -> None:
    first = TrainingConfig(architecture="exact", steps=1, **SETTINGS)
    export(train_network(store, first).network, tmp_path / "old", "exact")
    card = json.loads((tmp_path / "old" / "fuser.json").read_text())
    del card["config"]["correction_share"]
    (tmp_path / "old" / "fuser.json").write_text(json.dumps(card))
    renew_hash(tmp_path / "old" / "fuser.json")
    start = read_starting_point(tmp_path / "old")
    config = TrainingConfig(
        architecture="exact", network=start.network_settings, steps=4, **SETTINGS
    )
    checkpoint = stopped_before(config, start)
    gone_on = train_network(store, config, start=start, checkpoint=checkpoint)
    assert (gone_on.step, len(gone_on.centre_losses)) == (4, 2)
    assert gone_on.network.config.correction_share == 1.0
    half = {**start.network_settings, "correction_share": 0.5}
    with pytest.raises(MismatchError, match="other settings"):
        train_network(
            store,
            TrainingConfig(architecture="exact", network=half, steps=4, **SETTINGS),
            start=start,
            checkpoint=checkpoint,
        )
