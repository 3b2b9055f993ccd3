from __future__ import annotations

import dataclasses

import pytest

from probefusion.embedders import EmbedderSpec
from probefusion.errors import ConfigError

BASE = EmbedderSpec(name="net", sha256="ab" * 32, dim=128)


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "cd" * 32},
        {"dim": 64},
        {"input_size": 160},
        {"channel_order": "BGR"},
        {"mean": (0.4, 0.5, 0.5)},
        {"std": (0.5, 0.5, 0.4)},
        {"style_taps": ("a", "b")},
        {"norm_output": "norm"},
        {"name": "other"},
    ],
)
def test_fingerprint_changes_with_all_that_changes_the_numbers(change):
    assert dataclasses.replace(BASE, **change).fingerprint != BASE.fingerprint


def test_order_of_taps_counts():
    one = dataclasses.replace(BASE, style_taps=("a", "b"))
    assert one.fingerprint != dataclasses.replace(BASE, style_taps=("b", "a")).fingerprint


@pytest.mark.parametrize("change", [{"licence": "MIT"}, {"norm_is_quality": True}])
def test_fingerprint_ignores_what_is_only_said_about_the_network(change):
    assert dataclasses.replace(BASE, **change).fingerprint == BASE.fingerprint


def test_another_form_has_the_fingerprint_of_what_it_stands_for():
    other = dataclasses.replace(BASE, sha256="cd" * 32, stands_for=BASE.fingerprint)
    assert other.fingerprint == BASE.fingerprint == BASE.own_fingerprint
    assert other.own_fingerprint != BASE.own_fingerprint


def test_lists_and_integers_give_the_same_fingerprint_as_tuples_and_floats():
    from_json = dataclasses.replace(BASE, mean=[0, 0, 0], std=[1, 1, 1], style_taps=["a", "b"])
    plain = dataclasses.replace(BASE, mean=(0.0,) * 3, std=(1.0,) * 3, style_taps=("a", "b"))
    assert from_json == plain
    assert from_json.fingerprint == plain.fingerprint


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "a b"}, "name"),
        ({"name": ""}, "name"),
        ({"sha256": "AB" * 32}, "sha256"),
        ({"sha256": "ab"}, "sha256"),
        ({"dim": 0}, "dim"),
        ({"dim": True}, "dim"),
        ({"input_size": 112.0}, "input_size"),
        ({"channel_order": "rgb"}, "channel_order"),
        ({"mean": (127.5, 127.5, 127.5)}, "Divide by 255"),
        ({"mean": 0.5}, "three numbers"),
        ({"mean": (0.5, 0.5)}, "three numbers"),
        ({"mean": (float("nan"),) * 3}, "finite"),
        ({"std": (0.5, 0.0, 0.5)}, "above 0"),
        ({"style_taps": "a"}, "style_taps"),
        ({"style_taps": ("a", "b", "c", "d", "e")}, "style_taps"),
        ({"style_taps": ("a", "")}, "style_taps"),
        ({"norm_is_quality": "yes"}, "norm_is_quality"),
        ({"stands_for": "net"}, "stands_for"),
        ({"stands_for": 3}, "stands_for"),
    ],
)
def test_wrong_values_are_refused(change, words):
    with pytest.raises(ConfigError, match=words):
        dataclasses.replace(BASE, **change)
