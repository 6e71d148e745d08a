"""Settings merge in one order, are checked where they come in, and go to TOML and back."""

from __future__ import annotations

import tomllib
from dataclasses import fields, replace
from pathlib import Path

import pytest

from labtune.catalog import load_catalog
from labtune.errors import PluginError, SettingsError
from labtune.settings import Settings, resolve_settings
from labtune.specs import Preset


@pytest.fixture
def catalog(demo):
    return load_catalog()


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return path

    return write


def test_every_layer_overrides_the_one_below(catalog, write):
    assert Settings(task="demo.words", encoder="tiny").epochs == 3
    assert resolve_settings(catalog, "demo.words").loss == {"gamma": 1.5}  # the preset over the task's 3.0
    file = write('task = "demo.words"\nepochs = 5\nseed = 5\nbatch_size = 5\n[loss]\ngamma = 2.5')
    settings = resolve_settings(catalog, file, {"seed": 6, "batch_size": 6}, ["batch_size=7"])
    assert (settings.epochs, settings.seed, settings.batch_size, settings.loss) == (5, 6, 7, {"gamma": 2.5})


def test_option_tables_merge_key_by_key(catalog):
    settings = resolve_settings(catalog, "demo.words", sets=["loss.weight=0.5", "reader.sheet=2"])
    assert settings.loss == {"gamma": 1.5, "weight": 0.5}
    assert settings.reader == {"column": "text", "sheet": 2}


@pytest.mark.parametrize(
    ("text", "flags", "sets", "preset"),
    [
        ("", {}, [], "small"),
        ('preset = "large"', {}, [], "large"),
        ('preset = "large"', {"preset": "small"}, [], "small"),
        ('preset = "small"', {"preset": "small"}, ["preset=large"], "large"),
    ],
)
def test_the_preset_is_chosen_by_the_uppermost_layer(catalog, write, text, flags, sets, preset):
    settings = resolve_settings(catalog, write(f'task = "demo.words"\n{text}'), flags, sets)
    assert settings.preset == preset
    assert settings.method == {"small": "full", "large": "lora"}[preset]


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("head.crf=true", True),
        ("head.size=2", 2),
        ("head.rate=1e-3", 1e-3),
        ("head.kind=linear", "linear"),
        ('head.kind="true"', "true"),
        ("head.sizes=[1, 2]", [1, 2]),
        ("head.kind = a=b ", "a=b"),
        ("head.kind=", ""),
    ],
)
def test_set_reads_toml_values_and_bare_words(catalog, assignment, value):
    [read] = resolve_settings(catalog, "demo.words", sets=[assignment]).head.values()
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("key", ["epochs", "seed"])
def test_arguments_may_be_texts(catalog, key):
    assert getattr(resolve_settings(catalog, "demo.words", {key: "4"}), key) == 4


def test_a_text_that_looks_like_a_number_stays_a_text(catalog):
    assert resolve_settings(catalog, "demo.words", sets=["encoder=2024"]).encoder == "2024"
    assert resolve_settings(catalog, "demo.words", {"encoder": "true"}).encoder == "true"


def test_an_argument_of_none_is_not_given(catalog):
    assert resolve_settings(catalog, "demo.words", {"preset": None, "epochs": None}).epochs == 3


@pytest.mark.parametrize(
    ("flags", "sets", "rate"),
    [
        ({}, [], 1e-3),
        ({"method": "lora", "encoder": "tiny"}, [], 1e-3),  # as the preset has them
        ({"method": "full"}, [], None),
        ({}, ["encoder=minilm"], None),
        ({"encoder": "minilm", "learning_rate": 5e-5}, [], 5e-5),
        ({"encoder": "minilm"}, ["learning_rate=5e-5"], 5e-5),
    ],
)
def test_the_rate_of_a_preset_is_for_its_own_encoder_and_method(catalog, flags, sets, rate):
    assert resolve_settings(catalog, "demo.words", {"preset": "large", **flags}, sets).learning_rate == rate


def test_auto_takes_back_what_a_preset_sets(catalog):
    assert resolve_settings(catalog, "demo.words", {"preset": "large"}).learning_rate == 1e-3
    assert resolve_settings(catalog, "demo.words", {"preset": "large"}, ["learning_rate=auto"]).learning_rate is None


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("epochs=0", "epochs must be a whole number, 1 or more, not '0' {source}"),
        ("epochs=2.5", "epochs must be a whole number, 1 or more, not '2.5' {source}"),
        ("epochs=true", "epochs must be a whole number, 1 or more, not 'true' {source}"),
        ("epochs.x=3", "epochs must be a whole number, 1 or more, not {{'x': 3}} {source}"),
        ("seed=-1", "seed must be a whole number, 0 or more, not '-1' {source}"),
        ("dropout=1", "dropout must be a number, 0 or more and below 1, not '1' {source}"),
        ("clip=nan", "clip must be a number, 0 or more, not 'nan' {source}"),
        ("clip=inf", "clip must be a number, 0 or more, not 'inf' {source}"),
        ("learning_rate=high", "learning_rate must be a number, 0 or more, or auto, not 'high' {source}"),
        ("bits=7", "bits must be one of 32, 16, 8, 4, not '7' {source}"),
        ("schedule=step", "schedule must be one of linear, cosine, constant, not 'step' {source}"),
        ("fractions=[1, 0]", "fractions must be 3 numbers above 0 that sum to 1, not '[1, 0]' {source}"),
        ("fractions=[1, 1, 1]", "fractions must be 3 numbers above 0 that sum to 1, not '[1, 1, 1]' {source}"),
        ("head=a", "head must be a table of options in the types of TOML, not 'a' {source}; write head.NAME=VALUE"),
        ("epoch=3", "unknown setting 'epoch' {source}. Did you mean 'epochs'?"),
        ("los.gamma=3", "unknown setting 'los' {source}. Did you mean 'loss'?"),
        ("data.trian=a", "unknown data file 'trian' {source}. Did you mean 'train'?"),
        ("data.train=1", "data.train must be a path, not 1 {source}"),
        ("preset=smal", "the task 'demo.words' has no preset 'smal' {source}. Did you mean 'small'?"),
        ("task=other", "the task cannot be changed by --set task=other: name another task or file instead"),
        ("epochs", "--set epochs is not of the form key=value"),
        ("=3", "--set =3 is not of the form key=value"),
        ("bits=4", "4 bits store frozen weights, and method 'full' freezes none: choose method 'lora', or 32 bits"),
    ],
)
def test_a_wrong_value_says_what_is_accepted_and_where_it_comes_from(catalog, assignment, message):
    with pytest.raises(SettingsError) as caught:
        resolve_settings(catalog, "demo.words", sets=[assignment])
    assert str(caught.value) == message.format(source=f"(--set {assignment})")


