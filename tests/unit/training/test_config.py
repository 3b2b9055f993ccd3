"""The settings classes of a training."""

from __future__ import annotations

import subprocess
import sys

import pytest

from probefusion.errors import ConfigError
from probefusion.settings import list_settings
from probefusion.training.config import RunSettings, TrainingConfig
from probefusion.training.recipes import RECIPES


def test_settings_are_listed_without_array_libraries() -> None:
    code = (
        "import sys; from probefusion.training.config import TrainingConfig, RunSettings\n"
        "from probefusion.settings import list_settings\n"
        "assert list_settings(TrainingConfig) and list_settings(RunSettings)\n"
        "print([n for n in ('numpy', 'torch', 'msgspec', 'onnxruntime') if n in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


def test_every_setting_has_a_help_text_and_its_own_name() -> None:
    entries = [*list_settings(TrainingConfig), *list_settings(RunSettings)]
    assert all(entry.help for entry in entries)
    assert len({entry.name for entry in entries}) == len(entries)
    recipe = next(entry for entry in entries if entry.name == "recipe")
    assert set(recipe.choices) == set(RECIPES)
    assert recipe.default in RECIPES


def test_the_published_recipe_brings_the_published_settings() -> None:
    config = TrainingConfig.of({"recipe": "official-16", "margin_weight": 0.5})
    assert config == TrainingConfig.official(architecture="exact", margin_weight=0.5)
    assert TrainingConfig.of({"steps": 3}) == TrainingConfig(steps=3)


def test_batch_size_and_validation_share_follow_the_number_of_people() -> None:
    few, many = TrainingConfig().for_people(50), TrainingConfig().for_people(1000)
    assert (few.batch_size, few.validation_share) == (50, 0.0)
    assert (many.batch_size, many.validation_share) == (128, 0.1)
    said = TrainingConfig(batch_size=300, validation_share=0.0)
    assert said.for_people(1000) == said


@pytest.mark.parametrize(
    "bad", [{"folds": (4,)}, {"folds": ()}, {"without": ("colour",)}, {"threads": 0}]
)
def test_bad_run_settings(bad) -> None:
    with pytest.raises(ConfigError, match=next(iter(bad))):
        RunSettings(**bad)
