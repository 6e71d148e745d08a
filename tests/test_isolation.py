"""A plugin that cannot be used is skipped, remembered and told, and everything else goes on working."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from labtune.catalog import load_catalog
from labtune.errors import PluginError
from labtune.hookspecs import hookimpl
from labtune.plugins import load_plugins
from labtune.specs import Component

HEAD = """
from labtune import Component, hookimpl

@hookimpl
def labtune_heads():
    return [Component(name="{name}", target="somewhere:Head", summary="A head.")]
"""

TASK = """
from labtune import Labels, Preset, Task, hookimpl

@hookimpl
def labtune_tasks():
    return [
        Task(name="good.task", summary="It works.", reader="a:b", tokenizer="text", head="sequence", loss="focal",
             metrics=("classification",), labels=Labels(kind="classes"),
             presets=(Preset(name="only", settings={"encoder": "tiny"}),), examples="a:b")
    ]
"""

TASKS_OF_HEADS = HEAD.replace("labtune_heads", "labtune_tasks")
FAILS_LATER = """
@hookimpl
def labtune_tasks():
    raise ZeroDivisionError("division by zero")
"""

# name of the plugin: source of its module, what its distribution requires, what the user reads
BROKEN = {
    "raising": ("import no_such_library", [], "ModuleNotFoundError: No module named 'no_such_library'"),
    "exiting": ("import sys; sys.exit('no licence')", [], "SystemExit: no licence"),
    "old": ("raise AssertionError('imported')", ["labtune<0.0.1"], "needs labtune<0.0.1, and this is labtune"),
    "garbled": ("", ["labtune ~~ 1"], "InvalidRequirement:"),
    "typo": (HEAD.replace("_heads", "_haeds"), [], "no hook 'labtune_haeds'. Did you mean 'labtune_heads'?"),
    "unmarked": (HEAD.replace("@hookimpl", ""), [], "'labtune_heads' is not marked with @labtune.hookimpl"),
    "generator": (HEAD.replace("return", "yield from"), [], "must return a list or tuple, not a generator"),
    "single": (HEAD.replace("[", "").replace("]", ""), [], "must return a list or tuple, not a Component"),
    "kind": (TASKS_OF_HEADS, [], "labtune_tasks must return Task records, not a Component"),
    "argument": (HEAD.replace("()", "(config)", 1), [], "Argument(s) {'config'}"),
    "twice": (HEAD.replace("]", "] * 2"), [], "'twice.head' in heads is offered twice"),
    "prefix": (HEAD.replace("{name}", "other.head"), [], "'other.head' in heads: its name must start with 'prefix.'"),
    "bare": (HEAD.replace("{name}", "sequence"), [], "'sequence' in heads: its name must start with 'bare.'"),
    "half": (HEAD + FAILS_LATER, [], "ZeroDivisionError: division by zero"),
}
BROKEN = {
    name: (source.replace("{name}", f"{name}.head"), {"requires": requires}, message)
    for name, (source, requires, message) in BROKEN.items()
}


def test_a_good_plugin_offers_its_parts(install):
    install("labtune-good", TASK)
    [plugin] = [plugin for plugin in load_plugins().plugins if plugin.name == "good"]
    assert (plugin.distribution, plugin.version, plugin.module, plugin.error) == (
        "labtune-good",
        "1.0",
        "labtune_good",
        "",
    )
    assert [task.name for task in plugin.offers["tasks"]] == ["good.task"]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_skipped_whole_and_told(name, install):
    source, about, message = BROKEN[name]
    install(f"labtune-{name}", source, version="3.2", **about)
    install("labtune-good", TASK)
    catalog = load_catalog()
    assert catalog.task("good.task").summary == "It works."
    assert "focal" in catalog.components["losses"]
    [plugin] = [plugin for plugin in catalog.report.failed if plugin.name == name]
    assert message in plugin.error
    assert (plugin.origin, plugin.offers) == (f"labtune-{name} 3.2", {})
    assert f"{name}.head" not in catalog.components["heads"]


@pytest.mark.parametrize("name", BROKEN)
def test_strict_raises(name, install, monkeypatch):
    source, about, message = BROKEN[name]
    install(f"labtune-{name}", source, **about)
    monkeypatch.setenv("LABTUNE_STRICT", "1")
    with pytest.raises(PluginError) as caught:
        load_plugins()
    assert str(caught.value).startswith(f"plugin '{name}' (labtune-{name} 1.0) did not load: ")
    assert message in str(caught.value)


def test_of_two_distributions_with_one_name_the_first_stays(install):
    install("labtune-twin-b", HEAD.format(name="twin.b"), point="twin")
    install("labtune-twin-a", HEAD.format(name="twin.a"), point="twin")
    catalog = load_catalog()
    assert "twin.a" in catalog.components["heads"]
    assert "twin.b" not in catalog.components["heads"]
    [failed] = catalog.report.failed
    assert failed.origin == "labtune-twin-b 1.0"
    assert "the plugin name 'twin' is taken by labtune-twin-a 1.0" in failed.error


def test_of_two_offers_of_one_name_the_first_stays(install):
    install("labtune-nest", HEAD.format(name="nest.egg.head"))
    install("labtune-egg", HEAD.format(name="nest.egg.head").replace("somewhere", "elsewhere"), point="nest.egg")
    catalog = load_catalog()
    assert catalog.components["heads"]["nest.egg.head"].target == "somewhere:Head"
    [failed] = catalog.report.failed
    assert failed.origin == "labtune-egg 1.0"
    assert "'nest.egg.head' in heads is already offered by labtune-nest 1.0" in failed.error


def test_nobody_takes_the_place_of_the_core(install):
    install("aaa", HEAD.format(name="builtin.head"), point="builtin")
    catalog = load_catalog()
    assert "sequence" in catalog.components["heads"]
    assert [plugin.distribution for plugin in catalog.report.failed] == ["aaa"]


def test_a_switched_off_plugin_is_not_imported(install, monkeypatch):
    install("labtune-off", "raise AssertionError('imported')")
    monkeypatch.setenv("LABTUNE_DISABLE_PLUGINS", "other, off")
    monkeypatch.setenv("LABTUNE_STRICT", "1")
    [plugin] = load_plugins().failed
    assert (plugin.name, plugin.error) == ("off", "switched off by LABTUNE_DISABLE_PLUGINS")
    assert "labtune_off" not in sys.modules


def test_a_requirement_that_does_not_apply_here_keeps_nobody_out(install):
    about = [
        "labtune<0.0.1; extra == 'legacy'",
        "labtune<0.0.1; python_version < '3'",
        "labtune-other<0.0.1",
        "labtune>=0.1",
    ]
    install("labtune-fine", HEAD.format(name="fine.head"), requires=about)
    assert "fine.head" in load_catalog().components["heads"]


def test_an_installation_that_lost_its_metadata_stops_nobody(install, tmp_path):
    install("labtune-lost", HEAD.replace("{name}", "lost.head"))
    [metadata] = tmp_path.glob("site/*.dist-info/METADATA")
    metadata.unlink()
    install("labtune-good", TASK)
    assert "good.task" in load_catalog().tasks


def test_an_unpackaged_module_comes_through_the_same_door():
    def labtune_heads():
        return [Component(name="mine.head", target="somewhere:Head", summary="A head.")]

    good, bad = ModuleType("notebook"), ModuleType("notebook")
    good.labtune_heads = bad.labtune_heads = hookimpl(labtune_heads)
    catalog = load_catalog({"mine": good, "yours": bad})
    assert "mine.head" in catalog.components["heads"]
    [failed] = catalog.report.failed
    assert (failed.name, failed.origin) == ("yours", "module notebook")


class TestCommandLine:
    """The same from outside, with every broken distribution installed at once beside a good one."""

    @pytest.fixture(scope="class")
    @classmethod
    def site(cls, tmp_path_factory, new_distribution):
        folder = tmp_path_factory.mktemp("site")
        for name, (source, about, _) in BROKEN.items():
            new_distribution(folder, f"labtune-{name}", source, version="3.2", **about)
        new_distribution(folder, "labtune-good", TASK)
        return folder

    def test_the_others_are_listed(self, site, labtune):
        done = labtune("tasks", site=site)
        assert done.returncode == 0
        assert "good.task" in done.stdout
        assert done.stderr == f"{len(BROKEN)} plugins are not in use: see 'labtune plugins'\n"

    def test_every_broken_one_is_told_with_its_version(self, site, labtune):
        done = labtune("plugins", site=site)
        assert done.returncode == 0
        lines = {line.split()[0]: line for line in done.stdout.splitlines()}
        for name, (_, _, message) in BROKEN.items():
            assert f"labtune-{name} 3.2" in lines[name]
            assert message in lines[name]
        assert "tasks: 1" in lines["good"]

    def test_an_unknown_task_may_be_that_of_a_failed_plugin(self, site, labtune):
        done = labtune("show", "raising.task", site=site)
        assert (done.returncode, done.stdout) == (2, "")
        [line] = done.stderr.splitlines()
        assert line.startswith("error: unknown task 'raising.task'. ")
        error = BROKEN["raising"][2]
        assert line.endswith(f"; plugin 'raising' (labtune-raising 3.2) did not load: {error}; see 'labtune plugins'")
        assert "half" not in line  # whose name cannot be the prefix of what is looked for

    def test_strict_stops_at_the_first(self, site, labtune):
        done = labtune("tasks", site=site, LABTUNE_STRICT="1")
        assert (done.returncode, done.stdout) == (2, "")
        [line] = done.stderr.splitlines()
        assert line.startswith("error: plugin 'argument' (labtune-argument 3.2) did not load: ")

    def test_strict_and_debug_show_where(self, site, labtune):
        off = ",".join(set(BROKEN) - {"half"})
        done = labtune("tasks", site=site, LABTUNE_STRICT="1", LABTUNE_DEBUG="1", LABTUNE_DISABLE_PLUGINS=off)
        assert done.returncode == 2
        assert "labtune_half.py" in done.stderr


def test_a_part_that_nobody_offers_is_told_when_it_is_needed(install):
    install("labtune-good", TASK.replace('"sequence"', '"sequance"'))
    catalog = load_catalog()
    with pytest.raises(
        PluginError, match=r"needs the head 'sequance', which no plugin offers\. Did you mean 'sequence'\?"
    ):
        catalog.task("good.task")