def test_each_source_is_named(catalog, write, install):
    file = write('task = "demo.words"\nepohcs = 3')
    with pytest.raises(SettingsError, match=rf"unknown setting 'epohcs' \({file}\)\. Did you mean 'epochs'\?"):
        resolve_settings(catalog, file)
    with pytest.raises(SettingsError, match=r"unknown setting 'epohcs' \(the arguments\)"):
        resolve_settings(catalog, "demo.words", {"epohcs": 3})


def test_a_mistake_of_the_plugin_is_named(catalog):
    task = catalog.task("demo.words")
    bad_task = replace(task, name="demo.a", options={"lost": {}})
    bad_preset = replace(task, name="demo.b", presets=(Preset(name="only", settings={"loss": {"gamma": None}}),))
    broken = replace(catalog, tasks={"demo.a": bad_task, "demo.b": bad_preset})
    with pytest.raises(SettingsError, match=r"unknown setting 'lost' \(task 'demo\.a'\)\. Did you mean 'loss'\?"):
        resolve_settings(broken, "demo.a")
    with pytest.raises(SettingsError, match=r"loss must be a table .* \(preset 'only' of 'demo\.b'\)"):
        resolve_settings(broken, "demo.b")


def test_a_file_is_refused_with_its_name(catalog, write, tmp_path):
    with pytest.raises(SettingsError, match=r"cannot read the settings .*absent\.toml: No such file or directory"):
        resolve_settings(catalog, tmp_path / "absent.toml")
    with pytest.raises(SettingsError, match=r"cannot read the settings .*mine\.toml: .*line 2"):
        resolve_settings(catalog, write('task = "demo.words"\nepochs = =\n'))
    with pytest.raises(SettingsError, match=r"mine\.toml names no task"):
        resolve_settings(catalog, write("epochs = 3"))
    with pytest.raises(PluginError, match=r"unknown task 'demo\.word'"):
        resolve_settings(catalog, write('task = "demo.word"'))


def test_an_encoder_must_be_chosen(write):
    with pytest.raises(SettingsError, match=r"no encoder is chosen for 'demo\.words'"):
        Settings.from_toml(write('task = "demo.words"'))


def test_data_paths_are_absolute_from_where_they_were_written(catalog, write, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    file = write('task = "demo.words"\n[data]\ntrain = "a.csv"\nvalid = "../b.csv"')
    monkeypatch.chdir(tmp_path / "elsewhere")
    settings = resolve_settings(catalog, "../mine.toml", {"data": {"test": "c.csv", "valid": Path("d.csv")}})
    assert settings.data == {
        "train": str(tmp_path / "a.csv"),
        "valid": str(tmp_path / "elsewhere/d.csv"),
        "test": str(tmp_path / "elsewhere/c.csv"),
    }
    assert resolve_settings(catalog, file).data["valid"] == str(tmp_path.parent / "b.csv")


@pytest.mark.parametrize("preset", ["small", "large"])
def test_toml_round_trip(catalog, write, preset):
    chosen = ["head.sizes=[1, 2]", "head.deep.er=1", 'tuning.modules=["query"]', "data.train=a.csv", "clip=2"]
    settings = resolve_settings(catalog, "demo.words", {"preset": preset}, [*chosen, "learning_rate=auto"])
    file = write(settings.to_toml())
    assert Settings.from_toml(file) == settings
    assert resolve_settings(catalog, file) == settings  # although the preset sets a learning rate


def test_toml_says_every_setting_that_has_a_value(catalog):
    settings = resolve_settings(catalog, "demo.words")
    written = tomllib.loads(settings.to_toml())
    assert {item.name for item in fields(Settings)} - written.keys() == {
        "data",
        "tokenizer",
        "encoder_options",
        "head",
        "tuning",
    }


def test_facts_about_a_run_are_kept_apart(catalog, write):
    settings = resolve_settings(catalog, "demo.words")
    file = write(settings.to_toml(facts={"versions": {"torch": "2"}}))
    assert tomllib.loads(file.read_text())["facts"] == {"versions": {"torch": "2"}}
    assert Settings.from_toml(file) == settings
