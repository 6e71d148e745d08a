"""What is searched, and what is not."""

from __future__ import annotations

import pytest

from labtune.catalog import load_catalog
from labtune.errors import SettingsError
from labtune.experiments.request import Request
from labtune.experiments.spaces import DEFAULT, Range, build_space, settings_of

SEARCH = 'settings={"encoder": "tiny", "loss": {"gamma": 1.5}}'


@pytest.fixture
def plan(install, demo_source):
    """Plan the search of a preset with these ranges."""

    def build(search="{}", flags=None, sets=()):
        install("labtune-demo", demo_source.replace(SEARCH, f"{SEARCH}, search={search}"))
        return build_space(Request(load_catalog(), "demo.words", flags or {}, sets))

    return build


def test_the_default_space(plan):
    space = plan()
    assert set(space) == set(DEFAULT)
    assert space["method"] == ("full", "lora", "bitfit")
    assert space["learning_rate"] == Range(1e-5, 5e-3, log=True)


def test_the_preset_adds_changes_and_takes_out(plan):
    space = plan('{"loss.gamma": {"low": 0.5, "high": 3.0}, "batch_size": [2, 4], "dropout": None, "method": ["lora"]}')
    assert space["loss.gamma"] == Range(0.5, 3.0)
    assert space["batch_size"] == (2, 4)
    assert "dropout" not in space
    assert space["method"] == ("lora",)


def test_what_is_given_is_not_searched(plan):
    space = plan(flags={"method": "head"}, sets=["dropout=0"])
    assert "method" not in space
    assert "dropout" not in space
    assert "tuning.rank" not in space  # the head alone has no rank


@pytest.mark.parametrize("words", [{"flags": {"bits": "4"}}, {"sets": ["bits=4"]}])
def test_methods_that_do_not_go_with_the_bits_are_left_out(plan, words):
    assert plan(**words)["method"] == ("lora",)


def test_no_method_that_goes_with_the_bits_is_told(plan):
    with pytest.raises(SettingsError, match="4 bits store frozen weights"):
        plan('{"method": ["full", "bitfit"]}', flags={"bits": "4"})


@pytest.mark.parametrize(
    ("search", "told"),
    [
        ('{"learning_rat": [1]}', "learning_rat in the search of preset 'small'"),
        ('{"seed": [1, 2]}', "no setting that can be searched"),
        ('{"loss": [1, 2]}', "no setting that can be searched"),
        ('{"dropout.x": [1]}', "no setting that can be searched"),
        ('{"dropout": 0.1}', "must be a list of choices, or a table"),
        ('{"dropout": []}', "must be a list of choices, or a table"),
        ('{"dropout": [0.1, 2]}', "dropout must be a number"),
        ('{"dropout": {"low": 0.1, "high": 2}}', "dropout must be a number"),
        ('{"dropout": {"low": 0.2, "high": 0.1}}', "must have low < high"),
        ('{"weight_decay": {"low": 0, "high": 1, "log": True}}', "above 0 with log"),
        ('{"dropout": {"from": 0, "high": 1}}', "must have low < high"),
    ],
)
def test_bad_ranges_are_told(plan, search, told):
    with pytest.raises(SettingsError, match=told):
        plan(search)


def test_nothing_left_is_told(plan):
    sets = ["learning_rate=1e-3", "batch_size=8", "dropout=0", "weight_decay=0", "method=full"]
    with pytest.raises(SettingsError, match="nothing is left to search"):
        plan(sets=sets)


def test_an_option_that_no_method_takes_is_told(plan):
    with pytest.raises(SettingsError, match=r"takes the option tuning\.rnk"):
        plan(sets=["tuning.rnk=4"])


def test_values_become_settings(demo):
    request = Request(load_catalog(), "demo.words", {"preset": "large"}, ["tuning.alpha=4"])
    values = {"method": "lora", "tuning.rank": 2, "loss.gamma": 0.5, "batch_size": 8}
    settings = settings_of(request, values)
    assert (settings.method, settings.batch_size, settings.loss["gamma"]) == ("lora", 8, 0.5)
    assert settings.tuning == {"alpha": 4, "rank": 2}
    assert settings.learning_rate == 1e-3  # the preset's, which is for this method
    assert settings_of(request, {"method": "full"}).tuning == {}
